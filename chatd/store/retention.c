/*
 * retention.c - taking out of the log what has had its time. See retention.h.
 *
 *	round:	 KEYS ── FOLD ── REMOVE ── GIVE_BACK ── over
 *	slice:	 gate ─ BEGIN ─ steps until the time is up ─ COMMIT ─ leave
 *
 * Sessions that were removed, by a DELETE or by REMOVE, are emptied before anything else, in any
 * phase: somebody wanted them gone, and folding may take hours.
 *
 * A step is a statement or two on at most LIMIT_RETENTION_ROWS rows. Turns are folded in the order
 * in which they ended, which is about the order of their rows in the file: pages become free as a
 * whole. The events of a turn go in the order of their seq, so those that are still there have all
 * their successors, and a cursor into them is served exactly until it is not.
 *
 * Beyond max_size every finished turn is folded first, however young; conversations go only when
 * that is not enough.
 *
 * Not here: when to run and when to checkpoint (keeper.c, prune.c), and telling viewers
 *(chatd/worker/session.c).
 */
#include "chatd/store/retention.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/require.h"

enum phase { KEYS, FOLD, REMOVE, GIVE_BACK, OVER };

struct place {
	int64_t at, row;
};

struct retention {
	struct retention_policy policy;
	int64_t now;
	enum phase phase;
	struct place folding, aging, purging; /* how far this round has come */
	int64_t overdue;		      /* ms, of the turn that was folded last */
	int64_t page_size, pages, free_pages;
	struct retention_stats stats;
};

struct retention *retention_new(void)
{
	struct retention *r = calloc(1, sizeof(*r));

	REQUIRE(r);
	r->phase = OVER;
	return r;
}

void retention_free(struct retention *r)
{
	free(r);
}

void retention_begin(struct retention *r, const struct retention_policy *p, int64_t now)
{
	static const struct place start = {INT64_MIN, 0};

	r->policy = *p;
	r->now = now;
	r->phase = KEYS;
	r->overdue = 0;
	r->folding = r->aging = r->purging = start;
}

/* --- statements --- */

/* Binds n integers and runs it to its first row or its end. An SQLite code. */
static int run(struct db *db, sqlite3_stmt **ret, enum sql which, int n, const int64_t *values)
{
	sqlite3_stmt *st = *ret = db_stmt(db, which);

	if (!st)
		return sqlite3_extended_errcode(db_handle(db));
	for (int i = 0; i < n; i++)
		(void)sqlite3_bind_int64(st, i + 1, values[i]);
	return sqlite3_step(st);
}

#define RUN(db, st, which, ...)                                                       \
	run(db, st, which, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
	    (int64_t[]){__VA_ARGS__})

/* A statement without rows: how many it changed, or -1. */
static int64_t change(struct db *db, enum sql which, int n, const int64_t *values)
{
	sqlite3_stmt *st;
	int rc = run(db, &st, which, n, values);
	int64_t changed = rc == SQLITE_DONE ? sqlite3_changes(db_handle(db)) : -1;

	if (st)
		(void)sqlite3_reset(st); /* its error is in changed */
	return changed;
}

#define CHANGE(db, which, ...)                                                       \
	change(db, which, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
	       (int64_t[]){__VA_ARGS__})

/* Up to n integers of the first row. 1, 0 no row, or -1. */
static int row_of(sqlite3_stmt *st, int rc, int64_t *out, int n)
{
	for (int i = 0; rc == SQLITE_ROW && i < n; i++)
		out[i] = sqlite3_column_int64(st, i);
	if (st)
		(void)sqlite3_reset(st); /* its error is in rc */
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
}

static int read_size(struct retention *r, struct db *db)
{
	sqlite3_stmt *st;
	int rc = run(db, &st, SQL_PAGE_COUNT, 0, NULL);

	if (row_of(st, rc, &r->pages, 1) != 1)
		return -1;
	rc = run(db, &st, SQL_FREE_PAGES, 0, NULL);
	if (row_of(st, rc, &r->free_pages, 1) != 1)
		return -1;
	rc = run(db, &st, SQL_PAGE_SIZE, 0, NULL);
	return row_of(st, rc, &r->page_size, 1) == 1 ? 0 : -1;
}

static bool is_too_large(const struct retention *r)
{
	return r->policy.max_size > 0 &&
	       (r->pages - r->free_pages) * r->page_size > r->policy.max_size;
}

/* --- steps: 1 there may be more, 0 the phase is over, -1 it failed --- */

static int expire_keys(struct retention *r, struct db *db)
{
	int64_t n;

	if (r->policy.keep_keys_ms == 0)
		return 0;
	n = CHANGE(db, SQL_KEEP_KEYS, r->now - r->policy.keep_keys_ms, LIMIT_RETENTION_ROWS);
	if (n > 0)
		r->stats.keys += (uint64_t)n;
	return n < 0 ? -1 : n == LIMIT_RETENTION_ROWS;
}

static int fold_events(struct retention *r, struct db *db, const int64_t turn[6])
{
	int64_t events =
		CHANGE(db, SQL_KEEP_FOLD_EVENTS, turn[1], turn[2], turn[3], LIMIT_RETENTION_ROWS);
	int64_t n;
	bool whole;

	if (events < 0)
		return -1;
	n = CHANGE(db, SQL_KEEP_FOLD_INDEX, turn[1], turn[2], turn[3], LIMIT_RETENTION_ROWS);
	whole = n < LIMIT_RETENTION_ROWS;
	if (n < 0 || CHANGE(db, SQL_KEEP_FOLDED, turn[0], whole ? 2 : 1) < 0)
		return -1;
	r->overdue = r->now - r->policy.keep_deltas_ms - turn[4];
	r->stats.events += (uint64_t)events;
	r->stats.turns_folded += whole;
	return 1;
}

static int fold(struct retention *r, struct db *db)
{
	int64_t before = r->policy.keep_deltas_ms ? r->now - r->policy.keep_deltas_ms : INT64_MIN;
	int64_t turn[6]; /* row, session, first_seq, last_seq, ended_at, may be folded */
	sqlite3_stmt *st;
	int rc;

	if (is_too_large(r) && before < r->now - LIMIT_RETENTION_YOUNG_MS)
		before = r->now - LIMIT_RETENTION_YOUNG_MS;
	rc = RUN(db, &st, SQL_KEEP_NEXT_TURN, r->folding.at, r->folding.row, before);
	rc = row_of(st, rc, turn, 6);
	if (rc <= 0)
		return rc;
	if (turn[5])
		return fold_events(r, db, turn);
	r->folding = (struct place){turn[4], turn[0]}; /* it runs, waits or has a queue */
	return 1;
}

/* Takes a part out of the removed session that is next, or its row when it is time. */
static int purge(struct retention *r, struct db *db, int64_t session, int64_t removed_at)
{
	int64_t events, n;

	/* whoever wrote to it last may have left some without an entry */
	if (CHANGE(db, SQL_LAG_INDEX, session) < 0 || CHANGE(db, SQL_LAG_DELETE, session) < 0)
		return -1;
	events = CHANGE(db, SQL_KEEP_EVENTS_OF, session, LIMIT_RETENTION_ROWS);
	if (events < 0)
		return -1;
	r->stats.events += (uint64_t)events;
	n = CHANGE(db, SQL_KEEP_INDEX_OF, session, LIMIT_RETENTION_ROWS);
	if (n == 0)
		n = CHANGE(db, SQL_KEEP_TURNS_OF, session, LIMIT_RETENTION_ROWS / 8);
	if (n == 0) {
		r->purging = (struct place){removed_at, session};
		if (removed_at <= r->now - r->policy.removed_keep_ms)
			n = CHANGE(db, SQL_KEEP_SESSION_ROW, session);
	}
	return n < 0 ? -1 : 1;
}

static int mark(struct retention *r, struct db *db, int64_t row, const char *id, const char *why)
{
	/* behind those that are empty, also those that were deleted since the round began */
	int64_t at = r->now > r->purging.at ? r->now : r->purging.at;
	int64_t n = CHANGE(db, SQL_KEEP_REMOVE, row, at);

	if (n < 0)
		return -1;
	log_info("session.removed", "session=%s why=%s", id, why);
	r->stats.sessions_removed++;
	r->purging = (struct place){at, row - 1}; /* all before it are empty */
	return 1;
}

/* Marks the oldest session that has to go. */
static int choose(struct retention *r, struct db *db)
{
	bool large = is_too_large(r);
	int64_t old = r->policy.keep_sessions_ms ? r->now - r->policy.keep_sessions_ms : INT64_MIN;
	int64_t before = old;
	char id[LIMIT_ID + 1] = "";
	int64_t s[4]; /* row, -, updated_at, may be removed */
	sqlite3_stmt *st;
	int rc;

	if (large && before < r->now - LIMIT_RETENTION_YOUNG_MS)
		before = r->now - LIMIT_RETENTION_YOUNG_MS;
	rc = RUN(db, &st, SQL_KEEP_OLDEST, r->aging.at, r->aging.row, before);
	if (rc == SQLITE_ROW)
		(void)snprintf(id, sizeof(id), "%s", sqlite3_column_text(st, 1));
	rc = row_of(st, rc, s, 4);
	if (rc == 0 && large) {
		static struct log_limit lines;

		if (log_allowed(&lines, 1))
			log_warning("retention.full",
				    "used=%lld max_size=%lld: nothing that is "
				    "left may go",
				    (long long)((r->pages - r->free_pages) * r->page_size),
				    (long long)r->policy.max_size);
	}
	if (rc <= 0)
		return rc;
	r->aging = (struct place){s[2], s[0]};
	return s[3] ? mark(r, db, s[0], id, s[2] < old ? "keep_sessions" : "max_size") : 1;
}

/* The removed session that is next: its row and removed_at. 1, 0 there is none, or -1. */
static int next_removed(const struct retention *r, struct db *db, int64_t ret[2])
{
	sqlite3_stmt *st;
	int rc = RUN(db, &st, SQL_KEEP_NEXT_REMOVED, r->purging.at, r->purging.row);

	return row_of(st, rc, ret, 2);
}

static int purge_next(struct retention *r, struct db *db)
{
	int64_t s[2];
	int rc = next_removed(r, db, s);

	return rc > 0 ? purge(r, db, s[0], s[1]) : rc;
}

/* One session after the other: how much is left to remove is known when its rows are out. */
static int remove_sessions(struct retention *r, struct db *db)
{
	return read_size(r, db) < 0 ? -1 : choose(r, db);
}

static int give_back(struct retention *r, struct db *db)
{
	int64_t before = r->free_pages, spare = LIMIT_RETENTION_SPARE;
	sqlite3_stmt *st;
	int rc;

	if (spare < (r->pages - r->free_pages) / 10)
		spare = (r->pages - r->free_pages) / 10;
	if (r->free_pages <= spare)
		return 0;
	rc = run(db, &st, SQL_GIVE_BACK, 0, NULL);
	while (rc == SQLITE_ROW)
		rc = sqlite3_step(st);
	if (st)
		(void)sqlite3_reset(st); /* its error is in rc */
	if (rc != SQLITE_DONE || read_size(r, db) < 0)
		return -1;
	if (r->free_pages >= before) /* a file without auto_vacuum */
		return 0;
	r->stats.pages_given_back += (uint64_t)(before - r->free_pages);
	return 1;
}

static int step(struct retention *r, struct db *db)
{
	switch (r->phase) {
	case KEYS:
		return expire_keys(r, db);
	case FOLD:
		return fold(r, db);
	case REMOVE:
		return remove_sessions(r, db);
	case GIVE_BACK:
		return give_back(r, db);
	case OVER:
		break;
	}
	return 0;
}

/* --- a slice --- */

static int work(struct retention *r, struct db *db, int64_t until)
{
	if (read_size(r, db) < 0)
		return -1;
	do {
		int n = purge_next(r, db);

		if (n == 0)
			n = step(r, db);
		if (n < 0)
			return -1;
		if (n == 0)
			r->phase++;
	} while (r->phase != OVER && clock_mono_us() < until);
	return 0;
}

static int finish(struct db *db, enum sql which)
{
	sqlite3_stmt *st;
	int rc = run(db, &st, which, 0, NULL);

	if (st)
		(void)sqlite3_reset(st); /* its error is rc */
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Inside the gate. An SQLite code. */
static int transaction(struct retention *r, struct db *db, int64_t budget_us)
{
	int rc = finish(db, SQL_BEGIN);

	if (rc != SQLITE_OK)
		return rc;
	if (work(r, db, clock_mono_us() + budget_us) < 0) {
		rc = sqlite3_extended_errcode(db_handle(db));
		if (rc == SQLITE_OK) /* another call came in between: it failed all the same */
			rc = SQLITE_ERROR;
	}
	if (rc == SQLITE_OK) /* the newest rows may have gone, whose numbers come again */
		rc = finish(db, SQL_LAG_LOWER);
	if (rc == SQLITE_OK)
		rc = finish(db, SQL_COMMIT);
	if (rc != SQLITE_OK)
		(void)finish(db, SQL_ROLLBACK); /* may have rolled back itself */
	return rc;
}

static void note(struct retention *r, int64_t us)
{
	r->stats.slices++;
	r->stats.rounds += r->phase == OVER;
	r->stats.us += (uint64_t)us;
	if ((uint64_t)us > r->stats.us_max)
		r->stats.us_max = (uint64_t)us;
}

enum retention_outcome retention_slice(struct retention *r, struct db *db, int64_t budget_us,
				       bool wait)
{
	struct retention before = *r;
	int64_t start;
	int rc;

	if (r->phase == OVER)
		return RETENTION_DONE;
	if ((wait ? db_gate_enter(db) : db_gate_try(db)) < 0)
		return RETENTION_LATER;
	start = clock_mono_us();
	rc = transaction(r, db, budget_us);
	db_gate_leave(db);
	if (rc == SQLITE_OK) {
		note(r, clock_mono_us() - start);
		return r->phase == OVER ? RETENTION_DONE : RETENTION_MORE;
	}
	*r = before; /* of what was counted nothing has happened */
	if ((rc & 0xff) == SQLITE_BUSY)
		return RETENTION_LATER;
	log_warning("retention.failed", "why=\"%s\"", sqlite3_errstr(rc));
	r->stats.failures++;
	r->phase = OVER;
	return (rc & 0xff) == SQLITE_FULL ? RETENTION_FULL : RETENTION_FAILED;
}

bool retention_has_removed(const struct retention *r, struct db *db)
{
	int64_t s[2];

	return next_removed(r, db, s) > 0;
}

bool retention_is_behind(const struct retention *r)
{
	return r->phase != OVER && (r->overdue > LIMIT_RETENTION_BEHIND_MS || is_too_large(r));
}

const struct retention_stats *retention_stats(const struct retention *r)
{
	return &r->stats;
}

int retention_size(struct retention *r, struct db *db, int64_t *ret_used, int64_t *ret_file)
{
	if (!db || read_size(r, db) < 0)
		return -1;
	*ret_used = (r->pages - r->free_pages) * r->page_size;
	*ret_file = r->pages * r->page_size;
	return 0;
}
