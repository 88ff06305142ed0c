/*
 * event_log.h - what a worker writes, in order, committed in groups.
 *
 * A worker appends writes while it works; event_log_commit(), called once at the end of each pass
 * of its loop, makes one transaction of all that is pending and then tells, in order, what is now
 * true: `committed` for each event, then the callbacks that were appended with event_log_after().
 * Nothing that is told can be taken back by a crash (durability = full: nor by power loss).
 *
 * When a commit fails, everything stays pending and is tried again every LIMIT_LOG_RETRY_MS; until
 * then the log is `stalled`. A COMMIT that failed may still have happened: the connection is
 * opened anew and the first pending event is looked up before anything is written again.
 *
 * Guarded writes (sql.h) carry the generation of their run in the same statement. One that changes
 * nothing belongs to a stale run: it and all that follows of that run is left out, and `stale` is
 * told.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "chatd/store/db.h"
#include "chatd/store/event_index.h"
#include "common/id.h"
#include "common/limits.h"
#include "proto/chat_event.h"

struct event_log;

/* What the log must know of a session; embedded in the worker's session. */
struct log_session {
	char id[LIMIT_ID + 1];
	int64_t row;	  /* 0 until its insert is committed */
	unsigned pending; /* writes of it that are not committed: it must not be freed */
	uint64_t stale;	  /* the generation that was found stale; 0: none */
	/* of the last event that was told */
	uint64_t committed, committed_generation;
	struct log_tail tail;
};

/* A turn as far as the log must know it; shared by the turn and its pending writes. */
struct log_turn {
	int refs;
	int64_t row;
	char id[ID_LEN];
};
struct log_turn *log_turn_new(const char *id, int64_t row);
void log_turn_unref(struct log_turn *t);

struct event_log_ops {
	/* An event is committed. */
	void (*committed)(void *arg, struct log_session *s, const struct chat_event *e);
	/* A run of s lost its right to write. */
	void (*stale)(void *arg, struct log_session *s, uint64_t generation);
	/* The log can't be written (why: text), or can again (NULL). */
	void (*stalled)(void *arg, const char *why);
};

struct event_log_stats {
	uint64_t commits, events, bytes, failures, checkpoints;
	uint64_t checkpoint_us_sum;
	uint64_t commit_us_sum, commit_us_max; /* max since last read by event_log_take_max() */
	uint64_t commit_buckets[8]; /* commits that took at most 0.25, 0.5, 1, 2.5, 5, 10, 50 ms,
				       more */
	uint64_t batch_buckets[8];  /* commits of at most 1, 2, 5, 10, 50, 100, 500 events, more */
	uint64_t pending_events, pending_bytes;
	int wal_pages;
};

/*
 * Takes over nothing; path must outlive it. Returns as db_open(); where that would be -1 and the
 * log can be read, 0 with a log that is stalled from its start, which `stalled` is told in this
 * call.
 */
int event_log_open(struct event_base *base, const char *path, bool durability_full,
		   const struct event_log_ops *ops, void *arg, struct event_log **ret_log,
		   const char **ret_error);
/* Tries a last commit and a checkpoint; what stays pending is lost, as in a crash. NULL is fine. */
void event_log_free(struct event_log *l);

/*
 * Appends a statement. ?1 is the session's row and ?2 the generation; `types` describes what
 * follows from ?3 on: i int64_t, u int64_t that is NULL when negative, t const char * (copied, NULL
 * allowed), T the turn's row. s is NULL for statements of no session. SESSION_INSERT takes the
 * session's id instead of a row.
 */
void event_log_write(struct event_log *l, enum sql which, struct log_session *s, struct log_turn *t,
		     uint64_t generation, const char *types, ...);
/* Appends an event. payload is taken over (malloc'ed). */
void event_log_event(struct event_log *l, struct log_session *s, struct log_turn *t,
		     uint64_t generation, uint64_t seq, enum chat_event_type type, char *payload,
		     size_t n);
/*
 * After the next commit and after all its events were told: done(arg, ok). ok is false if a write
 * of s was found stale, or the log is being freed. s may be NULL.
 */
void event_log_after(struct event_log *l, struct log_session *s, void (*done)(void *arg, bool ok),
		     void *arg);

/*
 * Takes back what is pending of the run of s that began with `generation`, its callbacks being told
 * false; what came before it stays. 0, or -1: nothing of it is pending, or a COMMIT that holds it
 * may have happened.
 */
int event_log_withdraw(struct event_log *l, struct log_session *s, uint64_t generation);

void event_log_commit(struct event_log *l);
/* Indexes what dead processes left, and what living ones have not indexed yet. Done at the start;
 * again where much is read of sessions that nobody writes to. Without it all is found, only slower.
 */
void event_log_catch_up(struct event_log *l);
/* s, of which nothing is pending, is about to be freed. A NULL log is fine. */
void event_log_forget(struct event_log *l, struct log_session *s);

/* A checkpoint is run each time the WAL has grown by this many pages. Default: LIMIT_WAL_PAGES, and
 * LIMIT_WAL_BUSY_PAGES more while commits are large. */
void event_log_set_checkpoint_pages(struct event_log *l, int pages);

/* After writes of somebody else over the same connection: a checkpoint, if one is due. */
void event_log_tidy(struct event_log *l, bool busy);
/* Such a write, or a read, failed: the connection is opened anew before the next commit. */
void event_log_distrust(struct event_log *l);

bool event_log_is_stalled(const struct event_log *l);
size_t event_log_pending_bytes(const struct event_log *l);
const struct event_log_stats *event_log_stats(struct event_log *l);
uint64_t event_log_take_max(struct event_log *l); /* µs; resets it */
/* For reads, also while the log is stalled. NULL if it can't even be opened to be read. */
struct db *event_log_db(struct event_log *l);
