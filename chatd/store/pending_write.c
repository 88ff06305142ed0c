/*
 * pending_write.c - a write of the event log: its form, its values, and how it is run. See
 * pending_write.h.
 *
 * A write is self-contained: texts and payload are its own, so that the transaction can be run
 * again from the list as often as it takes. Only row numbers are not: an INSERT alone knows them
 * (of a new session or turn), puts them into the session and turn, and the writes behind it bind
 * what they find there.
 *
 *	list:  BEGIN ─ write ─ write ─ … ─ COMMIT ── SQLITE_OK
 *	                 │ error            │ error: busy, it did not happen; else it may have
 *	                 └──────────────────┴─ ROLLBACK ── what was seen to be stale is void
 *
 * A guarded write (sql.h) that changes no row belongs to a run that lost its right to write. That
 * is no error of the transaction: the write is `dropped`, and so is what follows of that run; the
 * others are committed. A constraint that a guarded write hits says the same, and so does an event
 * with a seq that its session has used (DUR-3), which no index of the log would refuse.
 *
 * Not here: when to run, the gate, telling who waits (event_log.c), and what a COMMIT of unknown
 * outcome did (log_outcome.c).
 */
#include "chatd/store/pending_write.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/require.h"

#define MAX_PARAMS 12

struct param {
	char type; /* i, u, t, T */
	int64_t i;
	char *t; /* owned */
};

struct pending_write *pending_write_new(enum pending_kind kind, enum sql sql, struct log_session *s,
					struct log_turn *t, uint64_t generation)
{
	struct pending_write *w = calloc(1, sizeof(*w));

	REQUIRE(w);
	w->kind = kind;
	w->sql = sql;
	w->session = s;
	w->generation = generation;
	w->turn = t;
	if (t)
		t->refs++;
	if (s)
		s->pending++;
	return w;
}

void pending_write_set_params(struct pending_write *w, const char *types, va_list ap)
{
	w->n_params = (int)strlen(types);
	REQUIRE(w->n_params <= MAX_PARAMS);
	w->params = calloc((size_t)w->n_params + 1, sizeof(*w->params));
	REQUIRE(w->params);
	for (int i = 0; i < w->n_params; i++) {
		struct param *p = &w->params[i];
		const char *text;

		p->type = types[i];
		switch (p->type) {
		case 'i':
		case 'u':
			p->i = va_arg(ap, int64_t);
			break;
		case 't':
			text = va_arg(ap, const char *);
			p->t = text ? strdup(text) : NULL;
			REQUIRE(!text || p->t);
			w->bytes += text ? strlen(text) : 0;
			break;
		default:
			REQUIRE(p->type == 'T');
		}
	}
}

int64_t pending_write_int(const struct pending_write *w, int i)
{
	REQUIRE(i < w->n_params && w->params[i].type == 'i');
	return w->params[i].i;
}

void pending_write_free(struct pending_write *w)
{
	for (int i = 0; i < w->n_params; i++)
		free(w->params[i].t);
	free(w->params);
	free(w->payload);
	log_turn_unref(w->turn);
	free(w);
}

static void bind_event(sqlite3_stmt *st, const struct pending_write *w)
{
	(void)sqlite3_bind_int64(st, 1, w->session->row);
	(void)sqlite3_bind_int64(st, 2, (int64_t)w->generation);
	(void)sqlite3_bind_int64(st, 3, (int64_t)w->seq);
	if (w->turn)
		(void)sqlite3_bind_int64(st, 4, w->turn->row);
	(void)sqlite3_bind_int64(st, 5, w->ts);
	(void)sqlite3_bind_int(st, 6, (int)w->type);
	(void)sqlite3_bind_text(st, 7, w->payload, (int)w->payload_n, SQLITE_STATIC);
}

static void bind_statement(sqlite3_stmt *st, const struct pending_write *w)
{
	if (w->sql == SQL_SESSION_INSERT)
		(void)sqlite3_bind_text(st, 1, w->session->id, -1, SQLITE_STATIC);
	else if (w->session)
		(void)sqlite3_bind_int64(st, 1, w->session->row);
	if (sqlite3_bind_parameter_count(st) >= 2)
		(void)sqlite3_bind_int64(st, 2, (int64_t)w->generation);
	for (int i = 0; i < w->n_params; i++) {
		const struct param *p = &w->params[i];

		if (p->type == 'i' || (p->type == 'u' && p->i >= 0))
			(void)sqlite3_bind_int64(st, i + 3, p->i);
		else if (p->type == 'T')
			(void)sqlite3_bind_int64(st, i + 3, w->turn->row);
		else if (p->t)
			(void)sqlite3_bind_text(st, i + 3, p->t, -1, SQLITE_STATIC);
	}
}

/* One write inside the transaction. Returns an SQLite code; SQLITE_OK also for a stale one. */
static int run_write(struct db *db, struct pending_write *w, struct event_index *x)
{
	sqlite3_stmt *st;
	unsigned flags;
	bool is_next = true;
	int rc, changed;

	w->dropped = false;
	if (w->kind == PENDING_AFTER)
		return SQLITE_OK;
	flags = db_flags(w->sql);
	if ((flags & GUARDED) && w->session->stale && w->generation <= w->session->stale) {
		w->dropped = true;
		return SQLITE_OK;
	}
	if (w->kind == PENDING_EVENT) {
		rc = event_index_is_next(x, db, w->session, w->seq, &is_next);
		if (rc != SQLITE_OK)
			return rc;
	}
	st = db_stmt(db, w->sql);
	if (!st)
		return sqlite3_extended_errcode(db_handle(db));
	if (w->kind == PENDING_EVENT)
		bind_event(st, w);
	else
		bind_statement(st, w);
	rc = is_next ? sqlite3_step(st) : SQLITE_CONSTRAINT_UNIQUE;
	changed = rc == SQLITE_DONE ? sqlite3_changes(db_handle(db)) : 0;
	(void)sqlite3_reset(st); /* its error is rc */
	if (rc != SQLITE_DONE && (rc & 0xff) != SQLITE_CONSTRAINT)
		return rc == SQLITE_ROW ? SQLITE_MISUSE : rc;
	if ((flags & GUARDED) && changed != 1) {
		log_error("log.stale", "session=%s generation=%llu statement=%d code=%d",
			  w->session->id, (unsigned long long)w->generation, (int)w->sql, rc);
		w->session->stale = w->generation;
		w->dropped = true;
		return SQLITE_OK;
	}
	if (flags & NEW_SESSION)
		w->session->row = sqlite3_last_insert_rowid(db_handle(db));
	if (flags & NEW_TURN)
		w->turn->row = sqlite3_last_insert_rowid(db_handle(db));
	if (w->kind == PENDING_EVENT)
		return event_index_add(x, db, w->session, w->generation, w->seq,
				       sqlite3_last_insert_rowid(db_handle(db)));
	if (w->session)
		event_index_settle(x, w->session, w->generation, flags & NEW_RUN);
	return SQLITE_OK;
}

static int run_control(struct db *db, enum sql which)
{
	sqlite3_stmt *st = db_stmt(db, which);
	int rc;

	if (!st)
		return sqlite3_extended_errcode(db_handle(db));
	rc = sqlite3_step(st);
	(void)sqlite3_reset(st); /* its error is rc */
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int pending_write_run_all(struct db *db, struct pending_list *list, struct event_index *x,
			  bool index_all, bool *unknown)
{
	struct pending_write *w;
	uint64_t events = 0;
	int64_t now = clock_mono_ms();
	int rc = run_control(db, SQL_BEGIN);

	if (rc != SQLITE_OK)
		return rc;
	TAILQ_FOREACH (w, list, link) {
		rc = run_write(db, w, x);
		events += w->kind == PENDING_EVENT;
		if (rc != SQLITE_OK)
			break;
	}
	if (rc == SQLITE_OK)
		rc = event_index_run(x, db, events, index_all, now);
	if (rc == SQLITE_OK) {
		rc = run_control(db, SQL_COMMIT);
		if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
			*unknown = true;
	}
	if (rc == SQLITE_OK) {
		event_index_committed(x, now);
		return rc;
	}
	(void)run_control(db, SQL_ROLLBACK); /* may have rolled back itself */
	event_index_failed(x);
	TAILQ_FOREACH (w, list, link) {
		if (w->dropped)
			w->session->stale = 0; /* what was seen is void */
	}
	return rc;
}
