/*
 * app.h - the parts of this process in one hand, and the way of a request through them.
 *
 * Every request passes in this order: Host and Origin (guard), route, method, token (auth), and
 * then its handler in one of the api_*.c files. A handler answers exactly once, now or later.
 */
#pragma once

#include <event2/event.h>

#include "proto/messages.h"
#include "streamerd/auth.h"
#include "streamerd/backend.h"
#include "streamerd/http/http.h"
#include "streamerd/hub.h"
#include "streamerd/options.h"
#include "streamerd/parked.h"
#include "streamerd/route.h"
#include "streamerd/tickets.h"

struct app {
	struct event_base *base;  /* borrowed */
	const char *conf_file;	  /* borrowed */
	struct options *options;  /* owned */
	struct auth *auth;	  /* owned */
	struct tickets *tickets;  /* owned */
	struct backend *backend;  /* owned */
	struct hub *hub;	  /* owned */
	struct http_server *http; /* owned */
	struct parked *parked;	  /* owned */
};

/* What a handler is told besides the request. */
struct call_info {
	struct str owner; /* borrowed during the call; empty on open routes */
	struct str params[ROUTE_PARAMS];
	const struct visit *visit; /* borrowed during the call */
};

extern const struct http_ops app_http_ops;	 /* arg: struct app */
extern const struct backend_ops app_backend_ops; /* arg: struct app */

/* Options and tokens: 0, with both owned by the caller, or -1 with *e filled in. */
int app_load(const char *file, struct options **ret_options, struct auth **ret_auth,
	     struct conf_error *e);

/* --- for handlers --- */

/* Hands a request to its handler once more: what parked_new() takes. arg: struct app */
void app_again(void *arg, struct http_request *req, const struct visit *v);
/*
 * Is a worker (-1: any) away, and may the request wait for it? True: it is not the handler's any
 * more, which will be called anew.
 */
bool app_waits(struct app *app, struct http_request *req, const struct call_info *info, int worker);
/*
 * Sends m to a worker and the answer to the client: `status` with the worker's document, or the
 * fault's. worker -1: nobody is there to ask. What can't be sent waits (app_waits()); what was sent
 * to a worker that then dies is asked once more if it only reads.
 */
void app_forward(struct app *app, struct http_request *req, const struct call_info *info,
		 int worker, struct msg *m, int status);
/* The same, but `done` answers when the worker has said yes. */
typedef void (*app_done_fn)(struct app *app, struct http_request *req, const struct msg *answer);
void app_forward_then(struct app *app, struct http_request *req, const struct call_info *info,
		      int worker, struct msg *m, app_done_fn done);

/* --- handlers --- */
void api_send_message(struct app *app, struct http_request *req, const struct call_info *info);
void api_list_sessions(struct app *app, struct http_request *req, const struct call_info *info);
void api_get_session(struct app *app, struct http_request *req, const struct call_info *info);
void api_delete_session(struct app *app, struct http_request *req, const struct call_info *info);
void api_list_messages(struct app *app, struct http_request *req, const struct call_info *info);
void api_snapshot(struct app *app, struct http_request *req, const struct call_info *info);
void api_abort(struct app *app, struct http_request *req, const struct call_info *info);
void api_resolve_prompt(struct app *app, struct http_request *req, const struct call_info *info);
void api_issue_ticket(struct app *app, struct http_request *req, const struct call_info *info);
void api_events(struct app *app, struct http_request *req, const struct call_info *info);
void api_events_of_several(struct app *app, struct http_request *req, const struct call_info *info);
void api_healthz(struct app *app, struct http_request *req, const struct call_info *info);
void api_readyz(struct app *app, struct http_request *req, const struct call_info *info);
void api_metrics(struct app *app, struct http_request *req, const struct call_info *info);
void page_serve(struct app *app, struct http_request *req, const struct call_info *info);
