/*
 * turn_load.c - a turn read back from its rows: a waiting one that somebody answers or aborts, or
 * one that a dead worker left.
 *
 * What a turn needs to go on is its row, its steps, the calls of the last step and the fold of its
 * events (the session's accumulator, loaded with the session). Text behind the last step belongs to
 * an answer that never became whole: it is void, and `turn_resumed` tells viewers so.
 */
#include <stdlib.h>
#include <string.h>

#include "chatd/worker/turn_impl.h"
#include "common/json.h"
#include "common/log.h"
#include "common/require.h"

static void on_step(void *arg, const struct step_row *row)
{
	*(struct step_row *)arg = *row;
}

static json_t *prompt_of(const struct session *s, const char *call_id)
{
	json_t *prompt;
	size_t i;

	json_array_foreach (s->acc.prompts, i, prompt) {
		const char *id = json_get_str(prompt, "tool_invocation_id");

		if (id && strcmp(id, call_id) == 0)
			return prompt;
	}
	return NULL;
}

static enum call_status status_of(const char *text)
{
	if (strcmp(text, "running") == 0 || strcmp(text, "pending") == 0)
		return CALL_RUNNING;
	if (strcmp(text, "waiting") == 0 || strcmp(text, "uncertain") == 0)
		return CALL_WAITING;
	return CALL_SETTLED;
}

static void on_call(void *arg, const struct call_row *row)
{
	struct turn *t = arg;
	struct turn_call *c;

	if (row->step != t->steps)
		return;
	c = calloc(1, sizeof(*c));
	t->calls = reallocarray(t->calls, t->n_calls + 1, sizeof(struct turn_call *));
	REQUIRE(c && t->calls);
	t->calls[t->n_calls++] = c;
	c->turn = t;
	str_put(c->id, sizeof(c->id), row->id);
	c->server = strdup(row->server);
	c->name = strdup(row->name);
	REQUIRE(c->server && c->name);
	buf_add(&c->arguments, row->arguments.p, row->arguments.n);
	c->may_repeat = row->may_repeat;
	c->status = status_of(row->status);
	c->started_at = row->started_at;
	c->prompt = c->status == CALL_WAITING ? json_incref(prompt_of(t->session, c->id)) : NULL;
}

/* Steps and calls. last: of the last step, zero if there is none. 1, or -1. */
static int load_steps(struct turn *t, struct step_row *last)
{
	struct db *db = event_log_db(t->worker->log);
	int r;

	memset(last, 0, sizeof(*last));
	r = query_steps(db, t->ref->row, on_step, last);
	t->steps = last->n;
	return r > 0 ? query_calls(db, t->ref->row, on_call, t) : r;
}

/* A turn whose provider was taken out of the config can be looked at and ended, but not asked on.
 */
static struct turn *from_row(struct session *s, const struct turn_row *row, enum turn_state state)
{
	const struct options *o = s->worker->options;
	struct provider_conf *configured = options_provider(o, row->provider);
	struct provider_conf *provider = configured ? configured : options_provider(o, "");
	struct turn *t = turn_new(s, provider, row->model, log_turn_new(row->id, row->row),
				  row->message_id, state);

	t->provider_gone = !configured;
	str_put(t->traceparent, sizeof(t->traceparent), row->traceparent);
	t->started_at = s->turn_started_at = row->started_at;
	t->said = s->acc.content.len + s->acc.reasoning.len + json_dumpb(s->acc.tools, NULL, 0, 0);
	t->usage = (struct provider_usage){row->usage[0] >= 0 || row->usage[1] >= 0, row->usage[0],
					   row->usage[1], row->usage[2], row->usage[3]};
	return t;
}

struct turn *turn_load(struct session *s)
{
	struct worker *w = s->worker;
	auto_turn_row struct turn_row row = {0};
	struct step_row last;
	struct turn *t;

	if (query_last_turn(event_log_db(w->log), s->log.row, &row) != 1)
		return NULL;
	t = from_row(s, &row, TURN_WAITING);
	if (load_steps(t, &last) > 0)
		return t;
	turn_forget(t);
	s->waiting = true;
	return NULL;
}

static void trim(struct buf *b, size_t n)
{
	if (n < b->len)
		b->len = n;
}

static bool has_open_call(const struct turn *t)
{
	for (size_t i = 0; i < t->n_calls; i++) {
		if (t->calls[i]->status != CALL_SETTLED)
			return true;
	}
	return false;
}

/* That it is tried again is on disk: whatever happens now counts. */
static void on_counted(void *arg, bool ok)
{
	struct turn *t = arg;

	if (!ok || t->state != TURN_STARTING)
		return;
	session_emit(t->session, t->ref, CHAT_EVENT_TURN_RESUMED,
		     accumulator_resumed(&t->session->acc));
	t->worker->stats.turns_resumed++;
	if (has_open_call(t)) {
		turn_move(t, TURN_TOOLING);
		turn_calls_resume(t);
	} else {
		turn_prepare_when_stored(t);
	}
}

int turn_resume(struct session *s, const struct turn_row *row)
{
	struct worker *w = s->worker;
	bool crashed = !row->handed_over;
	int64_t crashes = row->crashes + crashed;
	struct step_row last;
	struct turn *t;

	s->generation++;
	t = from_row(s, row, TURN_STARTING);
	t->was_accepted = true;
	if (load_steps(t, &last) < 0) {
		turn_forget(t);
		s->generation--;
		s->orphaned = true;
		return -1;
	}
	event_log_write(w->log, SQL_RUN_RESTART, &s->log, NULL, t->generation, "i",
			(int64_t)s->last_seq);
	event_log_write(w->log, SQL_TURN_RESUME, &s->log, t->ref, t->generation, "Ti", crashes);
	log_notice("turn.resume", "session=%s turn=%s step=%d crashes=%lld handed_over=%d",
		   s->log.id, row->id, t->steps, (long long)crashes, row->handed_over);
	if (crashed && (w->options->on_crash == ON_CRASH_INTERRUPT || crashes >= LIMIT_CRASHES)) {
		turn_end_error(t, FAULT_WORKER_CRASHED, NULL, fault_message(FAULT_WORKER_CRASHED));
		return 0;
	}
	trim(&s->acc.content, last.content_end);
	trim(&s->acc.reasoning, last.reasoning_end);
	event_log_after(w->log, &s->log, on_counted, t);
	return 0;
}

int turn_take_over(struct session *s)
{
	struct worker *w = s->worker;
	auto_turn_row struct turn_row row = {0};
	struct step_row last;
	struct turn *t;

	if (!s->orphaned && !s->waiting)
		return 0;
	if (query_last_turn(event_log_db(w->log), s->log.row, &row) != 1)
		return -1;
	s->orphaned = false;
	s->generation++;
	t = from_row(s, &row, TURN_STARTING);
	if (load_steps(t, &last) < 0) {
		turn_forget(t);
		return -1;
	}
	event_log_write(w->log, SQL_RUN_TAKE, &s->log, NULL, t->generation, "i",
			(int64_t)s->last_seq);
	event_log_write(w->log, SQL_TURN_RESUME, &s->log, t->ref, t->generation, "Ti",
			(int64_t)row.crashes);
	return 1;
}
