/*
 * session.c - a session as its worker holds it. See session.h.
 *
 * Lifetime: a session may be freed only by sessions_sweep(), at the end of a pass, when it has no
 * turn, no subscription and no pending write. So inside a pass a session pointer stays good.
 */
#include "chatd/worker/session.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/worker/link.h"
#include "chatd/worker/publisher.h"
#include "chatd/worker/queue.h"
#include "chatd/worker/recover.h"
#include "chatd/worker/turn.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/require.h"
#include "proto/shard.h"

static struct session *session_alloc(struct worker *w, const char *id)
{
	struct session *s = calloc(1, sizeof(*s));

	REQUIRE(s);
	str_put(s->log.id, sizeof(s->log.id), id);
	s->worker = w;
	accumulator_init(&s->acc);
	LIST_INIT(&s->subs);
	TAILQ_INIT(&s->queue);
	HASH_ADD(hh, w->sessions, log.id, strlen(s->log.id), s);
	session_touch(s);
	return s;
}

static void session_free(struct session *s)
{
	REQUIRE(!s->turn && LIST_EMPTY(&s->subs) && s->log.pending == 0);
	if (s->on_sweep_list)
		TAILQ_REMOVE(&s->worker->maybe_idle, s, sweep_link);
	event_log_forget(s->worker->log, &s->log);
	HASH_DEL(s->worker->sessions, s);
	accumulator_fini(&s->acc);
	queue_free(s);
	free(s->owner);
	free(s->title);
	free(s->provider);
	free(s->model);
	free(s->system);
	free(s->metadata);
	free(s);
}

static char *dup_or_null(const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	REQUIRE(!text || copy);
	return copy;
}

static void fold(void *arg, const struct chat_event *e)
{
	struct session *s = arg;
	auto_json json_t *payload = NULL;

	if (!str_eq(e->turn_id, s->last_turn_id)) /* of a queued turn */
		return;
	payload = json_read(e->payload.p, e->payload.n, NULL, 0);
	accumulator_apply(&s->acc, e->type, payload);
}

/*
 * The last turn, as the accumulator: its stored answer, or, if it is not over, the fold of its
 * events. 1, 0 if there was none, or -1.
 */
static int load_turn(struct session *s, struct db *db, const char *state)
{
	auto_turn_row struct turn_row t = {0};
	auto_json json_t *answer = NULL;
	int r = query_last_turn(db, s->log.row, &t);

	if (r <= 0)
		return r;
	str_put(s->last_turn_id, sizeof(s->last_turn_id), t.id);
	s->turn_started_at = t.started_at;
	if (strcmp(state, "idle") != 0) {
		s->waiting = strcmp(state, "waiting") == 0;
		s->orphaned = !s->waiting;
		return query_events(db, s->log.row, t.first_seq - 1, fold, s);
	}
	r = query_answer(db, t.row, &answer);
	if (r == 1)
		accumulator_load(&s->acc, answer, t.stop_reason);
	return r;
}

struct session *session_load(struct worker *w, const char *id, enum fault *ret_why)
{
	struct session *s;
	auto_session_row struct session_row row = {0};
	int r;

	HASH_FIND(hh, w->sessions, id, strlen(id), s);
	if (s) {
		*ret_why = s->gone;
		session_touch(s);
		return s->gone ? NULL : s;
	}
	r = query_session(event_log_db(w->log), id, &row);
	*ret_why = r < 0 ? FAULT_LOG_UNAVAILABLE : FAULT_SESSION_NOT_FOUND;
	if (r != 1)
		return NULL;
	s = session_alloc(w, row.id);
	s->log.row = row.row;
	s->log.committed = s->last_seq = row.last_seq;
	s->generation = s->log.committed_generation = row.generation;
	s->created_at = row.created_at;
	s->owner = dup_or_null(row.owner);
	s->title = dup_or_null(row.title);
	s->provider = dup_or_null(row.provider);
	s->model = dup_or_null(row.model);
	s->system = dup_or_null(row.system);
	s->metadata = dup_or_null(row.metadata);
	if (load_turn(s, event_log_db(w->log), row.state) < 0 || queue_load(s) < 0) {
		s->gone = *ret_why = FAULT_LOG_UNAVAILABLE;
		return NULL;
	}
	return s;
}

struct session *session_get(struct worker *w, struct str id, struct str owner, enum fault *ret_why)
{
	char text[LIMIT_ID + 1];
	struct session *s;

	*ret_why = FAULT_SESSION_NOT_FOUND;
	if (!id_is_plausible(id.p, id.n) || shard_of(id, w->count) != w->index)
		return NULL;
	memcpy(text, id.p, id.n);
	text[id.n] = '\0';
	s = session_load(w, text, ret_why);
	if (s && !str_eq(owner, s->owner)) {
		*ret_why = FAULT_SESSION_NOT_FOUND;
		return NULL;
	}
	if (!s || !s->orphaned)
		return s;
	/* one that leaves takes nothing up: its successor has the turn, or is about to */
	if (w->stopping || recover_session(s) < 0) {
		*ret_why = w->stopping ? FAULT_WORKER_UNAVAILABLE : FAULT_LOG_UNAVAILABLE;
		return NULL;
	}
	return s;
}

struct session *session_new(struct worker *w, struct str owner, const char *title,
			    const char *provider, const char *model, const char *system,
			    const char *metadata)
{
	char id[ID_LEN];
	struct session *s;

	do
		id_new("ses", id);
	while (shard_of(str_of(id), w->count) != w->index);
	s = session_alloc(w, id);
	s->owner = str_dup(owner);
	s->title = dup_or_null(title);
	s->provider = dup_or_null(provider);
	s->model = dup_or_null(model);
	s->system = dup_or_null(system);
	s->metadata = dup_or_null(metadata);
	s->created_at = clock_wall_ms();
	event_log_write(w->log, SQL_SESSION_INSERT, &s->log, NULL, 0, "tttttti", s->owner, s->title,
			s->provider, s->model, s->system, s->metadata, s->created_at);
	return s;
}

void session_emit_text(struct session *s, struct log_turn *t, enum chat_event_type type,
		       const char *p, size_t n)
{
	struct buf b = BUF_INIT;
	size_t len;
	char *payload;

	accumulator_add_text(&s->acc, type, p, n);
	buf_adds(&b, "{\"content\":");
	json_add_string(&b, p, n);
	buf_addc(&b, '}');
	payload = buf_steal(&b, &len);
	event_log_event(s->worker->log, &s->log, t, s->generation, ++s->last_seq, type, payload,
			len);
}

static void append(struct session *s, struct log_turn *t, enum chat_event_type type,
		   json_t *payload)
{
	struct buf b = BUF_INIT;
	size_t len;
	char *text;

	REQUIRE(json_is_object(payload));
	json_add_value(&b, payload);
	json_decref(payload);
	text = buf_steal(&b, &len);
	event_log_event(s->worker->log, &s->log, t, s->generation, ++s->last_seq, type, text, len);
}

void session_emit(struct session *s, struct log_turn *t, enum chat_event_type type, json_t *payload)
{
	accumulator_apply(&s->acc, type, payload);
	append(s, t, type, payload);
}

void session_emit_beside(struct session *s, struct log_turn *t, enum chat_event_type type,
			 json_t *payload)
{
	append(s, t, type, payload);
}

const char *session_state(const struct session *s)
{
	if (s->turn)
		return turn_session_state(s->turn);
	return s->waiting ? "waiting" : "idle";
}

bool session_is_busy(const struct session *s)
{
	return s->turn || s->waiting;
}

json_t *session_busy_json(const struct session *s)
{
	return json_pack("{s:s, s:I, s:s}", "turn_id", s->last_turn_id, "generation",
			 (json_int_t)s->generation, "state", session_state(s));
}

void session_subscribe(struct session *s, struct link *l, uint64_t number)
{
	struct subscription *sub = calloc(1, sizeof(*sub));

	REQUIRE(sub);
	sub->session = s;
	sub->link = l;
	sub->sub = number;
	LIST_INSERT_HEAD(&s->subs, sub, of_session);
	link_add(l, sub);
}

void subscription_end(struct subscription *sub)
{
	LIST_REMOVE(sub, of_session);
	LIST_REMOVE(sub, of_link);
	session_touch(sub->session);
	free(sub);
}

static void end_subscriptions(struct session *s)
{
	struct subscription *sub;

	while ((sub = LIST_FIRST(&s->subs)))
		subscription_end(sub);
}

/* It is stored, and the viewers were told. */
static void on_deleted(void *arg, bool ok)
{
	struct session *s = arg;

	end_subscriptions(s);
	log_info("session.deleted", "session=%s ok=%d", s->log.id, ok);
}

enum fault session_delete(struct session *s)
{
	struct worker *w = s->worker;
	int64_t now = clock_wall_ms();
	enum fault fault = FAULT_NONE;

	s->hold_queue = true; /* it goes with the session */
	if (session_is_busy(s))
		fault = turn_abort(s, "cleared");
	s->hold_queue = false;
	if (fault != FAULT_NONE)
		return fault;
	session_emit(s, NULL, CHAT_EVENT_SESSION_CLEARED, json_object());
	event_log_write(w->log, SQL_QUEUE_DROP, &s->log, NULL, s->generation, "i", now);
	event_log_write(w->log, SQL_SESSION_REMOVE, &s->log, NULL, s->generation, "i", now);
	event_log_after(w->log, &s->log, on_deleted, s);
	s->gone = FAULT_SESSION_NOT_FOUND;
	return FAULT_NONE;
}

void session_removed(struct session *s)
{
	struct chat_event cleared = {
		.session_id = str_of(s->log.id),
		.generation = s->generation,
		.seq = s->log.committed + 1,
		.ts = clock_wall_ms(),
		.type = CHAT_EVENT_SESSION_CLEARED,
		.payload = str_of("{\"reason\":\"retention\"}"),
	};

	if (s->gone || s->log.pending > 0) /* what it is writing will be found stale */
		return;
	log_info("session.cleared", "session=%s reason=retention", s->log.id);
	publish(s, &cleared);
	s->gone = FAULT_SESSION_NOT_FOUND;
	end_subscriptions(s);
	session_touch(s);
}

/* Nobody finds it any more; it is read anew when it is next asked for. */
void session_forget(struct session *s)
{
	struct subscription *sub;

	s->gone = FAULT_WORKER_UNAVAILABLE;
	/* their streamerds come back and ask whoever has it then */
	while ((sub = LIST_FIRST(&s->subs))) {
		struct link *l = sub->link;

		subscription_end(sub);
		link_reset(l);
	}
	session_touch(s);
}

void session_lost(struct session *s)
{
	if (s->gone)
		return;
	log_error("session.lost", "session=%s generation=%llu: another worker has it", s->log.id,
		  (unsigned long long)s->generation);
	if (s->turn)
		turn_forget(s->turn);
	session_forget(s);
}

void session_touch(struct session *s)
{
	if (s->on_sweep_list)
		return;
	s->on_sweep_list = true;
	TAILQ_INSERT_TAIL(&s->worker->maybe_idle, s, sweep_link);
}

void sessions_sweep(struct worker *w)
{
	struct session_list keep = TAILQ_HEAD_INITIALIZER(keep);
	struct session *s;

	while ((s = TAILQ_FIRST(&w->maybe_idle))) {
		if (!s->turn && LIST_EMPTY(&s->subs) && s->log.pending == 0) {
			session_free(s);
			continue;
		}
		TAILQ_REMOVE(&w->maybe_idle, s, sweep_link);
		s->on_sweep_list = false;
		if (s->log.pending > 0) { /* looked at again when the log could write */
			TAILQ_INSERT_TAIL(&keep, s, sweep_link);
			s->on_sweep_list = true;
		}
	}
	TAILQ_CONCAT(&w->maybe_idle, &keep, sweep_link);
}

void sessions_free(struct worker *w)
{
	struct session *s, *next;

	HASH_ITER (hh, w->sessions, s, next) {
		end_subscriptions(s);
		session_free(s);
	}
}
