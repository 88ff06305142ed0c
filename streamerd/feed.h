/*
 * feed.h - one session as one owner sees it: its subscription, its tail, its viewers.
 *
 * Owned by the hub. Changed by what arrives, settled once a pass: feed_settle() answers the joins
 * that can be answered and pushes the viewers.
 */
#pragma once

#include <stdbool.h>

#include "common/hash.h"
#include "common/list.h"
#include "streamerd/catchup.h"
#include "streamerd/hub.h"
#include "streamerd/sse.h"
#include "streamerd/tail.h"

enum feed_state {
	FEED_OFF,	  /* not subscribed; viewers may be waiting for the worker to come back */
	FEED_SUBSCRIBING, /* asked */
	FEED_LIVE,	  /* every committed event arrives */
};

/* Does a turn run? As far as the events so far tell. */
enum feed_activity { FEED_UNKNOWN, FEED_BUSY, FEED_IDLE };

struct feed {
	struct hub *hub; /* borrowed: the owner */
	char *key;	 /* owned: owner, newline, session id */
	size_t key_len;
	struct str owner, session_id; /* inside key; session_id is NUL-terminated */
	UT_hash_handle by_key, by_sub;
	TAILQ_ENTRY(feed) marked, empty, cached, troubled, held;
	bool is_marked, is_empty, is_troubled, is_held;
	int64_t empty_since, snapshot_at, rest_until; /* monotonic ms */
	int64_t dark_since;  /* not live since, as outage.c saw it; 0 while live */
	bool is_dark;	     /* ... for so long that viewers are told */
	bool has_told;	     /* some of them may know of it, and not yet of its end */
	int64_t pause_until; /* pace.h: monotonic us; 0: none */
	int64_t pause_us;    /* ... and how long it is */
	int64_t pass_us;     /* what the last pass that had events for its viewers took */
	size_t gathered;     /* bytes of events since it was last settled */

	enum feed_state state;
	enum feed_activity activity;
	unsigned worker;		      /* whom it is, or was last, subscribed at */
	uint64_t sub;			      /* 0 if not subscribed */
	uint64_t subscribe_req, snapshot_req; /* open calls, 0 if none */
	uint32_t asks, answered; /* number of the last snapshot asked for; of the last that came */
	bool is_gone;		 /* the worker knows no such session: ends with its last viewer */
	uint64_t cleared_seq; /* the session_cleared that was last seen, live or in a page; or 0 */
	bool is_doubted; /* session_cleared came last: is it deleted, or can it be continued? */
	bool snapshot_is_fresh; /* arrived in this pass: good for all who wait for it */
	enum fault join_fault;	/* all who wait now are refused with it */

	struct tail tail;	/* tail.n == 0 until the first subscription */
	struct block *snapshot; /* owned reference; the last one fetched, or NULL */
	struct catchup catchup;
	struct buf notices;	  /* frames that stand behind events which are not sent yet */
	TAILQ_HEAD(, join) joins; /* owned */
	TAILQ_HEAD(viewer_list, viewer) viewers; /* owned; those whose sockets take more ... */
	struct viewer_list blocked; /* ... and those that wait for theirs: left alone */
	TAILQ_HEAD(member_list, member) members; /* of bundles, who own them */
};

void feed_add_key(struct buf *b, struct str owner, struct str session_id);
struct feed *feed_new(struct hub *h, struct str owner, struct str session_id);
void feed_free(struct feed *f);		    /* nobody may need it */
bool feed_is_watched(const struct feed *f); /* is there somebody to whom it is sent? */

void feed_settle(struct feed *f);
void feed_on_event(struct feed *f, const struct msg_event *e);
void feed_drop_snapshot(struct feed *f); /* the cached one, if any */
/* The worker failed us: nothing is asked of it before the next tick. */
void feed_rest(struct feed *f);
bool feed_is_resting(struct feed *f); /* 1: it will be settled again when it no longer is */
void feed_lost(struct feed *f);	      /* the link to its worker is down */
void feed_end_all(struct feed *f, enum fault joins, enum viewer_end viewers);

/* --- for viewers --- */
enum feed_found {
	FEED_FOUND,   /* go on in place.block at place.off */
	FEED_AT_END,  /* there is nothing more yet; place is the end of the tail */
	FEED_WAIT,    /* has been asked for */
	FEED_REFUSED, /* there is no way on from this cursor: place.reason */
};

struct feed_place {
	struct block *block; /* borrowed */
	size_t off;
	enum sse_reason reason;
};

/* Where the event after (generation, seq) is. */
enum feed_found feed_locate(struct feed *f, uint64_t generation, uint64_t seq,
			    struct feed_place *ret);
/*
 * A reference to a snapshot frame from which the tail goes on, with the reason in it if there is
 * one; or NULL: it has been asked for.
 */
struct block *feed_snapshot(struct feed *f, enum sse_reason reason);
/* Is it subscribed, and known to exist? If not, that is being asked. */
bool feed_is_sure(struct feed *f);
/* Was a viewer that has everything, and everything since that seq as events, sent session_cleared
 * as the last of them? */
bool feed_was_cleared(const struct feed *f, uint64_t since);
/* Does nothing run, for a viewer that has everything and came when `asks` was that? */
bool feed_is_idle(struct feed *f, uint32_t came_at);
