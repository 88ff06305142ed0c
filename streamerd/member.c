/*
 * member.c - a session of a bundle: where it stands in its feed. See bundle.h.
 *
 *	          its feed wakes it                all of it written
 *	AT END -------------------> READY (BYTES) --------------------> AT END
 *	                              |   ^
 *	  its place is not in memory  v   |  a page, a snapshot
 *	                              WAITS, STARVES ---------------> OVER (gone, or cleared)
 *
 * It stands where member_look() finds it: what it has been sent is said by its cursor, as with a
 * viewer. STARVES is the one thing a viewer does not know: so many snapshots are on their way to
 * this bundle that one more has to wait.
 *
 * A session that is not there leaves its feed and says so in a frame of its own; then it is over.
 */
#include <stdlib.h>

#include "common/clock.h"
#include "common/require.h"
#include "streamerd/bundle.h"
#include "streamerd/sse.h"

static const char not_found[] = "{\"fatal\":false,\"code\":\"session_not_found\",\"message\":"
				"\"There is no such session.\"}";

void member_queue(struct member *m, int queue)
{
	struct bundle *b = m->bundle;

	if (m->queue == TURN_READY)
		TAILQ_REMOVE(&b->ready, m, turn);
	else if (m->queue == TURN_STARVED)
		TAILQ_REMOVE(&b->starved, m, turn);
	if (queue == TURN_READY)
		TAILQ_INSERT_TAIL(&b->ready, m, turn);
	else if (queue == TURN_STARVED)
		TAILQ_INSERT_TAIL(&b->starved, m, turn);
	m->queue = queue;
}

/* It no longer waits for a snapshot, nor sends one: others may. */
static void stop_asking(struct member *m)
{
	struct bundle *b = m->bundle;
	struct member *s;

	if (!m->asks_of)
		return;
	b->snapshots[m->asks_of - 1]--;
	m->asks_of = 0;
	if (TAILQ_EMPTY(&b->starved))
		return;
	while ((s = TAILQ_FIRST(&b->starved)))
		member_queue(s, TURN_READY);
	bundle_mark(b);
}

static bool may_ask(struct member *m)
{
	struct bundle *b = m->bundle;
	unsigned worker = m->feed->worker;

	if (m->asks_of)
		return true;
	if (b->snapshots[worker] >= LIMIT_BUNDLE_SNAPSHOTS)
		return false;
	b->snapshots[worker]++;
	m->asks_of = (uint8_t)(worker + 1);
	return true;
}

struct member *member_new(struct bundle *b, struct feed *f)
{
	struct member *m = calloc(1, sizeof(*m));

	REQUIRE(m);
	m->bundle = b;
	m->feed = f;
	TAILQ_INSERT_TAIL(&b->members, m, of_bundle);
	b->n++;
	if (f) {
		TAILQ_INSERT_TAIL(&f->members, m, of_feed);
		hub_mark(b->hub, f);
	}
	return m;
}

static void leave_feed(struct member *m)
{
	if (!m->feed)
		return;
	stop_asking(m);
	TAILQ_REMOVE(&m->feed->members, m, of_feed);
	hub_mark(m->bundle->hub, m->feed);
	m->feed = NULL;
}

void member_free(struct member *m)
{
	struct bundle *b = m->bundle;

	leave_feed(m);
	member_queue(m, TURN_NONE);
	(void)block_unref(m->block);
	TAILQ_REMOVE(&b->members, m, of_bundle);
	b->n--;
	if (b->current == m)
		b->current = NULL;
	free(m);
}

void member_detach(struct member *m)
{
	size_t part;

	block_position(m->block, m->off, &m->generation, &m->seq, &part);
	m->part = (uint32_t)part;
	m->block = block_unref(m->block);
}

void member_set_busy(struct member *m, bool busy)
{
	struct bundle *b = m->bundle;

	if (m->is_busy == busy)
		return;
	m->is_busy = busy;
	TAILQ_REMOVE(&b->members, m, of_bundle);
	TAILQ_INSERT_TAIL(&b->members, m, of_bundle);
}

/* What its feed knows of the session's turns. Unknown behind a busy time: the turn has ended. */
static void note_activity(struct member *m)
{
	const struct feed *f = m->feed;

	if (f->state != FEED_LIVE) {
		m->saw_busy = false;
		stop_asking(m);
	} else if (f->activity == FEED_BUSY) {
		m->saw_busy = true;
		member_set_busy(m, true);
	} else if (f->activity == FEED_IDLE || m->saw_busy) {
		m->saw_busy = false;
		member_set_busy(m, false);
	}
}

void member_say(struct member *m, const struct chat_event *e)
{
	auto_buf struct buf frame = BUF_INIT;

	chat_event_add_frame(&frame, e);
	(void)block_unref(m->block);
	m->block = block_new(e->generation, e->seq);
	block_add_raw(m->block, (struct str){frame.data, frame.len});
	m->off = 0;
}

/* The session is not there. */
static enum member_look bid_farewell(struct member *m)
{
	struct chat_event e = {.session_id = m->feed->session_id,
			       .ts = clock_wall_ms(),
			       .type = CHAT_EVENT_ERROR,
			       .payload = str_of(not_found)};

	if (m->part)
		return MEMBER_LOST;
	member_say(m, &e);
	m->fault = FAULT_SESSION_NOT_FOUND;
	leave_feed(m);
	return MEMBER_BYTES;
}

static enum member_look take_snapshot(struct member *m)
{
	struct feed *f = m->feed;

	if (m->part)
		return MEMBER_LOST;
	m->needs_snapshot = true;
	if (f->state != FEED_LIVE)
		return MEMBER_WAITS;
	if (!may_ask(m))
		return MEMBER_STARVES;
	m->block = feed_snapshot(f, (enum sse_reason)m->reason);
	if (!m->block)
		return MEMBER_WAITS;
	m->off = 0;
	m->since = m->block->before_seq;
	m->reason = SSE_NO_REASON;
	m->needs_snapshot = false;
	m->has_begun = true;
	return MEMBER_BYTES;
}

/* All of its block was sent. */
static enum member_look has_sent_all(const struct member *m)
{
	const struct feed *f = m->feed;

	return m->block == tail_last(&f->tail) && feed_was_cleared(f, m->since) ? MEMBER_OVER
										: MEMBER_AT_END;
}

/* Without a block: finds the one to go on with. */
static enum member_look find(struct member *m)
{
	struct feed *f = m->feed;
	struct feed_place at;

	if (f->is_gone)
		return bid_farewell(m);
	if (!m->has_begun && !feed_is_sure(f))
		return MEMBER_WAITS;
	if (m->needs_snapshot)
		return take_snapshot(m);
	switch (feed_locate(f, m->generation, m->seq, &at)) {
	case FEED_AT_END:
	case FEED_FOUND:
		if (m->part > at.block->len - at.off)
			return MEMBER_LOST; /* the log holds another event than was begun */
		m->block = block_ref(at.block);
		m->off = (uint32_t)at.off + m->part;
		m->part = 0;
		m->has_begun = true;
		return m->off < m->block->len ? MEMBER_BYTES : has_sent_all(m);
	case FEED_WAIT:
		return MEMBER_WAITS;
	case FEED_REFUSED:
		m->reason = (uint8_t)at.reason;
		break;
	}
	return take_snapshot(m);
}

enum member_look member_look(struct member *m)
{
	struct feed *f = m->feed;

	if (m->block && m->off < m->block->len)
		return MEMBER_BYTES;
	if (!f)
		return MEMBER_OVER;
	if (m->block && m->block == tail_last(&f->tail) && !f->is_gone)
		return has_sent_all(m);
	if (m->block) {
		m->seq = block_last_seq(m->block);
		m->generation = m->block->last_generation;
		m->block = block_unref(m->block);
		stop_asking(m);
	}
	return find(m);
}

void member_wake(struct member *m)
{
	struct bundle *b = m->bundle;
	enum member_look look = MEMBER_BYTES;

	note_activity(m);
	m->fault = m->feed->join_fault;
	if (!b->is_blocked)
		look = member_look(m);
	if (look == MEMBER_STARVES)
		member_queue(m, TURN_STARVED);
	else if (m->queue != TURN_READY && look != MEMBER_AT_END && look != MEMBER_WAITS)
		member_queue(m, TURN_READY);
	bundle_mark(b);
}
