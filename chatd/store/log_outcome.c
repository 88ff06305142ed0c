/*
 * log_outcome.c - what a COMMIT did whose outcome is unknown. See log_outcome.h.
 *
 * A COMMIT that fails with an I/O error may have written its last frame before the error, so that
 * the next one who opens the database finds the transaction there. Run again, it would store its
 * events twice or find its own run stale; given up, events would be lost that others can see. So
 * the database is asked, over a connection opened anew.
 *
 * A transaction is all or nothing: one write that leaves a trace speaks for all of them. Traces are
 * ids, which are never used again, and the sequence numbers of events, each with its generation:
 *
 *	event            stored at its number by its generation, or not
 *	session insert   the session's row is there, removed or not, or it is not
 *	session removal  it is marked with the time of this removal, or not at all
 *	turn insert      the turn is there, or not
 *	anything else    nothing to be seen: it sets what it sets, the next write is asked
 *
 * Another process may remove a session just then, and take its rows out: that says nothing of us.
 *
 * Whether what is found there also survives a power cut is another matter: event_log.c copies it
 * into the database file before anything is told.
 */
#include "chatd/store/log_outcome.h"

#include <stdbool.h>

/* The row, or 0, or -1 if that can't be read now. *ret_second: of its second column, 0 for NULL. */
static int64_t lookup(struct db *db, enum sql which, const char *id, int64_t *ret_second)
{
	sqlite3_stmt *st = db_stmt(db, which);
	int64_t row = 0;

	*ret_second = 0;
	if (!st)
		return -1;
	(void)sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	switch (sqlite3_step(st)) {
	case SQLITE_ROW:
		row = sqlite3_column_int64(st, 0);
		*ret_second = sqlite3_column_int64(st, 1);
		break;
	case SQLITE_DONE:
		break;
	default:
		row = -1;
	}
	(void)sqlite3_reset(st); /* its error is in row */
	return row;
}

static int64_t lookup_row(struct db *db, enum sql which, const char *id)
{
	int64_t unused;

	return lookup(db, which, id, &unused);
}

/* Whether the event of w is stored: 1, 0, or -1 if that can't be read now. */
static int is_stored(struct db *db, const struct pending_write *w, int64_t session)
{
	sqlite3_stmt *st = db_stmt(db, SQL_EVENT_AT);
	int r;

	if (!st)
		return -1;
	(void)sqlite3_bind_int64(st, 1, session);
	(void)sqlite3_bind_int64(st, 2, (int64_t)w->seq);
	r = sqlite3_step(st);
	if (r == SQLITE_ROW)
		r = (uint64_t)sqlite3_column_int64(st, 0) == w->generation;
	else
		r = r == SQLITE_DONE ? 0 : -1;
	(void)sqlite3_reset(st); /* its error is in r */
	return r;
}

enum evidence { EVIDENCE_HAPPENED, EVIDENCE_NOT, EVIDENCE_NONE, EVIDENCE_UNREADABLE };

static enum evidence evidence_of_removal(const struct pending_write *w, int64_t session,
					 int64_t removed_at)
{
	if (session == 0) /* marked, and taken out since */
		return EVIDENCE_HAPPENED;
	if (removed_at == 0)
		return EVIDENCE_NOT;
	return removed_at == pending_write_int(w, 0) ? EVIDENCE_HAPPENED : EVIDENCE_NONE;
}

/* What the database says of one write. Ids are never used again, so each is conclusive. */
static enum evidence evidence_of(struct db *db, const struct pending_write *w)
{
	bool event = w->kind == PENDING_EVENT;
	int64_t session, removed_at, r;

	if (w->dropped || w->kind == PENDING_AFTER ||
	    (!event && w->sql != SQL_SESSION_INSERT && w->sql != SQL_TURN_INSERT &&
	     w->sql != SQL_SESSION_REMOVE))
		return EVIDENCE_NONE;
	session = lookup(db, SQL_SESSION_ROW, w->session->id, &removed_at);
	if (session < 0)
		return EVIDENCE_UNREADABLE;
	if (!event && w->sql == SQL_SESSION_REMOVE)
		return evidence_of_removal(w, session, removed_at);
	if (!event && w->sql == SQL_SESSION_INSERT)
		return session != 0 ? EVIDENCE_HAPPENED : EVIDENCE_NOT;
	if (session == 0)
		return EVIDENCE_NONE; /* its removal, further on, tells */
	r = event ? is_stored(db, w, session) : lookup_row(db, SQL_TURN_ROW, w->turn->id);
	if (r < 0)
		return EVIDENCE_UNREADABLE;
	if (r == 0 && removed_at) /* it may have been taken out since */
		return EVIDENCE_NONE;
	return r > 0 ? EVIDENCE_HAPPENED : EVIDENCE_NOT;
}

/* The next write of the transaction that was attempted, or NULL behind its last. */
static struct pending_write *after(struct pending_write *w, const struct pending_write *last)
{
	return w == last ? NULL : TAILQ_NEXT(w, link);
}

/*
 * After a COMMIT whose outcome is unknown: 1 if it did happen, 0 if not, -1 if that can't be read
 * now. A transaction is all or nothing, so the first write that leaves a trace tells. One without
 * any only sets what it sets, and is harmless to run again.
 */
static int did_happen(struct db *db, const struct pending_list *list,
		      const struct pending_write *last)
{
	struct pending_write *w;

	for (w = TAILQ_FIRST(list); w; w = after(w, last)) {
		switch (evidence_of(db, w)) {
		case EVIDENCE_HAPPENED:
			return 1;
		case EVIDENCE_NOT:
			return 0;
		case EVIDENCE_UNREADABLE:
			return -1;
		case EVIDENCE_NONE:
			break;
		}
	}
	return 0;
}

/* What a transaction that did happen taught: rows of its INSERTs, and which runs are stale. */
static int relearn(struct db *db, const struct pending_list *list, const struct pending_write *last)
{
	struct pending_write *w;

	for (w = TAILQ_FIRST(list); w; w = after(w, last)) {
		unsigned flags = w->kind == PENDING_STATEMENT ? db_flags(w->sql) : 0;
		int64_t row = 1;

		if (w->dropped) {
			w->session->stale = w->generation;
			continue;
		}
		if (flags & NEW_SESSION)
			row = w->session->row = lookup_row(db, SQL_SESSION_ROW, w->session->id);
		if (flags & NEW_TURN)
			row = w->turn->row = lookup_row(db, SQL_TURN_ROW, w->turn->id);
		if (row < 0) /* 0: it was removed, and taken out since */
			return -1;
	}
	return 0;
}

int log_outcome_find(struct db *db, const struct pending_list *list,
		     const struct pending_write *last)
{
	int happened = did_happen(db, list, last);

	if (happened == 1 && relearn(db, list, last) < 0)
		return -1;
	return happened;
}
