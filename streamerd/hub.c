/*
 * hub.c - all feeds and viewers of this process. See hub.h.
 *
 * One timer for everything that takes time: it ticks once a second and each tick serves one of
 * LIMIT_HEARTBEAT_MS / 1000 slots of viewers with a heartbeat, takes away the feeds that nobody
 * came back to, tells viewers of workers that stay away, and settles all feeds once more if one of
 * them asked for it. No viewer has a timer of its own: a viewer that has nothing to read costs its
 * struct, its socket and 1/15 of a write a second.
 *
 * Memory: viewers and joins of an owner, in all processes, are counted against
 * max_viewers_per_owner (quota.h); tails are bounded for each feed, replay pages for the process
 * (catchup.c).
 */
#include "streamerd/hub.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/quota.h"
#include "common/require.h"
#include "streamerd/backend.h"
#include "streamerd/bundle.h"
#include "streamerd/feed.h"
#include "streamerd/join.h"
#include "streamerd/outage.h"
#include "streamerd/pace.h"
#include "streamerd/shared.h"
#include "streamerd/socket_set.h"
#include "streamerd/stats.h"
#include "streamerd/viewer.h"

#define TICK_MS 1000
#define SLOTS	(LIMIT_HEARTBEAT_MS / TICK_MS)

struct hub {
	struct event_base *base; /* borrowed */
	struct backend *backend; /* borrowed */
	void (*ended)(void *arg, int fd);
	void *arg;
	int max_viewers;
	bool draining;
	bool retry;
	struct feed *by_key; /* owned */
	struct feed *by_sub;
	uint64_t last_sub;
	size_t n_counted;		 /* viewers and joins, in the quota */
	struct bundles *bundles;	 /* owned */
	TAILQ_HEAD(, feed) marked;	 /* to be settled */
	TAILQ_HEAD(, feed) empty;	 /* without viewers, oldest first */
	TAILQ_HEAD(, feed) cached;	 /* that keep a snapshot, oldest first */
	TAILQ_HEAD(, feed) troubled;	 /* not live, or somebody is still to be told that it is */
	struct socket_set sockets;	 /* of viewers */
	struct pace pace;		 /* crowded ones, that wait to be marked */
	struct event *pass_ev, *tick_ev; /* owned */
	struct viewer_list slots[SLOTS]; /* the wheel */
	unsigned slot;			 /* served last */
};

static void end_all(struct hub *h)
{
	struct feed *f, *next;

	HASH_ITER (by_key, h->by_key, f, next) {
		feed_end_all(f, FAULT_WORKER_UNAVAILABLE, VIEWER_SHUTDOWN);
		hub_mark(h, f);
	}
	bundles_end_all(h->bundles);
}

static void remove_feed(struct hub *h, struct feed *f)
{
	if (f->is_marked)
		TAILQ_REMOVE(&h->marked, f, marked);
	pace_release(&h->pace, f);
	if (f->is_empty)
		TAILQ_REMOVE(&h->empty, f, empty);
	if (f->is_troubled)
		TAILQ_REMOVE(&h->troubled, f, troubled);
	HASH_DELETE(by_key, h->by_key, f);
	feed_free(f);
	stats->feeds--;
}

/* Returns the time at its end, of clock_mono_us(). */
static int64_t settle(struct hub *h, struct feed *f, int64_t began)
{
	int64_t ended;
	bool empty;

	feed_settle(f);
	ended = clock_mono_us();
	pace_settled(f, began, ended);
	empty = TAILQ_EMPTY(&f->joins) && !feed_is_watched(f);
	if (empty && f->is_gone) {
		remove_feed(h, f);
	} else if (empty && !f->is_empty) {
		f->empty_since = clock_mono_ms();
		TAILQ_INSERT_TAIL(&h->empty, f, empty);
		f->is_empty = true;
	}
	return ended;
}

static void on_pass(evutil_socket_t fd, short what, void *arg)
{
	struct hub *h = arg;
	int64_t now = clock_mono_us();
	struct feed *f;

	while ((f = TAILQ_FIRST(&h->marked))) {
		TAILQ_REMOVE(&h->marked, f, marked);
		f->is_marked = false;
		now = settle(h, f, now);
	}
	bundles_settle(h->bundles);
}

void hub_wake(struct hub *h)
{
	event_active(h->pass_ev, EV_TIMEOUT, 0);
}

void hub_mark(struct hub *h, struct feed *f)
{
	if (f->is_marked)
		return;
	pace_release(&h->pace, f);
	if (TAILQ_EMPTY(&h->marked))
		hub_wake(h);
	TAILQ_INSERT_TAIL(&h->marked, f, marked);
	f->is_marked = true;
}

static void on_pause_over(void *arg, struct feed *f)
{
	hub_mark(arg, f);
}

void hub_has_event(struct hub *h, struct feed *f, size_t bytes)
{
	if (!pace_hold(&h->pace, f, bytes))
		hub_mark(h, f);
}

void hub_trouble(struct hub *h, struct feed *f)
{
	if (f->is_troubled)
		return;
	TAILQ_INSERT_TAIL(&h->troubled, f, troubled);
	f->is_troubled = true;
}

void hub_retry(struct hub *h)
{
	h->retry = true;
}

void hub_keeps_snapshot(struct hub *h, struct feed *f, bool keeps)
{
	if (keeps)
		TAILQ_INSERT_TAIL(&h->cached, f, cached);
	else
		TAILQ_REMOVE(&h->cached, f, cached);
}

static void mark_all(struct hub *h)
{
	struct feed *f, *next;

	HASH_ITER (by_key, h->by_key, f, next) {
		hub_mark(h, f);
	}
}

void hub_tick(struct hub *h)
{
	int64_t now = clock_mono_ms();
	struct viewer *v, *next_v;
	struct feed *f, *next_f;

	h->slot = (h->slot + 1) % SLOTS;
	for (v = TAILQ_FIRST(&h->slots[h->slot]); v; v = next_v) {
		next_v = TAILQ_NEXT(v, slot_link);
		viewer_heartbeat(v, now);
	}
	while ((f = TAILQ_FIRST(&h->empty)) && now - f->empty_since >= LIMIT_FEED_LINGER_MS)
		remove_feed(h, f);
	while ((f = TAILQ_FIRST(&h->cached)) && now - f->snapshot_at >= LIMIT_FEED_LINGER_MS)
		feed_drop_snapshot(f);
	for (f = TAILQ_FIRST(&h->troubled); f; f = next_f) {
		next_f = TAILQ_NEXT(f, troubled);
		if (outage_tick(f, now))
			continue;
		TAILQ_REMOVE(&h->troubled, f, troubled);
		f->is_troubled = false;
	}
	bundles_tick(h->bundles, now);
	if (h->retry) {
		h->retry = false;
		mark_all(h);
	}
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	hub_tick(arg);
}

struct hub *hub_new(struct event_base *base, void (*ended)(void *arg, int fd), void *arg)
{
	struct hub *h = calloc(1, sizeof(*h));
	struct timeval tick = {TICK_MS / 1000, TICK_MS % 1000 * 1000};

	REQUIRE(h);
	h->base = base;
	h->ended = ended;
	h->arg = arg;
	h->max_viewers = LIMIT_VIEWERS_OWNER;
	TAILQ_INIT(&h->marked);
	TAILQ_INIT(&h->empty);
	TAILQ_INIT(&h->cached);
	TAILQ_INIT(&h->troubled);
	for (int i = 0; i < SLOTS; i++)
		TAILQ_INIT(&h->slots[i]);
	socket_set_init(&h->sockets, base, viewer_on_socket);
	pace_init(&h->pace, base, on_pause_over, h);
	h->bundles = bundles_new(h);
	h->pass_ev = event_new(base, -1, 0, on_pass, h);
	h->tick_ev = event_new(base, -1, EV_PERSIST, on_tick, h);
	REQUIRE(h->pass_ev && h->tick_ev);
	(void)event_add(h->tick_ev, &tick);
	return h;
}

void hub_set_backend(struct hub *h, struct backend *b)
{
	h->backend = b;
}

void hub_set_max_viewers(struct hub *h, int per_owner)
{
	h->max_viewers = per_owner;
}

void hub_drain(struct hub *h)
{
	h->draining = true;
	end_all(h);
}

void hub_free(struct hub *h)
{
	struct feed *f, *next;

	if (!h)
		return;
	end_all(h);
	HASH_ITER (by_key, h->by_key, f, next) {
		remove_feed(h, f);
	}
	bundles_free(h->bundles);
	REQUIRE(h->n_counted == 0);
	pace_fini(&h->pace);
	socket_set_fini(&h->sockets);
	event_free(h->pass_ev);
	event_free(h->tick_ev);
	free(h);
}

uint64_t hub_owner_take(struct hub *h, struct str name)
{
	uint64_t owner = quota_key(shared_quota(), QUOTA_VIEWERS, name);

	if (!quota_enter(shared_quota(), owner, (unsigned)h->max_viewers))
		return 0;
	h->n_counted++;
	return owner;
}

void hub_owner_release(struct hub *h, uint64_t owner)
{
	REQUIRE(h->n_counted > 0);
	h->n_counted--;
	quota_leave(shared_quota(), owner);
}

struct feed *hub_feed(struct hub *h, struct str owner, struct str session_id, bool create)
{
	auto_buf struct buf key = BUF_INIT;
	struct feed *f;

	feed_add_key(&key, owner, session_id);
	HASH_FIND(by_key, h->by_key, key.data, key.len, f);
	if (!f && create) {
		f = feed_new(h, owner, session_id);
		HASH_ADD_KEYPTR(by_key, h->by_key, f->key, f->key_len, f);
		stats->feeds++;
	}
	if (f && create && f->is_empty) {
		TAILQ_REMOVE(&h->empty, f, empty);
		f->is_empty = false;
	}
	return f;
}

enum fault hub_join(struct hub *h, const struct join_request *r, struct join **ret_join)
{
	struct feed *f;
	uint64_t owner;

	if (h->draining)
		return FAULT_WORKER_UNAVAILABLE;
	owner = hub_owner_take(h, r->owner);
	if (!owner)
		return FAULT_TOO_MANY;
	f = hub_feed(h, r->owner, r->session_id, true);
	*ret_join = join_new(f, owner, r);
	hub_mark(h, f);
	return FAULT_NONE;
}

void hub_on_up(struct hub *h, unsigned worker)
{
	/* how many workers there are may have changed, and with it who owns what: look at all */
	mark_all(h);
	bundles_on_up(h->bundles, worker);
}

void hub_on_down(struct hub *h, unsigned worker)
{
	struct feed *f, *next;

	HASH_ITER (by_key, h->by_key, f, next) {
		if (f->state != FEED_OFF && f->worker == worker)
			feed_lost(f);
	}
	bundles_on_down(h->bundles, worker);
}

void hub_on_activity(struct hub *h, const struct msg_activity *a)
{
	bundles_on_activity(h->bundles, a);
}

void hub_on_event(struct hub *h, const struct msg_event *e)
{
	struct feed *f;

	HASH_FIND(by_sub, h->by_sub, &e->sub, sizeof(e->sub), f);
	if (f)
		feed_on_event(f, e);
}

struct event_base *hub_base(const struct hub *h)
{
	return h->base;
}

struct socket_set *hub_sockets(struct hub *h)
{
	return &h->sockets;
}

struct backend *hub_backend(const struct hub *h)
{
	return h->backend;
}

uint64_t hub_new_sub(struct hub *h, struct feed *f)
{
	f->sub = ++h->last_sub;
	HASH_ADD(by_sub, h->by_sub, sub, sizeof(f->sub), f);
	return f->sub;
}

void hub_drop_sub(struct hub *h, struct feed *f)
{
	if (f->sub)
		HASH_DELETE(by_sub, h->by_sub, f);
	f->sub = 0;
}

struct bundles *hub_bundles(struct hub *h)
{
	return h->bundles;
}

bool hub_is_draining(const struct hub *h)
{
	return h->draining;
}

void hub_stream_began(struct hub *h)
{
	stats->viewers++;
}

void hub_stream_ended(struct hub *h, uint64_t owner, int fd)
{
	hub_owner_release(h, owner);
	stats->viewers--;
	h->ended(h->arg, fd);
}

void hub_viewer_began(struct hub *h, struct viewer *v)
{
	/* the slot that was served last comes round in LIMIT_HEARTBEAT_MS */
	v->slot = (uint8_t)h->slot;
	TAILQ_INSERT_TAIL(&h->slots[h->slot], v, slot_link);
	hub_stream_began(h);
}

void hub_viewer_ended(struct hub *h, struct viewer *v)
{
	TAILQ_REMOVE(&h->slots[v->slot], v, slot_link);
	hub_stream_ended(h, v->owner, v->fd);
}
