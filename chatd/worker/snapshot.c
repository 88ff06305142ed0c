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

static void add_turn(struct buf *b, const struct session *s)
{
	char started[CLOCK_ISO_LEN + 1];

	if (!session_is_busy(s)) {
		buf_adds(b, ",\"turn\":null");
		return;
	}
	clock_iso(s->turn_started_at, started);
	buf_addf(b, ",\"turn\":{\"id\":\"%s\",\"state\":\"%s\",\"started_at\":\"%s\"}",
		 s->last_turn_id, session_state(s), started);
}

static int add_messages(struct buf *b, const struct session *s)
{
	char next[ID_LEN];
	auto_json json_t *messages =
		query_messages(event_log_db(s->worker->log), s->log.row, "",
			       LIMIT_SNAPSHOT_MESSAGES, LIMIT_SNAPSHOT_BYTES, next);

	if (!messages)
		return -1;
	buf_adds(b, ",\"messages\":");
	json_add_value(b, messages);
	return 0;
}

static int build(struct buf *b, const struct session *s, const struct accumulator *a)
{
	auto_json json_t *queue = queue_json(s);

	buf_addf(b, "{\"state\":\"%s\"", session_state(s));
	add_session(b, s);
	add_turn(b, s);
	accumulator_add_snapshot(b, a);
	if (add_messages(b, s) < 0)
		return -1;
	buf_adds(b, ",\"queue\":");
	json_add_value(b, queue);
	buf_addc(b, '}');
	return b->len < LIMIT_FRAME - 4096 ? 0 : -1;
}

static void send_now(struct link *l, uint64_t req, const struct session *s,
		     const struct accumulator *a)
{
	struct buf b = BUF_INIT;
	struct msg m = {
		.type = MSG_SNAPSHOT,
		.snapshot = {.req = req,
			     .generation = s->log.committed_generation,
			     .seq = s->log.committed,
			     .ts = clock_wall_ms(),
			     .turn_id = str_of(s->last_turn_id)},
	};

	if (build(&b, s, a) == 0) {
		m.snapshot.payload = (struct str){b.data, b.len};
		link_send(l, &m);
	} else {
		log_error("snapshot.failed", "session=%s bytes=%zu", s->log.id, b.len);
		link_reply_fault(
			l, req,
			b.len >= LIMIT_FRAME - 4096 ? FAULT_INTERNAL : FAULT_LOG_UNAVAILABLE, NULL);
	}
	buf_fini(&b);
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

/* What is on disk, while the accumulator is ahead of it and the log is stalled. */
static void send_from_disk(struct link *l, uint64_t req, struct session *s)
{
	struct accumulator a;
	auto_turn_row struct turn_row t = {0};
	struct fold f = {&a, t.id};
	struct db *db = event_log_db(s->worker->log);

	accumulator_init(&a);
	if (s->log.row && query_last_turn(db, s->log.row, &t) == 1 &&
	    query_events(db, s->log.row, t.first_seq - 1, fold_event, &f) == 1) {
		json_decref(a.error);
		a.error = json_pack(
			"{s:s, s:s}", "code", fault_code(FAULT_PERSIST_ERROR), "message",
			"the answer can't be stored at the moment; it goes on when it can");
		send_now(l, req, s, &a);
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

	if (s->log.pending == 0) {
		send_now(l, req, s, &s->acc);
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
