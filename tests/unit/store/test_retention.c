/*
 * test_retention.c - what goes out of the log and when, what stays, and what a cursor then gets.
 */
#include "chatd/store/retention.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "chatd/store/queries.h"
#include "common/limits.h"
#include "tests/unit/store/index_sql.h"

#define NOW  1000000000000L
#define DAY  86400000L
#define ROWS LIMIT_RETENTION_ROWS

static char dir[40], path[64];
static struct db *db;
static struct retention *keep;

static void set_up(void)
{
	const char *why = "";

	strcpy(dir, "/tmp/test_retention.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/events.db", dir);
	ck_assert_int_eq(db_open(path, true, &db, &why), 0);
	keep = retention_new();
}

static int64_t number(const char *sql);

static void tear_down(void)
{
	char cmd[64];

	/* whatever went, went from both (DUR-3) */
	ck_assert_int_eq(number(INDEX_FAULTS), 0);
	retention_free(keep);
	db_close(db);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *fmt, ...)
{
	char *why = NULL, *sql;
	va_list ap;

	va_start(ap, fmt);
	sql = sqlite3_vmprintf(fmt, ap);
	va_end(ap);
	if (sqlite3_exec(db_handle(db), sql, NULL, NULL, &why) != SQLITE_OK)
		ck_abort_msg("%s: %s", sql, why);
	sqlite3_free(sql);
}

static int64_t number(const char *sql)
{
	sqlite3_stmt *st;
	int64_t n;

	if (sqlite3_prepare_v2(db_handle(db), sql, -1, &st, NULL) != SQLITE_OK)
		ck_abort_msg("%s: %s", sql, sqlite3_errmsg(db_handle(db)));
	ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	return n;
}

/* An idle session of that row whose last use was `age` ago. */
static void add_session(int row, int64_t age, const char *state)
{
	run("INSERT INTO sessions (row, id, owner, title, provider, model, generation, state, "
	    "last_seq, created_at, updated_at) VALUES (%d, 'ses_%d', 'local', 't', 'demo', 'm', 0, "
	    "'%s', 0, 1, %lld)",
	    row, row, state, (long long)(NOW - age));
}

/* Its next turn, which ended `age` ago with n events of `bytes` each. */
static void add_turn(int session, int64_t age, int n, int bytes)
{
	run("UPDATE sessions SET generation = generation + 1, last_seq = last_seq + %d "
	    "WHERE row = %d",
	    n, session);
	run("INSERT INTO turns (session, generation, id, state, provider, model, message_id, "
	    "first_seq, last_seq, started_at, ended_at) SELECT row, generation, "
	    "'turn_' || row || '_' || generation, 'done', 'demo', 'm', 'msg', last_seq - %d, "
	    "last_seq, 1, %lld FROM sessions WHERE row = %d",
	    n - 1, (long long)(NOW - age), session);
	run("INSERT INTO messages (session, turn, id, role, status, content, created_at) "
	    "SELECT session, row, 'msg_' || row, 'assistant', 'complete', '\"x\"', 1 FROM turns "
	    "WHERE row = (SELECT max(row) FROM turns)");
	run("WITH n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
	    "INSERT INTO events (session, seq, generation, turn, ts, type, payload) "
	    "SELECT t.session, t.first_seq + i, t.generation, t.row, 1, 2, "
	    "'{\"content\":\"' || hex(zeroblob(%d)) || '\"}' FROM n, turns t "
	    "WHERE t.row = (SELECT max(row) FROM turns)",
	    n - 1, bytes / 2);
	run("INSERT INTO event_index SELECT session, seq, row FROM events ORDER BY row DESC "
	    "LIMIT %d",
	    n);
}

static const struct retention_policy days = {.keep_deltas_ms = DAY};

static void slices(int64_t budget_us, int most)
{
	for (int i = 0; i < most; i++) {
		enum retention_outcome o = retention_slice(keep, db, budget_us, true);

		ck_assert_int_ne(o, RETENTION_FAILED);
		if (o == RETENTION_DONE)
			return;
	}
}

static void round_of(const struct retention_policy *p)
{
	retention_begin(keep, p, NOW);
	slices(1000000, 1000);
}

/* FAF-4: events that can't be taken out keep their places, and nothing is left half done. */
START_TEST(a_fold_that_fails_changes_nothing)
{
	add_session(1, 0, "idle");
	add_turn(1, 2 * DAY, 10, 10);
	run("CREATE TRIGGER no BEFORE DELETE ON events WHEN old.seq = 5 BEGIN SELECT raise(%s, "
	    "'no'); END",
	    _i ? "ROLLBACK" : "ABORT");
	retention_begin(keep, &days, NOW);
	ck_assert_int_eq(retention_slice(keep, db, 1000000, true), RETENTION_FAILED);
	ck_assert(!db_is_writing(db));
	ck_assert_uint_eq(retention_stats(keep)->failures, 1);
	ck_assert_int_eq(number("SELECT count(*) FROM events"), 10);
	ck_assert_int_eq(number("SELECT sum(folded) FROM turns"), 0);
	run("DROP TRIGGER no");
	round_of(&days);
	ck_assert_int_eq(number("SELECT count(*) FROM events"), 0);
	ck_assert_int_eq(number("SELECT count(*) FROM event_index"), 0);
}
END_TEST

/* OPS-3: after keep_deltas the events of a finished turn go, and its answer stays. */
START_TEST(old_turns_are_folded_and_young_ones_are_not)
{
	add_session(1, 0, "idle");
	add_turn(1, 2 * DAY, 10, 10);
	add_turn(1, DAY + 1, 3 * ROWS, 10);
	add_turn(1, DAY, 10, 10);
	round_of(&days);
	ck_assert_int_eq(number("SELECT group_concat(folded, '') FROM turns"), 220);
	ck_assert_int_eq(number("SELECT count(*) FROM events"), 10);
	ck_assert_int_eq(number("SELECT min(seq) FROM events"), 11 + 3 * ROWS);
	ck_assert_int_eq(number("SELECT count(*) FROM messages"), 3);
	ck_assert_int_eq(number("SELECT sum(folded) FROM v_turns"), 2);
	ck_assert_uint_eq(retention_stats(keep)->turns_folded, 2);
	ck_assert_uint_eq(retention_stats(keep)->events, 10 + 3 * ROWS);
}
END_TEST

/* OPS-3: 0 means for ever. */
START_TEST(nothing_goes_where_everything_is_kept)
{
	static const struct retention_policy none = {0};

	add_session(1, 9999 * DAY, "idle");
	add_turn(1, 9999 * DAY, 10, 10);
	run("INSERT INTO idempotency VALUES ('o', 'k', 'f', '{}', 1)");
	round_of(&none);
	ck_assert_int_eq(number("SELECT count(*) FROM events"), 10);
	ck_assert_int_eq(number("SELECT count(*) FROM sessions WHERE removed_at IS NULL"), 1);
	ck_assert_int_eq(number("SELECT count(*) FROM idempotency"), 1);
}
END_TEST

/* OPS-3: what runs, waits or has a queue is never touched, and does not hold up the others. */
START_TEST(a_session_that_is_in_use_is_left_alone)
{
	static const struct retention_policy all = {.keep_deltas_ms = DAY,
						    .keep_sessions_ms = DAY,
						    .max_size = 1,
						    .removed_keep_ms = 1};

	add_session(1, 90 * DAY, "processing");
	add_session(2, 90 * DAY, "waiting");
	add_session(3, 90 * DAY, "idle");
	add_session(4, 90 * DAY, "idle");
	for (int i = 1; i <= 4; i++)
		add_turn(i, 90 * DAY, 10, 10);
	run("INSERT INTO turns (session, generation, id, state, provider, model, message_id, "
	    "first_seq, started_at, content) VALUES (3, 0, 'turn_q', 'queued', 'demo', 'm', 'x', "
	    "0, 1, '\"later\"')");
	round_of(&all);
	ck_assert_int_eq(number("SELECT group_concat(DISTINCT session) = '1,2,3' FROM events"), 1);
	ck_assert_int_eq(number("SELECT count(*) FROM events"), 30);
	ck_assert_int_eq(number("SELECT row FROM sessions WHERE removed_at IS NOT NULL"), 4);
	ck_assert_int_eq(number("SELECT count(*) FROM sessions WHERE removed_at IS NOT NULL"), 1);
}
END_TEST

/* OPS-3: a turn without a stored answer keeps its events: they are all there is. */
START_TEST(what_has_no_stored_answer_is_not_folded)
{
	add_session(1, 0, "idle");
	add_turn(1, 2 * DAY, 10, 10);
	run("DELETE FROM messages");
	add_turn(1, 2 * DAY, 10, 10);
	round_of(&days);
	ck_assert_int_eq(number("SELECT count(*) FROM events"), 10);
	ck_assert_int_eq(number("SELECT max(seq) FROM events"), 10);
}
END_TEST

/* OPS-3: a slice is small however long a turn was, and a crash between two loses nothing. */
START_TEST(a_slice_is_bounded_and_the_next_one_goes_on)
{
	add_session(1, 0, "idle");
	add_turn(1, 2 * DAY, 5 * ROWS, 10);
	retention_begin(keep, &days, NOW);
	for (int i = 0; number("SELECT count(*) FROM events") == 5 * ROWS; i++) {
		ck_assert_int_lt(i, 3); /* the first phase has nothing to do */
		slices(0, 1);
	}
	ck_assert_int_eq(number("SELECT count(*) FROM events"), 4 * ROWS);
	ck_assert_int_eq(number("SELECT min(seq) FROM events"), ROWS + 1);
	ck_assert_int_eq(number("SELECT folded FROM turns"), 1);
	retention_free(keep);
	keep = retention_new();
	round_of(&days);
	ck_assert_int_eq(number("SELECT count(*) FROM events"), 0);
	ck_assert_int_eq(number("SELECT folded FROM turns"), 2);
}
END_TEST

static const char *cursor(uint64_t generation, uint64_t seq, uint64_t *ret_count)
{
	struct buf page = BUF_INIT;
	const char *reason = NULL;

	ck_assert_int_ge(query_replay(db, 1, (uint64_t)number("SELECT last_seq FROM sessions"),
				      generation, seq, &page, ret_count, &reason),
			 0);
	buf_fini(&page);
	return reason ? reason : "";
}

/* DUR-4: cursors before, within, at the end of and behind what was folded. */
START_TEST(a_cursor_is_served_exactly_or_told_why_not)
{
	static const struct {
		uint64_t generation, seq, count;
		const char *reason;
	} cases[] = {
		{1, 1, 0, "too_old"},  /* within the first one */
		{1, 10, 0, "too_old"}, /* at its end, before the second one */
		{2, 15, 0, "too_old"}, /* within the second one */
		{1, 20, 0, "too_old"}, /* at its end, but of another history */
		{2, 20, 10, ""},       /* at its end: all that is later is there */
		{3, 21, 9, ""},	       /* behind it */
		{2, 21, 0, "other_history"},
		{3, 30, 0, ""},
		{3, 31, 0, "ahead"},
		{1, 0, 0, "unknown"},
	};
	uint64_t count;

	add_session(1, 0, "idle");
	add_turn(1, 3 * DAY, 10, 10);
	add_turn(1, 2 * DAY, 10, 10);
	add_turn(1, 0, 10, 10);
	ck_assert_str_eq(cursor(1, 5, &count), "");
	ck_assert_uint_eq(count, 25);
	round_of(&days);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_str_eq(cursor(cases[i].generation, cases[i].seq, &count),
				 cases[i].reason);
		ck_assert_uint_eq(count, cases[i].count);
	}
}
END_TEST

/* DUR-4: a viewer that has everything of a session whose last turn is folded has missed nothing. */
START_TEST(who_has_everything_needs_nothing_of_a_folded_session)
{
	uint64_t count;

	add_session(1, 0, "idle");
	add_turn(1, 3 * DAY, 10, 10);
	add_turn(1, 2 * DAY, 10, 10);
	round_of(&days);
	ck_assert_str_eq(cursor(2, 20, &count), "");
	ck_assert_uint_eq(count, 0);
	ck_assert_str_eq(cursor(1, 10, &count), "too_old"); /* no row is left to show the hole */
}
END_TEST

/* DUR-4: while a turn is being folded, what is left of it still has all its successors. */
START_TEST(a_cursor_into_a_half_folded_turn_is_served_exactly)
{
	uint64_t count;

	add_session(1, 0, "idle");
	add_turn(1, 2 * DAY, 2 * ROWS, 10);
	retention_begin(keep, &days, NOW);
	while (number("SELECT folded FROM turns") == 0)
		slices(0, 1);
	ck_assert_str_eq(cursor(1, ROWS, &count), "too_old");
	ck_assert_str_eq(cursor(1, ROWS + 1, &count), "");
	ck_assert_uint_eq(count, ROWS - 1);
	ck_assert_str_eq(cursor(1, 2 * ROWS, &count), "");
	ck_assert_uint_eq(count, 0);
}
END_TEST

/* OPS-3, SDC-6: what a worker left without entries when the session was removed goes with it. */
START_TEST(events_without_entries_go_with_their_session)
{
	static const struct retention_policy p = {.removed_keep_ms = 1000};

	add_session(1, 0, "idle");
	add_turn(1, 0, ROWS + 5, 10);
	run("DELETE FROM event_index WHERE seq > %d", ROWS - 10);
	run("INSERT INTO event_lag VALUES (1, 1)");
	run("UPDATE sessions SET removed_at = 1, generation = generation + 1");
	add_session(2, 0, "processing");
	add_turn(2, 0, 5, 10);
	run("DELETE FROM event_index WHERE session = 2");
	run("INSERT INTO event_lag SELECT 2, min(row) FROM events WHERE session = 2");
	round_of(&p);
	ck_assert_int_eq(number("SELECT count(*) FROM events WHERE session = 1"), 0);
	ck_assert_int_eq(number("SELECT group_concat(session) FROM event_lag"), 2);
	ck_assert_int_eq(number("SELECT count(*) FROM event_places"), 5); /* the other's */
}
END_TEST

/* OPS-3: a session is gone at once and for whoever holds it, its rows go in small parts. */
START_TEST(old_sessions_go_with_all_their_rows)
{
	static const struct retention_policy p = {.keep_sessions_ms = 30 * DAY,
						  .removed_keep_ms = 1000};
	struct session_row row = {0};

	add_session(1, 31 * DAY, "idle");
	add_session(2, 29 * DAY, "idle");
	add_turn(1, 31 * DAY, 2 * ROWS + 1, 10);
	add_turn(2, 31 * DAY, 5, 10);
	for (int i = 0; i < 20; i++)
		add_turn(1, 31 * DAY, 1, 10);
	run("INSERT INTO grants VALUES (1, 's', 'n', 1)");
	retention_begin(keep, &p, NOW);
	while (number("SELECT count(*) FROM sessions WHERE removed_at IS NOT NULL") == 0)
		slices(0, 1);
	ck_assert_int_eq(number("SELECT count(*) FROM events WHERE session = 1"), 2 * ROWS + 21);
	ck_assert_int_eq(query_session(db, "ses_1", &row), 0);
	ck_assert_int_eq(number("SELECT generation FROM sessions WHERE row = 1"), 22);
	ck_assert_int_eq(number("SELECT count(*) FROM v_sessions"), 1);
	slices(1000000, 1000);
	ck_assert_int_eq(number("SELECT count(*) FROM events"), 5);
	ck_assert_int_eq(number("SELECT count(*) FROM turns"), 1);
	ck_assert_int_eq(number("SELECT count(*) FROM messages"), 1);
	ck_assert_int_eq(number("SELECT count(*) FROM sessions"), 2); /* for who still holds it */
	retention_begin(keep, &p, NOW + 2000);
	slices(1000000, 1000);
	ck_assert_int_eq(number("SELECT count(*) FROM sessions"), 1);
	ck_assert_int_eq(number("SELECT count(*) FROM grants"), 0);
	ck_assert_uint_eq(retention_stats(keep)->sessions_removed, 1);
}
END_TEST

/* SDC-6, OPS-3: what a DELETE has removed is emptied before anything else, a few rows at once. */
START_TEST(what_was_deleted_goes_first_and_bit_by_bit)
{
	add_session(1, 0, "idle");
	add_session(2, 0, "idle");
	add_turn(1, 2 * DAY, 10 * ROWS, 10);
	add_turn(2, DAY - 1, 3 * ROWS, 10);
	ck_assert(!retention_has_removed(keep, db));
	retention_begin(keep, &days, NOW);
	slices(0, 2); /* it is folding ... */
	ck_assert_int_eq(number("SELECT count(*) FROM events WHERE session = 1"), 9 * ROWS);
	run("UPDATE sessions SET removed_at = %lld WHERE row = 2", (long long)NOW + 1);
	ck_assert(retention_has_removed(keep, db));
	for (int i = 3; i-- > 0;) {
		slices(0, 1);
		ck_assert_int_eq(number("SELECT count(*) FROM events WHERE session = 2"), i * ROWS);
		ck_assert_int_eq(number("SELECT count(*) FROM events WHERE session = 1"), 9 * ROWS);
	}
	slices(0, 2);
	ck_assert_int_eq(number("SELECT count(*) FROM turns WHERE session = 2"), 0);
	ck_assert(!retention_has_removed(keep, db));
	slices(1000000, 1000);
	ck_assert_int_eq(number("SELECT count(*) FROM events"), 0);
	ck_assert_int_eq(number("SELECT count(*) FROM sessions"), 2);
}
END_TEST

static int64_t in_use(void)
{
	return number("SELECT ((SELECT page_count FROM pragma_page_count) - "
		      "(SELECT freelist_count FROM pragma_freelist_count)) * 4096");
}

/* OPS-3: beyond max_size finished turns are folded first, then the oldest sessions go, no more than
 * it takes, and nothing that was just used. */
START_TEST(beyond_max_size_the_oldest_go)
{
	struct retention_policy p = {.max_size = 2000000};

	for (int i = 10; i >= 1; i--) { /* the oldest one has the highest row */
		add_session(i, i * DAY, "idle");
		add_turn(i, i * DAY, 100, 1000);
		run("UPDATE messages SET content = hex(zeroblob(250000)) WHERE session = %d", i);
	}
	ck_assert_int_gt(in_use(), 6000000);
	round_of(&p);
	ck_assert_int_le(in_use(), 2000000);
	ck_assert_int_gt(in_use(), 1400000);
	ck_assert_int_eq(number("SELECT count(*) FROM events"), 0);
	ck_assert_int_eq(number("SELECT max(row) FROM sessions WHERE removed_at IS NULL"), 3);
	p.max_size = 1;
	run("UPDATE sessions SET updated_at = %lld WHERE row = 1", (long long)NOW - 1000);
	round_of(&p);
	ck_assert_int_eq(number("SELECT group_concat(row) FROM sessions WHERE removed_at IS NULL"),
			 1);
}
END_TEST

/* OPS-3: space is given back, but for a reserve. */
START_TEST(the_file_shrinks)
{
	struct stat before, after;
	int64_t used, all;

	add_session(1, 0, "idle");
	add_turn(1, 2 * DAY, 20000, 1000);
	db_gate_enter(db);
	(void)db_checkpoint(db, NULL);
	ck_assert_int_eq(stat(path, &before), 0);
	db_gate_leave(db);
	round_of(&days);
	db_gate_enter(db);
	(void)db_checkpoint(db, NULL);
	db_gate_leave(db);
	ck_assert_int_eq(stat(path, &after), 0);
	ck_assert_int_gt(before.st_size, 20000000);
	ck_assert_int_lt(after.st_size, (LIMIT_RETENTION_SPARE + 200) * 4096);
	ck_assert_int_le(number("PRAGMA freelist_count"), LIMIT_RETENTION_SPARE);
	ck_assert_int_gt(number("PRAGMA freelist_count"), LIMIT_RETENTION_SPARE - 100);
	ck_assert_int_eq(retention_size(keep, NULL, &used, &all), -1);
	ck_assert_int_eq(retention_size(keep, db, &used, &all), 0);
	ck_assert_int_eq(all, after.st_size);
	ck_assert_int_lt(used, 1000000);
	ck_assert_int_eq(number("SELECT count(*) FROM pragma_integrity_check "
				"WHERE integrity_check = 'ok'"),
			 1);
}
END_TEST

/* OPS-3, DUR-5 */
START_TEST(old_answers_to_repeated_requests_go)
{
	static const struct retention_policy p = {.keep_keys_ms = DAY};

	run("WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
	    "INSERT INTO idempotency SELECT 'o', i, 'f', '{}', %lld FROM n",
	    3 * ROWS, (long long)(NOW - DAY - 1));
	run("INSERT INTO idempotency VALUES ('o', 'young', 'f', '{}', %lld)",
	    (long long)(NOW - DAY));
	round_of(&p);
	ck_assert_int_eq(number("SELECT count(*) FROM idempotency"), 1);
	ck_assert_uint_eq(retention_stats(keep)->keys, 3 * ROWS);
}
END_TEST

/* OPS-3: turns go first: retention does not wait for who is writing. */
START_TEST(it_comes_back_later_while_somebody_writes)
{
	char gate[80];
	int fd;

	(void)snprintf(gate, sizeof(gate), "%s-gate", path);
	fd = open(gate, O_RDWR | O_CLOEXEC);
	add_session(1, 0, "idle");
	add_turn(1, 2 * DAY, 10, 10);
	retention_begin(keep, &days, NOW);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert_int_eq(retention_slice(keep, db, 1000000, false), RETENTION_LATER);
	ck_assert_int_eq(number("SELECT count(*) FROM events"), 10);
	ck_assert_int_eq(flock(fd, LOCK_UN), 0);
	(void)close(fd);
	ck_assert_int_eq(retention_slice(keep, db, 1000000, false), RETENTION_DONE);
	ck_assert_int_eq(number("SELECT count(*) FROM events"), 0);
}
END_TEST

/* FAF-4: a round that fails changes nothing, says so, and the next one does its work. */
START_TEST(a_round_that_fails_changes_nothing)
{
	add_session(1, 0, "idle");
	add_turn(1, 2 * DAY, 10, 10);
	run("CREATE TEMP TRIGGER no BEFORE UPDATE OF folded ON main.turns BEGIN "
	    "SELECT raise(ABORT, 'no'); END");
	retention_begin(keep, &days, NOW);
	ck_assert_int_eq(retention_slice(keep, db, 1000000, true), RETENTION_FAILED);
	ck_assert_int_eq(number("SELECT count(*) FROM events"), 10);
	ck_assert_uint_eq(retention_stats(keep)->failures, 1);
	ck_assert_uint_eq(retention_stats(keep)->events, 0);
	ck_assert_int_eq(retention_slice(keep, db, 1000000, true), RETENTION_DONE);
	run("DROP TRIGGER no");
	round_of(&days);
	ck_assert_int_eq(number("SELECT count(*) FROM events"), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("retention");
	TCase *tc = tcase_create("retention");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_fold_that_fails_changes_nothing, 0, 2);
	tcase_add_test(tc, old_turns_are_folded_and_young_ones_are_not);
	tcase_add_test(tc, nothing_goes_where_everything_is_kept);
	tcase_add_test(tc, a_session_that_is_in_use_is_left_alone);
	tcase_add_test(tc, what_has_no_stored_answer_is_not_folded);
	tcase_add_test(tc, a_slice_is_bounded_and_the_next_one_goes_on);
	tcase_add_test(tc, a_cursor_is_served_exactly_or_told_why_not);
	tcase_add_test(tc, who_has_everything_needs_nothing_of_a_folded_session);
	tcase_add_test(tc, a_cursor_into_a_half_folded_turn_is_served_exactly);
	tcase_add_test(tc, old_sessions_go_with_all_their_rows);
	tcase_add_test(tc, events_without_entries_go_with_their_session);
	tcase_add_test(tc, what_was_deleted_goes_first_and_bit_by_bit);
	tcase_add_test(tc, beyond_max_size_the_oldest_go);
	tcase_add_test(tc, the_file_shrinks);
	tcase_add_test(tc, old_answers_to_repeated_requests_go);
	tcase_add_test(tc, it_comes_back_later_while_somebody_writes);
	tcase_add_test(tc, a_round_that_fails_changes_nothing);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
