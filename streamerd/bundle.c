/*
 * bundle.c - one SSE connection that shows several sessions. See bundle.h; bundle_send.c writes.
 *
 *	          bundle_join               something can be sent
 *	request ---------------> WAITING ------------------------> OPEN ---> ended
 *	                            `------- nothing ever will ------> refused
 *
 * A member is woken whenever its feed is settled, and looks there and then for what it can send
 * (what a pass has found, a page or a snapshot, may be gone after it); while the socket is full it
 * only queues up to look later. So a bundle holds blocks only as long as it can send.
 *
 * A session that is not there says so in a frame of its own and leaves the others alone. What a
 * bundle costs besides its members is one socket: the workers, and the feeds, know nothing of
 * bundles but a list to wake.
 *
 * Limits: LIMIT_BUNDLE_SESSIONS members; when all is shown, those that are idle for longest make
 * room, and if there is none the viewer is told and it is tried again each second. At most
 * LIMIT_BUNDLE_SNAPSHOTS snapshots of one worker's sessions are on their way to a bundle, so that a
 * stream of hundreds does not gather hundreds of megabytes.
 */
#include "streamerd/bundle.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/require.h"
#include "streamerd/sse.h"
#include "streamerd/stats.h"
#include "streamerd/viewer.h"
#include "streamerd/watches.h"

#define SLOTS (LIMIT_HEARTBEAT_MS / 1000)

struct bundles {
	struct hub *hub;
	struct watches *watches;	 /* owned */
	struct bundle_list slots[SLOTS]; /* owned; the wheel, those that wait included */
	TAILQ_HEAD(, bundle) marked;
	unsigned slot;
	uint64_t stamp;
};

static const char too_many[] =
	"{\"code\":\"too_many\",\"message\":\"More sessions are at work than "
	"one stream shows. The others join when there is room.\"}";

void bundle_mark(struct bundle *b)
{
	struct bundles *all = hub_bundles(b->hub);

	if (b->is_marked)
		return;
	b->is_marked = true;
	TAILQ_INSERT_TAIL(&all->marked, b, marked);
	hub_wake(b->hub);
}

/* --- which sessions --- */

static struct member *member_of(struct bundle *b, const struct feed *f)
{
	struct member *m;

	TAILQ_FOREACH (m, &f->members, of_feed) {
		if (m->bundle == b)
			return m;
	}
	return NULL;
}

/* Nothing runs, nothing waits to be sent: nobody misses it before something begins. */
static bool is_dispensable(const struct member *m)
{
	return !m->is_busy && m->feed && m->queue == TURN_NONE && m->block &&
	       m->off == m->block->len;
}

/* Is there room for one more? If not, who is idle for longest goes, without a word. */
static bool has_room(struct bundle *b)
{
	struct member *m;

	if (b->n < LIMIT_BUNDLE_SESSIONS)
		return true;
	TAILQ_FOREACH (m, &b->members, of_bundle) {
		if (is_dispensable(m)) {
			member_free(m);
			return true;
		}
	}
	b->is_full = true;
	return false;
}

/* One that it does not show yet. NULL: there is no room. */
static struct member *show(struct bundle *b, struct str session_id)
{
	struct member *m;

	if (!has_room(b))
		return NULL;
	m = member_new(b, hub_feed(b->hub, watched_name(b->watched), session_id, true));
	m->needs_snapshot = true;
	m->reason = (uint8_t)b->reason;
	return m;
}

void bundle_changed(struct bundle *b)
{
	if (b->is_all || b->owes_changes)
		return;
	b->owes_changes = true;
	bundle_mark(b);
}

void bundle_follow(struct bundle *b, struct str session_id, bool busy)
{
	struct feed *f = hub_feed(b->hub, watched_name(b->watched), session_id, false);
	struct member *m = f ? member_of(b, f) : NULL;

	if (!m)
		m = show(b, session_id);
	if (m && busy)
		member_set_busy(m, true);
}

static void follow_named(struct bundle *b, struct str owner, const struct stream_session *s)
{
	struct member *m = member_new(b, hub_feed(b->hub, owner, s->id, true));

	m->needs_snapshot = !s->has_cursor;
	m->generation = s->generation;
	m->seq = m->since = s->seq;
	m->reason = (uint8_t)(s->is_malformed ? SSE_UNKNOWN : b->reason);
}

/* A session that nobody here follows was deleted. */
static void say_cleared(struct bundle *b, const struct msg_activity *a)
{
	struct chat_event e = {.session_id = a->session_id,
			       .turn_id = a->turn_id,
			       .generation = a->generation,
			       .seq = a->seq,
			       .ts = a->ts,
			       .type = CHAT_EVENT_SESSION_CLEARED,
			       .payload = a->payload};
	struct member *m;

	if (!has_room(b))
		return;
	m = member_new(b, NULL);
	member_say(m, &e);
	member_queue(m, TURN_READY);
	bundle_mark(b);
}

void bundles_on_activity(struct bundles *all, const struct msg_activity *a)
{
	struct bundle_list *list = watches_of_sub(all->watches, a->sub);
	struct bundle *b;
	struct feed *f;
	struct member *m;

	if (!list)
		return;
	f = hub_feed(all->hub, watched_name(TAILQ_FIRST(list)->watched), a->session_id, false);
	all->stamp++;
	if (f) {
		TAILQ_FOREACH (m, &f->members, of_feed)
			m->bundle->stamp = all->stamp;
	}
	TAILQ_FOREACH (b, list, of_watched) {
		bundle_changed(b);
		if (!b->is_all || !chat_event_is_beginning(a->type) || b->stamp == all->stamp)
			continue; /* its feed brings it */
		if (a->type == CHAT_EVENT_SESSION_CLEARED) {
			say_cleared(b, a);
			continue;
		}
		m = show(b, a->session_id);
		if (m)
			member_set_busy(m, true);
	}
}

/* --- beginning and end --- */

enum fault bundle_join(struct hub *h, const struct bundle_request *r, struct bundle **ret_bundle)
{
	struct bundles *all = hub_bundles(h);
	const struct stream_query *q = r->query;
	int64_t since = q->since;
	struct bundle *b;
	uint64_t owner;

	if (hub_is_draining(h))
		return FAULT_WORKER_UNAVAILABLE;
	owner = hub_owner_take(h, r->owner);
	if (!owner)
		return FAULT_TOO_MANY;
	b = calloc(1, sizeof(*b));
	REQUIRE(b);
	b->hub = h;
	b->owner = owner;
	b->ops = r->ops;
	b->arg = r->arg;
	b->fd = -1;
	b->reason = q->is_returning ? SSE_UNKNOWN : SSE_NO_REASON;
	TAILQ_INIT(&b->members);
	TAILQ_INIT(&b->ready);
	TAILQ_INIT(&b->starved);
	/* the slot that was served last comes round in LIMIT_HEARTBEAT_MS */
	b->slot = (uint8_t)all->slot;
	TAILQ_INSERT_TAIL(&all->slots[b->slot], b, link);
	stats->joins++;
	for (size_t i = 0; i < q->n; i++)
		follow_named(b, r->owner, &q->sessions[i]);
	b->is_all = !q->is_list;
	if (q->has_changes)
		watches_join(all->watches, b, r->owner, 0);
	if (b->is_all) {
		if (!since && q->is_returning)
			since = clock_wall_ms() - LIMIT_SINCE_RETURN_MS;
		watches_join(all->watches, b, r->owner, since ? since - LIMIT_SINCE_OVERLAP_MS : 0);
	}
	bundle_mark(b);
	*ret_bundle = b;
	return FAULT_NONE;
}

/* Everything but the socket. */
static void dissolve(struct bundle *b)
{
	struct bundles *all = hub_bundles(b->hub);
	struct member *m;

	while ((m = TAILQ_FIRST(&b->members)))
		member_free(m);
	if (b->watched)
		watches_leave(b);
	TAILQ_REMOVE(&all->slots[b->slot], b, link);
	if (b->is_marked)
		TAILQ_REMOVE(&all->marked, b, marked);
	free(b);
}

void bundle_cancel(struct bundle *b)
{
	hub_owner_release(b->hub, b->owner);
	dissolve(b);
}

static void refuse(struct bundle *b, enum fault fault)
{
	const struct join_ops *ops = b->ops;
	void *arg = b->arg;

	bundle_cancel(b);
	ops->refuse(arg, fault);
}

void bundle_end(struct bundle *b, enum viewer_end why)
{
	struct hub *h = b->hub;
	uint64_t owner = b->owner;
	int fd = b->fd;

	(void)event_del(&b->ev);
	viewer_close(fd, why, "");
	dissolve(b);
	hub_stream_ended(h, owner, fd);
}

/* May it be opened? FAULT_NONE and *ret_yes, or why it can't be; or neither: not yet. */
static enum fault judge(const struct bundle *b, bool *ret_yes)
{
	enum fault fault = FAULT_SESSION_NOT_FOUND;
	const struct member *m;

	*ret_yes = b->watched && !b->is_all; /* whatever becomes of those it names */
	if (*ret_yes)
		return FAULT_NONE;
	if (b->is_all) {
		*ret_yes = b->asks == 0 && b->has_heard;
		return b->asks == 0 && !b->has_heard ? b->fault : FAULT_NONE;
	}
	TAILQ_FOREACH (m, &b->members, of_bundle) {
		if (m->has_begun)
			*ret_yes = true;
		else if (m->fault == FAULT_NONE)
			fault = FAULT_NONE; /* it can still become something */
		else if (fault != FAULT_NONE && m->fault != FAULT_SESSION_NOT_FOUND)
			fault = m->fault;
	}
	return *ret_yes ? FAULT_NONE : fault;
}

static void try_to_open(struct bundle *b)
{
	auto_buf struct buf head = BUF_INIT;
	bool yes;
	enum fault fault = judge(b, &yes);

	if (fault != FAULT_NONE) {
		refuse(b, fault);
		return;
	}
	if (!yes)
		return;
	b->fd = b->ops->accept(b->arg, &head);
	if (b->fd < 0) {
		bundle_cancel(b);
		return;
	}
	b->is_accepted = true;
	b->reason = SSE_NO_REASON;
	hub_stream_began(b->hub);
	bundle_begin(b, (struct str){head.data, head.len});
}

/* --- all of them --- */

struct bundles *bundles_new(struct hub *h)
{
	struct bundles *all = calloc(1, sizeof(*all));

	REQUIRE(all);
	all->hub = h;
	all->watches = watches_new(h);
	TAILQ_INIT(&all->marked);
	for (int i = 0; i < SLOTS; i++)
		TAILQ_INIT(&all->slots[i]);
	return all;
}

void bundles_end_all(struct bundles *all)
{
	struct bundle *b;

	for (int i = 0; i < SLOTS; i++) {
		while ((b = TAILQ_FIRST(&all->slots[i]))) {
			if (b->is_accepted)
				bundle_end(b, VIEWER_SHUTDOWN);
			else
				refuse(b, FAULT_WORKER_UNAVAILABLE);
		}
	}
}

void bundles_free(struct bundles *all)
{
	watches_free(all->watches);
	free(all);
}

void bundles_settle(struct bundles *all)
{
	struct bundle *b;

	while ((b = TAILQ_FIRST(&all->marked))) {
		TAILQ_REMOVE(&all->marked, b, marked);
		b->is_marked = false;
		if (!b->is_accepted)
			try_to_open(b);
		else if (!b->is_blocked)
			bundle_push(b);
	}
}

/* Who is not shown for want of room is looked for again as long as that lasts. */
static void look_for_room(struct bundle *b)
{
	struct chat_event e = {
		.ts = clock_wall_ms(), .type = CHAT_EVENT_WARNING, .payload = str_of(too_many)};
	auto_buf struct buf frame = BUF_INIT;

	b->is_full = false; /* what does not fit says so again */
	watches_ask_again(b);
	if (b->knows_full || !bundle_takes_notice(b))
		return;
	chat_event_add_frame(&frame, &e);
	b->knows_full = true;
	(void)bundle_notice(b, (struct str){frame.data, frame.len});
}

void bundles_tick(struct bundles *all, int64_t now)
{
	struct bundle *b, *next;

	all->slot = (all->slot + 1) % SLOTS;
	for (b = TAILQ_FIRST(&all->slots[all->slot]); b; b = next) {
		next = TAILQ_NEXT(b, link);
		if (b->is_accepted)
			bundle_heartbeat(b, now);
	}
	for (int i = 0; i < SLOTS; i++) {
		for (b = TAILQ_FIRST(&all->slots[i]); b; b = next) {
			next = TAILQ_NEXT(b, link);
			if (b->is_full && b->is_accepted)
				look_for_room(b);
		}
	}
	watches_tick(all->watches, now);
}

void bundles_on_up(struct bundles *all, unsigned worker)
{
	watches_on_up(all->watches, worker);
}

void bundles_on_down(struct bundles *all, unsigned worker)
{
	watches_on_down(all->watches, worker);
}
