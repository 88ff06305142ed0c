/*
 * snapshot.c - the state of a session as a viewer is shown it. See snapshot.h.
 *
 * The payload begins with {"state":"…": streamerd reads the state from there without parsing.
 */
#include "chatd/worker/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/worker/queue.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/require.h"

/* What is shown: from memory, or while the log is stalled from its rows. */
struct shown {
	const struct session *session;
	const struct accumulator *acc;
	const char *state, *turn_id;
	int64_t turn_started_at;
	json_t *queue; /* borrowed */
	bool is_stalled;
};

struct waiting {
	uint64_t link_id; /* by id: the link may be gone by then */
	uint64_t req;
	struct session *session;
	struct worker *worker;
};

static void add_session(struct buf *b, const struct session *s)
{
	char created[CLOCK_ISO_LEN + 1];

	clock_iso(s->created_at, created);
	buf_adds(b, ",\"session\":{\"id\":");
	json_add_string(b, s->log.id, strlen(s->log.id));
	buf_adds(b, ",\"title\":");
	json_add_string(b, s->title, strlen(s->title));
	buf_adds(b, ",\"provider\":");
	json_add_string(b, s->provider, strlen(s->provider));
	buf_adds(b, ",\"model\":");
	json_add_string(b, s->model, strlen(s->model));
	buf_addf(b, ",\"created_at\":\"%s\"}", created);
}

static void add_turn(struct buf *b, const struct shown *v)
{
	char started[CLOCK_ISO_LEN + 1];

	if (strcmp(v->state, "idle") == 0) {
		buf_adds(b, ",\"turn\":null");
		return;
	}
	clock_iso(v->turn_started_at, started);
	buf_addf(b, ",\"turn\":{\"id\":\"%s\",\"state\":\"%s\",\"started_at\":\"%s\"}", v->turn_id,
		 v->state, started);
}

/* A turn that waits for the log says so; an error of its own goes first. */
static void add_answer(struct buf *b, const struct shown *v)
{
	static const char message[] =
		"the answer can't be stored at the moment; it goes on when it can";
	auto_json json_t *waits = NULL;

	if (v->is_stalled && strcmp(v->state, "idle") != 0)
		waits = json_pack("{s:s, s:s}", "code", fault_code(FAULT_PERSIST_ERROR), "message",
				  message);
	accumulator_add_snapshot(b, v->acc, waits);
}

static int add_messages(struct buf *b, const struct session *s, size_t max_bytes)
{
	char next[ID_LEN];
	auto_json json_t *messages = query_messages(event_log_db(s->worker->log), s->log.row, "",
						    LIMIT_SNAPSHOT_MESSAGES, max_bytes, next);

	if (!messages)
		return -1;
	buf_adds(b, ",\"messages\":");
	json_add_value(b, messages);
	return 0;
}

static int build(struct buf *b, const struct shown *v, bool with_messages)
{
	buf_clear(b);
	buf_addf(b, "{\"state\":\"%s\"", v->state);
	add_session(b, v->session);
	add_turn(b, v);
	add_answer(b, v);
	if (!with_messages)
		buf_adds(b, ",\"messages\":[]");
	else if (add_messages(b, v->session, LIMIT_SNAPSHOT_BYTES) < 0)
		return -1;
	buf_adds(b, ",\"queue\":");
	json_add_value(b, v->queue);
	buf_addc(b, '}');
	return 0;
}

static void send_shown(struct link *l, uint64_t req, const struct shown *v)
{
	const struct session *s = v->session;
	struct buf b = BUF_INIT;
	struct msg m = {
		.type = MSG_SNAPSHOT,
		.snapshot = {.req = req,
			     .generation = s->log.committed_generation,
			     .seq = s->log.committed,
			     .ts = clock_wall_ms(),
			     .turn_id = str_of(v->turn_id)},
	};
	int r = build(&b, v, true);

	if (r == 0 && b.len >= LIMIT_FRAME - 4096) /* the turn alone fits, and messages are paged */
		r = build(&b, v, false);
	if (r == 0 && b.len < LIMIT_FRAME - 4096) {
		m.snapshot.payload = (struct str){b.data, b.len};
		link_send(l, &m);
	} else {
		log_error("snapshot.failed", "session=%s bytes=%zu", s->log.id, b.len);
		link_reply_fault(l, req, r == 0 ? FAULT_INTERNAL : FAULT_LOG_UNAVAILABLE, NULL);
	}
	buf_fini(&b);
}

static void send_now(struct link *l, uint64_t req, const struct session *s)
{
	auto_json json_t *queue = queue_json(s);
	struct shown v = {s,
			  &s->acc,
			  session_state(s),
			  s->last_turn_id,
			  s->turn_started_at,
			  queue,
			  s->worker->stall_told};

	send_shown(l, req, &v);
}

struct fold {
	struct accumulator *acc;
	const char *turn_id;
};

static void fold_event(void *arg, const struct chat_event *e)
{
	struct fold *f = arg;
	auto_json json_t *payload = NULL;

	if (!str_eq(e->turn_id, f->turn_id)) /* of a queued turn */
		return;
	payload = json_read(e->payload.p, e->payload.n, NULL, 0);
	accumulator_apply(f->acc, e->type, payload);
}

static void add_queued(void *arg, const struct queue_row *q)
{
	(void)json_array_append_new(arg,
				    json_pack("{s:s, s:o}", "turn_id", q->id, "content",
					      json_read(q->content, strlen(q->content), NULL, 0)));
}

/* The last turn as its rows have it. 1, or less if it can't be read or there is none yet. */
static int read_turn(struct db *db, const struct session_row *row, struct turn_row *t,
		     struct accumulator *a)
{
	struct fold f = {a, t->id};
	auto_json json_t *answer = NULL;
	int r = query_last_turn(db, row->row, t);

	if (r != 1)
		return r;
	if (strcmp(row->state, "idle") != 0)
		return query_events(db, row->row, t->first_seq - 1, fold_event, &f);
	r = query_answer(db, t->row, &answer);
	if (r == 1)
		accumulator_load(a, answer, t->stop_reason);
	return r;
}

/* What is on disk, while memory is ahead of it and the log is stalled. */
static void send_from_disk(struct link *l, uint64_t req, struct session *s)
{
	struct db *db = event_log_db(s->worker->log);
	auto_session_row struct session_row row = {0};
	auto_turn_row struct turn_row t = {0};
	auto_json json_t *queue = json_array();
	struct accumulator a;

	accumulator_init(&a);
	if (query_session(db, s->log.id, &row) == 1 && read_turn(db, &row, &t, &a) == 1 &&
	    query_queue(db, row.row, add_queued, queue) == 1) {
		struct shown v = {s, &a, row.state, t.id, t.started_at, queue, true};

		send_shown(l, req, &v);
	} else {
		link_reply_fault(l, req, FAULT_LOG_UNAVAILABLE, NULL);
	}
	accumulator_fini(&a);
}

static void on_committed(void *arg, bool ok)
{
	auto_free struct waiting *w = arg;
	struct link *l = link_find(w->worker, w->link_id);

	if (!l)
		return;
	if (!ok || w->session->gone)
		link_reply_fault(l, w->req,
				 w->session->gone ? w->session->gone : FAULT_WORKER_UNAVAILABLE,
				 NULL);
	else
		snapshot_send(l, w->req, w->session);
}

void snapshot_send(struct link *l, uint64_t req, struct session *s)
{
	struct worker *worker = s->worker;
	struct waiting *w;

	if (s->orphaned) { /* handed over while this waited: its successor knows more */
		link_reply_fault(l, req, FAULT_WORKER_UNAVAILABLE, NULL);
		return;
	}
	if (s->log.pending == 0) {
		send_now(l, req, s);
		return;
	}
	if (event_log_is_stalled(worker->log)) {
		send_from_disk(l, req, s);
		return;
	}
	w = calloc(1, sizeof(*w));
	REQUIRE(w);
	w->link_id = link_id(l);
	w->req = req;
	w->session = s;
	w->worker = worker;
	event_log_after(worker->log, &s->log, on_committed, w);
}
