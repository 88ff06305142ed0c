/*
 * app.c - the way of a request through this process. See app.h.
 *
 * The table of routes is here, and the two places where everything meets: a request that came in,
 * and a worker's answer that goes out. What is said to a client about a failure comes from the
 * fault table, with the worker's own words and members added.
 */
#include "streamerd/app.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/require.h"
#include "proto/chat_event.h"
#include "streamerd/guard.h"
#include "streamerd/reply.h"
#include "streamerd/shared.h"

static const struct route routes[] = {
	{HTTP_POST, "/v1/messages", api_send_message, ROUTE_TOKEN},
	{HTTP_GET, "/v1/sessions", api_list_sessions, ROUTE_TOKEN},
	{HTTP_GET, "/v1/sessions/:", api_get_session, ROUTE_TOKEN},
	{HTTP_DELETE, "/v1/sessions/:", api_delete_session, ROUTE_TOKEN},
	{HTTP_GET, "/v1/sessions/:/messages", api_list_messages, ROUTE_TOKEN},
	{HTTP_GET, "/v1/sessions/:/snapshot", api_snapshot, ROUTE_TOKEN},
	{HTTP_GET, "/v1/sessions/:/events", api_events, ROUTE_TICKET},
	{HTTP_GET, "/v1/events", api_events_of_several, ROUTE_TICKET},
	{HTTP_POST, "/v1/sessions/:/abort", api_abort, ROUTE_TOKEN},
	{HTTP_POST, "/v1/sessions/:/prompts/:", api_resolve_prompt, ROUTE_TOKEN},
	{HTTP_POST, "/v1/tickets", api_issue_ticket, ROUTE_TOKEN},
	{HTTP_GET, "/healthz", api_healthz, ROUTE_OPEN},
	{HTTP_GET, "/readyz", api_readyz, ROUTE_OPEN},
	{HTTP_GET, "/metrics", api_metrics, ROUTE_TOKEN},
	{HTTP_GET, "/", page_serve, ROUTE_OPEN},
	{HTTP_GET, "/ops", page_serve, ROUTE_OPEN},
	{HTTP_GET, "/icon.svg", page_serve, ROUTE_OPEN},
	{HTTP_GET, "/page/:", page_serve, ROUTE_OPEN},
	{HTTP_GET, "/chat-client/:", page_serve, ROUTE_OPEN},
};

/* --- configuration --- */

int app_load(const char *file, struct options **ret_options, struct auth **ret_auth,
	     struct conf_error *e)
{
	struct options *o = options_load(file, e);

	if (!o)
		return -1;
	*ret_auth = auth_new(o, file, e);
	if (!*ret_auth) {
		options_free(o);
		return -1;
	}
	*ret_options = o;
	return 0;
}

/* --- requests --- */

static enum fault check_guard(struct app *app, struct http_request *req)
{
	if (http_header_count(req, "Host") > 1)
		return FAULT_FOREIGN_HOST;
	if (http_header_count(req, "Origin") > 1)
		return FAULT_FOREIGN_ORIGIN;
	return guard_check(app->options, http_header(req, "Host"), http_header(req, "Origin"));
}

/* OPTIONS: what a browser asks before it lets a page of a listed origin send a request. */
static void answer_options(struct app *app, struct http_request *req, const char *allow)
{
	auto_buf struct buf h = BUF_INIT;

	buf_addf(&h, "Allow: %s, OPTIONS\r\n", allow);
	if (http_header(req, "Access-Control-Request-Method").p)
		buf_addf(&h,
			 "Access-Control-Allow-Methods: %s\r\n"
			 "Access-Control-Allow-Headers: Authorization, Content-Type, "
			 "Idempotency-Key, Last-Event-ID, traceparent\r\n"
			 "Access-Control-Max-Age: 600\r\n",
			 allow);
	reply_with(app->options, req, 204, NULL, buf_str(&h), str_of(""));
}

static void answer_no_route(struct app *app, struct http_request *req, const char *allow)
{
	auto_buf struct buf body = BUF_INIT;
	auto_buf struct buf h = BUF_INIT;

	if (!*allow) {
		reply_fault(app->options, req, FAULT_NOT_FOUND, NULL, NULL);
		return;
	}
	buf_addf(&h, "Allow: %s, OPTIONS\r\n", allow);
	reply_add_error(&body, FAULT_METHOD_NOT_ALLOWED, NULL, NULL);
	reply_error_body(app->options, req, FAULT_METHOD_NOT_ALLOWED, buf_str(&h),
			 (struct str){body.data, body.len});
}

/* How to ask again, as RFC 6750 has it. */
static void answer_unauthorized(struct app *app, struct http_request *req, const char *why)
{
	auto_buf struct buf body = BUF_INIT;
	auto_buf struct buf h = BUF_INIT;

	buf_adds(&h, "WWW-Authenticate: Bearer");
	if (http_header(req, "Authorization").p)
		buf_addf(&h, " error=\"invalid_token\", error_description=\"%s\"", why);
	buf_adds(&h, "\r\n");
	reply_add_error(&body, FAULT_UNAUTHORIZED, why, NULL);
	reply_error_body(app->options, req, FAULT_UNAUTHORIZED, buf_str(&h),
			 (struct str){body.data, body.len});
}

/* NULL and the owner, or why not. A header goes before a ticket, which then stays good. */
static const char *authenticate(struct app *app, struct http_request *req,
				const struct route_match *match, char owner[LIMIT_OWNER + 1])
{
	struct str authorization = http_header(req, "Authorization");
	struct str ticket = http_query(req, "ticket");

	if (http_header_count(req, "Authorization") > 1)
		return "there are two Authorization fields";
	if (match->route->auth != ROUTE_TICKET || !ticket.p || authorization.p ||
	    auth_is_open(app->auth))
		return auth_check(app->auth, authorization, clock_wall_ms() / 1000, owner);
	if (tickets_redeem(app->tickets, ticket, match->params[0], clock_mono_ms(), owner))
		return NULL;
	return "the ticket is not good, or not any more";
}

void app_again(void *arg, struct http_request *req, const struct visit *v)
{
	struct call_info info = {.owner = str_of(v->owner), .visit = v};

	memcpy(info.params, v->params, sizeof(info.params));
	v->route->fn(arg, req, &info);
}

static void on_request(void *arg, struct http_request *req)
{
	struct app *app = arg;
	struct route_match match;
	struct visit visit;
	const char *why;
	enum fault fault = check_guard(app, req);

	if (fault != FAULT_NONE) {
		reply_fault(app->options, req, fault, NULL, NULL);
		return;
	}
	route_find(routes, sizeof(routes) / sizeof(routes[0]), http_method(req), http_path(req),
		   &match);
	if (match.allow[0] && http_method(req) == HTTP_OPTIONS) {
		answer_options(app, req, match.allow);
		return;
	}
	if (!match.route) {
		answer_no_route(app, req, match.allow);
		return;
	}
	http_set_note(req, match.route->pattern);
	visit = (struct visit){.route = match.route,
			       .until = clock_mono_ms() + LIMIT_WORKER_WAIT_MS};
	memcpy(visit.params, match.params, sizeof(visit.params));
	if (match.route->auth != ROUTE_OPEN) {
		why = authenticate(app, req, &match, visit.owner);
		if (why) {
			answer_unauthorized(app, req, why);
			return;
		}
	}
	app_again(app, req, &visit);
}

static void on_refuse(void *arg, enum fault fault, const char *detail, struct buf *body)
{
	reply_add_error(body, fault, detail, NULL);
}

static void on_answered(void *arg, const struct http_request *req, int status, size_t body_bytes)
{
	auto_free char *path = str_dup(http_path(req));
	uint64_t *count = status == 0	 ? &stats->requests_gone
			  : status < 300 ? &stats->requests_2xx
			  : status < 400 ? &stats->requests_3xx
			  : status < 500 ? &stats->requests_4xx
					 : &stats->requests_5xx;

	(*count)++;
	log_info("http.request", "method=%s path=\"%s\" status=%d bytes=%zu peer=%s",
		 http_method_name(req), log_safe(path), status, body_bytes, http_peer(req));
}

/* Nearly even is even enough: who looks away costs the new connection a moment if all are busy. */
static bool on_yields(void *arg)
{
	uint64_t own = stats->connections + stats->viewers;
	uint64_t least;

	if (shared_processes() == 1)
		return false;
	least = shared_least_load();
	return own > least + least / 16 + 4;
}

const struct http_ops app_http_ops = {on_request, on_refuse, on_answered, on_yields};

/* --- workers --- */

static void on_up(void *arg, unsigned worker)
{
	struct app *app = arg;

	hub_on_up(app->hub, worker);
	parked_wake(app->parked);
}

static void on_down(void *arg, unsigned worker)
{
	hub_on_down(((struct app *)arg)->hub, worker);
}

static void on_event(void *arg, const struct msg_event *e)
{
	hub_on_event(((struct app *)arg)->hub, e);
}

static void on_activity(void *arg, const struct msg_activity *a)
{
	hub_on_activity(((struct app *)arg)->hub, a);
}

const struct backend_ops app_backend_ops = {on_up, on_down, on_event, on_activity};

/* A request that a worker is asked about. */
struct forwarded {
	struct app *app;
	struct http_request *req;
	app_done_fn done; /* or NULL: status */
	int status;
	char session_id[LIMIT_ID + 1]; /* for a snapshot */
	unsigned worker;
	struct visit visit;
};

/* Reading twice does no harm. */
static bool only_reads(const struct http_request *req)
{
	return http_method(req) == HTTP_GET || http_method(req) == HTTP_HEAD;
}

bool app_waits(struct app *app, struct http_request *req, const struct call_info *info, int worker)
{
	bool is_up = worker < 0 ? backend_pick(app->backend) >= 0
				: backend_is_up(app->backend, (unsigned)worker);

	return !is_up && parked_add(app->parked, req, info->visit);
}

static void reply_snapshot(const struct forwarded *f, const struct msg_snapshot *s)
{
	struct chat_event e = {.session_id = str_of(f->session_id),
			       .turn_id = s->turn_id,
			       .generation = s->generation,
			       .seq = s->seq,
			       .ts = s->ts,
			       .type = CHAT_EVENT_SNAPSHOT,
			       .payload = s->payload};
	auto_buf struct buf b = BUF_INIT;

	chat_event_add_json(&b, &e);
	reply_json(f->app->options, f->req, 200, (struct str){b.data, b.len});
}

static void on_forwarded(void *arg, const struct msg *answer, enum fault why)
{
	auto_free struct forwarded *f = arg;
	const struct options *o = f->app->options;

	if (!answer && only_reads(f->req) && !backend_is_up(f->app->backend, f->worker) &&
	    parked_add(f->app->parked, f->req, &f->visit))
		return;
	if (!answer) {
		stats->bus_timeouts++;
		reply_fault(o, f->req, why, NULL, NULL);
	} else if (answer->type == MSG_SNAPSHOT) {
		reply_snapshot(f, &answer->snapshot);
	} else if (answer->type != MSG_REPLY) {
		log_error("bus.answer", "message=%s", msg_name(answer->type));
		reply_fault(o, f->req, FAULT_INTERNAL, NULL, NULL);
	} else if (answer->reply.fault != FAULT_NONE) {
		enum fault fault = fault_is_known(answer->reply.fault)
					   ? (enum fault)answer->reply.fault
					   : FAULT_INTERNAL;
		auto_buf struct buf b = BUF_INIT;

		reply_add_worker_error(&b, fault, answer->reply.body);
		reply_error_body(o, f->req, fault, "", (struct str){b.data, b.len});
	} else if (f->done) {
		f->done(f->app, f->req, answer);
	} else if (f->status == 204) {
		reply_empty(o, f->req, 204);
	} else {
		reply_json(o, f->req, f->status,
			   answer->reply.body.n ? answer->reply.body : str_of("{}"));
	}
}

static void forward(struct app *app, struct http_request *req, const struct call_info *info,
		    int worker, struct msg *m, app_done_fn done, int status)
{
	struct forwarded *f;

	if (app_waits(app, req, info, worker))
		return;
	f = calloc(1, sizeof(*f));
	REQUIRE(f);
	*f = (struct forwarded){.app = app,
				.req = req,
				.done = done,
				.status = status,
				.worker = (unsigned)worker,
				.visit = *info->visit};
	if (m->type == MSG_GET_SNAPSHOT) {
		REQUIRE(m->get_snapshot.session_id.n <= LIMIT_ID);
		memcpy(f->session_id, m->get_snapshot.session_id.p, m->get_snapshot.session_id.n);
	}
	if (worker >= 0 && backend_call(app->backend, (unsigned)worker, m, on_forwarded, f))
		return;
	free(f);
	reply_fault(app->options, req, FAULT_WORKER_UNAVAILABLE, NULL, NULL);
}

void app_forward(struct app *app, struct http_request *req, const struct call_info *info,
		 int worker, struct msg *m, int status)
{
	forward(app, req, info, worker, m, NULL, status);
}

void app_forward_then(struct app *app, struct http_request *req, const struct call_info *info,
		      int worker, struct msg *m, app_done_fn done)
{
	forward(app, req, info, worker, m, done, 200);
}
