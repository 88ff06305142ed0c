/*
 * join.h - an HTTP request that wants to become a viewer and can't yet.
 *
 * It waits for the subscription, a snapshot or a replay page. Owned by its feed.
 */
#pragma once

#include "common/list.h"
#include "streamerd/hub.h"
#include "streamerd/sse.h"

struct join {
	TAILQ_ENTRY(join) link; /* in feed->joins */
	struct feed *feed;	/* borrowed: the owner */
	uint64_t owner;		/* a count taken */
	const struct join_ops *ops;
	void *arg;
	uint64_t generation, seq; /* the cursor, if has_cursor */
	enum sse_reason reason;	  /* why it gets a snapshot though it had a cursor */
	uint32_t came_at;	  /* feed->asks when it came */
	bool has_cursor;
	bool until_idle;
};

struct join *join_new(struct feed *f, uint64_t owner, const struct join_request *r);
/* The request has gone away: no callback any more. */
void join_cancel(struct join *j);

/* --- for the feed: each ends the join --- */
void join_refuse(struct join *j, enum fault fault);
void join_nothing(struct join *j);
/* Becomes a viewer that sends `first` (a reference that is taken over; may be NULL) from off, and
 * then what follows (generation, seq). */
void join_accept(struct join *j, struct block *first, size_t off, uint64_t generation,
		 uint64_t seq);
