/*
 * pending_write.h - one thing that was appended to the event log and is not yet committed.
 *
 * Private to chatd/store: event_log.c keeps the list, log_outcome.c reads it after a COMMIT that
 * may have happened.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "chatd/store/db.h"
#include "chatd/store/event_log.h"
#include "common/list.h"

struct param;

enum pending_kind { PENDING_EVENT, PENDING_STATEMENT, PENDING_AFTER };

struct pending_write {
	TAILQ_ENTRY(pending_write) link;
	enum pending_kind kind;
	enum sql sql;
	struct log_session *session; /* borrowed; its `pending` counts us */
	struct log_turn *turn;	     /* counted reference, or NULL */
	uint64_t generation;
	bool dropped; /* stale: not told */
	size_t bytes; /* counted in pending_bytes */
	/* PENDING_EVENT */
	uint64_t seq;
	int64_t ts;
	enum chat_event_type type;
	char *payload; /* owned */
	size_t payload_n;
	/* PENDING_STATEMENT */
	struct param *params; /* owned */
	int n_params;
	/* PENDING_AFTER */
	void (*done)(void *arg, bool ok);
	void *arg;
};

TAILQ_HEAD(pending_list, pending_write);

/* In no list yet. Counts itself in t and in the `pending` of s (each may be NULL). */
struct pending_write *pending_write_new(enum pending_kind kind, enum sql sql, struct log_session *s,
					struct log_turn *t, uint64_t generation);
/* Copies the values from ?3 on, types as for event_log_write(); adds to the bytes of w. */
void pending_write_set_params(struct pending_write *w, const char *types, va_list ap);
/* The i-th of them, from 0: an integer. */
int64_t pending_write_int(const struct pending_write *w, int i);
/* Not in a list any more, and no more counted in its session: that is for who took it out. */
void pending_write_free(struct pending_write *w);

/*
 * Runs all of the list as one transaction, inside the gate. Returns an SQLite code; unless it is
 * SQLITE_OK, nothing is told and the list can be run again. *unknown is set when the COMMIT failed
 * and may have happened nevertheless, and left alone otherwise.
 *
 * x learns of the events and of the outcome; index_all: no event stays without an entry.
 *
 * Sets the rows of new sessions and turns, the `stale` of sessions, and `dropped` of writes.
 */
int pending_write_run_all(struct db *db, struct pending_list *list, struct event_index *x,
			  bool index_all, bool *unknown);
