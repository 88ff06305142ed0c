/*
 * retention.h - taking out of the log what has had its time, a little at once.
 *
 *	keys		answers kept for repeated POSTs, after keep_keys_ms
 *	fold		the events of turns that ended keep_deltas_ms ago: their stored answer stays
 *	remove		sessions that were last used keep_sessions_ms ago; beyond max_size the
 *oldest give back	free pages at the end of the file, but for a reserve that is used again
 *
 * A round walks through all of it once; a slice is one bounded transaction of a round, inside the
 * gate. What a crash interrupts the next round takes up: the rows say how far it came. A session
 * that runs, waits or has a queue is never touched, by a condition in the same transaction.
 *
 * A removed session is gone for everybody at once (removed_at, and another generation, so that
 * whoever holds it can write nothing more); its rows are then taken out. Its own row stays for
 * LIMIT_REMOVED_KEEP_MS: workers that hold the session find it there and tell its viewers.
 *
 * Two use it: worker 0 (chatd/worker/keeper.h), and `chatctl prune` (prune.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "chatd/store/db.h"

struct retention_policy {
	/* ms; 0: for ever */
	int64_t keep_deltas_ms, keep_sessions_ms, keep_keys_ms;
	int64_t max_size;	 /* bytes that are in use, free pages not counted; 0: no limit */
	int64_t removed_keep_ms; /* how long a removed session's row stays */
};

/* What was done since retention_new(). */
struct retention_stats {
	uint64_t rounds, slices, events, turns_folded, sessions_removed, keys, pages_given_back;
	uint64_t us;	 /* in slices, with their commits */
	uint64_t us_max; /* the longest of them */
	uint64_t failures;
};

struct retention;

struct retention *retention_new(void);
void retention_free(struct retention *r); /* NULL is fine */

/* Begins a round as of now (wall ms). *p is copied. */
void retention_begin(struct retention *r, const struct retention_policy *p, int64_t now);

enum retention_outcome {
	RETENTION_DONE,	 /* the round is over */
	RETENTION_MORE,	 /* call again, after a rest */
	RETENTION_LATER, /* somebody else writes just now: nothing was done */
	RETENTION_FULL,	 /* there is no room for it (logged): the round is over */
	RETENTION_FAILED /* it can't be written (logged): the round is over, the next one may work
			  */
};
/*
 * One transaction of about budget_us of work; its commit comes on top. wait: waits for the gate
 * (LIMIT_GATE_MS) instead of coming back with RETENTION_LATER.
 */
enum retention_outcome retention_slice(struct retention *r, struct db *db, int64_t budget_us,
				       bool wait);
/* Has a session been removed since the last round came to its end? (Or one of before: look again.)
 */
bool retention_has_removed(const struct retention *r, struct db *db);
/* Is there more than there should be: turns long over their time, or too many bytes? Then it must
 * not be kept waiting by load that never ends. */
bool retention_is_behind(const struct retention *r);
const struct retention_stats *retention_stats(const struct retention *r);
/* Bytes in use and in all, as the log is now. 0, or -1 if that can't be read. */
int retention_size(struct retention *r, struct db *db, int64_t *ret_used, int64_t *ret_file);
