/*
 * turn.c - a turn's life: identity, states, gathering, end. See turn.h, turn_impl.h and
 * .lore/specs/turn.md, which has the drawing of the states.
 *
 * Deltas are gathered and emitted once a pass of the loop (turns_flush), so what a provider sent in
 * one burst is one event, and a slow disk makes fewer, larger events instead of a longer queue.
 * Text and reasoning keep their order: a change of kind flushes.
 *
 * The end of a turn is one group of writes in one transaction: its last events with exactly one
 * terminal event, the answer, the turn's row, the session's row. Each carries the generation.
 *
 * WAITING: only prompts are left. The rows say so, and once that is committed the object is freed;
 * turn_load() makes it again. Until then it may go on as if nothing had been.
 */
#include "chatd/worker/turn.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/worker/metrics.h"
#include "chatd/worker/owners.h"
#include "chatd/worker/queue.h"
#include "chatd/worker/turn_impl.h"
#include "chatd/worker/watch.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/require.h"

#define MAY(state) (1u << (state))

static const struct {
	const char *name;
	unsigned next; /* bit mask of states that may follow */
} states[TURN_STATE_N] = {
	[TURN_STARTING] = {"STARTING", MAY(TURN_PREPARING) | MAY(TURN_TOOLING) | MAY(TURN_ENDED)},
	[TURN_PREPARING] = {"PREPARING", MAY(TURN_ASKING) | MAY(TURN_ENDED)},
	[TURN_ASKING] = {"ASKING", MAY(TURN_STREAMING) | MAY(TURN_TOOLING) | MAY(TURN_ENDED)},
	[TURN_STREAMING] = {"STREAMING", MAY(TURN_TOOLING) | MAY(TURN_ENDED)},
	[TURN_TOOLING] = {"TOOLING", MAY(TURN_PREPARING) | MAY(TURN_WAITING) | MAY(TURN_ENDED)},
	[TURN_WAITING] = {"WAITING", MAY(TURN_TOOLING) | MAY(TURN_ENDED)},
	[TURN_ENDED] = {"ENDED", 0},
};

/* How a turn ended, for its rows. */
struct ending {
	const char *turn_state;	    /* done, aborted, error */
	const char *message_status; /* complete, aborted, error */
	const char *stop_reason;
	const char *error_code, *error_message;
	json_t *echo; /* borrowed */
};

void turn_move(struct turn *t, enum turn_state next)
{
	REQUIRE(states[t->state].next & MAY(next));
	log_debug("turn.state", "session=%s turn=%s %s -> %s", t->session->log.id, t->ref->id,
		  states[t->state].name, states[next].name);
	t->state = next;
}

static void set_running(struct turn *t, bool running)
{
	struct worker *w = t->worker;

	if (t->is_running == running)
		return;
	t->is_running = running;
	if (running) {
		TAILQ_INSERT_TAIL(&w->turns, t, link);
		w->n_turns++;
		owners_add(w, t->session->owner);
	} else {
		TAILQ_REMOVE(&w->turns, t, link);
		w->n_turns--;
		owners_remove(w, t->session->owner);
	}
}

struct turn *turn_new(struct session *s, struct provider_conf *provider, const char *model,
		      struct log_turn *ref, const char *message_id, enum turn_state state)
{
	struct turn *t = calloc(1, sizeof(*t));

	REQUIRE(t && !s->turn);
	t->worker = s->worker;
	t->session = s;
	t->ref = ref;
	t->generation = s->generation;
	t->provider = provider_conf_ref(provider);
	t->model = strdup(model);
	REQUIRE(t->model);
	str_put(t->message_id, sizeof(t->message_id), message_id);
	t->usage = t->asked = (struct provider_usage){false, -1, -1, -1, -1};
	t->started_at = clock_wall_ms();
	t->started_mono = clock_mono_ms();
	s->turn = t;
	s->waiting = false;
	s->turn_started_at = t->started_at;
	str_put(s->last_turn_id, sizeof(s->last_turn_id), ref->id);
	t->state = state;
	set_running(t, state != TURN_WAITING);
	return t;
}

static void undirty(struct turn *t)
{
	if (t->is_dirty)
		TAILQ_REMOVE(&t->worker->dirty, t, dirty_link);
	t->is_dirty = false;
}

static void turn_free(struct turn *t)
{
	REQUIRE(!t->asking && !t->is_running);
	undirty(t);
	turn_calls_free(t);
	session_touch(t->session);
	log_turn_unref(t->ref);
	provider_conf_unref(t->provider);
	buf_fini(&t->gathered);
	free(t->model);
	free(t);
}

/* Its last write is committed. */
static void on_over(void *arg, bool ok)
{
	turn_free(arg);
}

/* --- starting --- */

static void replace(char **field, const char *value)
{
	char *copy = value ? strdup(value) : NULL;

	REQUIRE(!value || copy);
	free(*field);
	*field = copy;
}

/* Its identity is on disk: now the work is handed off. */
static void on_started(void *arg, bool ok)
{
	struct turn *t = arg;

	if (t->state == TURN_STARTING && ok)
		turn_prepare(t);
}

void turn_prepare_when_stored(struct turn *t)
{
	event_log_after(t->worker->log, &t->session->log, on_started, t);
}

/* The writes of a start that are the same whether it waited in the queue or not. */
static struct turn *start(struct session *s, struct log_turn *ref, const char *message_id,
			  const struct turn_request *r, bool was_queued)
{
	struct worker *w = s->worker;
	char question_id[ID_LEN], created[CLOCK_ISO_LEN + 1];
	int64_t now = clock_wall_ms();
	int64_t first_seq = (int64_t)s->last_seq + 1;
	struct turn *t;

	id_new("msg", question_id);
	s->generation++;
	t = turn_new(s, r->provider, r->model, ref, message_id, TURN_STARTING);
	trace_take(str_of(r->traceparent ? r->traceparent : ""), t->traceparent);
	replace(&s->provider, r->provider->name);
	replace(&s->model, r->model);
	if (r->system)
		replace(&s->system, r->system);
	event_log_write(w->log, SQL_RUN_START, &s->log, NULL, t->generation, "ttti", s->provider,
			s->model, s->system, now);
	if (was_queued)
		event_log_write(w->log, SQL_TURN_DEQUEUE, &s->log, ref, t->generation, "Tii",
				first_seq, now);
	else
		event_log_write(w->log, SQL_TURN_INSERT, &s->log, ref, t->generation, "ttttiit",
				ref->id, s->provider, s->model, message_id, first_seq, now,
				r->traceparent);
	event_log_write(w->log, SQL_MESSAGE_INSERT, &s->log, ref, t->generation, "tTtttttti",
			question_id, "user", "complete", r->content, NULL, NULL, NULL, now);
	clock_iso(now, created);
	session_emit(s, ref, CHAT_EVENT_RESPONSE_START,
		     json_pack("{s:{s:s, s:s, s:s, s:o, s:s, s:s}, s:s, s:s, s:s}", "message", "id",
			       question_id, "turn_id", ref->id, "role", "user", "content",
			       json_read(r->content, strlen(r->content), NULL, 0), "status",
			       "complete", "created_at", created, "message_id", message_id,
			       "provider", s->provider, "model", s->model));
	t->was_accepted = was_queued;
	w->stats.turns_started++;
	turn_prepare_when_stored(t);
	return t;
}

struct turn *turn_start(struct session *s, const char *id, const struct turn_request *r)
{
	char message_id[ID_LEN];

	id_new("msg", message_id);
	return start(s, log_turn_new(id, 0), message_id, r, false);
}

struct turn *turn_start_queued(struct session *s, struct log_turn *ref, const char *message_id,
			       const struct turn_request *r)
{
	ref->refs++;
	return start(s, ref, message_id, r, true);
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

char *turn_echo_text(const struct turn *t, json_t *blocks)
{
	auto_json json_t *echo = NULL;

	if (!blocks)
		return NULL;
	echo = json_pack("{s:s, s:O}", "provider", t->provider->type, "blocks", blocks);
	REQUIRE(echo);
	return json_text(echo);
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
	auto_free char *echo_text = turn_echo_text(t, e->echo);
	int64_t now = clock_wall_ms();

	json_add_string(&content, s->acc.content.data ? s->acc.content.data : "",
			s->acc.content.len);
	event_log_write(log, SQL_MESSAGE_INSERT, &s->log, t->ref, t->generation, "tTtttttti",
			t->message_id, "assistant", e->message_status, buf_str(&content),
			extra_text, e->stop_reason, echo_text, now);
	event_log_write(log, SQL_TURN_END, &s->log, t->ref, t->generation, "Ttiituuuutt",
			e->turn_state, (int64_t)s->last_seq, now, e->stop_reason, t->usage.input,
			t->usage.output, t->usage.cache_read, t->usage.cache_write, e->error_code,
			e->error_message);
	event_log_write(log, SQL_RUN_STATE, &s->log, NULL, t->generation, "tii", "idle",
			(int64_t)s->last_seq, now);
	buf_fini(&content);
}

void turn_count_asked(struct turn *t)
{
	provider_usage_add(&t->usage, &t->asked);
	t->asked = (struct provider_usage){false, -1, -1, -1, -1};
}

/* A question that is cut has cost what the provider said of it so far. */
static void stop_asking(struct turn *t)
{
	asking_cancel(steal(t->asking));
	turn_count_asked(t);
}

/* Takes the turn out of everything that works on it. */
static void stop_work(struct turn *t)
{
	asking_cancel(steal(t->asking));
	toolbox_forget(t->worker->toolbox, t);
	turn_calls_cancel(t);
	turn_move(t, TURN_ENDED);
	set_running(t, false);
	undirty(t);
	t->session->turn = NULL;
	t->session->waiting = false;
}

static void end(struct turn *t, const struct ending *e)
{
	struct worker *w = t->worker;

	write_ending(t, e);
	stop_work(t);
	w->stats.input_tokens += t->usage.input > 0 ? (uint64_t)t->usage.input : 0;
	w->stats.output_tokens += t->usage.output > 0 ? (uint64_t)t->usage.output : 0;
	log_info("turn.end",
		 "session=%s turn=%s outcome=%s code=%s stop=%s steps=%d bytes=%zu ms=%lld "
		 "trace=%.32s",
		 t->session->log.id, t->ref->id, e->turn_state, e->error_code ? e->error_code : "-",
		 e->stop_reason ? log_word(e->stop_reason) : "-", t->steps, t->said,
		 (long long)duration(t), trace_id(t->traceparent));
	metrics_turn(w->metrics, t->provider->name, t->model, e->turn_state, e->error_code,
		     duration(t), &t->usage);
	event_log_after(w->log, &t->session->log, on_over, t);
	if (!t->session->hold_queue)
		queue_start_next(t->session);
}

void turn_end_done(struct turn *t, const struct provider_result *r)
{
	struct ending e = {"done", "complete", r->stop_reason, NULL, NULL, r->echo};

	turn_flush(t);
	t->worker->stats.turns_done++;
	session_emit(t->session, t->ref, CHAT_EVENT_RESPONSE_END,
		     json_pack("{s:s, s:s?, s:o, s:I}", "message_id", t->message_id, "stop_reason",
			       r->stop_reason, "usage", usage_json(&t->usage), "duration_ms",
			       (json_int_t)duration(t)));
	end(t, &e);
}

void turn_end_error(struct turn *t, enum fault fault, const struct provider_result *r,
		    const char *message)
{
	const struct provider_error *pe = r ? &r->error : NULL;
	json_t *payload;
	struct ending e = {"error",	      "error", r ? r->stop_reason : NULL,
			   fault_code(fault), message, NULL};

	stop_asking(t);
	/* "fatal" first: streamerd reads it from the payload's beginning */
	payload = json_pack("{s:b, s:s, s:s, s:s, s:s, s:s?, s:o}", "fatal", 1, "code",
			    fault_code(fault), "message", message, "message_id", t->message_id,
			    "provider", t->provider->name, "stop_reason", e.stop_reason, "usage",
			    usage_json(&t->usage));

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
	turn_flush(t);
	turn_calls_stop(t);
	t->worker->stats.turns_failed++;
	log_warning(
		"turn.error",
		"session=%s turn=%s code=%s provider=%s status=%d type=%s request=%s why=\"%s\"",
		t->session->log.id, t->ref->id, fault_code(fault), t->provider->name,
		pe ? pe->http_status : 0, pe && pe->type ? log_safe(pe->type) : "-",
		pe && pe->request_id ? log_safe(pe->request_id) : "-",
		/* what a provider said is not for the log; what we say of a connection is */
		pe && (pe->http_status || pe->type) ? "-" : log_safe(message));
	session_emit(t->session, t->ref, CHAT_EVENT_ERROR, payload);
	end(t, &e);
}

void turn_refuse_provider(struct turn *t)
{
	turn_end_error(t, FAULT_UNKNOWN_PROVIDER, NULL,
		       "the provider of this turn is no longer configured");
}

enum fault turn_abort(struct session *s, const char *reason)
{
	struct ending e = {"aborted", "aborted", NULL, NULL, NULL, NULL};
	struct turn *t = s->turn ? s->turn : turn_load(s);

	if (!t)
		return FAULT_LOG_UNAVAILABLE;
	stop_asking(t);
	turn_flush(t);
	turn_calls_stop(t);
	t->worker->stats.turns_aborted++;
	session_emit(s, t->ref, CHAT_EVENT_ABORTED,
		     json_pack("{s:s, s:s, s:o, s:I}", "message_id", t->message_id, "reason",
			       reason, "usage", usage_json(&t->usage), "duration_ms",
			       (json_int_t)duration(t)));
	end(t, &e);
	return FAULT_NONE;
}

void turn_forget(struct turn *t)
{
	stop_work(t);
	/* writes of its start may be pending, and they know it: freed behind them */
	event_log_after(t->worker->log, &t->session->log, on_over, t);
}

int turn_withdraw(struct turn *t)
{
	struct session *s = t->session;

	if (t->state != TURN_STARTING || t->was_accepted ||
	    event_log_withdraw(t->worker->log, &s->log, t->generation) < 0)
		return -1;
	log_warning("turn.withdrawn", "session=%s turn=%s: it could not be stored", s->log.id,
		    t->ref->id);
	stop_work(t);
	turn_free(t);
	session_forget(s); /* its accumulator was a step ahead */
	return 0;
}

void turn_hand_over(struct turn *t)
{
	struct session *s = t->session;

	turn_flush(t);
	event_log_write(t->worker->log, SQL_TURN_HANDOVER, &s->log, t->ref, t->generation, "T");
	log_notice("turn.hand_over", "session=%s turn=%s", s->log.id, t->ref->id);
	turn_forget(t);
	s->orphaned = true; /* it goes on, elsewhere: nobody is told by us that it is over */
}

/* --- waiting for a person --- */

static void write_state(struct turn *t, const char *run, const char *turn_state)
{
	struct session *s = t->session;

	event_log_write(t->worker->log, SQL_RUN_STATE, &s->log, NULL, t->generation, "tii", run,
			(int64_t)s->last_seq, clock_wall_ms());
	event_log_write(t->worker->log, SQL_TURN_STATE, &s->log, t->ref, t->generation, "Tt",
			turn_state);
}

/* That it waits is on disk: from now on it is only rows. */
static void on_waiting(void *arg, bool ok)
{
	struct turn *t = arg;

	if (t->state != TURN_WAITING)
		return; /* answered or aborted meanwhile; whoever did that frees it */
	if (t->session->log.pending > 0 && ok) {
		event_log_after(t->worker->log, &t->session->log, on_waiting, t);
		return;
	}
	t->session->turn = NULL;
	t->session->waiting = true;
	watch_tell_waiting(t->session);
	turn_free(t);
}

void turn_wait(struct turn *t)
{
	turn_move(t, TURN_WAITING);
	write_state(t, "waiting", "waiting");
	set_running(t, false);
	log_info("turn.waiting", "session=%s turn=%s prompts=%zu", t->session->log.id, t->ref->id,
		 json_array_size(t->session->acc.prompts));
	event_log_after(t->worker->log, &t->session->log, on_waiting, t);
}

void turn_unwait(struct turn *t)
{
	turn_move(t, TURN_TOOLING);
	write_state(t, "processing", "running");
	set_running(t, true);
}

/* --- the pass --- */

void turn_flush(struct turn *t)
{
	if (t->gathered.len == 0)
		return;
	session_emit_text(t->session, t->ref, t->gathered_type, t->gathered.data, t->gathered.len);
	buf_clear(&t->gathered);
	undirty(t);
}

void turn_note_progress(struct turn *t)
{
	event_log_write(t->worker->log, SQL_TURN_PROGRESS, &t->session->log, t->ref, t->generation,
			"Tuuuu", t->usage.input, t->usage.output, t->usage.cache_read,
			t->usage.cache_write);
}

void turn_warn(struct turn *t, enum fault code, const char *message)
{
	turn_flush(t);
	session_emit(t->session, t->ref, CHAT_EVENT_WARNING,
		     json_pack("{s:s, s:s}", "code", fault_code(code), "message", message));
}

void turns_flush(struct worker *w)
{
	struct turn *t;

	if (event_log_is_stalled(w->log))
		return; /* goes on gathering: one event more, not one event each */
	while ((t = TAILQ_FIRST(&w->dirty)))
		turn_flush(t);
}

void turns_withdraw(struct worker *w)
{
	struct turn *t, *next;

	for (t = TAILQ_FIRST(&w->turns); t; t = next) {
		next = TAILQ_NEXT(t, link);
		(void)turn_withdraw(t);
	}
}

void turns_warn(struct worker *w, enum fault code, const char *message)
{
	struct turn *t;

	TAILQ_FOREACH (t, &w->turns, link)
		turn_warn(t, code, message);
}

void turns_pause(struct worker *w, bool paused)
{
	struct turn *t;

	TAILQ_FOREACH (t, &w->turns, link) {
		if (t->asking)
			asking_pause(t->asking, paused);
	}
}

const char *turn_id(const struct turn *t)
{
	return t->ref->id;
}

uint64_t turn_generation(const struct turn *t)
{
	return t->generation;
}

const char *turn_session_state(const struct turn *t)
{
	return t->state == TURN_WAITING ? "waiting" : "processing";
}
