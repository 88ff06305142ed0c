/*
 * watch.c - streamerds that want to know in which sessions of an owner something begins. See
 * watch.h.
 *
 * One entry for each owner and streamerd, however many people watch there. What is told is a few
 * messages a turn: of the event that begins it, with its payload, and, without, of what changes how
 * the session stands in a list; everything else goes to those who then subscribe. Nothing is kept
 * for a streamerd that is away: it asks for the list when it is back.
 */
#include "chatd/worker/watch.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/worker/link.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/require.h"
#include "proto/shard.h"

struct owner_watch {
	LIST_ENTRY(owner_watch) of_owner;
	struct link *link; /* borrowed: the watch ends with it */
	uint64_t sub;
};

/* An owner who is watched. Owned by the worker's table. */
struct watched_owner {
	char *owner; /* owned: the key */
	LIST_HEAD(, owner_watch) watches;
	UT_hash_handle hh;
};

static struct watched_owner *find(struct worker *w, struct str owner)
{
	struct watched_owner *o;

	HASH_FIND(hh, w->watched, owner.p, owner.n, o);
	return o;
}

void watch_owner(struct worker *w, struct link *l, struct str owner, uint64_t sub)
{
	struct watched_owner *o = find(w, owner);
	struct owner_watch *x;

	if (!o) {
		o = calloc(1, sizeof(*o));
		REQUIRE(o);
		o->owner = str_dup(owner);
		LIST_INIT(&o->watches);
		HASH_ADD_KEYPTR(hh, w->watched, o->owner, owner.n, o);
	}
	LIST_FOREACH (x, &o->watches, of_owner) {
		if (x->link == l && x->sub == sub)
			return;
	}
	x = calloc(1, sizeof(*x));
	REQUIRE(x);
	x->link = l;
	x->sub = sub;
	LIST_INSERT_HEAD(&o->watches, x, of_owner);
}

/* Those of l, of that number or of any. Owners are few: one for each person who looks on. */
static void end(struct worker *w, struct link *l, const uint64_t *sub)
{
	struct watched_owner *o, *next_o;
	struct owner_watch *x, *next;

	HASH_ITER (hh, w->watched, o, next_o) {
		for (x = LIST_FIRST(&o->watches); x; x = next) {
			next = LIST_NEXT(x, of_owner);
			if (x->link != l || (sub && x->sub != *sub))
				continue;
			LIST_REMOVE(x, of_owner);
			free(x);
		}
		if (LIST_EMPTY(&o->watches)) {
			HASH_DEL(w->watched, o);
			free(o->owner);
			free(o);
		}
	}
}

void watch_end(struct link *l, uint64_t sub)
{
	end(link_worker(l), l, &sub);
}

void watch_end_all(struct link *l)
{
	end(link_worker(l), l, NULL);
}

/* That a session waits is known when its row says so: watch_tell_waiting(). */
static bool changes_a_list(enum chat_event_type type)
{
	return type == CHAT_EVENT_RESPONSE_END || type == CHAT_EVENT_ABORTED ||
	       type == CHAT_EVENT_ERROR || type == CHAT_EVENT_TURN_QUEUED ||
	       type == CHAT_EVENT_PROMPT_RESOLVED;
}

static void tell(struct session *s, const struct chat_event *e)
{
	struct watched_owner *o;
	struct owner_watch *x;

	o = find(s->worker, str_of(s->owner));
	if (!o)
		return;
	LIST_FOREACH (x, &o->watches, of_owner) {
		struct msg m = {
			.type = MSG_ACTIVITY,
			.activity = {.sub = x->sub,
				     .session_id = str_of(s->log.id),
				     .generation = e->generation,
				     .seq = e->seq,
				     .ts = e->ts,
				     .type = e->type,
				     .turn_id = e->turn_id,
				     .payload = e->payload},
		};

		link_send(x->link, &m);
	}
}

void watch_tell(struct session *s, const struct chat_event *e)
{
	struct chat_event bare = *e;

	if (!s->worker->watched || !e->seq)
		return;
	bare.payload = str_of("{}");
	if (chat_event_is_beginning(e->type))
		tell(s, e);
	else if (changes_a_list(e->type))
		tell(s, &bare);
}

void watch_tell_waiting(struct session *s)
{
	struct chat_event e = {.turn_id = str_of(s->last_turn_id),
			       .generation = s->generation,
			       .seq = s->last_seq,
			       .ts = clock_wall_ms(),
			       .type = CHAT_EVENT_PROMPT_PENDING,
			       .payload = str_of("{}")};

	if (s->worker->watched)
		tell(s, &e);
}

/* Those of the list that are ours. Takes the list over; NULL if it is. */
static json_t *ours(const struct worker *w, json_t *list)
{
	for (size_t i = list ? json_array_size(list) : 0; i-- > 0;) {
		const char *id = json_string_value(json_array_get(list, i));

		if (shard_of(str_of(id), w->count) != w->index)
			(void)json_array_remove(list, i);
	}
	return list;
}

json_t *watch_list(struct worker *w, struct str owner, int64_t since)
{
	auto_free char *text = str_dup(owner);
	struct db *db = event_log_db(w->log);
	json_t *active = ours(w, query_owner_active(db, text));
	json_t *changed =
		since ? ours(w, query_owner_changed(db, text, since, LIMIT_BUNDLE_SESSIONS))
		      : json_array();

	if (active && changed)
		return json_pack("{s:o, s:o}", "active", active, "changed", changed);
	json_decref(active);
	json_decref(changed);
	return NULL;
}
