/*
 * api_sessions.c - reading, aborting and deleting sessions, answering their prompts.
 *
 * Each call becomes one message to the worker that owns the session. Lists are read from the log,
 * which all workers share, so any of them can answer.
 */
#include "common/id.h"
#include "common/limits.h"
#include "streamerd/app.h"
#include "streamerd/reply.h"
#include "streamerd/request_body.h"

/* An id that can't be one is answered like one that does not exist. */
static bool has_session(struct app *app, struct http_request *req, struct str id)
{
	if (id_is_plausible(id.p, id.n))
		return true;
	reply_fault(app->options, req, FAULT_SESSION_NOT_FOUND, NULL, NULL);
	return false;
}

/* ?limit=1..LIMIT_PAGE; 0 if absent. Answers and returns false if it is wrong. */
static bool take_limit(struct app *app, struct http_request *req, uint64_t *ret)
{
	struct str s = http_query(req, "limit");
	uint64_t v = 0;

	*ret = 0;
	if (!s.p)
		return true;
	for (size_t i = 0; i < s.n && v <= LIMIT_PAGE; i++)
		v = s.p[i] >= '0' && s.p[i] <= '9' ? v * 10 + (uint64_t)(s.p[i] - '0')
						   : LIMIT_PAGE + 1;
	if (s.n > 0 && v >= 1 && v <= LIMIT_PAGE) {
		*ret = v;
		return true;
	}
	reply_fault(app->options, req, FAULT_BAD_FIELD, "limit must be a number from 1 to 200",
		    "limit");
	return false;
}
_Static_assert(LIMIT_PAGE == 200, "the message above says so");

/* A cursor of an earlier page; empty if absent. */
static bool take_cursor(struct app *app, struct http_request *req, const char *name,
			struct str *ret)
{
	*ret = http_query(req, name);
	if (!ret->p) {
		*ret = str_of("");
		return true;
	}
	if (id_is_plausible(ret->p, ret->n))
		return true;
	reply_fault(app->options, req, FAULT_BAD_FIELD, "this is no cursor of ours", name);
	return false;
}

static int owner_of(struct app *app, struct str session_id)
{
	return backend_worker_of(app->backend, session_id);
}

void api_list_sessions(struct app *app, struct http_request *req, const struct call_info *info)
{
	struct msg m = {.type = MSG_LIST_SESSIONS, .list_sessions = {.owner = info->owner}};

	if (take_limit(app, req, &m.list_sessions.limit) &&
	    take_cursor(app, req, "cursor", &m.list_sessions.cursor))
		app_forward(app, req, info, backend_pick(app->backend), &m, 200);
}

void api_get_session(struct app *app, struct http_request *req, const struct call_info *info)
{
	struct str id = info->params[0];
	struct msg m = {.type = MSG_GET_SESSION,
			.get_session = {.owner = info->owner, .session_id = id}};

	if (has_session(app, req, id))
		app_forward(app, req, info, owner_of(app, id), &m, 200);
}

void api_delete_session(struct app *app, struct http_request *req, const struct call_info *info)
{
	struct str id = info->params[0];
	struct msg m = {.type = MSG_DELETE_SESSION,
			.delete_session = {.owner = info->owner, .session_id = id}};

	if (has_session(app, req, id))
		app_forward(app, req, info, owner_of(app, id), &m, 204);
}

void api_list_messages(struct app *app, struct http_request *req, const struct call_info *info)
{
	struct str id = info->params[0];
	struct msg m = {.type = MSG_LIST_MESSAGES,
			.list_messages = {.owner = info->owner, .session_id = id}};

	if (has_session(app, req, id) && take_limit(app, req, &m.list_messages.limit) &&
	    take_cursor(app, req, "before", &m.list_messages.before))
		app_forward(app, req, info, owner_of(app, id), &m, 200);
}

void api_snapshot(struct app *app, struct http_request *req, const struct call_info *info)
{
	struct str id = info->params[0];
	struct msg m = {.type = MSG_GET_SNAPSHOT,
			.get_snapshot = {.owner = info->owner, .session_id = id}};

	if (has_session(app, req, id))
		app_forward(app, req, info, owner_of(app, id), &m, 200);
}

void api_abort(struct app *app, struct http_request *req, const struct call_info *info)
{
	struct str id = info->params[0];
	struct msg m = {.type = MSG_ABORT, .abort = {.owner = info->owner, .session_id = id}};
	struct abort_body body;
	struct body_error e;

	if (!has_session(app, req, id))
		return;
	if (request_body_abort(http_header(req, "Content-Type"), http_body(req), &body, &e) < 0) {
		reply_fault(app->options, req, e.fault, e.message, e.field);
		return;
	}
	m.abort.turn_id = body.turn_id;
	app_forward(app, req, info, owner_of(app, id), &m, 202);
	abort_body_fini(&body);
}

void api_resolve_prompt(struct app *app, struct http_request *req, const struct call_info *info)
{
	struct str id = info->params[0];
	struct msg m = {.type = MSG_RESOLVE_PROMPT,
			.resolve_prompt = {.owner = info->owner,
					   .session_id = id,
					   .prompt_id = info->params[1]}};
	struct answer_body body;
	struct body_error e;

	if (!has_session(app, req, id))
		return;
	if (!id_is_plausible(info->params[1].p, info->params[1].n)) {
		reply_fault(app->options, req, FAULT_PROMPT_NOT_FOUND, NULL, NULL);
		return;
	}
	if (request_body_answer(http_header(req, "Content-Type"), http_body(req), &body, &e) < 0) {
		reply_fault(app->options, req, e.fault, e.message, e.field);
		return;
	}
	m.resolve_prompt.answer = (struct str){body.text.data, body.text.len};
	app_forward(app, req, info, owner_of(app, id), &m, 200);
	answer_body_fini(&body);
}
