/*
 * turn.c - the processing of one user message to its end. See turn.h.
 *
 *	STARTING ──start committed──> ASKING ──first delta──> STREAMING
 *	    │                            │                        │
 *	    └──────────── abort ─────────┴─── done or abort ──────┴──> ENDED ──end committed──>
 *freed
 *
 * Deltas are gathered and emitted once a pass of the loop (turns_flush), so what a provider sent in
 * one burst is one event, and a slow disk makes fewer, larger events instead of a longer queue.
 *Text and reasoning keep their order: a change of kind flushes.
 *
 * The end of a turn is one group of writes in one transaction: its last events with exactly one
 * terminal event, the answer, the turn's row, the session's row. Each carries the generation.
 */
#include "chatd/worker/turn.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/require.h"

enum turn_state { TURN_STARTING, TURN_ASKING, TURN_STREAMING, TURN_ENDED, TURN_STATE_N };

static const struct {
	const char *name;
	unsigned next; /* bit mask of states that may follow */
} states[TURN_STATE_N] = {
	[TURN_STARTING] = {"STARTING", 1u << TURN_ASKING | 1u << TURN_ENDED},
	[TURN_ASKING] = {"ASKING", 1u << TURN_STREAMING | 1u << TURN_ENDED},
	[TURN_STREAMING] = {"STREAMING", 1u << TURN_ENDED},
	[TURN_ENDED] = {"ENDED", 0},
};

struct turn {
	struct worker *worker;	 /* borrowed */
	struct session *session; /* borrowed; stays while we are its turn or writes are pending */
	struct log_turn *ref;	 /* counted */
	enum turn_state state;
	uint64_t generation;
	char message_id[ID_LEN];
	struct provider_conf *provider; /* counted */
	char *model;			/* owned */
	struct asking *asking;		/* owned until done; NULL otherwise */
	struct buf gathered;		/* deltas of this pass, not yet emitted */
	enum chat_event_type gathered_type;
	size_t said; /* bytes of text and reasoning in this run */
	int64_t started_at, started_mono;
	bool is_dirty;
	TAILQ_ENTRY(turn) link;
	TAILQ_ENTRY(turn) dirty_link;
};

/* How a turn ended, for its rows. */
struct ending {
	const char *turn_state;	    /* done, aborted, error */
	const char *message_status; /* complete, aborted, error */
	const char *stop_reason;
	const char *error_code, *error_message;
	struct provider_usage usage;
	json_t *echo; /* borrowed */
};

static const struct provider_usage no_usage = {false, -1, -1, -1, -1};

static void turn_move(struct turn *t, enum turn_state next)
{
	REQUIRE(states[t->state].next & 1u << next);
	log_debug("turn.state", "turn=%s %s -> %s", t->ref->id, states[t->state].name,
		  states[next].name);
	t->state = next;
}

static void undirty(struct turn *t)
{
	if (t->is_dirty)
		TAILQ_REMOVE(&t->worker->dirty, t, dirty_link);
	t->is_dirty = false;
}

/* Its last write is committed, or it was forgotten before it had any. */
static void turn_free(void *arg, bool ok)
{
	struct turn *t = arg;

	REQUIRE(!t->asking && t->state == TURN_ENDED);
	undirty(t);
	session_touch(t->session);
	log_turn_unref(t->ref);
	provider_conf_unref(t->provider);
	buf_fini(&t->gathered);
	free(t->model);
	free(t);
}

/* --- ending --- */

static json_t *usage_json(const struct provider_usage *u)
{
	static const char *const names[] = {"input_tokens", "output_tokens", "cache_read_tokens",
					    "cache_write_tokens"};
	const int64_t values[] = {u->input, u->output, u->cache_read, u->cache_write};
	json_t *o;

	if (!u->known)
		return json_null();
	o = json_object();
	for (int i = 0; i < 4; i++) {
		if (values[i] >= 0)
			(void)json_object_set_new(o, names[i], json_integer(values[i]));
	}
	return o;
}

static int64_t duration(const struct turn *t)
{
	return clock_mono_ms() - t->started_mono;
}

/* The rows that end a run. The terminal event was emitted just before. */
static void write_ending(struct turn *t, const struct ending *e)
{
	struct session *s = t->session;
	struct event_log *log = t->worker->log;
	struct buf content = BUF_INIT;
	auto_json json_t *extra = accumulator_extra(&s->acc);
	auto_free char *extra_text = json_text(extra);
	auto_free char *echo_text = e->echo ? json_text(e->echo) : NULL;
	int64_t now = clock_wall_ms();

	json_add_string(&content, s->acc.content.data ? s->acc.content.data : "",
			s->acc.content.len);
	event_log_write(log, SQL_MESSAGE_INSERT, &s->log, t->ref, t->generation, "tTtttttti",
			t->message_id, "assistant", e->message_status, buf_str(&content),
			extra_text, e->stop_reason, echo_text, now);
	event_log_write(log, SQL_TURN_END, &s->log, t->ref, t->generation, "Ttiituuuutt",
			e->turn_state, (int64_t)s->last_seq, now, e->stop_reason, e->usage.input,
			e->usage.output, e->usage.cache_read, e->usage.cache_write, e->error_code,
			e->error_message);
	event_log_write(log, SQL_RUN_END, &s->log, NULL, t->generation, "ii", (int64_t)s->last_seq,
			now);
	buf_fini(&content);
}

/* Takes the turn out of everything that works on it. */
static void stop_work(struct turn *t)
{
	asking_cancel(steal(t->asking));
	turn_move(t, TURN_ENDED);
	TAILQ_REMOVE(&t->worker->turns, t, link);
	t->worker->n_turns--;
	t->session->turn = NULL;
}

static void end(struct turn *t, const struct ending *e)
{
	struct worker *w = t->worker;

	write_ending(t, e);
	stop_work(t);
	if (e->usage.known) {
		w->stats.input_tokens += e->usage.input > 0 ? (uint64_t)e->usage.input : 0;
		w->stats.output_tokens += e->usage.output > 0 ? (uint64_t)e->usage.output : 0;
	}
	log_info("turn.end", "session=%s turn=%s outcome=%s code=%s stop=%s bytes=%zu ms=%lld",
		 t->session->log.id, t->ref->id, e->turn_state, e->error_code ? e->error_code : "-",
		 e->stop_reason ? log_safe(e->stop_reason) : "-", t->said, (long long)duration(t));
	event_log_after(w->log, &t->session->log, turn_free, t);
}

static void flush(struct turn *t)
{
	if (t->gathered.len == 0)
		return;
	session_emit_text(t->session, t->ref, t->gathered_type, t->gathered.data, t->gathered.len);
	buf_clear(&t->gathered);
	undirty(t);
}

static void end_with_error(struct turn *t, enum fault fault, const struct provider_result *r,
			   const char *message)
{
	const struct provider_error *pe = r ? &r->error : NULL;
	struct ending e = {"error",
			   "error",
			   r ? r->stop_reason : NULL,
			   fault_code(fault),
			   message,
			   r ? r->usage : no_usage,
			   NULL};
	json_t *payload =
		json_pack("{s:b, s:s, s:s, s:s, s:s?, s:o}", "fatal", 1, "code", fault_code(fault),
			  "message", message, "provider", t->provider->name, "stop_reason",
			  e.stop_reason, "usage", usage_json(&e.usage));

	if (pe && pe->http_status)
		(void)json_object_set_new(payload, "status", json_integer(pe->http_status));
	if (pe && pe->type)
		(void)json_object_set_new(payload, "type", json_string(pe->type));
	if (pe && pe->code)
		(void)json_object_set_new(payload, "provider_code", json_string(pe->code));
	if (pe && pe->request_id)
		(void)json_object_set_new(payload, "request_id", json_string(pe->request_id));
	if (pe && pe->retry_after_ms >= 0)
		(void)json_object_set_new(payload, "retry_after_ms",
					  json_integer(pe->retry_after_ms));
	flush(t);
	t->worker->stats.turns_failed++;
	log_warning("turn.error",
		    "session=%s turn=%s code=%s provider=%s status=%d type=%s request=%s",
		    t->session->log.id, t->ref->id, fault_code(fault), t->provider->name,
		    pe ? pe->http_status : 0, pe && pe->type ? log_safe(pe->type) : "-",
		    pe && pe->request_id ? log_safe(pe->request_id) : "-");
	session_emit(t->session, t->ref, CHAT_EVENT_ERROR, payload);
	end(t, &e);
}

void turn_abort(struct turn *t, const char *reason)
{
	struct ending e = {"aborted", "aborted", NULL, NULL, NULL, no_usage, NULL};

	asking_cancel(steal(t->asking));
	flush(t);
	t->worker->stats.turns_aborted++;
	session_emit(t->session, t->ref, CHAT_EVENT_ABORTED,
		     json_pack("{s:s, s:s, s:I}", "message_id", t->message_id, "reason", reason,
			       "duration_ms", (json_int_t)duration(t)));
	end(t, &e);
}

void turn_forget(struct turn *t)
{
	stop_work(t);
	/* writes of its start may be pending, and they know it: freed behind them */
	event_log_after(t->worker->log, &t->session->log, turn_free, t);
}

void turn_hand_over(struct turn *t)
{
	flush(t);
	event_log_write(t->worker->log, SQL_TURN_HANDOVER, &t->session->log, t->ref, t->generation,
			"T");
	log_notice("turn.hand_over", "session=%s turn=%s", t->session->log.id, t->ref->id);
	turn_forget(t);
}

/* --- what the provider says --- */

static void gather(struct turn *t, enum chat_event_type type, const char *p, size_t n)
{
	if (t->state == TURN_ASKING)
		turn_move(t, TURN_STREAMING);
	if (t->gathered_type != type)
		flush(t);
	t->gathered_type = type;
	t->said += n;
	while (t->gathered.len + n > LIMIT_CHUNK) {
		size_t room = LIMIT_CHUNK - t->gathered.len;
		size_t part = json_utf8_prefix(p, room);

		buf_add(&t->gathered, p, part);
		p += part;
		n -= part;
		flush(t);
	}
	buf_add(&t->gathered, p, n);
	if (t->gathered.len && !t->is_dirty) {
		t->is_dirty = true;
		TAILQ_INSERT_TAIL(&t->worker->dirty, t, dirty_link);
	}
	if (t->said > LIMIT_ANSWER) {
		asking_cancel(steal(t->asking));
		end_with_error(t, FAULT_ANSWER_TOO_LARGE, NULL,
			       fault_message(FAULT_ANSWER_TOO_LARGE));
	}
}

static void on_text(void *arg, const char *p, size_t n)
{
	gather(arg, CHAT_EVENT_RESPONSE_CHUNK, p, n);
}

static void on_reasoning(void *arg, const char *p, size_t n)
{
	gather(arg, CHAT_EVENT_REASONING_CHUNK, p, n);
}

static void warn(struct turn *t, enum fault code, const char *message)
{
	flush(t);
	session_emit(t->session, t->ref, CHAT_EVENT_WARNING,
		     json_pack("{s:s, s:s}", "code", fault_code(code), "message", message));
}

static void on_retry(void *arg, const struct provider_error *e, int64_t wait_ms)
{
	struct turn *t = arg;
	auto_free char *text = NULL;

	REQUIRE(asprintf(&text, "%s Trying again in %.1f s.",
			 e->message ? e->message : fault_message(FAULT_PROVIDER_ERROR),
			 (double)wait_ms / 1000) >= 0);
	t->worker->stats.provider_retries++;
	log_info("turn.retry", "session=%s turn=%s status=%d wait_ms=%lld", t->session->log.id,
		 t->ref->id, e->http_status, (long long)wait_ms);
	warn(t, FAULT_PROVIDER_RETRY, text);
}

/* A call as it was received. Its arguments stay the bytes that the model sent if they don't parse.
 */
static void record_call(struct turn *t, const struct provider_call *c)
{
	json_t *input = json_read(c->arguments.p, c->arguments.n, NULL, 0);
	json_t *payload;

	if (!input && c->arguments.n == 0)
		input = json_object();
	session_emit(t->session, t->ref, CHAT_EVENT_TOOL_START,
		     json_pack("{s:s, s:s, s:n}", "tool_invocation_id", c->id, "name", c->name,
			       "server"));
	payload = json_pack("{s:s}", "tool_invocation_id", c->id);
	if (c->arguments.n)
		(void)json_object_set_new(payload, "raw",
					  json_stringn(c->arguments.p, c->arguments.n));
	if (input) {
		(void)json_object_set_new(payload, "input", input);
	} else {
		(void)json_object_set_new(payload, "input", json_null());
		(void)json_object_set_new(payload, "parse_error",
					  json_string("the arguments are not valid JSON"));
	}
	session_emit(t->session, t->ref, CHAT_EVENT_TOOL_INPUT, payload);
}

static void record_calls(struct turn *t, const struct provider_result *r)
{
	flush(t);
	for (size_t i = 0; i < r->n_calls; i++)
		record_call(t, &r->calls[i]);
	if (r->n_calls)
		warn(t, FAULT_CALLS_NOT_RUN, fault_message(FAULT_CALLS_NOT_RUN));
}

static void on_done(void *arg, const struct provider_result *r)
{
	struct turn *t = arg;
	struct ending e = {"done", "complete", r->stop_reason, NULL, NULL, r->usage, r->echo};

	t->asking = NULL;
	record_calls(t, r);
	if (r->refusal)
		warn(t, FAULT_REFUSAL, r->refusal);
	if (r->fault != FAULT_NONE) {
		t->worker->stats.provider_errors++;
		end_with_error(t, r->fault, r,
			       r->error.message ? r->error.message : fault_message(r->fault));
		return;
	}
	flush(t);
	t->worker->stats.turns_done++;
	session_emit(t->session, t->ref, CHAT_EVENT_RESPONSE_END,
		     json_pack("{s:s, s:s?, s:o, s:I}", "message_id", t->message_id, "stop_reason",
			       r->stop_reason, "usage", usage_json(&r->usage), "duration_ms",
			       (json_int_t)duration(t)));
	end(t, &e);
}

static const struct answer_ops answer_ops = {on_text, on_reasoning, on_retry, on_done};

/* --- starting --- */

static void ask(struct turn *t)
{
	auto_json json_t *messages =
		query_history(event_log_db(t->worker->log), t->session->log.row);
	struct question q = {
		.conf = t->provider,
		.model = t->model,
		.system = t->session->system,
		.messages = messages,
		.session_id = t->session->log.id,
		.turn_id = t->ref->id,
	};

	turn_move(t, TURN_ASKING);
	if (!messages) {
		end_with_error(t, FAULT_PERSIST_ERROR, NULL,
			       "the conversation can't be read from the log");
		return;
	}
	t->asking = provider_ask(t->worker->env, &q, &answer_ops, t);
	if (event_log_is_stalled(t->worker->log))
		asking_pause(t->asking, true);
}

/* Its identity is on disk: now the work is handed off. */
static void on_started(void *arg, bool ok)
{
	struct turn *t = arg;

	if (t->state == TURN_STARTING && ok)
		ask(t);
}

static struct turn *turn_new(struct session *s, struct provider_conf *provider, const char *model,
			     struct log_turn *ref, const char *message_id)
{
	struct turn *t = calloc(1, sizeof(*t));

	REQUIRE(t && !s->turn);
	t->worker = s->worker;
	t->session = s;
	t->ref = ref;
	t->generation = ++s->generation;
	t->provider = provider_conf_ref(provider);
	t->model = strdup(model);
	REQUIRE(t->model);
	strcpy(t->message_id, message_id);
	t->started_at = clock_wall_ms();
	t->started_mono = clock_mono_ms();
	s->turn = t;
	strcpy(s->last_turn_id, ref->id);
	TAILQ_INSERT_TAIL(&s->worker->turns, t, link);
	s->worker->n_turns++;
	return t;
}

static void replace(char **field, const char *value)
{
	char *copy = value ? strdup(value) : NULL;

	REQUIRE(!value || copy);
	free(*field);
	*field = copy;
}

struct turn *turn_start(struct session *s, const struct turn_request *r)
{
	struct worker *w = s->worker;
	char turn_text[ID_LEN], answer_id[ID_LEN], question_id[ID_LEN];
	char created[CLOCK_ISO_LEN + 1];
	int64_t now = clock_wall_ms();
	struct turn *t;

	id_new("turn", turn_text);
	id_new("msg", question_id);
	id_new("msg", answer_id);
	t = turn_new(s, r->provider, r->model, log_turn_new(turn_text, 0), answer_id);
	replace(&s->provider, r->provider->name);
	replace(&s->model, r->model);
	if (r->system)
		replace(&s->system, r->system);
	event_log_write(w->log, SQL_RUN_START, &s->log, NULL, t->generation, "ttti", s->provider,
			s->model, s->system, now);
	event_log_write(w->log, SQL_TURN_INSERT, &s->log, t->ref, t->generation, "ttttii",
			turn_text, s->provider, s->model, answer_id, (int64_t)s->last_seq + 1, now);
	event_log_write(w->log, SQL_MESSAGE_INSERT, &s->log, t->ref, t->generation, "tTtttttti",
			question_id, "user", "complete", r->content, NULL, NULL, NULL, now);
	clock_iso(now, created);
	session_emit(s, t->ref, CHAT_EVENT_RESPONSE_START,
		     json_pack("{s:{s:s, s:s, s:s, s:o, s:s, s:s}, s:s, s:s, s:s}", "message", "id",
			       question_id, "turn_id", turn_text, "role", "user", "content",
			       json_read(r->content, strlen(r->content), NULL, 0), "status",
			       "complete", "created_at", created, "message_id", answer_id,
			       "provider", s->provider, "model", s->model));
	w->stats.turns_started++;
	event_log_after(w->log, &s->log, on_started, t);
	return t;
}

void turn_resume(struct session *s, const struct turn_row *row)
{
	struct worker *w = s->worker;
	struct provider_conf *provider = options_provider(w->options, row->provider);
	bool crashed = !row->handed_over;
	int crashes = row->crashes + crashed;
	size_t n;
	char *payload;
	struct turn *t;

	if (!provider) /* it was taken out of the config: the name is all that is needed to say so
			*/
		provider = options_provider(w->options, "");
	t = turn_new(s, provider, row->model, log_turn_new(row->id, row->row), row->message_id);
	event_log_write(w->log, SQL_RUN_RESTART, &s->log, NULL, t->generation, "");
	event_log_write(w->log, SQL_TURN_RESUME, &s->log, t->ref, t->generation, "Ti",
			(int64_t)crashes);
	log_notice("turn.resume", "session=%s turn=%s crashes=%d handed_over=%d", s->log.id,
		   row->id, crashes, row->handed_over);
	if (crashed && (w->options->on_crash == ON_CRASH_INTERRUPT || crashes >= LIMIT_CRASHES)) {
		end_with_error(t, FAULT_WORKER_CRASHED, NULL, fault_message(FAULT_WORKER_CRASHED));
		return;
	}
	if (strcmp(provider->name, row->provider) != 0) {
		end_with_error(t, FAULT_UNKNOWN_PROVIDER, NULL,
			       "the provider of this turn is no longer configured");
		return;
	}
	/* without completed steps nothing stands: the answer begins anew */
	accumulator_reset(&s->acc);
	payload = accumulator_resumed(&s->acc, &n);
	event_log_event(w->log, &s->log, t->ref, t->generation, ++s->last_seq,
			CHAT_EVENT_TURN_RESUMED, payload, n);
	w->stats.turns_resumed++;
	event_log_after(w->log, &s->log, on_started, t);
}

/* --- reading and the pass --- */

const char *turn_id(const struct turn *t)
{
	return t->ref->id;
}

uint64_t turn_generation(const struct turn *t)
{
	return t->generation;
}

int64_t turn_started_at(const struct turn *t)
{
	return t->started_at;
}

const char *turn_session_state(const struct turn *t)
{
	return "processing";
}

void turns_flush(struct worker *w)
{
	struct turn *t;

	if (event_log_is_stalled(w->log))
		return; /* goes on gathering: one event more, not one event each */
	while ((t = TAILQ_FIRST(&w->dirty)))
		flush(t);
}

void turns_pause(struct worker *w, bool paused)
{
	struct turn *t;

	TAILQ_FOREACH (t, &w->turns, link) {
		if (t->asking)
			asking_pause(t->asking, paused);
	}
}
