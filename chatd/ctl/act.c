/*
 * act.c - a request to a session's worker, and what came of it. See act.h.
 */
#include "chatd/ctl/act.h"

#include <stdio.h>

#include "chatd/ctl/rows.h"

int act_status(enum fault fault, const struct buf *body)
{
	auto_json json_t *said = NULL;
	const char *message;

	if (fault == FAULT_NONE)
		return CTL_OK;
	said = body->len ? json_read(body->data, body->len, NULL, 0) : NULL;
	message = json_get_str(said, "message");
	(void)ctl_fail("%s: %s", fault_code(fault), message ? message : fault_message(fault));
	if (fault == FAULT_SESSION_NOT_FOUND || fault == FAULT_PROMPT_NOT_FOUND)
		return CTL_NOT_FOUND;
	return fault == FAULT_WORKER_UNAVAILABLE ? CTL_FAILED : CTL_NO;
}

int act(const struct ctl *c, const char *session_id, struct msg *m, uint64_t *number,
	const char *done)
{
	const char *why;
	struct bus_client *b = bus_client_open(c->bus_dir, session_id, NULL, NULL, &why);
	auto_buf struct buf body = BUF_INIT;
	int status;

	if (!b)
		return ctl_fail("%s: chatd can't be reached: %s", c->bus_dir, why);
	*number = bus_client_req(b);
	status = act_status(bus_client_ask(b, m, &body), &body);
	if (status == CTL_OK && c->json)
		(void)puts(body.len ? buf_str(&body) : "{}");
	else if (status == CTL_OK && done)
		(void)puts(done);
	bus_client_close(b);
	return status;
}
