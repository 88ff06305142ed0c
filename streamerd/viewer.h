/*
 * viewer.h - one SSE connection: a socket and a cursor into a feed.
 *
 * What a viewer has been sent is said by its cursor alone: (generation, seq) of the last event sent
 * whole, and how many bytes of the next. While it is sending, the cursor is a reference to a block
 * and an offset in it. No bytes are queued for a viewer: what its socket does not take stays in
 * the block, or in the log.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "streamerd/feed.h"
#include "streamerd/hub.h"

/* What a pass looks at for each viewer comes first. */
struct viewer {
	TAILQ_ENTRY(viewer) link; /* in feed->viewers, or feed->blocked */
	struct feed *feed;	  /* borrowed: the owner */
	struct block *block;	  /* owned reference: what is being sent; may be NULL */
	uint32_t off;		  /* in block */
	int fd;			  /* owned; in the hub's sockets */
	uint8_t slot;
	uint8_t reason;	      /* enum sse_reason: it needs a snapshot because of it */
	uint8_t comment_left; /* bytes of a heartbeat still to send */
	bool blocked : 1;     /* the socket is full: waits until it is writable */
	bool until_idle : 1;
	bool knows_outage : 1; /* was told that its worker is away, not yet that it is back */
	uint32_t came_at;      /* feed->asks when it came */
	uint32_t part;	       /* without a block: bytes sent of the event after seq */
	uint32_t progress;     /* blocked: since its socket takes nothing, monotonic ms, mod 2^32 */
	uint64_t generation, seq;      /* without a block: the last event sent whole */
	uint64_t since;		       /* has every later event as such: its cursor or snapshot */
	TAILQ_ENTRY(viewer) slot_link; /* in the hub's wheel */
	uint64_t owner;		       /* a count taken */
};

struct viewer_start {
	uint64_t owner; /* the count goes over */
	bool until_idle;
	uint32_t came_at;
	struct block *block; /* a reference that goes over, or NULL ... */
	size_t off;
	uint64_t generation, seq; /* ... then this is the cursor */
};

/* Takes fd, sends head and what is there. May end the viewer at once. */
void viewer_start(struct feed *f, int fd, struct str head, const struct viewer_start *start);
/* Would a notice be sent to it now? */
bool viewer_takes_notice(const struct viewer *v);
/* Sends an unnumbered frame if the viewer has everything and its socket takes it; else not. */
void viewer_notice(struct viewer *v, struct str frame);
/* Sends what is there for it, as much as its socket takes. May end it. */
void viewer_push(struct viewer *v);
void viewer_heartbeat(struct viewer *v, int64_t now); /* may end it */
/* Of its socket, from the hub's sockets. */
void viewer_on_socket(void *viewer, bool can_read, bool can_write);
/* Gives its block back and remembers the place as a cursor. The block must hold events. */
void viewer_detach(struct viewer *v);
void viewer_end(struct viewer *v, enum viewer_end why); /* closes and frees */

/* --- for every stream --- */
void viewer_prepare_socket(int fd);
/* Counts the end, says it in the log if somebody may ask, and closes fd. session_id: for the log.
 */
void viewer_close(int fd, enum viewer_end why, const char *session_id);
