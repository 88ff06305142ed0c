/*
 * event_log.c - what a worker writes, in order, committed in groups. See event_log.h.
 *
 * pending: a list of writes, each self-contained (texts copied), so that a transaction can be run
 * again from the list as often as it takes. Row numbers that only an INSERT knows (of a new session
 * or turn) are put into the session and turn by that write and read by the ones behind it.
 *
 *	event_log_commit:  gate ─ BEGIN ─ each write ─ COMMIT ─ leave gate ─ tell
 *	                     │ busy                    │ error
 *	                     └── try again later       └── close, later open, look what is there
 *
 * A checkpoint runs here as well, inside the gate, when the WAL has grown by LIMIT_WAL_PAGES since
 * the last one: nobody can be committing then.
 */
#include "chatd/store/event_log.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/require.h"

#define MAX_PARAMS 12

struct param {
	char type; /* i, u, t, T */
	int64_t i;
	char *t; /* owned */
};

enum write_kind { WRITE_EVENT, WRITE_STATEMENT, WRITE_AFTER };

struct write {
	TAILQ_ENTRY(write) link;
	enum write_kind kind;
	enum sql sql;
	struct log_session *session; /* borrowed; its `pending` counts us */
	struct log_turn *turn;	     /* counted reference, or NULL */
	uint64_t generation;
	bool dropped; /* stale: not told */
	size_t bytes; /* counted in pending_bytes */
	/* WRITE_EVENT */
	uint64_t seq;
	int64_t ts;
	enum chat_event_type type;
	char *payload; /* owned */
	size_t payload_n;
	/* WRITE_STATEMENT */
	struct param *params; /* owned */
	int n_params;
	/* WRITE_AFTER */
	void (*done)(void *arg, bool ok);
	void *arg;
};

TAILQ_HEAD(write_list, write);

struct event_log {
	struct event_base *base; /* borrowed */
	const char *path;	 /* borrowed */
	bool durability_full;
	const struct event_log_ops *ops; /* borrowed */
	void *ops_arg;
	struct db *db;		   /* owned; NULL while it can't be opened */
	struct write_list pending; /* owned */
	size_t n_pending;
	bool stalled;
	bool suspect; /* the connection failed: to be opened anew before anything is written */
	bool commit_unknown;	 /* a COMMIT failed: it may have happened ... */
	struct write *attempted; /* ... for all up to this one. Borrowed from pending */
	struct event *retry;	 /* owned; only wakes the loop, whose pass ends with a commit */
	int64_t retry_at;
	int checkpoint_pages; /* how much the WAL may grow between checkpoints */
	int checkpoint_at;    /* WAL pages at which to checkpoint next */
	struct event_log_stats stats;
};

struct log_turn *log_turn_new(const char *id, int64_t row)
{
	struct log_turn *t = calloc(1, sizeof(*t));

	REQUIRE(t && strlen(id) < sizeof(t->id));
	t->refs = 1;
	t->row = row;
	strcpy(t->id, id);
	return t;
}

void log_turn_unref(struct log_turn *t)
{
	if (t && --t->refs == 0)
		free(t);
}

/* --- appending --- */

static struct write *append(struct event_log *l, enum write_kind kind, enum sql sql,
			    struct log_session *s, struct log_turn *t, uint64_t generation)
{
	struct write *w = calloc(1, sizeof(*w));

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
	TAILQ_INSERT_TAIL(&l->pending, w, link);
	l->n_pending++;
	return w;
}

void event_log_event(struct event_log *l, struct log_session *s, struct log_turn *t,
		     uint64_t generation, uint64_t seq, enum chat_event_type type, char *payload,
		     size_t n)
{
	struct write *w = append(l, WRITE_EVENT, SQL_EVENT_INSERT, s, t, generation);

	w->seq = seq;
	w->ts = clock_wall_ms();
	w->type = type;
	w->payload = payload;
	w->payload_n = n;
	w->bytes = n;
	l->stats.pending_events++;
	l->stats.pending_bytes += n;
}

void event_log_write(struct event_log *l, enum sql which, struct log_session *s, struct log_turn *t,
		     uint64_t generation, const char *types, ...)
{
	struct write *w = append(l, WRITE_STATEMENT, which, s, t, generation);
	va_list ap;

	w->n_params = (int)strlen(types);
	REQUIRE(w->n_params <= MAX_PARAMS);
	w->params = calloc((size_t)w->n_params + 1, sizeof(*w->params));
	REQUIRE(w->params);
	va_start(ap, types);
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
	va_end(ap);
	l->stats.pending_bytes += w->bytes;
}

void event_log_after(struct event_log *l, struct log_session *s, void (*done)(void *arg, bool ok),
		     void *arg)
{
	struct write *w = append(l, WRITE_AFTER, SQL_N, s, NULL, 0);

	w->done = done;
	w->arg = arg;
}

static void write_free(struct write *w)
{
	for (int i = 0; i < w->n_params; i++)
		free(w->params[i].t);
	free(w->params);
	free(w->payload);
	log_turn_unref(w->turn);
	free(w);
}

/* --- running --- */

static void bind_event(sqlite3_stmt *st, const struct write *w)
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

static void bind_statement(sqlite3_stmt *st, const struct write *w)
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
static int run_write(struct event_log *l, struct write *w)
{
	sqlite3_stmt *st;
	unsigned flags;
	int rc, changed;

	w->dropped = false;
	if (w->kind == WRITE_AFTER)
		return SQLITE_OK;
	flags = db_flags(w->sql);
	if ((flags & GUARDED) && w->session->stale && w->generation <= w->session->stale) {
		w->dropped = true;
		return SQLITE_OK;
	}
	st = db_stmt(l->db, w->sql);
	if (!st)
		return sqlite3_extended_errcode(db_handle(l->db));
	if (w->kind == WRITE_EVENT)
		bind_event(st, w);
	else
		bind_statement(st, w);
	rc = sqlite3_step(st);
	changed = rc == SQLITE_DONE ? sqlite3_changes(db_handle(l->db)) : 0;
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
		w->session->row = sqlite3_last_insert_rowid(db_handle(l->db));
	if (flags & NEW_TURN)
		w->turn->row = sqlite3_last_insert_rowid(db_handle(l->db));
	return SQLITE_OK;
}

static int run_control(struct event_log *l, enum sql which)
{
	sqlite3_stmt *st = db_stmt(l->db, which);
	int rc;

	if (!st)
		return sqlite3_extended_errcode(db_handle(l->db));
	rc = sqlite3_step(st);
	(void)sqlite3_reset(st); /* its error is rc */
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int64_t lookup_row(struct event_log *l, enum sql which, const char *id)
{
	sqlite3_stmt *st = db_stmt(l->db, which);
	int64_t row = 0;

	if (!st)
		return -1;
	(void)sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	switch (sqlite3_step(st)) {
	case SQLITE_ROW:
		row = sqlite3_column_int64(st, 0);
		break;
	case SQLITE_DONE:
		break;
	default:
		row = -1;
	}
	(void)sqlite3_reset(st); /* its error is in row */
	return row;
}

/* Whether the event of w is stored: 1, 0, or -1 if that can't be read now. */
static int is_stored(struct event_log *l, const struct write *w, int64_t session)
{
	sqlite3_stmt *st = db_stmt(l->db, SQL_EVENT_AT);
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

/* What the database says of one write. Ids are never used again, so each is conclusive. */
static enum evidence evidence_of(struct event_log *l, const struct write *w)
{
	bool event = w->kind == WRITE_EVENT;
	int64_t session, r;

	if (w->dropped || w->kind == WRITE_AFTER ||
	    (!event && w->sql != SQL_SESSION_INSERT && w->sql != SQL_TURN_INSERT &&
	     w->sql != SQL_SESSION_DELETE))
		return EVIDENCE_NONE;
	session = lookup_row(l, SQL_SESSION_BY_ID, w->session->id);
	if (session < 0)
		return EVIDENCE_UNREADABLE;
	if (!event && w->sql == SQL_SESSION_DELETE)
		return session == 0 ? EVIDENCE_HAPPENED : EVIDENCE_NOT;
	if (!event && w->sql == SQL_SESSION_INSERT)
		return session != 0 ? EVIDENCE_HAPPENED : EVIDENCE_NOT;
	if (session == 0)
		return EVIDENCE_NONE; /* its deletion, further on, tells */
	r = event ? is_stored(l, w, session) : lookup_row(l, SQL_TURN_ROW, w->turn->id);
	if (r < 0)
		return EVIDENCE_UNREADABLE;
	return r > 0 ? EVIDENCE_HAPPENED : EVIDENCE_NOT;
}

/* The next write of the transaction that was attempted, or NULL behind its last. */
static struct write *after(const struct event_log *l, struct write *w)
{
	return w == l->attempted ? NULL : TAILQ_NEXT(w, link);
}

/*
 * After a COMMIT whose outcome is unknown: 1 if it did happen, 0 if not, -1 if that can't be read
 * now. A transaction is all or nothing, so the first write that leaves a trace tells. One without
 * any only sets what it sets, and is harmless to run again.
 */
static int did_happen(struct event_log *l)
{
	struct write *w;

	for (w = TAILQ_FIRST(&l->pending); w; w = after(l, w)) {
		switch (evidence_of(l, w)) {
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

/* What was learned in a transaction that did happen: rows of its INSERTs, and which runs are stale.
 */
static int relearn(struct event_log *l)
{
	struct write *w;

	for (w = TAILQ_FIRST(&l->pending); w; w = after(l, w)) {
		unsigned flags = w->kind == WRITE_STATEMENT ? db_flags(w->sql) : 0;
		int64_t row = 1;

		if (w->dropped) {
			w->session->stale = w->generation;
			continue;
		}
		if (flags & NEW_SESSION)
			row = w->session->row = lookup_row(l, SQL_SESSION_BY_ID, w->session->id);
		if (flags & NEW_TURN)
			row = w->turn->row = lookup_row(l, SQL_TURN_ROW, w->turn->id);
		if (row < 0) /* 0: its session was deleted in the same transaction */
			return -1;
	}
	return 0;
}

static void note_commit(struct event_log *l, int64_t us)
{
	static const int64_t edges[] = {250, 500, 1000, 2500, 5000, 10000, 50000};
	int i = 0;

	while (i < 7 && us > edges[i])
		i++;
	l->stats.commit_buckets[i]++;
	l->stats.commits++;
	l->stats.commit_us_sum += (uint64_t)us;
	if ((uint64_t)us > l->stats.commit_us_max)
		l->stats.commit_us_max = (uint64_t)us;
}

static void maybe_checkpoint(struct event_log *l)
{
	static struct log_limit lines;
	int pages = db_wal_pages(l->db);
	int rc;

	if (pages < l->checkpoint_pages)
		l->checkpoint_at = l->checkpoint_pages;
	if (pages < l->checkpoint_at)
		return;
	rc = db_checkpoint(l->db, NULL); /* what it could not copy, the next one will */
	l->stats.checkpoints++;
	if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY && log_allowed(&lines, 3))
		log_warning("log.checkpoint", "why=\"%s\" wal_pages=%d", sqlite3_errstr(rc), pages);
	/* a reader may hold the WAL's end: then it goes on growing, and so does the distance */
	l->checkpoint_at = pages + l->checkpoint_pages;
}

static int run_transaction(struct event_log *l)
{
	struct write *w;
	int rc = run_control(l, SQL_BEGIN);

	if (rc != SQLITE_OK)
		return rc;
	TAILQ_FOREACH (w, &l->pending, link) {
		rc = run_write(l, w);
		if (rc != SQLITE_OK)
			break;
	}
	if (rc == SQLITE_OK) {
		rc = run_control(l, SQL_COMMIT);
		if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
			l->commit_unknown = true;
	}
	if (rc == SQLITE_OK)
		return rc;
	(void)run_control(l, SQL_ROLLBACK); /* may have rolled back itself */
	TAILQ_FOREACH (w, &l->pending, link) {
		if (w->dropped)
			w->session->stale = 0; /* what was seen is void */
	}
	return rc;
}

/* --- telling --- */

/* What was attempted is committed; what was appended since is not. */
static void tell(struct event_log *l)
{
	struct write_list told = TAILQ_HEAD_INITIALIZER(told);
	struct write *w, *last = l->attempted;

	do {
		w = TAILQ_FIRST(&l->pending);
		TAILQ_REMOVE(&l->pending, w, link);
		TAILQ_INSERT_TAIL(&told, w, link);
		l->n_pending--;
		l->stats.pending_events -= w->kind == WRITE_EVENT;
		l->stats.pending_bytes -= w->bytes;
	} while (w != last);
	l->attempted = NULL;
	TAILQ_FOREACH (w, &told, link) {
		struct chat_event e;

		if (w->session)
			w->session->pending--;
		if (w->kind != WRITE_EVENT)
			continue;
		if (w->dropped)
			continue;
		e = (struct chat_event){
			.session_id = str_of(w->session->id),
			.turn_id = str_of(w->turn ? w->turn->id : NULL),
			.generation = w->generation,
			.seq = w->seq,
			.ts = w->ts,
			.type = w->type,
			.payload = {w->payload, w->payload_n},
		};
		l->stats.events++;
		l->stats.bytes += w->payload_n;
		w->session->committed = w->seq;
		w->session->committed_generation = w->generation;
		l->ops->committed(l->ops_arg, w->session, &e);
	}
	while ((w = TAILQ_FIRST(&told))) {
		TAILQ_REMOVE(&told, w, link);
		if (w->kind == WRITE_AFTER)
			w->done(w->arg, !w->session || !w->session->stale);
		else if (w->dropped)
			l->ops->stale(l->ops_arg, w->session, w->generation);
		write_free(w);
	}
}

static void stall(struct event_log *l, const char *why)
{
	struct timeval tv = {0, LIMIT_LOG_RETRY_MS * 1000};

	l->stats.failures++;
	l->retry_at = clock_mono_ms() + LIMIT_LOG_RETRY_MS;
	(void)event_add(l->retry, &tv);
	if (l->stalled)
		return;
	l->stalled = true;
	log_error("log.stalled", "why=\"%s\" pending=%zu: turns wait, trying again every %d ms",
		  why, l->n_pending, LIMIT_LOG_RETRY_MS);
	l->ops->stalled(l->ops_arg, why);
}

/* What was pending is committed. What the callbacks append now is not: the next pass commits it. */
static void committed(struct event_log *l)
{
	bool was_stalled = l->stalled;

	if (was_stalled)
		log_notice("log.writable", "pending=%zu", l->n_pending);
	l->stalled = false;
	tell(l);
	if (was_stalled)
		l->ops->stalled(l->ops_arg, NULL);
	if (l->n_pending > 0)
		event_active(l->retry, EV_TIMEOUT, 1);
}

/*
 * What a failed sync left in the WAL is readable but maybe only in memory, and syncing it again
 * proves nothing. Copying it into the database, which is then synced, does.
 */
static bool make_durable(struct event_log *l)
{
	bool all;

	if (db_gate_enter(l->db) < 0)
		return false;
	(void)db_checkpoint(l->db, &all);
	db_gate_leave(l->db);
	l->stats.checkpoints++;
	return all;
}

/* Opens anew if need be and finds out what an unknown COMMIT did. 1: it happened, 0: go on, -1:
 * later. */
static int reopen(struct event_log *l)
{
	const char *why;
	int happened;

	if (l->suspect) {
		db_close(l->db);
		l->db = NULL;
		l->suspect = false;
	}
	if (!l->db && db_open(l->path, l->durability_full, &l->db, &why) != 0) {
		l->db = NULL;
		stall(l, why);
		return -1;
	}
	if (!l->commit_unknown)
		return 0;
	happened = did_happen(l);
	if (happened == 1 && relearn(l) < 0)
		happened = -1;
	if (happened < 0) {
		stall(l, sqlite3_errmsg(db_handle(l->db)));
		return -1;
	}
	if (happened == 1 && !make_durable(l)) {
		stall(l, "a commit that failed can't be made durable");
		return -1;
	}
	l->commit_unknown = false;
	return happened;
}

void event_log_commit(struct event_log *l)
{
	int64_t start = clock_mono_us();
	int rc;

	if (l->n_pending == 0 || (l->stalled && clock_mono_ms() < l->retry_at))
		return;
	switch (reopen(l)) {
	case 1:
		committed(l);
		return;
	case 0:
		break;
	default:
		return;
	}
	if (db_gate_enter(l->db) < 0) {
		stall(l, "the gate is held by another process");
		return;
	}
	l->attempted = TAILQ_LAST(&l->pending, write_list);
	rc = run_transaction(l);
	if (rc == SQLITE_OK)
		maybe_checkpoint(l);
	db_gate_leave(l->db);
	if (rc == SQLITE_OK) {
		note_commit(l, clock_mono_us() - start);
		committed(l);
		return;
	}
	stall(l, sqlite3_errstr(rc));
	rc &= 0xff;
	/* a full disk leaves the connection sound, and a new one could not be opened there */
	if (rc != SQLITE_BUSY && rc != SQLITE_LOCKED && rc != SQLITE_FULL)
		l->suspect = true; /* good for reads until the next try */
}

static bool begins_run(const struct write *w, uint64_t generation)
{
	if (w->kind == WRITE_AFTER)
		return false;
	return w->sql == SQL_SESSION_INSERT || w->sql == SQL_KEY_INSERT ||
	       w->generation >= generation;
}

int event_log_withdraw(struct event_log *l, struct log_session *s, uint64_t generation)
{
	struct write_list out = TAILQ_HEAD_INITIALIZER(out);
	struct write *w, *next;
	bool found = false;

	if (l->commit_unknown)
		return -1;
	for (w = TAILQ_FIRST(&l->pending); w; w = next) {
		next = TAILQ_NEXT(w, link);
		if (w->session != s)
			continue;
		found = found || begins_run(w, generation);
		if (!found)
			continue;
		TAILQ_REMOVE(&l->pending, w, link);
		TAILQ_INSERT_TAIL(&out, w, link);
		l->n_pending--;
		l->stats.pending_events -= w->kind == WRITE_EVENT;
		l->stats.pending_bytes -= w->bytes;
		s->pending--;
	}
	while ((w = TAILQ_FIRST(&out))) {
		TAILQ_REMOVE(&out, w, link);
		if (w->kind == WRITE_AFTER)
			w->done(w->arg, false);
		write_free(w);
	}
	/* something must be tried, or nobody finds out that the log can be written again */
	if (l->stalled && l->n_pending == 0)
		event_log_write(l, SQL_PROBE, NULL, NULL, 0, "");
	return found ? 0 : -1;
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	/* waking the loop is all: its pass ends with event_log_commit() */
}

int event_log_open(struct event_base *base, const char *path, bool durability_full,
		   const struct event_log_ops *ops, void *arg, struct event_log **ret_log,
		   const char **ret_error)
{
	struct event_log *l = calloc(1, sizeof(*l));
	int r;

	REQUIRE(l);
	l->base = base;
	l->path = path;
	l->durability_full = durability_full;
	l->ops = ops;
	l->ops_arg = arg;
	event_log_set_checkpoint_pages(l, LIMIT_WAL_PAGES);
	TAILQ_INIT(&l->pending);
	l->retry = evtimer_new(base, on_retry, l);
	REQUIRE(l->retry);
	r = db_open(path, durability_full, &l->db, ret_error);
	if (r != 0) {
		l->db = NULL;
		event_log_free(l);
		return r;
	}
	*ret_log = l;
	return 0;
}

void event_log_free(struct event_log *l)
{
	struct write *w;

	if (!l)
		return;
	l->retry_at = 0;
	event_log_commit(l);
	if (l->db && db_gate_enter(l->db) == 0) {
		(void)db_checkpoint(l->db,
				    NULL); /* an offer to the next one who opens it, no duty */
		db_gate_leave(l->db);
	}
	if (l->stats.pending_events > 0)
		log_error("log.lost", "events=%llu: never stored, and never shown",
			  (unsigned long long)l->stats.pending_events);
	while ((w = TAILQ_FIRST(&l->pending))) {
		TAILQ_REMOVE(&l->pending, w, link);
		if (w->session)
			w->session->pending--;
		if (w->kind == WRITE_AFTER)
			w->done(w->arg, false);
		write_free(w);
	}
	db_close(l->db);
	event_free(l->retry);
	free(l);
}

void event_log_set_checkpoint_pages(struct event_log *l, int pages)
{
	l->checkpoint_pages = l->checkpoint_at = pages;
}

bool event_log_is_stalled(const struct event_log *l)
{
	return l->stalled;
}

size_t event_log_pending_bytes(const struct event_log *l)
{
	return l->stats.pending_bytes;
}

const struct event_log_stats *event_log_stats(struct event_log *l)
{
	l->stats.wal_pages = l->db ? db_wal_pages(l->db) : 0;
	return &l->stats;
}

uint64_t event_log_take_max(struct event_log *l)
{
	uint64_t max = l->stats.commit_us_max;

	l->stats.commit_us_max = 0;
	return max;
}

struct db *event_log_db(struct event_log *l)
{
	return l->db;
}
