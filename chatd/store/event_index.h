/*
 * event_index.h - writes down where each event of a session lies: later than the event, several at
 * once. Private to chatd/store, but for struct log_tail.
 *
 * An event that is not in the table event_index yet is still found: its session is in event_lag,
 * so the events behind the last one that is indexed are looked through (schema_4.sql, view
 * event_places). Each transaction leaves it so, whatever becomes of this process.
 *
 * What is not indexed is known here as well, in the session's log_tail: at most LIMIT_INDEX_LAG
 * events, for at most about LIMIT_INDEX_LAG_MS, and only by commits of more than LIMIT_INDEX_GROUP
 * events. The first other write of its session settles it: a turn that waits or has ended is
 * indexed to its last event, and not in event_lag.
 *
 * Functions that return int return an SQLite code and belong into the caller's transaction, whose
 * outcome they must be told.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "chatd/store/db.h"
#include "common/limits.h"
#include "common/list.h"

struct log_session;

/* A session's newest events. Zeroed at first; all of it is event_index.c's. */
struct log_tail {
	TAILQ_ENTRY(log_session) lag_link, touch_link;
	bool is_lagging, is_touched;
	bool is_known; /* at[] is all that is not indexed, and has_lag is right */
	bool has_lag;  /* event_lag has the session */
	/* nobody else has its generation: this process began the run, or put it into event_lag */
	bool owns;
	bool must_settle, owns_now; /* said by the transaction that runs */
	uint64_t generation;	    /* of the run that wrote last */
	uint64_t last_seq;	    /* of the transaction that runs, or committed */
	int64_t lags_since;	    /* monotonic ms */
	unsigned n;
	struct {
		uint64_t seq;
		int64_t row;
	} at[LIMIT_INDEX_LAG];
};

TAILQ_HEAD(log_session_list, log_session);

struct event_index {
	struct log_session_list lagging; /* not indexed to its end, longest first. Borrowed */
	struct log_session_list touched; /* by the transaction that runs. Borrowed */
};

void event_index_init(struct event_index *x);
/* Sessions may be freed afterwards. */
void event_index_fini(struct event_index *x);

/* What a dead process left is indexed, in a transaction of its own. Inside the gate. */
int event_index_catch_up(struct db *db);

/*
 * DUR-3: whether s has no event yet with that seq or a later one. No index refuses it at the
 * insert. The log is asked where another process could have written with the same generation: one
 * that was taken for dead while a turn waited.
 */
int event_index_is_next(struct event_index *x, struct db *db, struct log_session *s, uint64_t seq,
			bool *ret);
/* An event of s was inserted as that row. */
int event_index_add(struct event_index *x, struct db *db, struct log_session *s,
		    uint64_t generation, uint64_t seq, int64_t row);
/* Something else of s was written; begins_run: with which it began a run. */
void event_index_settle(struct event_index *x, struct log_session *s, uint64_t generation,
			bool begins_run);
/* Before COMMIT. events: how many the transaction has; all: nothing may be left to index. */
int event_index_run(struct event_index *x, struct db *db, uint64_t events, bool all, int64_t now);
void event_index_committed(struct event_index *x, int64_t now);
/* It was rolled back, or may have been. */
void event_index_failed(struct event_index *x);

/* When something has to be indexed even if nothing is written: monotonic ms, INT64_MAX never. */
int64_t event_index_due(const struct event_index *x);
/* s is about to be freed. */
void event_index_forget(struct event_index *x, struct log_session *s);
