/*
 * bundle.h - one SSE connection that shows several sessions: a socket, and a cursor into the feed
 * of each.
 *
 * A bundle is to several feeds what a viewer is to one, and its rules are a viewer's: no bytes are
 * kept for it, what its socket does not take stays in the blocks or in the log. It shows a list of
 * sessions, or all of an owner's (watches.h says which those are). One with a list may also say
 * whenever something changed in any of the owner's sessions, without saying what: one bit is owed.
 */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>

#include "common/limits.h"
#include "common/list.h"
#include "streamerd/feed.h"
#include "streamerd/hub.h"
#include "streamerd/stream_query.h"

struct bundle;
struct watched;

/* A session of a bundle. */
struct member {
	TAILQ_ENTRY(member) of_bundle; /* all of them; of those that are not busy, longest first */
	TAILQ_ENTRY(member) of_feed;
	TAILQ_ENTRY(member) turn; /* in the bundle's ready or starved */
	struct bundle *bundle;	  /* borrowed: the owner */
	struct feed *feed;	  /* borrowed; NULL: it only says the frame in block, and goes */
	struct block *block;	  /* owned reference: what is being sent; may be NULL */
	uint64_t generation, seq; /* without a block: the last event sent whole */
	uint64_t since;		  /* has every later event as such: its cursor or snapshot */
	uint32_t off;		  /* in block */
	uint32_t part;		  /* without a block: bytes sent of the event after seq */
	enum fault fault;	  /* why its feed could not serve it when it last tried */
	uint8_t reason;		  /* enum sse_reason of the snapshot that it needs */
	uint8_t asks_of;	  /* 1 + the worker whose snapshot it waits for or sends; 0: none */
	enum { TURN_NONE, TURN_READY, TURN_STARVED } queue;
	bool has_begun;	     /* was found in its feed */
	bool needs_snapshot; /* before anything else */
	bool is_busy;	     /* a turn runs or waits, as far as is known */
	bool saw_busy;	     /* ... and its feed said so, since it was last subscribed */
	bool knows_outage;   /* its viewer was told that its worker is away */
};
TAILQ_HEAD(turn_queue, member);

struct bundle {
	struct event ev;		/* owned, once accepted */
	TAILQ_ENTRY(bundle) link;	/* in its slot of the wheel */
	TAILQ_ENTRY(bundle) marked;	/* to be settled */
	TAILQ_ENTRY(bundle) of_watched; /* if it watches */
	struct hub *hub;		/* borrowed */
	uint64_t owner;			/* a count taken */
	struct watched *watched;	/* NULL: it does not */
	const struct join_ops *ops;	/* until it is accepted */
	void *arg;
	TAILQ_HEAD(, member) members; /* owned */
	struct turn_queue ready;      /* may have something to send */
	struct turn_queue starved;    /* wait until fewer snapshots are on their way */
	struct member *current;	      /* has sent a part of a frame: nobody else's turn */
	int64_t progress;	      /* when its socket last took something, monotonic ms */
	uint64_t knows_away;	      /* bit by worker: was told that it is away */
	uint64_t stamp;		      /* bundle.c: does it show the session in question? */
	int fd;			      /* owned; -1 until accepted */
	unsigned n;		      /* members */
	unsigned asks;		      /* lists that it waits for */
	bool has_heard;		      /* has been given one */
	enum fault fault;	      /* why it was not */
	enum sse_reason reason; /* of snapshots of those that it comes back to without a cursor */
	uint8_t snapshots[LIMIT_WORKERS]; /* of each worker: on their way, or being sent */
	uint8_t slot;
	uint8_t comment_left; /* bytes of a heartbeat still to send */
	bool is_accepted, is_blocked, is_marked;
	bool is_all;	   /* it shows all */
	bool owes_changes; /* something changed that it has not been told of */
	bool is_full;	   /* something that runs is not shown for want of room */
	bool knows_full;
};
TAILQ_HEAD(bundle_list, bundle);

struct bundle_request {
	struct str owner;		  /* copied */
	const struct stream_query *query; /* copied */
	const struct join_ops *ops; /* as for a join: exactly one of accept and refuse, later */
	void *arg;
};

/* FAULT_NONE and *ret_bundle, or FAULT_TOO_MANY, or FAULT_WORKER_UNAVAILABLE while draining. */
enum fault bundle_join(struct hub *h, const struct bundle_request *r, struct bundle **ret_bundle);
/* The request has gone away before it was accepted: no callback any more. */
void bundle_cancel(struct bundle *b);

/* --- for the hub: all of them --- */
struct bundles *bundles_new(struct hub *h);
void bundles_free(struct bundles *all);
void bundles_settle(struct bundles *all); /* the end of a pass, after the feeds */
void bundles_tick(struct bundles *all, int64_t now);
void bundles_end_all(struct bundles *all);
void bundles_on_up(struct bundles *all, unsigned worker);
void bundles_on_down(struct bundles *all, unsigned worker);
void bundles_on_activity(struct bundles *all, const struct msg_activity *a);

/* --- for feeds --- */
/* Something has changed: called when the feed is settled. Ends nothing. */
void member_wake(struct member *m);
/* Gives its block back and remembers the place as a cursor. The block must hold events. */
void member_detach(struct member *m);
bool bundle_takes_notice(const struct bundle *b);
/* Sends an unnumbered frame if it takes one now; else not. May end it. Was it sent? */
bool bundle_notice(struct bundle *b, struct str frame);

/* --- for watches.c --- */
/* Shows the session from now on, if there is room. busy: its turn runs or waits. */
void bundle_follow(struct bundle *b, struct str session_id, bool busy);
void bundle_mark(struct bundle *b);
/* Something changed in a session of the owner's: told if it wants to be. */
void bundle_changed(struct bundle *b);

/* --- between bundle.c, bundle_send.c and member.c --- */
enum member_look {
	MEMBER_BYTES,	/* block has something for it */
	MEMBER_AT_END,	/* it has everything */
	MEMBER_WAITS,	/* its feed will wake it */
	MEMBER_STARVES, /* it waits until fewer snapshots are on their way */
	MEMBER_OVER,	/* it has said all it will ever say */
	MEMBER_LOST,	/* half a frame was sent that can't be completed */
};
enum member_look member_look(struct member *m);
/* f NULL: it will be given a frame to say. */
struct member *member_new(struct bundle *b, struct feed *f);
void member_say(struct member *m, const struct chat_event *e); /* instead of what f has */
void member_set_busy(struct member *m, bool busy);
void member_queue(struct member *m, int queue); /* TURN_… */
void member_free(struct member *m);
void bundle_push(struct bundle *b); /* sends what is there. May end it */
void bundle_heartbeat(struct bundle *b, int64_t now);
void bundle_begin(struct bundle *b, struct str head); /* its socket is there. May end it */
void bundle_end(struct bundle *b, enum viewer_end why);
