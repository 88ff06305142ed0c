/*
 * api_events.c - GET /v1/sessions/{id}/events: a request becomes a join, and the join a viewer.
 *
 * Until the hub answers, the request stays a request: a client that leaves cancels the join, a
 * session that does not exist is a 404, a worker that can't be reached a 503. When the hub accepts,
 * the socket is taken from the HTTP layer, whose limits it counts against for as long as the viewer
 * lives.
 */
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/id.h"
#include "common/log.h"
#include "common/require.h"
#include "streamerd/app.h"
#include "streamerd/guard.h"
#include "streamerd/join.h"
#include "streamerd/reply.h"
#include "streamerd/sse.h"

struct stream {
	struct app *app;
	struct http_request *req;
	struct join *join; /* owned by its feed; ends with one of the callbacks below */
	struct visit visit;
};

static int on_accept(void *arg, struct buf *head)
{
	auto_free struct stream *s = arg;
	auto_buf struct buf cors = BUF_INIT;
	auto_free char *path = str_dup(http_path(s->req));

	guard_add_cors(&cors, s->app->options, http_header(s->req, "Origin"));
	sse_add_head(head, buf_str(&cors));
	log_info("http.stream", "path=\"%s\" peer=%s", log_safe(path), http_peer(s->req));
	return http_take(s->req, NULL);
}

static void on_refuse(void *arg, enum fault fault)
{
	auto_free struct stream *s = arg;

	http_on_gone(s->req, NULL, NULL);
	if (fault != FAULT_WORKER_UNAVAILABLE || !parked_add(s->app->parked, s->req, &s->visit))
		reply_fault(s->app->options, s->req, fault, NULL, NULL);
}

static void on_nothing(void *arg)
{
	auto_free struct stream *s = arg;

	reply_empty(s->app->options, s->req, 204);
}

static const struct join_ops join_ops = {on_accept, on_refuse, on_nothing};

static void on_gone(void *arg)
{
	auto_free struct stream *s = arg;

	join_cancel(s->join);
	http_drop(s->req);
}

/* HEAD: the head that GET would have, if the session exists. */
static void answer_head(struct app *app, struct http_request *req, const struct msg *answer)
{
	reply_with(app->options, req, 200, "text/event-stream",
		   "Cache-Control: no-cache, no-transform\r\n", str_of(""));
}

void api_events(struct app *app, struct http_request *req, const struct call_info *info)
{
	struct str id = info->params[0];
	struct str until = http_query(req, "until");
	struct str cursor = http_header(req, "Last-Event-ID");
	struct join_request r = {.owner = info->owner, .session_id = id, .ops = &join_ops};
	struct msg m = {.type = MSG_GET_SESSION,
			.get_session = {.owner = info->owner, .session_id = id}};
	struct stream *s;
	enum fault fault;

	if (!id_is_plausible(id.p, id.n)) {
		reply_fault(app->options, req, FAULT_SESSION_NOT_FOUND, NULL, NULL);
		return;
	}
	if (until.p && !str_eq(until, "idle")) {
		reply_fault(app->options, req, FAULT_BAD_FIELD, "until must be idle", "until");
		return;
	}
	if (http_method(req) == HTTP_HEAD) {
		app_forward_then(app, req, info, backend_worker_of(app->backend, id), &m,
				 answer_head);
		return;
	}
	if (app_waits(app, req, info, backend_worker_of(app->backend, id)))
		return;
	if (!cursor.n)
		cursor = http_query(req, "last_event_id");
	s = calloc(1, sizeof(*s));
	REQUIRE(s);
	s->app = app;
	s->req = req;
	s->visit = *info->visit;
	r.has_cursor = cursor.n > 0;
	r.cursor = cursor;
	r.until_idle = until.p != NULL;
	r.arg = s;
	fault = hub_join(app->hub, &r, &s->join);
	if (fault != FAULT_NONE) {
		reply_fault(app->options, req, fault,
			    fault == FAULT_TOO_MANY ? "too many open viewers" : NULL, NULL);
		free(s);
		return;
	}
	http_on_gone(req, on_gone, s);
}
