/*
 * tail.h - the newest events of a session, as frames, in memory.
 *
 * At most LIMIT_TAIL_BLOCKS blocks of about LIMIT_TAIL_BLOCK bytes (a larger frame has a block of
 * its own). Embedded in its feed.
 */
#pragma once

#include "common/limits.h"
#include "streamerd/block.h"

struct tail {
	struct block *blocks[LIMIT_TAIL_BLOCKS]; /* owned references, oldest first */
	unsigned n;				 /* at least 1 once tail_reset() was called */
};

/* Empties it: the next event that is added follows (generation, seq). */
void tail_reset(struct tail *t, uint64_t generation, uint64_t seq);
void tail_fini(struct tail *t);
/*
 * Appends the next event. Returns the block that had to go to make room, which the caller must
 * unref, or NULL.
 */
struct block *tail_add(struct tail *t, uint64_t generation, struct str frame);

struct block *tail_last(const struct tail *t); /* borrowed */
uint64_t tail_first_seq(const struct tail *t); /* the event before its first frame */
uint64_t tail_last_seq(const struct tail *t);
uint64_t tail_last_generation(const struct tail *t);
/* The block that holds the event after seq; NULL if none does. Borrowed. */
struct block *tail_find_after(const struct tail *t, uint64_t seq);
