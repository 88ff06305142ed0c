/*
 * crowd.h - viewers by the thousand: they open event streams, parse them and check every event.
 *
 * Viewer i watches session i modulo the number of sessions. What each must get follows from what
 * the source made: after the position at which it came live, every seq once and in order.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/hist.h"
#include "tests/bench/poller.h"
#include "tests/bench/source.h"

enum crowd_server {
	CROWD_CHAT,  /* streamerd: ids are GENERATION-SEQ, the first event is a snapshot */
	CROWD_NCHAN, /* ids are nchan's own; live once the head is there */
	CROWD_BARE,  /* ids are SEQ; live once the head is there */
};

struct crowd;

/* Since crowd_clear(). */
struct crowd_counts {
	uint64_t delivered;
	uint64_t bytes;	     /* read */
	uint64_t reads;	     /* that brought something: deliveries / reads is what was coalesced */
	uint64_t holes;	     /* events that were skipped */
	uint64_t doubled;    /* events that had been there */
	uint64_t resets;     /* viewers that came back and got a snapshot instead of what follows */
	uint64_t ended;	     /* streams that the server ended */
	uint64_t refused;    /* answers other than 200 */
	int64_t last_us;     /* when the last event came */
	struct hist latency; /* of each delivery, since the event was made */
};

struct crowd *crowd_new(struct poller *p, const struct source *s, enum crowd_server server,
			int port);
void crowd_free(struct crowd *c);

/*
 * Begins to open n more viewers, at most `at_once` at a time; stalled ones have a small receive
 * buffer and never read after their head. The caller polls and calls crowd_continue() until
 * crowd_opening() is 0.
 */
void crowd_open(struct crowd *c, unsigned n, unsigned at_once, bool stalled);
/* Cuts the first n live viewers off, as a network does; they keep their cursors. */
void crowd_drop(struct crowd *c, unsigned n);
/* All that were dropped come back with Last-Event-ID, in the same way. */
void crowd_return(struct crowd *c, unsigned at_once);
void crowd_continue(struct crowd *c);
unsigned crowd_opening(const struct crowd *c); /* those that are not live yet */

unsigned crowd_live(const struct crowd *c); /* without the stalled */
/* Events that live viewers don't have yet. */
uint64_t crowd_missing(const struct crowd *c);

void crowd_clear(struct crowd *c); /* the counts */
const struct crowd_counts *crowd_counts(const struct crowd *c);
/*
 * Of those that came back: the time from crowd_return() until each had all that had been made by
 * then, in µs; *ret_behind is how many have not.
 */
void crowd_caught_up(const struct crowd *c, struct hist *ret, unsigned *ret_behind);
