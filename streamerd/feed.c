/*
 * feed.c - one session as one owner sees it: its subscription, its tail, its viewers. See feed.h.
 *
 *	          join                reply
 *	  OFF ------------> SUBSCRIBING ------> LIVE
 *	   ^                     |               |
 *	   +---- link down, no answer, gap ------+
 *
 * A subscription's reply names the last committed event; the next that is sent follows it. If that
 * is where the tail ends (nothing happened while the link was down) the tail goes on; if not, the
 * tail begins anew there, and viewers whose cursor lies elsewhere find their way from the log, by
 * the same replay pages as a viewer that was away. So there is one mechanism for a viewer that
 * returns, one that is slow, and a worker that was restarted, and in each the log decides: it
 * answers with what follows the cursor, or with the reason why nothing does, and then the viewer is
 * given a snapshot that says so.
 *
 * A snapshot is asked for once for all who wait, and kept only as long as it is the newest state.
 *
 * until=idle: events tell when a turn begins; that one has ended does not tell whether the next
 * one waits in the queue. So at the end of a turn the state is unknown, and if somebody wants to
 * know, a snapshot is fetched and says it. Who comes to see a turn that another streamerd started
 * may be here before its first event. So that nothing runs is believed only for those who were here
 * when the worker was asked: `asks` numbers the snapshots that were asked for, `answered` is the
 * last that came, and a join remembers what `asks` was.
 *
 * session_cleared: whoever is sent it as the last event, live or from the log, finds the stream
 * ended behind it. Whether the session is deleted or can be continued it does not say, so who comes
 * then waits for a snapshot, or for the worker's word that there is no such session.
 */
#include "streamerd/feed.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/require.h"
#include "streamerd/backend.h"
#include "streamerd/bundle.h"
#include "streamerd/join.h"
#include "streamerd/stats.h"
#include "streamerd/viewer.h"

void feed_add_key(struct buf *b, struct str owner, struct str session_id)
{
	/* neither may contain a newline: auth.c, and the check of ids */
	buf_add(b, owner.p, owner.n);
	buf_addc(b, '\n');
	buf_add(b, session_id.p, session_id.n);
}

struct feed *feed_new(struct hub *h, struct str owner, struct str session_id)
{
	struct feed *f = calloc(1, sizeof(*f));
	struct buf key = BUF_INIT;

	REQUIRE(f);
	f->hub = h;
	feed_add_key(&key, owner, session_id);
	f->key = buf_steal(&key, &f->key_len);
	f->owner = (struct str){f->key, owner.n};
	f->session_id = (struct str){f->key + owner.n + 1, session_id.n};
	TAILQ_INIT(&f->joins);
	TAILQ_INIT(&f->viewers);
	TAILQ_INIT(&f->blocked);
	TAILQ_INIT(&f->members);
	catchup_init(&f->catchup, f);
	return f;
}

bool feed_is_watched(const struct feed *f)
{
	return !TAILQ_EMPTY(&f->viewers) || !TAILQ_EMPTY(&f->blocked) || !TAILQ_EMPTY(&f->members);
}

void feed_rest(struct feed *f)
{
	f->rest_until = clock_mono_ms() + LIMIT_FEED_REST_MS;
	hub_retry(f->hub);
}

bool feed_is_resting(struct feed *f)
{
	if (clock_mono_ms() >= f->rest_until)
		return false;
	hub_retry(f->hub);
	return true;
}

void feed_drop_snapshot(struct feed *f)
{
	if (f->snapshot)
		hub_keeps_snapshot(f->hub, f, false);
	f->snapshot = block_unref(f->snapshot);
	f->snapshot_is_fresh = false;
}

static void unsubscribe(struct feed *f)
{
	struct msg m = {.type = MSG_UNSUBSCRIBE, .unsubscribe = {.sub = f->sub}};
	struct backend *b = hub_backend(f->hub);

	if (f->sub)
		backend_send(b, f->worker, &m);
	if (f->subscribe_req)
		backend_forget(b, f->worker, f->subscribe_req);
	if (f->snapshot_req)
		backend_forget(b, f->worker, f->snapshot_req);
	f->subscribe_req = f->snapshot_req = 0;
	catchup_forget(&f->catchup);
	hub_drop_sub(f->hub, f);
	f->state = FEED_OFF;
}

void feed_free(struct feed *f)
{
	REQUIRE(TAILQ_EMPTY(&f->joins) && !feed_is_watched(f));
	unsubscribe(f);
	catchup_fini(&f->catchup);
	tail_fini(&f->tail);
	buf_fini(&f->notices);
	feed_drop_snapshot(f);
	free(f->key);
	free(f);
}

void feed_lost(struct feed *f)
{
	unsubscribe(f);
	f->join_fault = FAULT_WORKER_UNAVAILABLE;
	hub_mark(f->hub, f);
}

void feed_end_all(struct feed *f, enum fault joins, enum viewer_end viewers)
{
	struct join *j;
	struct viewer *v;

	while ((j = TAILQ_FIRST(&f->joins)))
		join_refuse(j, joins);
	while ((v = TAILQ_FIRST(&f->viewers)) || (v = TAILQ_FIRST(&f->blocked)))
		viewer_end(v, viewers);
}

/* --- the subscription --- */

/* The session's last event is (generation, seq); does the tail end there? */
static void begin_live(struct feed *f, uint64_t generation, uint64_t seq)
{
	f->state = FEED_LIVE;
	f->dark_since = 0;
	f->is_doubted = false; /* the worker has just found it */
	if (f->tail.n > 0 && tail_last_seq(&f->tail) == seq &&
	    tail_last_generation(&f->tail) == generation)
		return;
	if (f->tail.n > 0)
		log_debug("feed.moved", "session=%s from=%llu to=%llu", f->session_id.p,
			  (unsigned long long)tail_last_seq(&f->tail), (unsigned long long)seq);
	tail_reset(&f->tail, generation, seq);
	catchup_fini(&f->catchup);
	feed_drop_snapshot(f);
	f->cleared_seq = 0;
	f->activity = FEED_UNKNOWN;
}

static bool read_position(struct str body, uint64_t *ret_generation, uint64_t *ret_seq)
{
	auto_json json_t *v = json_read(body.p, body.n, NULL, 0);
	long long generation, seq;

	if (!json_get_int(v, "generation", &generation) || !json_get_int(v, "seq", &seq) ||
	    generation < 0 || seq < 0)
		return false;
	*ret_generation = (uint64_t)generation;
	*ret_seq = (uint64_t)seq;
	return true;
}

/* Waiting joins hear `why`; viewers stay, and the next tick tries again. */
static void subscribe_failed(struct feed *f, enum fault why)
{
	unsubscribe(f);
	f->join_fault = why;
	feed_rest(f);
}

static void on_subscribed(void *arg, const struct msg *answer, enum fault why)
{
	struct feed *f = arg;
	uint64_t generation, seq;

	f->subscribe_req = 0;
	hub_mark(f->hub, f);
	if (!answer) {
		stats->bus_timeouts++;
		subscribe_failed(f, why);
	} else if (answer->type == MSG_REPLY && answer->reply.fault == FAULT_SESSION_NOT_FOUND) {
		f->is_gone = true;
		subscribe_failed(f, FAULT_SESSION_NOT_FOUND);
	} else if (answer->type == MSG_REPLY && answer->reply.fault != FAULT_NONE) {
		subscribe_failed(f, (enum fault)answer->reply.fault);
	} else if (answer->type != MSG_REPLY ||
		   !read_position(answer->reply.body, &generation, &seq)) {
		log_error("feed.answer", "session=%s what=subscribe", f->session_id.p);
		subscribe_failed(f, FAULT_INTERNAL);
	} else {
		begin_live(f, generation, seq);
	}
}

static void subscribe(struct feed *f)
{
	struct backend *b = hub_backend(f->hub);
	struct msg m = {.type = MSG_SUBSCRIBE,
			.subscribe = {.owner = f->owner, .session_id = f->session_id}};
	int worker = backend_worker_of(b, f->session_id);

	hub_trouble(f->hub, f);
	if (feed_is_resting(f))
		return;
	if (worker < 0 || !backend_is_up(b, (unsigned)worker)) {
		f->join_fault = FAULT_WORKER_UNAVAILABLE; /* viewers wait for hub_on_up() */
		return;
	}
	f->worker = (unsigned)worker;
	m.subscribe.sub = hub_new_sub(f->hub, f);
	f->subscribe_req = backend_call(b, f->worker, &m, on_subscribed, f);
	if (f->subscribe_req) {
		f->state = FEED_SUBSCRIBING;
		return;
	}
	hub_drop_sub(f->hub, f);
	f->join_fault = FAULT_WORKER_UNAVAILABLE;
	feed_rest(f);
}

/* --- events --- */

static void note_activity(struct feed *f, const struct msg_event *e)
{
	f->is_doubted = e->type == CHAT_EVENT_SESSION_CLEARED;
	if (f->is_doubted)
		f->cleared_seq = e->seq;
	if (f->is_doubted || sse_is_terminal((unsigned)e->type, e->payload))
		f->activity = FEED_UNKNOWN;
	else if (e->type != CHAT_EVENT_WARNING)
		f->activity = FEED_BUSY;
}

static void detach_from(const struct viewer_list *viewers, const struct block *gone)
{
	struct viewer *v;

	TAILQ_FOREACH (v, viewers, link) {
		if (v->block == gone)
			viewer_detach(v);
	}
}

static void evict(struct feed *f, struct block *gone)
{
	struct member *m;

	if (!gone)
		return;
	if (gone->refs > 1) {
		detach_from(&f->viewers, gone);
		detach_from(&f->blocked, gone);
		TAILQ_FOREACH (m, &f->members, of_feed) {
			if (m->block == gone)
				member_detach(m);
		}
	}
	(void)block_unref(gone);
}

/* A notice is not kept: it is for who is there now and has everything. */
static void tell_notice(struct feed *f, struct str frame)
{
	struct viewer *v, *next;
	struct member *m, *next_m;

	for (v = TAILQ_FIRST(&f->viewers); v; v = next) {
		next = TAILQ_NEXT(v, link);
		viewer_notice(v, frame);
	}
	for (m = TAILQ_FIRST(&f->members); m; m = next_m) {
		next_m = TAILQ_NEXT(m, of_feed);
		(void)bundle_notice(m->bundle, frame);
	}
}

void feed_on_event(struct feed *f, const struct msg_event *e)
{
	static struct buf frame; /* kept: one allocation for the life of the process */
	struct chat_event ce = {.session_id = f->session_id,
				.turn_id = e->turn_id,
				.generation = e->generation,
				.seq = e->seq,
				.ts = e->ts,
				.type = (enum chat_event_type)e->type,
				.payload = e->payload};
	uint64_t last;

	if (f->state != FEED_LIVE)
		return;
	buf_clear(&frame);
	if (e->seq == 0) {
		chat_event_add_frame(&frame, &ce);
		if (f->gathered) {
			buf_add(&f->notices, frame.data, frame.len);
			hub_mark(f->hub, f);
		} else {
			tell_notice(f, (struct str){frame.data, frame.len});
		}
		return;
	}
	last = tail_last_seq(&f->tail);
	if (e->seq <= last)
		return; /* seen already */
	if (e->seq != last + 1) {
		log_error("feed.gap", "session=%s have=%llu got=%llu", f->session_id.p,
			  (unsigned long long)last, (unsigned long long)e->seq);
		hub_mark(f->hub, f);
		unsubscribe(f); /* settling subscribes again, and the log fills the gap */
		feed_rest(f);
		return;
	}
	chat_event_add_frame(&frame, &ce);
	evict(f, tail_add(&f->tail, e->generation, (struct str){frame.data, frame.len}));
	hub_has_event(f->hub, f, frame.len);
	if (frame.cap > 1024 * 1024)
		buf_fini(&frame);
	feed_drop_snapshot(f);
	note_activity(f, e);
}

/* --- snapshots --- */

static bool tail_covers(const struct feed *f, uint64_t seq)
{
	return f->tail.n > 0 && seq >= tail_first_seq(&f->tail) && seq <= tail_last_seq(&f->tail);
}

static void take_snapshot(struct feed *f, const struct msg_snapshot *s)
{
	stats->snapshots_in++;
	if (!tail_covers(f, s->seq)) {
		/* it is sent in order with the events: it can't be ahead of them */
		log_error("feed.answer", "session=%s what=snapshot seq=%llu", f->session_id.p,
			  (unsigned long long)s->seq);
		f->join_fault = FAULT_INTERNAL;
		feed_rest(f);
		return;
	}
	feed_drop_snapshot(f);
	f->snapshot = sse_snapshot(f->session_id, s);
	f->snapshot_at = clock_mono_ms();
	hub_keeps_snapshot(f->hub, f, true);
	f->snapshot_is_fresh = true;
	f->answered = f->asks;
	if (s->seq == tail_last_seq(&f->tail)) {
		f->activity = sse_snapshot_is_idle(s->payload) ? FEED_IDLE : FEED_BUSY;
		f->is_doubted = false;
	}
}

static void on_snapshot(void *arg, const struct msg *answer, enum fault why)
{
	struct feed *f = arg;

	f->snapshot_req = 0;
	hub_mark(f->hub, f);
	if (!answer) {
		stats->bus_timeouts++;
		f->join_fault = why;
		feed_rest(f);
	} else if (answer->type == MSG_SNAPSHOT) {
		take_snapshot(f, &answer->snapshot);
	} else if (answer->type == MSG_REPLY && answer->reply.fault == FAULT_SESSION_NOT_FOUND) {
		f->is_gone = true;
		f->join_fault = FAULT_SESSION_NOT_FOUND;
	} else {
		f->join_fault = answer->type == MSG_REPLY && answer->reply.fault != FAULT_NONE
					? (enum fault)answer->reply.fault
					: FAULT_INTERNAL;
		feed_rest(f);
	}
}

static void ask_for_snapshot(struct feed *f)
{
	struct msg m = {.type = MSG_GET_SNAPSHOT,
			.get_snapshot = {.owner = f->owner, .session_id = f->session_id}};

	if (f->snapshot_req || f->state != FEED_LIVE || feed_is_resting(f))
		return;
	f->snapshot_req = backend_call(hub_backend(f->hub), f->worker, &m, on_snapshot, f);
	if (!f->snapshot_req) {
		f->join_fault = FAULT_WORKER_UNAVAILABLE;
		feed_rest(f);
		return;
	}
	f->asks++;
}

struct block *feed_snapshot(struct feed *f, enum sse_reason reason)
{
	struct block *s = f->snapshot;

	if (f->state != FEED_LIVE)
		return NULL;
	if (!s || (!f->snapshot_is_fresh && s->before_seq != tail_last_seq(&f->tail))) {
		ask_for_snapshot(f);
		return NULL;
	}
	return reason ? sse_snapshot_because(s, reason) : block_ref(s);
}

/* --- where a viewer goes on --- */

static uint64_t tail_generation(const struct feed *f, uint64_t seq)
{
	const struct block *b = tail_find_after(&f->tail, seq);

	return b ? block_generation(b, seq) : tail_last_generation(&f->tail);
}

enum feed_found feed_locate(struct feed *f, uint64_t generation, uint64_t seq,
			    struct feed_place *ret)
{
	if (f->tail.n == 0)
		return FEED_WAIT;
	if (!tail_covers(f, seq))
		return catchup_locate(&f->catchup, generation, seq, ret);
	if (tail_generation(f, seq) != generation) {
		ret->reason = SSE_OTHER_HISTORY;
		return FEED_REFUSED;
	}
	if (seq == tail_last_seq(&f->tail)) {
		ret->block = tail_last(&f->tail);
		ret->off = ret->block->len;
		return FEED_AT_END;
	}
	ret->block = tail_find_after(&f->tail, seq);
	ret->off = block_offset_after(ret->block, seq);
	return FEED_FOUND;
}

/* Is it known what runs, to somebody who came when `asks` was that? If not, it is asked. */
static bool knows_activity(struct feed *f, uint32_t came_at)
{
	if (f->activity == FEED_BUSY || (f->activity == FEED_IDLE && f->answered > came_at))
		return true;
	ask_for_snapshot(f);
	return false;
}

bool feed_is_sure(struct feed *f)
{
	if (f->is_doubted)
		ask_for_snapshot(f);
	return f->state == FEED_LIVE && !f->is_doubted;
}

bool feed_was_cleared(const struct feed *f, uint64_t since)
{
	return f->cleared_seq > since && f->cleared_seq == tail_last_seq(&f->tail);
}

bool feed_is_idle(struct feed *f, uint32_t came_at)
{
	return f->state == FEED_LIVE && knows_activity(f, came_at) && f->activity == FEED_IDLE;
}

/* --- settling --- */

/* A join with a cursor. Returns 1 if it was answered, 0 if it waits or needs a snapshot. */
static int settle_returning(struct feed *f, struct join *j)
{
	struct feed_place at;

	switch (feed_locate(f, j->generation, j->seq, &at)) {
	case FEED_WAIT:
		return 0;
	case FEED_REFUSED:
		j->has_cursor = false;
		j->reason = at.reason;
		return 0;
	case FEED_AT_END:
		if (j->until_idle && !knows_activity(f, j->came_at))
			return 0;
		if (j->until_idle && f->activity == FEED_IDLE) {
			join_nothing(j);
			return 1;
		}
		break;
	case FEED_FOUND:
		break;
	}
	join_accept(j, block_ref(at.block), at.off, j->generation, j->seq);
	return 1;
}

static void settle_join(struct feed *f, struct join *j)
{
	struct block *snapshot;

	if (f->join_fault) {
		join_refuse(j, f->join_fault);
		return;
	}
	if (!feed_is_sure(f) || (j->has_cursor && settle_returning(f, j)) || j->has_cursor)
		return;
	if (j->until_idle && f->answered <= j->came_at && f->activity != FEED_BUSY) {
		/* the one at hand may be from before the turn for which it came */
		ask_for_snapshot(f);
		return;
	}
	snapshot = feed_snapshot(f, j->reason);
	if (snapshot)
		join_accept(j, snapshot, 0, snapshot->before_generation, snapshot->before_seq);
}

void feed_settle(struct feed *f)
{
	struct join *j, *next_j;
	struct viewer *v, *next_v;
	struct member *m, *next_m;

	if (f->state == FEED_OFF && !f->is_gone && (!TAILQ_EMPTY(&f->joins) || feed_is_watched(f)))
		subscribe(f);
	for (j = TAILQ_FIRST(&f->joins); j; j = next_j) {
		next_j = TAILQ_NEXT(j, link);
		settle_join(f, j);
	}
	for (v = TAILQ_FIRST(&f->viewers); v; v = next_v) {
		next_v = TAILQ_NEXT(v, link);
		if (f->is_gone)
			viewer_end(v, VIEWER_CLEARED);
		else
			viewer_push(v);
	}
	while (f->is_gone && (v = TAILQ_FIRST(&f->blocked)))
		viewer_end(v, VIEWER_CLEARED);
	for (m = TAILQ_FIRST(&f->members); m; m = next_m) {
		next_m = TAILQ_NEXT(m, of_feed); /* it may leave */
		member_wake(m);
	}
	if (f->notices.len)
		tell_notice(f, (struct str){f->notices.data, f->notices.len});
	buf_fini(&f->notices);
	f->join_fault = FAULT_NONE;
	f->snapshot_is_fresh = false;
	catchup_settled(&f->catchup);
}
