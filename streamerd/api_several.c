/*
 * api_several.c - GET /v1/events: a request becomes a bundle, one stream for several sessions.
 *
 * As in api_events.c the request stays a request until the hub answers, so that what fails is still
 * an HTTP status.
 */
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/require.h"
#include "streamerd/app.h"
#include "streamerd/bundle.h"
#include "streamerd/guard.h"
#include "streamerd/reply.h"
#include "streamerd/sse.h"

struct stream {
	struct app *app;
	struct http_request *req;
	struct bundle *bundle; /* owned by the hub; until one of the callbacks below */
	struct visit visit;
};

static int on_accept(void *arg, struct buf *head)
{
	auto_free struct stream *s = arg;
	auto_buf struct buf cors = BUF_INIT;

	guard_add_cors(&cors, s->app->options, http_header(s->req, "Origin"));
	sse_add_head(head, buf_str(&cors));
	log_info("http.stream", "path=\"/v1/events\" peer=%s", http_peer(s->req));
	return http_take(s->req, NULL);
}

static void on_refuse(void *arg, enum fault fault)
{
	auto_free struct stream *s = arg;

	http_on_gone(s->req, NULL, NULL);
	if (fault != FAULT_WORKER_UNAVAILABLE || !parked_add(s->app->parked, s->req, &s->visit))
		reply_fault(s->app->options, s->req, fault, NULL, NULL);
}

static const struct join_ops join_ops = {on_accept, on_refuse, NULL};

static void on_gone(void *arg)
{
	auto_free struct stream *s = arg;

	bundle_cancel(s->bundle);
	http_drop(s->req);
}

static void begin(struct app *app, struct http_request *req, const struct call_info *info,
		  struct bundle_request *r)
{
	struct stream *s = calloc(1, sizeof(*s));
	enum fault fault;

	REQUIRE(s);
	s->app = app;
	s->req = req;
	s->visit = *info->visit;
	r->ops = &join_ops;
	r->arg = s;
	fault = bundle_join(app->hub, r, &s->bundle);
	if (fault == FAULT_NONE) {
		http_on_gone(req, on_gone, s);
		return;
	}
	reply_fault(app->options, req, fault,
		    fault == FAULT_TOO_MANY ? "too many open viewers" : NULL, NULL);
	free(s);
}

void api_events_of_several(struct app *app, struct http_request *req, const struct call_info *info)
{
	struct str cursors = http_header(req, "Last-Event-ID");
	struct stream_query q;
	struct bundle_request r = {.owner = info->owner, .query = &q};
	const char *field, *why = NULL;

	if (!cursors.n)
		cursors = http_query(req, "last_event_id");
	field = stream_query_parse(http_query(req, "sessions"), cursors, http_query(req, "since"),
				   http_query(req, "changes"), &q, &why);
	if (!field && http_query(req, "until").p) {
		field = "until";
		why = "until is for the stream of one session";
	}
	if (field)
		reply_fault(app->options, req, FAULT_BAD_FIELD, why, field);
	else if (http_method(req) == HTTP_HEAD)
		reply_with(app->options, req, 200, "text/event-stream",
			   "Cache-Control: no-cache, no-transform\r\n", str_of(""));
	else if (!app_waits(app, req, info, -1))
		begin(app, req, info, &r);
	stream_query_fini(&q);
}
