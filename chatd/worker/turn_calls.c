/*
 * turn_calls.c - a step's tool calls, and the prompts that stand before them.
 *
 *	         ┌─ no such tool, bad arguments, denied ──────────────────────┐
 *	 call ───┼─ allowed ─────────────────> RUNNING ── answer, failure ────┼─> SETTLED
 *	         └─ ask, ask_user ─> WAITING ──┴─ allow     deny, answers ────┘
 *
 * The journal: everything that is decided about a call is one transaction with the event that tells
 * it, and what follows from it happens in on_stored(), after the commit: so a call is on disk as
 * running before it leaves, and its result before the model is told. Calls of one step run side by
 * side; those that need no permission do not wait for those that do. When all are settled the
 * provider is asked again; when only prompts are left the turn waits.
 */
#include "chatd/worker/metrics.h"
#include "chatd/worker/turn_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chatd/tool/ask_user.h"
#include "chatd/tool/tool_input.h"
#include "chatd/tool/tool_policy.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/require.h"

static void on_stored(void *arg, bool ok);

static void advance_when_stored(struct turn *t)
{
	event_log_after(t->worker->log, &t->session->log, on_stored, t);
}

static struct log_session *ls(struct turn_call *c)
{
	return &c->turn->session->log;
}

/* --- settling --- */

/* As JSON, in which it is stored and shown: up to six times the bytes, of control characters. */
static size_t json_size(struct str s)
{
	size_t n = s.n;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c == '\\' || (c >= '\b' && c <= '\r' && c != '\v'))
			n += 1;
		else if (c < 0x20)
			n += 5;
	}
	return n;
}

/*
 * The calls of a step run side by side, and the turn ends only when the last of them is settled: so
 * what is over the limit is not kept, or together they could be more than any answer of ours holds.
 */
static bool is_over_limit(const struct turn *t, struct str output)
{
	return t->said > LIMIT_ANSWER && output.n > LIMIT_RESULT_ALWAYS;
}

static void settle(struct turn_call *c, const char *status, struct str output, bool is_error)
{
	struct turn *t = c->turn;
	auto_free char *text = NULL;
	int64_t now = clock_wall_ms();

	c->status = CALL_SETTLED;
	t->said += json_size(output);
	if (is_over_limit(t, output)) {
		output = str_of("The result was not kept: the answer is over the limit.");
		status = "failed";
		is_error = true;
	}
	text = str_dup(output);
	event_log_write(t->worker->log, SQL_CALL_END, ls(c), t->ref, t->generation, "Ttttii", c->id,
			status, text, (int64_t)is_error, now);
	if (strcmp(status, "incomplete") != 0)
		turn_note_progress(t);
	session_emit(t->session, t->ref, CHAT_EVENT_TOOL_END,
		     json_pack("{s:s, s:o, s:b, s:s, s:I}", "tool_invocation_id", c->id, "output",
			       json_stringn(output.p, output.n), "is_error", is_error, "status",
			       status, "duration_ms", (json_int_t)(now - c->started_at)));
	t->worker->stats.calls_ended++;
	t->worker->stats.calls_failed += is_error;
	metrics_call(t->worker->metrics, c->server, status, now - c->started_at);
	log_info("tool.end",
		 "session=%s turn=%s call=%s server=%s tool=%s status=%s bytes=%zu ms=%lld",
		 t->session->log.id, t->ref->id, log_word(c->id), c->server, log_word(c->name),
		 status, output.n, (long long)(now - c->started_at));
}

static void fail(struct turn_call *c, const char *status, const char *why)
{
	settle(c, status, str_of(why), true);
}

/* --- running --- */

static void on_progress(void *arg, double progress, const char *message)
{
	struct turn_call *c = arg;
	int64_t now = clock_mono_ms();
	json_t *payload;

	if (event_log_is_stalled(c->turn->worker->log))
		return; /* the next one tells more */
	if (now - c->progress_at < LIMIT_PROGRESS_MS)
		return;
	c->progress_at = now;
	payload = json_pack("{s:s, s:s?}", "tool_invocation_id", c->id, "message", message);
	if (progress >= 0)
		(void)json_object_set_new(payload, "progress", json_real(progress));
	session_emit(c->turn->session, c->turn->ref, CHAT_EVENT_TOOL_PROGRESS, payload);
}

static void on_result(void *arg, const struct tool_result *r)
{
	struct turn_call *c = arg;

	c->running = NULL;
	settle(c, r->is_error ? "failed" : "done", r->text, r->is_error);
	advance_when_stored(c->turn);
}

static const struct tool_call_ops call_ops = {on_progress, on_result};

/* What was decided is on disk: what may leave leaves, or the turn goes on. */
static void advance(struct turn *t)
{
	size_t running = 0, waiting = 0;

	for (size_t i = 0; i < t->n_calls; i++) {
		struct turn_call *c = t->calls[i];

		if (c->status == CALL_RUNNING && !c->running)
			c->running = toolbox_call(
				t->worker->toolbox, c->server, c->name,
				(struct str){c->arguments.data ? c->arguments.data : "",
					     c->arguments.len},
				&call_ops, c);
		running += c->status == CALL_RUNNING;
		waiting += c->status == CALL_WAITING;
	}
	if (running > 0)
		return;
	if (t->said > LIMIT_ANSWER)
		turn_end_error(t, FAULT_ANSWER_TOO_LARGE, NULL,
			       fault_message(FAULT_ANSWER_TOO_LARGE));
	else if (waiting > 0)
		turn_wait(t);
	else
		turn_prepare(t);
}

/* Around by the log, for what was decided meanwhile. */
static void on_tools_known(void *arg)
{
	advance_when_stored(arg);
}

/* A turn that was read back may be answered before the servers of a new worker are up. */
static void on_stored(void *arg, bool ok)
{
	struct turn *t = arg;

	if (!ok || t->state != TURN_TOOLING)
		return;
	if (toolbox_is_settled(t->worker->toolbox)) {
		advance(t);
		return;
	}
	toolbox_forget(t->worker->toolbox, t);
	toolbox_when_settled(t->worker->toolbox, on_tools_known, t);
}

/* --- prompts --- */

/* Raises a prompt for the call. questions: taken over, NULL for a permission. */
static void raise_prompt(struct turn_call *c, json_t *input, json_t *questions, bool uncertain)
{
	struct turn *t = c->turn;
	char id[ID_LEN], created[CLOCK_ISO_LEN + 1];
	int64_t now = clock_wall_ms();
	auto_free char *text = NULL;

	id_new("prm", id);
	clock_iso(now, created);
	c->prompt =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:O?, s:o, s:s}", "id", id, "kind",
			  questions ? "ask_user" : "tool_permission", "tool_invocation_id", c->id,
			  "tool_name", c->name, "server", c->server, "input", input, "questions",
			  questions ? questions : json_array(), "created_at", created);
	if (uncertain) {
		(void)json_object_set_new(c->prompt, "uncertain", json_true());
		(void)json_object_set_new(
			c->prompt, "message",
			json_string("This call was under way when the server stopped, and may have "
				    "had its "
				    "effect. Allow to run it again, deny to take it as failed."));
	}
	c->status = CALL_WAITING;
	text = json_text(c->prompt);
	event_log_write(t->worker->log, SQL_PROMPT_INSERT, ls(c), t->ref, t->generation, "Ttttti",
			id, c->id, questions ? "ask_user" : "tool_permission", text, now);
	session_emit(t->session, t->ref, CHAT_EVENT_PROMPT_PENDING,
		     json_pack("{s:O}", "prompt", c->prompt));
	log_info("prompt.pending", "session=%s turn=%s prompt=%s tool=%s", t->session->log.id,
		 t->ref->id, id, log_word(c->name));
}

static struct turn_call *call_of_prompt(struct turn *t, const char *prompt_id)
{
	for (size_t i = 0; i < t->n_calls; i++) {
		const char *id =
			t->calls[i]->prompt ? json_get_str(t->calls[i]->prompt, "id") : NULL;

		if (id && strcmp(id, prompt_id) == 0)
			return t->calls[i];
	}
	return NULL;
}

/* The prompt's row and the event that all viewers see. answer may be NULL: discarded. */
static void write_resolved(struct turn_call *c, const json_t *answer, const char *status)
{
	struct turn *t = c->turn;
	const char *id = json_get_str(c->prompt, "id");
	auto_free char *text = answer ? json_text(answer) : NULL;
	json_t *payload = json_pack("{s:s, s:s, s:s}", "prompt_id", id, "tool_invocation_id", c->id,
				    "status", status);

	if (answer)
		(void)json_object_update_missing(payload, (json_t *)answer);
	else
		(void)json_object_set_new(payload, "discarded", json_true());
	event_log_write(t->worker->log, SQL_PROMPT_RESOLVE, ls(c), t->ref, t->generation, "ttti",
			id, answer ? "answered" : "discarded", text, clock_wall_ms());
	session_emit(t->session, t->ref, CHAT_EVENT_PROMPT_RESOLVED, payload);
	log_info("prompt.resolved", "session=%s turn=%s prompt=%s how=%s", t->session->log.id,
		 t->ref->id, id, answer ? "answered" : "discarded");
	json_decref(c->prompt);
	c->prompt = NULL;
}

static void answer_question(struct turn_call *c, const json_t *answer)
{
	auto_free char *text = ask_user_result(json_object_get(c->prompt, "questions"), answer);

	write_resolved(c, answer, "running");
	settle(c, "done", str_of(text), false);
}

static void answer_permission(struct turn_call *c, const json_t *answer)
{
	struct turn *t = c->turn;
	bool uncertain = json_is_true(json_object_get(c->prompt, "uncertain"));
	const char *remember = json_get_str(answer, "remember");

	if (!json_is_true(json_object_get(answer, "allow"))) {
		write_resolved(c, answer, "denied");
		fail(c, uncertain ? "failed" : "denied",
		     uncertain ? "The call was interrupted; whether it had its effect is not known."
			       : "The user did not allow this call.");
		return;
	}
	if (remember && strcmp(remember, "session") == 0)
		event_log_write(t->worker->log, SQL_GRANT_INSERT, ls(c), t->ref, t->generation,
				"tti", c->server, c->name, clock_wall_ms());
	c->status = CALL_RUNNING;
	event_log_write(t->worker->log, SQL_CALL_STATUS, ls(c), t->ref, t->generation, "Ttt", c->id,
			"running");
	write_resolved(c, answer, "running");
}

/* Why an unknown prompt is refused: it never was, or it is settled. */
static enum fault not_open(struct session *s, const char *prompt_id)
{
	struct prompt_row row;
	int r = query_prompt(event_log_db(s->worker->log), s->log.row, prompt_id, &row);

	json_decref(row.request);
	return r < 0	? FAULT_LOG_UNAVAILABLE
	       : r == 0 ? FAULT_PROMPT_NOT_FOUND
			: FAULT_ALREADY_RESOLVED;
}

static const json_t *open_prompt(const struct session *s, const char *prompt_id)
{
	const json_t *prompt;
	size_t i;

	json_array_foreach (s->acc.prompts, i, prompt) {
		const char *id = json_get_str(prompt, "id");

		if (id && strcmp(id, prompt_id) == 0)
			return prompt;
	}
	return NULL;
}

enum fault turn_answer(struct session *s, const char *prompt_id, const json_t *answer,
		       const char **ret_why)
{
	const json_t *prompt = open_prompt(s, prompt_id);
	const char *kind = prompt ? json_get_str(prompt, "kind") : NULL;
	bool is_question = kind && strcmp(kind, "ask_user") == 0;
	struct turn_call *c;
	struct turn *t;

	*ret_why = NULL;
	if (!prompt)
		return not_open(s, prompt_id);
	*ret_why = is_question ? ask_user_check(json_object_get(prompt, "questions"), answer)
			       : permission_check(answer);
	if (*ret_why)
		return FAULT_BAD_ANSWER;
	if (event_log_is_stalled(s->worker->log))
		return FAULT_LOG_UNAVAILABLE;
	t = s->turn ? s->turn : turn_load(s);
	if (!t)
		return FAULT_LOG_UNAVAILABLE;
	c = call_of_prompt(t, prompt_id);
	REQUIRE(c); /* the accumulator's prompts are the calls' */
	if (t->state == TURN_WAITING)
		turn_unwait(t);
	if (is_question)
		answer_question(c, answer);
	else
		answer_permission(c, answer);
	advance_when_stored(t);
	return FAULT_NONE;
}

/* --- a step's calls --- */

static bool id_is_taken(const struct turn *t, const char *id)
{
	const json_t *tool;
	size_t i;

	json_array_foreach (t->session->acc.tools, i, tool) {
		const char *have = json_get_str(tool, "id");

		if (have && strcmp(have, id) == 0)
			return true;
	}
	return false;
}

void turn_call_id(const struct turn *t, const struct provider_call *c, char out[LIMIT_CALL_ID + 1])
{
	/* providers number calls anew in each answer, or leave the id empty */
	if (c->id && *c->id && strlen(c->id) <= LIMIT_CALL_ID && !id_is_taken(t, c->id))
		str_put(out, LIMIT_CALL_ID + 1, c->id);
	else
		id_new("call", out);
}

static struct turn_call *call_new(struct turn *t, const struct provider_call *from,
				  const struct tool *tool)
{
	struct turn_call *c = calloc(1, sizeof(*c));

	REQUIRE(c);
	c->turn = t;
	turn_call_id(t, from, c->id);
	c->server = strdup(tool ? tool->server : "");
	c->name = strdup(tool ? tool->name : from->name ? from->name : "");
	REQUIRE(c->server && c->name);
	buf_add(&c->arguments, from->arguments.p, from->arguments.n);
	c->may_repeat = tool && (tool->read_only || tool->idempotent);
	c->started_at = clock_wall_ms();
	return c;
}

static const struct tool *find_tool(struct turn *t, const char *model_name)
{
	if (strcmp(model_name, ask_user_tool()->model_name) == 0)
		return ask_user_tool();
	return toolbox_find(t->worker->toolbox, model_name);
}

static enum tool_permission permission_for(struct turn *t, const struct tool *tool)
{
	enum tool_permission p = tool_policy(toolbox_conf(t->worker->toolbox, tool->server), tool);

	if (p == TOOL_ASK && query_grant(event_log_db(t->worker->log), t->session->log.row,
					 tool->server, tool->name) == 1)
		return TOOL_ALLOW;
	return p;
}

/* The call's row and the two events that show it. why: the arguments do not fit, or NULL. */
static void write_call(struct turn_call *c, const char *model_name, const char *status,
		       json_t *input, const char *why)
{
	struct turn *t = c->turn;
	json_t *payload = json_pack("{s:s, s:O?, s:s}", "tool_invocation_id", c->id, "input", input,
				    "status", status);

	event_log_write(t->worker->log, SQL_CALL_INSERT, ls(c), t->ref, t->generation, "Tittttttii",
			(int64_t)t->steps, c->id, c->server, c->name, model_name,
			buf_str(&c->arguments), status, (int64_t)c->may_repeat, c->started_at);
	session_emit(t->session, t->ref, CHAT_EVENT_TOOL_START,
		     json_pack("{s:s, s:s, s:s, s:I}", "tool_invocation_id", c->id, "name", c->name,
			       "server", c->server, "at",
			       (json_int_t)accumulator_characters(&t->session->acc)));
	if (why) {
		(void)json_object_set_new(payload, "parse_error", json_string(why));
		(void)json_object_set_new(payload, "raw",
					  json_stringn(c->arguments.data, c->arguments.len));
	}
	session_emit(t->session, t->ref, CHAT_EVENT_TOOL_INPUT, payload);
}

/* What becomes of one call. */
static void decide(struct turn *t, struct turn_call *c, const struct tool *tool,
		   const char *model_name)
{
	char why[256] = "";
	struct str raw = {c->arguments.data ? c->arguments.data : "", c->arguments.len};
	auto_json json_t *input =
		tool_input_check(raw, tool ? tool->schema : NULL, why, sizeof(why));
	json_t *questions = NULL;
	enum tool_permission permission = TOOL_ALLOW;

	if (input && json_depth(input) > LIMIT_JSON_DEPTH) {
		json_decref(steal(input));
		(void)snprintf(why, sizeof(why), "nested deeper than %d", LIMIT_JSON_DEPTH);
	}
	if (!input) {
		write_call(c, model_name, "failed", NULL, why);
		fail(c, "failed", why);
		return;
	}
	if (tool == ask_user_tool())
		questions = ask_user_questions(input, why, sizeof(why));
	else if (tool)
		permission = permission_for(t, tool);
	if (!tool || (tool == ask_user_tool() && !questions)) {
		write_call(c, model_name, "failed", input, NULL);
		fail(c, "failed", tool ? why : "There is no tool of this name.");
	} else if (questions || permission == TOOL_ASK) {
		write_call(c, model_name, "waiting", input, NULL);
		raise_prompt(c, input, questions, false);
	} else if (permission == TOOL_DENY) {
		write_call(c, model_name, "denied", input, NULL);
		fail(c, "denied", "This tool is not allowed here.");
	} else {
		c->status = CALL_RUNNING;
		write_call(c, model_name, "running", input, NULL);
	}
}

void turn_calls_start(struct turn *t, const struct provider_result *r)
{
	turn_flush(t);
	turn_move(t, TURN_TOOLING);
	turn_calls_free(t);
	t->steps++;
	turn_note_progress(t);
	t->calls = calloc(r->n_calls + 1, sizeof(struct turn_call *));
	REQUIRE(t->calls);
	for (size_t i = 0; i < r->n_calls; i++) {
		const char *name = r->calls[i].name ? r->calls[i].name : "";
		const struct tool *tool = find_tool(t, name);

		t->calls[t->n_calls] = call_new(t, &r->calls[i], tool);
		decide(t, t->calls[t->n_calls++], tool, name);
	}
	turn_write_step(t, r);
	advance_when_stored(t);
}

void turn_calls_resume(struct turn *t)
{
	for (size_t i = 0; i < t->n_calls; i++) {
		struct turn_call *c = t->calls[i];

		if (c->status == CALL_RUNNING && !c->may_repeat) {
			auto_json json_t *input =
				json_read(c->arguments.data ? c->arguments.data : "",
					  c->arguments.len, NULL, 0);

			event_log_write(t->worker->log, SQL_CALL_STATUS, ls(c), t->ref,
					t->generation, "Ttt", c->id, "uncertain");
			raise_prompt(c, input, NULL, true);
		}
	}
	advance_when_stored(t);
}

void turn_calls_cancel(struct turn *t)
{
	for (size_t i = 0; i < t->n_calls; i++)
		tool_call_cancel(steal(t->calls[i]->running));
}

void turn_calls_stop(struct turn *t)
{
	turn_calls_cancel(t);
	for (size_t i = 0; i < t->n_calls; i++) {
		struct turn_call *c = t->calls[i];

		if (c->prompt)
			write_resolved(c, NULL, "incomplete");
		if (c->status != CALL_SETTLED)
			fail(c, "incomplete", "The turn ended before this call did.");
	}
}

void turn_calls_free(struct turn *t)
{
	for (size_t i = 0; i < t->n_calls; i++) {
		struct turn_call *c = t->calls[i];

		REQUIRE(!c->running);
		free(c->server);
		free(c->name);
		buf_fini(&c->arguments);
		json_decref(c->prompt);
		free(c);
	}
	free(t->calls);
	t->calls = NULL;
	t->n_calls = 0;
}
