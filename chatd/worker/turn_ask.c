/*
 * turn_ask.c - a step's question and its answer.
 *
 * PREPARING waits until every tool server is ready or has failed; then the conversation is read
 * from the log, the provider asked, and what it says gathered. A whole answer either ends the turn
 * or is a step whose calls turn_calls.c settles. An answer that was cut (by length or by the
 * connection) runs no calls, whatever it asked for: they are recorded as received.
 */
#include "chatd/worker/turn_impl.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/worker/conversation.h"
#include "chatd/worker/metrics.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/require.h"

static void gather(struct turn *t, enum chat_event_type type, const char *p, size_t n)
{
	if (t->state == TURN_ASKING)
		turn_move(t, TURN_STREAMING);
	if (t->first_us < 0)
		t->first_us = clock_mono_us();
	if (t->gathered_type != type)
		turn_flush(t);
	t->gathered_type = type;
	t->said += n;
	while (t->gathered.len + n > LIMIT_CHUNK) {
		size_t part = json_utf8_prefix(p, LIMIT_CHUNK - t->gathered.len);

		buf_add(&t->gathered, p, part);
		p += part;
		n -= part;
		turn_flush(t);
	}
	buf_add(&t->gathered, p, n);
	if (t->gathered.len && !t->is_dirty) {
		t->is_dirty = true;
		TAILQ_INSERT_TAIL(&t->worker->dirty, t, dirty_link);
	}
	if (t->said > LIMIT_ANSWER)
		turn_end_error(t, FAULT_ANSWER_TOO_LARGE, NULL,
			       fault_message(FAULT_ANSWER_TOO_LARGE));
}

static void on_text(void *arg, const char *p, size_t n)
{
	gather(arg, CHAT_EVENT_RESPONSE_CHUNK, p, n);
}

static void on_reasoning(void *arg, const char *p, size_t n)
{
	gather(arg, CHAT_EVENT_REASONING_CHUNK, p, n);
}

/* What a provider said is not for the log; what we say of a connection is. */
static const char *own_words(const struct provider_error *e)
{
	return e->http_status || e->type || !e->message ? "-" : log_safe(e->message);
}

/* Is it a sentence with its end, so that another may follow? */
static bool is_ended(const char *text)
{
	size_t n = strlen(text);

	return n > 0 && strchr(".!?", text[n - 1]);
}

static void on_retry(void *arg, const struct provider_error *e, int64_t wait_ms)
{
	struct turn *t = arg;
	const char *why = e->message ? e->message : fault_message(FAULT_PROVIDER_ERROR);
	auto_free char *text = NULL;

	REQUIRE(asprintf(&text, "%s%s Trying again in %.1f s.", why, is_ended(why) ? "" : ".",
			 (double)wait_ms / 1000) >= 0);
	t->worker->stats.provider_retries++;
	metrics_retry(t->worker->metrics, t->provider->name);
	log_info("turn.retry", "session=%s turn=%s provider=%s status=%d wait_ms=%lld why=\"%s\"",
		 t->session->log.id, t->ref->id, t->provider->name, e->http_status,
		 (long long)wait_ms, own_words(e));
	turn_warn(t, FAULT_PROVIDER_RETRY, text);
}

/*
 * Written once a question, with the first figures: a worker that dies over the rest of the answer
 * leaves at least these. The end of the step writes the whole sum in their place.
 */
static void on_usage(void *arg, const struct provider_usage *u)
{
	struct turn *t = arg;
	bool first = !t->asked.known;
	struct provider_usage sum = t->usage;

	t->asked = *u;
	if (!first)
		return;
	provider_usage_add(&sum, u);
	event_log_write(t->worker->log, SQL_TURN_USAGE, &t->session->log, t->ref, t->generation,
			"Tuuuu", sum.input, sum.output, sum.cache_read, sum.cache_write);
}

/* Calls that must not run: recorded as received, so that a person can see what was asked for. */
static void record_calls(struct turn *t, const struct provider_result *r)
{
	turn_flush(t);
	for (size_t i = 0; i < r->n_calls; i++) {
		const struct provider_call *c = &r->calls[i];
		json_t *input = json_read_flat(c->arguments.p, c->arguments.n);
		char id[LIMIT_CALL_ID + 1];
		json_t *payload;

		if (!input && c->arguments.n == 0)
			input = json_object();
		turn_call_id(t, c, id);
		session_emit(t->session, t->ref, CHAT_EVENT_TOOL_START,
			     json_pack("{s:s, s:s, s:s, s:I}", "tool_invocation_id", id, "name",
				       c->name, "server", "", "at",
				       (json_int_t)accumulator_characters(&t->session->acc)));
		payload = json_pack("{s:s, s:o, s:o, s:s}", "tool_invocation_id", id, "input",
				    input ? json_incref(input) : json_null(), "raw",
				    json_stringn(c->arguments.p, c->arguments.n), "status",
				    "incomplete");
		if (!input)
			(void)json_object_set_new(payload, "parse_error",
						  json_string("the arguments are not valid JSON"));
		json_decref(input);
		session_emit(t->session, t->ref, CHAT_EVENT_TOOL_INPUT, payload);
	}
	if (r->n_calls)
		turn_warn(t, FAULT_CALLS_NOT_RUN, fault_message(FAULT_CALLS_NOT_RUN));
}

/* Was the answer cut inside or behind its calls? Then none of them is what the model meant. */
static bool was_cut(const struct provider_result *r)
{
	const char *why = r->stop_reason ? r->stop_reason : "";

	for (size_t i = 0; i < r->n_calls; i++) {
		if (r->calls[i].cut)
			return true;
	}
	return strcmp(why, "length") == 0 || strcmp(why, "max_tokens") == 0 ||
	       strcmp(why, "content_filter") == 0 ||
	       strcmp(why, "model_context_window_exceeded") == 0;
}

/* The blocks of the echo that are calls get the ids under which the results will go back. */
static json_t *echo_with_our_ids(const struct turn *t, const struct provider_result *r)
{
	json_t *echo = json_deep_copy(r->echo); /* NULL stays NULL */
	size_t n = 0;
	json_t *block;
	size_t i;

	json_array_foreach (echo, i, block) {
		const char *id = json_get_str(block, "id");

		if (!id || n == r->n_calls || strcmp(id, r->calls[n].id ? r->calls[n].id : "") != 0)
			continue;
		(void)json_object_set_new(block, "id", json_string(t->calls[n++]->id));
	}
	return echo;
}

void turn_write_step(struct turn *t, const struct provider_result *r)
{
	const struct accumulator *acc = &t->session->acc;
	auto_json json_t *echo = echo_with_our_ids(t, r);
	auto_free char *text = turn_echo_text(t, echo);

	event_log_write(t->worker->log, SQL_STEP_INSERT, &t->session->log, t->ref, t->generation,
			"Tiiiti", (int64_t)t->steps, (int64_t)acc->content.len,
			(int64_t)acc->reasoning.len, text, clock_wall_ms());
}

static size_t size_of_calls(const struct provider_result *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_calls; i++) {
		n += r->calls[i].arguments.n;
		n += r->calls[i].name ? strlen(r->calls[i].name) : 0;
		n += r->calls[i].id ? strlen(r->calls[i].id) : 0;
	}
	return n;
}

static void warn_of_refusal(struct turn *t, const char *text)
{
	size_t n = json_utf8_prefix(text, strnlen(text, LIMIT_CHUNK));
	auto_free char *cut = str_dup((struct str){text, n});

	turn_warn(t, FAULT_REFUSAL, cut);
}

static void on_done(void *arg, const struct provider_result *r)
{
	struct turn *t = arg;
	bool go_on =
		r->n_calls > 0 || (r->stop_reason && strcmp(r->stop_reason, "pause_turn") == 0);

	t->asking = NULL;
	t->asked = r->usage;
	metrics_asked(t->worker->metrics, t->provider->name, r->fault,
		      t->first_us < 0 ? -1 : t->first_us - t->asked_us,
		      clock_mono_us() - t->asked_us);
	turn_count_asked(t);
	t->said += size_of_calls(r);
	if (t->said > LIMIT_ANSWER) { /* not even recorded: it would not fit anywhere */
		turn_end_error(t, FAULT_ANSWER_TOO_LARGE, NULL,
			       fault_message(FAULT_ANSWER_TOO_LARGE));
		return;
	}
	if (r->refusal)
		warn_of_refusal(t, r->refusal);
	if (r->fault != FAULT_NONE) {
		t->worker->stats.provider_errors++;
		record_calls(t, r);
		turn_end_error(t, r->fault, r,
			       r->error.message ? r->error.message : fault_message(r->fault));
	} else if (go_on && was_cut(r)) {
		record_calls(t, r);
		turn_end_done(t, r);
	} else if (go_on && t->steps + 1 >= LIMIT_ROUNDS) {
		record_calls(t, r);
		turn_end_error(t, FAULT_TOO_MANY_ROUNDS, NULL,
			       fault_message(FAULT_TOO_MANY_ROUNDS));
	} else if (go_on) {
		turn_calls_start(t, r);
	} else {
		turn_end_done(t, r);
	}
}

static const struct answer_ops answer_ops = {on_text, on_reasoning, on_usage, on_retry, on_done};

/* The turn's first event about it: which tools are missing, and why. */
static void warn_of_missing_tools(struct turn *t)
{
	auto_json json_t *down = toolbox_down(t->worker->toolbox);
	json_t *one;
	size_t i;

	if (t->warned)
		return;
	t->warned = true;
	json_array_foreach (down, i, one) {
		auto_free char *text = NULL;
		const char *why = json_get_str(one, "why");

		REQUIRE(asprintf(&text, "The tools of \"%s\" are not available: %s",
				 json_get_str(one, "server"), why ? why : "it does not run") >= 0);
		turn_warn(t, FAULT_TOOL_SERVER_DOWN, text);
	}
}

static void ask(void *arg);

/* The log could not be read a moment ago. */
static void on_log_back(void *arg, bool ok)
{
	struct turn *t = arg;

	if (ok && t->state == TURN_PREPARING)
		ask(t);
}

static void ask(void *arg)
{
	struct turn *t = arg;
	struct worker *w = t->worker;
	auto_json json_t *messages = conversation(event_log_db(w->log), t->session->log.row,
						  t->ref->row, &t->session->acc);
	auto_json json_t *tools = toolbox_list(w->toolbox);
	struct question q = {
		.conf = t->provider,
		.model = t->model,
		.system = t->session->system,
		.messages = messages,
		.tools = t->provider->tools && json_array_size(tools) ? tools : NULL,
		.session_id = t->session->log.id,
		.turn_id = t->ref->id,
		.traceparent = *t->traceparent ? t->traceparent : NULL,
	};

	if (!messages && (event_log_is_stalled(w->log) || !t->reread)) {
		if (!event_log_is_stalled(
			    w->log)) { /* a sound log: once more, over a new connection */
			t->reread = true;
			event_log_distrust(w->log);
		}
		event_log_after(w->log, &t->session->log, on_log_back, t);
		return;
	}
	if (!messages) { /* it can be written but not read: waiting would not end */
		turn_end_error(t, FAULT_PERSIST_ERROR, NULL,
			       "the conversation can't be read from the log");
		return;
	}
	t->reread = false;
	if (t->provider_gone) {
		turn_refuse_provider(t);
		return;
	}
	turn_move(t, TURN_ASKING);
	warn_of_missing_tools(t);
	t->asked_us = clock_mono_us();
	t->first_us = -1;
	t->asking = provider_ask(w->env, &q, &answer_ops, t);
	if (event_log_is_stalled(w->log))
		asking_pause(t->asking, true);
}

void turn_prepare(struct turn *t)
{
	turn_move(t, TURN_PREPARING);
	if (toolbox_is_settled(t->worker->toolbox))
		ask(t);
	else
		toolbox_when_settled(t->worker->toolbox, ask, t);
}
