/*
 * watches.c - in which sessions of an owner something happens. See watches.h.
 *
 * For each owner with bundles that show all or tell of changes, and each worker, there is a watch:
 *a number under which the worker tells of what begins. A bundle that comes asks each worker under
 *that number for what is at work and what has changed since it was last here; its answers concern
 *that bundle alone.
 *
 *	owed == 0   what begins is told, and nothing was missed
 *	owed > 0    something since then was, for a worker was away or failed: it is asked for all
 *	            bundles when the worker is back, or at the next tick
 *
 * So a worker that was away tells afterwards what changed meanwhile, and no bundle has a hole.
 */
#include "streamerd/watches.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/id.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/require.h"
#include "streamerd/backend.h"
#include "streamerd/bundle.h"
#include "streamerd/stats.h"

struct watch {
	struct watched *owner; /* NULL: not used yet */
	uint64_t sub;
	UT_hash_handle by_sub;
	bool is_live;	    /* the worker tells */
	bool is_asked;	    /* on behalf of all bundles */
	int64_t owed;	    /* Unix ms */
	int64_t rest_until; /* monotonic ms */
	int64_t dark_since; /* not live since, monotonic ms; 0 while live */
};

struct watched {
	struct watches *watches;
	char *name; /* owned: the key */
	size_t name_len;
	struct bundle_list bundles; /* not empty, but while it is held */
	bool is_held;
	struct watch at[LIMIT_WORKERS];
	LIST_HEAD(, ask) asks; /* owned */
	UT_hash_handle hh;
};

/* A list that was asked for. */
struct ask {
	LIST_ENTRY(ask) link;
	struct watched *owner;
	struct bundle *bundle; /* whom it is for; NULL: all */
	unsigned worker;
	uint64_t req;
	int64_t since;
};

struct watches {
	struct hub *hub;
	struct watched *owners; /* owned */
	struct watch *by_sub;
	uint64_t last_sub;
};

struct watches *watches_new(struct hub *h)
{
	struct watches *w = calloc(1, sizeof(*w));

	REQUIRE(w);
	w->hub = h;
	return w;
}

void watches_free(struct watches *w)
{
	REQUIRE(!w->owners);
	free(w);
}

struct str watched_name(const struct watched *o)
{
	return (struct str){o->name, o->name_len};
}

struct bundle_list *watches_of_sub(struct watches *w, uint64_t sub)
{
	struct watch *x;

	HASH_FIND(by_sub, w->by_sub, &sub, sizeof(sub), x);
	return x ? &x->owner->bundles : NULL;
}

/* --- lists --- */

static void owe(struct watch *x, int64_t since)
{
	if (!since)
		since = clock_wall_ms(); /* what is at work is in every list */
	if (!x->owed || since < x->owed)
		x->owed = since;
}

static void follow_each(struct ask *a, json_t *ids, bool busy)
{
	struct bundle *b;
	json_t *v;
	size_t i;

	json_array_foreach (ids, i, v) {
		struct str id = {json_string_value(v), json_string_length(v)};

		if (!id.p || !id_is_plausible(id.p, id.n))
			continue;
		if (a->bundle && a->bundle->is_all)
			bundle_follow(a->bundle, id, busy);
		if (a->bundle)
			continue;
		TAILQ_FOREACH (b, &a->owner->bundles, of_watched) {
			if (b->is_all)
				bundle_follow(b, id, busy);
		}
	}
}

/* Nothing is missed from now on; what changed before, nobody knows. */
static void tell_of_changes(struct ask *a)
{
	struct bundle *b;

	if (a->bundle) {
		bundle_changed(a->bundle);
		return;
	}
	TAILQ_FOREACH (b, &a->owner->bundles, of_watched)
		bundle_changed(b);
}

static bool take_list(struct ask *a, struct str body)
{
	auto_json json_t *v = json_read(body.p, body.n, NULL, 0);
	json_t *active = json_object_get(v, "active"), *changed = json_object_get(v, "changed");

	if (!json_is_array(active) || !json_is_array(changed)) {
		log_error("watch.answer", "worker=%u", a->worker);
		return false;
	}
	follow_each(a, active, true);
	follow_each(a, changed, false);
	tell_of_changes(a);
	return true;
}

static void ask_free(struct ask *a)
{
	struct watch *x = &a->owner->at[a->worker];

	LIST_REMOVE(a, link);
	if (a->req)
		backend_forget(hub_backend(a->owner->watches->hub), a->worker, a->req);
	if (a->bundle)
		a->bundle->asks--;
	else
		x->is_asked = false;
	free(a);
}

static void on_list(void *arg, const struct msg *answer, enum fault why)
{
	struct ask *a = arg;
	struct watch *x = &a->owner->at[a->worker];
	struct bundle *b = a->bundle;
	bool ok = false;

	a->req = 0;
	if (!answer)
		stats->bus_timeouts++;
	else if (answer->type != MSG_REPLY)
		why = FAULT_INTERNAL;
	else
		why = (enum fault)answer->reply.fault;
	if (answer && why == FAULT_NONE) {
		ok = take_list(a, answer->reply.body);
		why = ok ? FAULT_NONE : FAULT_INTERNAL;
	}
	if (ok) {
		x->is_live = true;
		x->dark_since = 0;
	} else {
		owe(x, a->since);
		x->rest_until = clock_mono_ms() + LIMIT_FEED_REST_MS;
	}
	if (b) {
		b->has_heard |= ok;
		if (!ok)
			b->fault = why;
		bundle_mark(b);
	}
	ask_free(a);
}

/* Asks for a list, for b or for all. 0 if the worker can't be asked. */
static bool ask(struct watched *o, unsigned worker, struct bundle *b, int64_t since)
{
	struct watch *x = &o->at[worker];
	struct backend *backend = hub_backend(o->watches->hub);
	struct msg m = {.type = MSG_WATCH_OWNER,
			.watch_owner = {.owner = watched_name(o), .since = since}};
	struct ask *a;

	if (!x->owner) {
		x->owner = o;
		x->sub = ++o->watches->last_sub;
		HASH_ADD(by_sub, o->watches->by_sub, sub, sizeof(x->sub), x);
	}
	if (!backend_is_up(backend, worker))
		return false;
	m.watch_owner.sub = x->sub;
	a = calloc(1, sizeof(*a));
	REQUIRE(a);
	a->owner = o;
	a->bundle = b;
	a->worker = worker;
	a->since = since;
	a->req = backend_call(backend, worker, &m, on_list, a);
	if (!a->req) {
		free(a);
		return false;
	}
	LIST_INSERT_HEAD(&o->asks, a, link);
	if (b)
		b->asks++;
	else
		x->is_asked = true;
	return true;
}

/* What is owed, for all. */
static void ask_for_all(struct watched *o, unsigned worker)
{
	struct watch *x = &o->at[worker];
	int64_t since = x->owed;

	if (!x->owed || x->is_asked || !ask(o, worker, NULL, since - LIMIT_SINCE_OVERLAP_MS))
		return;
	x->owed = 0;
}

/* --- bundles --- */

void watches_join(struct watches *w, struct bundle *b, struct str owner, int64_t since)
{
	unsigned workers = backend_workers(hub_backend(w->hub));
	struct watched *o;

	HASH_FIND(hh, w->owners, owner.p, owner.n, o);
	if (!o) {
		o = calloc(1, sizeof(*o));
		REQUIRE(o);
		o->watches = w;
		o->name = str_dup(owner);
		o->name_len = owner.n;
		TAILQ_INIT(&o->bundles);
		LIST_INIT(&o->asks);
		HASH_ADD_KEYPTR(hh, w->owners, o->name, o->name_len, o);
	}
	b->watched = o;
	b->fault = FAULT_WORKER_UNAVAILABLE;
	TAILQ_INSERT_TAIL(&o->bundles, b, of_watched);
	for (unsigned i = 0; i < workers; i++) {
		if (!ask(o, i, b, since))
			owe(&o->at[i], since);
	}
}

void watches_ask_again(struct bundle *b)
{
	unsigned workers = backend_workers(hub_backend(b->hub));

	for (unsigned i = 0; i < workers && b->asks < workers; i++)
		(void)ask(b->watched, i, b, 0);
}

/* If nobody watches any more. */
static void release(struct watched *o)
{
	struct watches *w = o->watches;
	struct ask *a;

	if (o->is_held || !TAILQ_EMPTY(&o->bundles))
		return;
	while ((a = LIST_FIRST(&o->asks)))
		ask_free(a);
	for (unsigned i = 0; i < LIMIT_WORKERS; i++) {
		struct watch *x = &o->at[i];
		struct msg m = {.type = MSG_UNWATCH_OWNER, .unwatch_owner = {.sub = x->sub}};

		if (!x->owner)
			continue;
		backend_send(hub_backend(w->hub), i, &m);
		HASH_DELETE(by_sub, w->by_sub, x);
	}
	HASH_DELETE(hh, w->owners, o);
	free(o->name);
	free(o);
}

void watches_leave(struct bundle *b)
{
	struct watched *o = b->watched;
	struct ask *a, *next;

	for (a = LIST_FIRST(&o->asks); a; a = next) {
		next = LIST_NEXT(a, link);
		if (a->bundle == b)
			ask_free(a);
	}
	TAILQ_REMOVE(&o->bundles, b, of_watched);
	b->watched = NULL;
	release(o);
}

/* --- workers --- */

void watches_on_up(struct watches *w, unsigned worker)
{
	struct watched *o, *next;

	HASH_ITER (hh, w->owners, o, next) {
		/* one that was not there before: its sessions are new to all */
		if (!o->at[worker].owner)
			owe(&o->at[worker], 0);
		ask_for_all(o, worker);
	}
}

void watches_on_down(struct watches *w, unsigned worker)
{
	struct watched *o, *next;

	HASH_ITER (hh, w->owners, o, next) {
		o->at[worker].is_live = false;
		owe(&o->at[worker], 0);
	}
}

static const char away[] =
	"{\"fatal\":false,\"code\":\"worker_unavailable\",\"message\":\"A worker "
	"is not reachable: what begins there is shown when it is back.\"}";
static const char back[] =
	"{\"code\":\"worker_unavailable\",\"message\":\"Connected to the worker again.\"}";

/* To each bundle that has not been told that the worker is away, or back. */
static void tell(struct watched *o, unsigned worker, bool is_away)
{
	struct chat_event e = {.ts = clock_wall_ms(),
			       .type = is_away ? CHAT_EVENT_ERROR : CHAT_EVENT_WARNING,
			       .payload = str_of(is_away ? away : back)};
	uint64_t bit = (uint64_t)1 << worker;
	auto_buf struct buf frame = BUF_INIT;
	struct bundle *b, *next;

	for (b = TAILQ_FIRST(&o->bundles); b; b = next) {
		next = TAILQ_NEXT(b, of_watched);
		if (!(b->knows_away & bit) != is_away || !bundle_takes_notice(b))
			continue;
		if (!frame.len)
			chat_event_add_frame(&frame, &e);
		b->knows_away ^= bit;
		(void)bundle_notice(b, (struct str){frame.data, frame.len});
	}
}

void watches_tick(struct watches *w, int64_t now)
{
	unsigned workers = backend_workers(hub_backend(w->hub));
	struct watched *o, *next;

	HASH_ITER (hh, w->owners, o, next) {
		o->is_held = true;
		for (unsigned i = 0; i < workers; i++) {
			struct watch *x = &o->at[i];

			if (now >= x->rest_until)
				ask_for_all(o, i);
			if (!x->is_live && !x->dark_since)
				x->dark_since = now;
			if (x->is_live)
				tell(o, i, false);
			else if (now - x->dark_since >= LIMIT_FEED_DARK_MS)
				tell(o, i, true);
		}
		o->is_held = false;
		release(o);
	}
}
