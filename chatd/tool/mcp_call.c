/*
 * mcp_call.c - the calls to one MCP server. See mcp_call.h.
 *
 *	           server ready, fewer than
 *	           LIMIT_TOOL_CALLS_OPEN sent         answer, error, time-out, death
 *	QUEUED ------------------------------> SENT ---------------------------------> ENDING -->
 *done |                                    |  ^                                     ^ | +--+
 *input_required: declined, sent again |
 *	   +------------------- server failed to start -----------------------------------+
 *
 * However a call ends, its result is kept first and told from the loop (ENDING): so no callback
 * ever runs inside a function that the turn called, nor in the middle of our walking over a list.
 * A call that is cancelled leaves at once from any state.
 *
 * Deadlines. A call that was sent ends when its server says nothing about it for `timeout`, which
 * progress moves, or after LIMIT_TOOL_CALL_MAX_MS in any case. The timer is not moved by progress:
 * when it fires it looks at what the deadline has become. One that has ended is forgotten; an
 * answer that comes later finds no id and means nothing. A queued call has no deadline of its own:
 * those before it have, and so has its server's start.
 *
 * Uncertain is a call that was sent and of which no answer could be read: nobody can say whether
 * it had its effect, and the user is told so.
 *
 * A modern server may ask for input in the middle of a call. We have declared that there is nobody
 * to ask; to one that asks all the same we decline, LIMIT_TOOL_ROUNDS times.
 */
#include "chatd/tool/mcp_call.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/tool/mcp_result.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/require.h"

enum state { QUEUED, SENT, ENDING };

struct tool_call {
	struct mcp_calls *calls; /* borrowed, like the next two */
	const struct tool_call_ops *ops;
	void *arg;
	enum state state;
	TAILQ_ENTRY(tool_call) link; /* in queued or begun */
	long long id;		     /* of the latest request */
	char *name;		     /* owned, like all that follows */
	struct buf arguments;
	struct event *timer;
	int64_t silent_at, end_at; /* deadlines on the monotonic clock */
	int64_t progress_at;	   /* of the last progress that was told */
	unsigned rounds;
	struct mcp_text text; /* of the result */
	bool is_error, uncertain;
};

void mcp_calls_init(struct mcp_calls *c, struct event_base *base, const char *server,
		    int64_t timeout_ms, const struct mcp_calls_ops *ops, void *arg)
{
	*c = (struct mcp_calls){
		.base = base, .server = server, .timeout_ms = timeout_ms, .ops = ops, .arg = arg};
	TAILQ_INIT(&c->queued);
	TAILQ_INIT(&c->begun);
}

/* It is no longer one of those that wait for an answer; the state that it gets is the caller's. */
static void forget_id(struct tool_call *call)
{
	if (call->state == SENT)
		call->calls->n_sent--;
}

static void free_call(struct tool_call *call)
{
	forget_id(call);
	TAILQ_REMOVE(call->state == QUEUED ? &call->calls->queued : &call->calls->begun, call,
		     link);
	event_free(call->timer);
	buf_fini(&call->arguments);
	buf_fini(&call->text.text);
	free(call->name);
	free(call);
}

static void free_all(struct tool_call_list *l)
{
	struct tool_call *call, *next;

	for (call = TAILQ_FIRST(l); call; call = next) {
		next = TAILQ_NEXT(call, link);
		free_call(call);
	}
}

void mcp_calls_fini(struct mcp_calls *c)
{
	free_all(&c->queued);
	free_all(&c->begun);
}

static void arm(struct tool_call *call, int64_t ms)
{
	const struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

	(void)evtimer_add(call->timer, &tv);
}

/* ---- the end ---- */

/* The result is there; `done` follows from the loop. */
static void end(struct tool_call *call, bool is_error, bool uncertain)
{
	forget_id(call);
	if (call->state == QUEUED) {
		TAILQ_REMOVE(&call->calls->queued, call, link);
		TAILQ_INSERT_TAIL(&call->calls->begun, call, link);
	}
	call->state = ENDING;
	call->is_error = is_error;
	call->uncertain = uncertain;
	arm(call, 0);
}

__attribute__((format(printf, 3, 4))) static void end_with(struct tool_call *call, bool uncertain,
							   const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	mcp_text_add(&call->text, b.data, b.len);
	mcp_text_finish(&call->text);
	buf_fini(&b);
	end(call, true, uncertain);
}

static void tell(struct tool_call *call)
{
	const struct tool_call_ops *ops = call->ops;
	void *arg = call->arg;
	struct buf text = call->text.text;
	const struct tool_result r = {
		{text.data ? text.data : "", text.len}, call->is_error, call->uncertain};

	call->text.text = (struct buf)BUF_INIT;
	free_call(call);
	ops->done(arg, &r);
	buf_fini(&text);
}

static void send_cancelled(struct tool_call *call, const char *reason)
{
	struct buf b = BUF_INIT;

	mcp_add_cancelled(&b, call->calls->era, call->id, reason);
	call->calls->ops->send(call->calls->arg, &b);
	buf_fini(&b);
}

static void flush(struct mcp_calls *c);

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct tool_call *call = arg;
	struct mcp_calls *c = call->calls;
	int64_t now = clock_mono_ms();

	(void)fd;
	(void)what;
	if (call->state == ENDING) {
		tell(call);
		return;
	}
	if (now < call->silent_at && now < call->end_at) {
		arm(call, (call->silent_at < call->end_at ? call->silent_at : call->end_at) - now);
		return;
	}
	send_cancelled(call, "it took too long");
	if (call->state != SENT)
		return; /* the server was found to take nothing any more, and has ended it */
	if (now >= call->end_at)
		end_with(call, true,
			 "The tool was still running after %d seconds and was told to stop. "
			 "It may have had an effect.",
			 LIMIT_TOOL_CALL_MAX_MS / 1000);
	else
		end_with(call, true,
			 "The tool did not answer within %lld.%lld seconds. "
			 "It may have had an effect.",
			 (long long)c->timeout_ms / 1000, (long long)c->timeout_ms % 1000 / 100);
	c->ops->silent(c->arg);
	flush(c);
}

/* ---- the way there ---- */

static struct tool_call *new_call(struct mcp_calls *c, const struct tool_call_ops *ops, void *arg)
{
	struct tool_call *call = calloc(1, sizeof(*call));

	REQUIRE(call);
	call->calls = c;
	call->ops = ops;
	call->arg = arg;
	call->text.limit = LIMIT_TOOL_RESULT;
	call->timer = evtimer_new(c->base, on_timer, call);
	REQUIRE(call->timer);
	TAILQ_INSERT_TAIL(&c->queued, call, link);
	return call;
}

/* Sends the request, or sends it again with answers to what the server asked. */
static void send_request(struct tool_call *call, const json_t *answers, const json_t *state)
{
	struct mcp_calls *c = call->calls;
	struct buf b = BUF_INIT;

	forget_id(call);
	call->id = c->ops->next_id(c->arg);
	call->silent_at = clock_mono_ms() + c->timeout_ms;
	c->n_sent++;
	call->state = SENT;
	mcp_add_call(&b, c->era, call->id, call->name,
		     (struct str){call->arguments.data, call->arguments.len}, answers, state);
	c->ops->send(c->arg, &b);
	buf_fini(&b);
}

/* Sends as many of the queued ones as may go. */
static void flush(struct mcp_calls *c)
{
	struct tool_call *call;

	while (c->open && c->n_sent < LIMIT_TOOL_CALLS_OPEN && (call = TAILQ_FIRST(&c->queued))) {
		TAILQ_REMOVE(&c->queued, call, link);
		TAILQ_INSERT_TAIL(&c->begun, call, link);
		call->end_at = clock_mono_ms() + LIMIT_TOOL_CALL_MAX_MS;
		arm(call, c->timeout_ms);
		send_request(call, NULL, NULL);
	}
}

struct tool_call *mcp_call_new(struct mcp_calls *c, const char *name, struct str arguments,
			       const struct tool_call_ops *ops, void *arg)
{
	struct tool_call *call = new_call(c, ops, arg);

	call->name = strdup(name);
	REQUIRE(call->name);
	buf_add(&call->arguments, arguments.p, arguments.n);
	flush(c);
	return call;
}

struct tool_call *mcp_call_ended(struct mcp_calls *c, struct str text, bool is_error,
				 const struct tool_call_ops *ops, void *arg)
{
	struct tool_call *call = new_call(c, ops, arg);

	mcp_text_add(&call->text, text.p, text.n);
	mcp_text_finish(&call->text);
	end(call, is_error, false);
	return call;
}

void tool_call_cancel(struct tool_call *call)
{
	struct mcp_calls *c;

	if (!call)
		return;
	c = call->calls;
	if (call->state == SENT) {
		/* not SENT any more: what sending brings about is no business of this call */
		forget_id(call);
		call->state = ENDING;
		send_cancelled(call, "the user stopped it");
	}
	free_call(call);
	flush(c);
}

void mcp_calls_open(struct mcp_calls *c, enum mcp_era era)
{
	c->era = era;
	c->open = true;
	flush(c);
}

void mcp_calls_close(struct mcp_calls *c, const char *why, bool queued_too)
{
	struct tool_call *call, *next;

	c->open = false;
	for (call = TAILQ_FIRST(&c->begun); call; call = next) {
		next = TAILQ_NEXT(call, link);
		if (call->state == SENT)
			end_with(call, true,
				 "The tool server \"%s\" %s during the call. "
				 "It is not known whether the call had an effect.",
				 c->server, why);
	}
	while (queued_too && (call = TAILQ_FIRST(&c->queued)))
		end_with(call, false, "The call was not made: the tool server \"%s\" %s.",
			 c->server, why);
}

/* ---- what the server says ---- */

/* Few are open at a time: to look through them is as good as a table. */
static struct tool_call *find(const struct mcp_calls *c, long long id)
{
	struct tool_call *call;

	for (call = TAILQ_FIRST(&c->begun); call; call = TAILQ_NEXT(call, link)) {
		if (call->state == SENT && call->id == id)
			return call;
	}
	return NULL;
}

/* The server wants input. True if the call was sent again with our answer to that. */
static bool decline(struct tool_call *call, const json_t *result)
{
	json_t *answers;
	const json_t *asked;
	const char *key;
	void *at;

	if (++call->rounds > LIMIT_TOOL_ROUNDS)
		return false;
	answers = json_object();
	REQUIRE(answers);
	/* jansson's own macro wants an object that is not const */
	for (at = json_object_iter((json_t *)(uintptr_t)json_get(result, "inputRequests")); at;
	     at = json_object_iter_next(json_get(result, "inputRequests"), at)) {
		key = json_object_iter_key(at);
		asked = json_object_iter_value(at);
		if (strcmp(json_get_str(asked, "method") ? json_get_str(asked, "method") : "",
			   "elicitation/create") != 0) {
			json_decref(answers);
			return false; /* to anything else there is no answer that says no */
		}
		(void)json_object_set_new(answers, key, json_pack("{s:s}", "action", "decline"));
	}
	send_request(call, answers, json_get(result, "requestState"));
	json_decref(answers);
	return true;
}

static void take_result(struct tool_call *call, const json_t *result)
{
	const char *type = json_get_str(result, "resultType");

	if (type && strcmp(type, "input_required") == 0) {
		if (!decline(call, result))
			end_with(call, false, "The tool asks for input that can't be given here.");
		return;
	}
	if (!json_is_object(result)) {
		end_with(call, true, "The tool server's answer is not a result.");
		return;
	}
	end(call, mcp_result_text(result, &call->text), false);
}

int mcp_calls_answer(struct mcp_calls *c, const struct jsonrpc_message *m)
{
	struct tool_call *call = json_is_integer(m->id) ? find(c, json_integer_value(m->id)) : NULL;

	if (!call)
		return 0;
	if (m->kind == JSONRPC_RESULT)
		take_result(call, m->result);
	else
		end_with(call, false, "The tool server answered with error %lld: %s", m->code,
			 m->error);
	flush(c);
	return 1;
}

int mcp_calls_answer_lost(struct mcp_calls *c, long long id)
{
	struct tool_call *call = find(c, id);

	if (!call)
		return 0;
	end_with(call, true, "The tool's answer was too long to be read (more than %d bytes).",
		 LIMIT_TOOL_LINE);
	flush(c);
	return 1;
}

static double fraction(const json_t *params)
{
	const json_t *done = json_get(params, "progress");
	const json_t *total = json_get(params, "total");
	double f;

	if (!json_is_number(done) || !json_is_number(total) || json_number_value(total) <= 0)
		return -1;
	f = json_number_value(done) / json_number_value(total);
	return f < 0 ? 0 : f > 1 ? 1 : f;
}

void mcp_calls_progress(struct mcp_calls *c, const json_t *params)
{
	const json_t *token = json_get(params, "progressToken");
	struct tool_call *call = json_is_integer(token) ? find(c, json_integer_value(token)) : NULL;
	const char *message = json_get_str(params, "message");
	char text[LIMIT_TOOL_PROGRESS + 1];
	int64_t now = clock_mono_ms();
	size_t n;

	if (!call)
		return;
	call->silent_at = now + c->timeout_ms;
	if (!call->ops->progress ||
	    (call->progress_at && now - call->progress_at < LIMIT_TOOL_PROGRESS_MS))
		return;
	call->progress_at = now;
	if (message) {
		n = json_utf8_prefix(message, strnlen(message, LIMIT_TOOL_PROGRESS));
		memcpy(text, message, n);
		text[n] = '\0';
	}
	call->ops->progress(call->arg, fraction(params), message ? text : NULL);
}
