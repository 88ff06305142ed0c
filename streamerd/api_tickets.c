/*
 * api_tickets.c - POST /v1/tickets: a ticket for an event stream (tickets.h).
 *
 * A session that is named is not looked up: a ticket opens nothing that its owner's token doesn't,
 * and the stream says itself what is not there.
 */
#include "common/clock.h"
#include "streamerd/app.h"
#include "streamerd/reply.h"
#include "streamerd/request_body.h"

void api_issue_ticket(struct app *app, struct http_request *req, const struct call_info *info)
{
	auto_buf struct buf answer = BUF_INIT;
	struct ticket_body b;
	struct body_error e;

	if (request_body_ticket(http_header(req, "Content-Type"), http_body(req), &b, &e) < 0) {
		reply_fault(app->options, req, e.fault, e.message, e.field);
		return;
	}
	buf_adds(&answer, "{\"ticket\":\"");
	if (tickets_issue(app->tickets, info->owner, b.session_id, clock_mono_ms(), &answer)) {
		buf_addf(&answer, "\",\"expires_in\":%d}", LIMIT_TICKET_MS / 1000);
		reply_json(app->options, req, 200, (struct str){answer.data, answer.len});
	} else {
		reply_fault(app->options, req, FAULT_TOO_MANY, "too many tickets were asked for",
			    NULL);
	}
	ticket_body_fini(&b);
}
