/*
 * event_index.c - the index of events, kept a little behind them. See event_index.h.
 *
 * An index on (session, seq) has a page for each session that streams; to keep it with each event
 * makes a commit of 300 events of 300 sessions rewrite 300 pages, through the WAL and again at the
 * checkpoint. Sixteen entries of one session at once cost the same page once.
 *
 *	SETTLED  ── events of a large commit ──>  LAGGING: in event_lag;
 *	   ^                                         at[] full: entries, goes on
 *	   └── another write of it, silence, ─────────┘
 *	       a small commit: entries, out of event_lag
 *
 * The two tables are the truth, and change only together with the events. The index never lacks an
 * event that comes before one that it has, so what is missing is found behind the last entry. The
 * tail in memory just knows that without looking; where it does not (a session new to this process,
 * or after a transaction that failed) the log is asked.
 *
 * Only who may write to the session indexes it (SDC-18). Whoever takes it over, or takes it out,
 * looks into event_lag. A turn that waits may be held by two processes of one generation, if one
 * was taken for dead: so a row of event_lag goes only if it was put there by the same process, or
 * if that has begun the run.
 */
#include "chatd/store/event_index.h"

#include "chatd/store/event_log.h"
_Static_assert(LIMIT_INDEX_LAG == 16, "as many as SQL_INDEX_INSERT_MANY has");

void event_index_init(struct event_index *x)
{
	TAILQ_INIT(&x->lagging);
	TAILQ_INIT(&x->touched);
}

/* now: monotonic ms; 0: it has lagged longer than all others */
static void set_lagging(struct event_index *x, struct log_session *s, bool lagging, int64_t now)
{
	struct log_tail *t = &s->tail;

	if (t->is_lagging == lagging)
		return;
	t->is_lagging = lagging;
	if (lagging) {
		t->lags_since = now;
		if (now)
			TAILQ_INSERT_TAIL(&x->lagging, s, tail.lag_link);
		else
			TAILQ_INSERT_HEAD(&x->lagging, s, tail.lag_link);
	} else {
		TAILQ_REMOVE(&x->lagging, s, tail.lag_link);
	}
}

static void touch(struct event_index *x, struct log_session *s)
{
	if (s->tail.is_touched)
		return;
	s->tail.is_touched = true;
	s->tail.last_seq = s->committed;
	TAILQ_INSERT_TAIL(&x->touched, s, tail.touch_link);
}

static void untouch(struct event_index *x, struct log_session *s)
{
	if (!s->tail.is_touched)
		return;
	s->tail.is_touched = false;
	TAILQ_REMOVE(&x->touched, s, tail.touch_link);
}

void event_index_forget(struct event_index *x, struct log_session *s)
{
	untouch(x, s);
	set_lagging(x, s, false, 0);
}

void event_index_fini(struct event_index *x)
{
	struct log_session *s;

	while ((s = TAILQ_FIRST(&x->lagging)) || (s = TAILQ_FIRST(&x->touched)))
		event_index_forget(x, s);
}

/* --- statements --- */

static int run(struct db *db, enum sql which, int64_t a, int64_t b, int64_t c)
{
	sqlite3_stmt *st = db_stmt(db, which);
	const int64_t values[] = {a, b, c};
	int rc;

	if (!st)
		return sqlite3_extended_errcode(db_handle(db));
	for (int i = 0; i < 3 && i < sqlite3_bind_parameter_count(st); i++)
		(void)sqlite3_bind_int64(st, i + 1, values[i]);
	rc = sqlite3_step(st);
	(void)sqlite3_reset(st); /* its error is rc */
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* Is s still this process's to write to? 1, 0, or -1 that can't be read. */
static int holds(struct db *db, const struct log_session *s)
{
	sqlite3_stmt *st = db_stmt(db, SQL_RUN_HOLDS);
	int rc;

	if (!st)
		return -1;
	(void)sqlite3_bind_int64(st, 1, s->row);
	(void)sqlite3_bind_int64(st, 2, (int64_t)s->tail.generation);
	rc = sqlite3_step(st);
	(void)sqlite3_reset(st); /* its error is rc */
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
}

static void own(struct log_tail *t)
{
	if (!t->owns)
		t->owns = t->owns_now = true;
}

static void know_nothing(struct log_tail *t)
{
	t->is_known = t->has_lag = t->must_settle = false;
	t->n = 0;
}

static int insert_entries(struct db *db, struct log_session *s)
{
	struct log_tail *t = &s->tail;
	sqlite3_stmt *st;
	int rc = SQLITE_OK;

	if (t->n < LIMIT_INDEX_LAG) {
		for (unsigned i = 0; i < t->n && rc == SQLITE_OK; i++)
			rc = run(db, SQL_INDEX_INSERT, s->row, (int64_t)t->at[i].seq, t->at[i].row);
		return rc;
	}
	st = db_stmt(db, SQL_INDEX_INSERT_MANY);
	if (!st)
		return sqlite3_extended_errcode(db_handle(db));
	(void)sqlite3_bind_int64(st, 1, s->row);
	(void)sqlite3_bind_int64(st, 2, (int64_t)t->at[0].seq);
	for (int i = 0; i < LIMIT_INDEX_LAG; i++)
		(void)sqlite3_bind_int64(st, i + 3, t->at[i].row);
	rc = sqlite3_step(st);
	(void)sqlite3_reset(st); /* its error is rc */
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The entries of its tail, and it goes out of event_lag unless it streams on. */
static int index_tail(struct db *db, struct log_session *s, bool streams)
{
	struct log_tail *t = &s->tail;
	int held = holds(db, s), rc = SQLITE_OK;

	if (held < 0)
		return sqlite3_extended_errcode(db_handle(db));
	if (held == 0) {
		/* removed after events of the same transaction: who takes it out must find them */
		if (t->n > 0 && !t->has_lag)
			rc = run(db, SQL_LAG_INSERT, s->row, t->at[0].row, 0);
		know_nothing(t);
		return rc;
	}
	if (!t->is_known)
		rc = run(db, SQL_LAG_INDEX, s->row, 0, 0);
	if (rc == SQLITE_OK)
		rc = insert_entries(db, s);
	t->n = 0;
	if (rc == SQLITE_OK && !streams && (t->has_lag || (!t->is_known && t->owns))) {
		rc = run(db, SQL_LAG_DELETE, s->row, 0, 0);
		t->has_lag = false;
	}
	t->is_known = true;
	return rc;
}

/* --- a transaction --- */

/* The last seq that the log has of s, at least *ret. */
static int ask_last_seq(struct db *db, const struct log_session *s, uint64_t *ret)
{
	sqlite3_stmt *st = db_stmt(db, SQL_LAST_SEQ);
	int rc;

	if (!st)
		return sqlite3_extended_errcode(db_handle(db));
	(void)sqlite3_bind_int64(st, 1, s->row);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW && (uint64_t)sqlite3_column_int64(st, 0) > *ret)
		*ret = (uint64_t)sqlite3_column_int64(st, 0);
	(void)sqlite3_reset(st); /* its error is rc */
	return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

int event_index_is_next(struct event_index *x, struct db *db, struct log_session *s, uint64_t seq,
			bool *ret)
{
	struct log_tail *t = &s->tail;
	/* who lags or has asked is alone: another one asks, and finds what is written here */
	bool ask = !t->has_lag && t->n == 0;
	int rc = SQLITE_OK;

	touch(x, s);
	if (ask)
		rc = ask_last_seq(db, s, &t->last_seq);
	*ret = seq > t->last_seq;
	return rc;
}

int event_index_add(struct event_index *x, struct db *db, struct log_session *s,
		    uint64_t generation, uint64_t seq, int64_t row)
{
	struct log_tail *t = &s->tail;
	int rc = SQLITE_OK;

	touch(x, s);
	t->generation = generation;
	t->last_seq = seq;
	if (t->n == LIMIT_INDEX_LAG)
		rc = index_tail(db, s, t->is_known);
	if (rc != SQLITE_OK)
		return rc;
	t->at[t->n].seq = seq;
	t->at[t->n++].row = row;
	return rc;
}

void event_index_settle(struct event_index *x, struct log_session *s, uint64_t generation,
			bool begins_run)
{
	touch(x, s);
	if (generation > s->tail.generation)
		s->tail.generation = generation;
	s->tail.must_settle = true;
	if (begins_run)
		own(&s->tail);
}

/* Sessions that began together are not all indexed in the same moment. */
static bool is_its_turn(const struct log_session *s)
{
	const struct log_tail *t = &s->tail;

	return t->n > 0 && (t->at[t->n - 1].seq + (uint64_t)s->row) % LIMIT_INDEX_LAG == 0;
}

/*
 * Its new events stay without entries until there are enough of them. The row in event_lag stays as
 * well while it streams: what is looked through begins behind the last entry.
 */
static int lag(struct event_index *x, struct db *db, struct log_session *s)
{
	struct log_tail *t = &s->tail;
	int rc;

	if (!t->is_known || t->must_settle)
		return index_tail(db, s, false);
	if (t->n == 0)
		return SQLITE_OK;
	if (!t->has_lag) {
		rc = run(db, SQL_LAG_INSERT, s->row, t->at[0].row, 0);
		t->has_lag = true;
		own(t);
		return rc;
	}
	if (t->n < LIMIT_INDEX_LAG && !is_its_turn(s))
		return SQLITE_OK;
	set_lagging(x, s, false, 0); /* from now on it lags again */
	return index_tail(db, s, true);
}

int event_index_run(struct event_index *x, struct db *db, uint64_t events, bool all, int64_t now)
{
	struct log_session *s;
	int rc = SQLITE_OK;

	TAILQ_FOREACH (s, &x->touched, tail.touch_link) {
		rc = all || events <= LIMIT_INDEX_GROUP ? index_tail(db, s, false) : lag(x, db, s);
		if (rc != SQLITE_OK)
			return rc;
	}
	while ((s = TAILQ_FIRST(&x->lagging)) &&
	       (all || now - s->tail.lags_since >= LIMIT_INDEX_LAG_MS)) {
		touch(x, s); /* so that a failure finds it */
		set_lagging(x, s, false, 0);
		rc = index_tail(db, s, false);
		if (rc != SQLITE_OK)
			return rc;
	}
	return rc;
}

void event_index_committed(struct event_index *x, int64_t now)
{
	struct log_session *s;

	while ((s = TAILQ_FIRST(&x->touched))) {
		untouch(x, s);
		s->tail.must_settle = s->tail.owns_now = false;
		set_lagging(x, s, s->tail.has_lag, now);
	}
}

void event_index_failed(struct event_index *x)
{
	struct log_session *s;

	while ((s = TAILQ_FIRST(&x->touched))) {
		untouch(x, s);
		know_nothing(&s->tail);
		if (s->tail.owns_now)
			s->tail.owns = s->tail.owns_now = false;
		/* one that is new in it has no row to speak of */
		set_lagging(x, s, s->committed > 0, 0);
	}
}

int64_t event_index_due(const struct event_index *x)
{
	const struct log_session *s = TAILQ_FIRST(&x->lagging);

	return s ? s->tail.lags_since + LIMIT_INDEX_LAG_MS : INT64_MAX;
}

int event_index_catch_up(struct db *db)
{
	sqlite3_stmt *st = db_stmt(db, SQL_LAG_ANY);
	int rc = st ? sqlite3_step(st) : sqlite3_extended_errcode(db_handle(db));
	bool any = rc == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL;

	if (st)
		(void)sqlite3_reset(st); /* its error is rc */
	if (!any)
		return rc == SQLITE_ROW ? SQLITE_OK : rc;
	rc = run(db, SQL_BEGIN, 0, 0, 0);
	if (rc != SQLITE_OK)
		return rc;
	rc = run(db, SQL_LAG_INDEX_ALL, 0, 0, 0);
	if (rc == SQLITE_OK)
		rc = run(db, SQL_LAG_DELETE_IDLE, 0, 0, 0);
	if (rc == SQLITE_OK)
		rc = run(db, SQL_LAG_ADVANCE, 0, 0, 0);
	if (rc == SQLITE_OK)
		rc = run(db, SQL_COMMIT, 0, 0, 0);
	if (rc != SQLITE_OK)
		(void)run(db, SQL_ROLLBACK, 0, 0, 0); /* may have rolled back itself */
	return rc;
}
