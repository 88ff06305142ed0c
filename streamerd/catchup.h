/*
 * catchup.h - replay pages: how a viewer whose cursor is not in the tail finds its way from the
 * log.
 *
 * A page is what the worker answers to "what follows (generation, seq)?", as one block of frames.
 * It is fetched once for all viewers that stand at that cursor, and used by all whose cursor lies
 * in it. Embedded in its feed.
 */
#pragma once

#include <stdint.h>

#include "common/list.h"

struct feed;
struct feed_place;
struct page;

struct catchup {
	struct feed *feed;	  /* borrowed: the owner */
	TAILQ_HEAD(, page) pages; /* owned, newest first */
};

void catchup_init(struct catchup *c, struct feed *f);
void catchup_fini(struct catchup *c);	/* forgets, and drops the pages */
void catchup_forget(struct catchup *c); /* the pages that are still being fetched */
/*
 * FEED_FOUND, FEED_REFUSED, or FEED_WAIT: it is being fetched, or will be once there is memory or a
 * worker.
 */
int catchup_locate(struct catchup *c, uint64_t generation, uint64_t seq, struct feed_place *ret);
/* The pass is over: everybody has seen the refusals, and older pages can go. */
void catchup_settled(struct catchup *c);
