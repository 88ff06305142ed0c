/*
 * test_event_index.c - where events lie is written later than they are, and yet each is found.
 */
#include "chatd/store/event_index.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chatd/store/event_log.h"
#include "chatd/store/queries.h"
#include "chatd/store/retention.h"
#include "common/clock.h"
#include "common/limits.h"
#include "tests/unit/store/dice.h"
#include "tests/unit/store/index_sql.h"
#include "tests/unit/store/shim_vfs.h"

#define SESSIONS 4
#define MANY	 (LIMIT_INDEX_GROUP + 1) /* events that make a commit a large one */

static char dir[64], path[128];
static struct event_base *base;
static struct event_log *log_;
static struct log_session sessions[SESSIONS];
static uint64_t last[SESSIONS], generation[SESSIONS];

static void on_committed(void *arg, struct log_session *s, const struct chat_event *e)
{
}

static void on_stale(void *arg, struct log_session *s, uint64_t g)
{
}

static void on_stalled(void *arg, const char *why)
{
}

static const struct event_log_ops ops = {on_committed, on_stale, on_stalled};

static void open_log(void)
{
	const char *why = NULL;

	ck_assert_int_eq(event_log_open(base, path, false, &ops, NULL, &log_, &why), 0);
}

static void event(int i)
{
	char *payload = strdup("{}");

	event_log_event(log_, &sessions[i], NULL, generation[i], ++last[i],
			CHAT_EVENT_RESPONSE_CHUNK, payload, 2);
}

static void events(int i, int n)
{
	while (n-- > 0)
		event(i);
}

/* A write that is no event. */
static void state(int i, const char *what)
{
	event_log_write(log_, SQL_RUN_STATE, &sessions[i], NULL, generation[i], "tii", what,
			(int64_t)last[i], (int64_t)1);
}

static void set_up(void)
{
	strcpy(dir, "/tmp/test_event_index.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/events.db", dir);
	base = event_base_new();
	memset(sessions, 0, sizeof(sessions));
	open_log();
	for (int i = 0; i < SESSIONS; i++) {
		(void)snprintf(sessions[i].id, sizeof(sessions[i].id), "ses_%d", i);
		event_log_write(log_, SQL_SESSION_INSERT, &sessions[i], NULL, 0, "tttttti", "local",
				"t", "demo", "m", NULL, NULL, (int64_t)1);
		generation[i] = 1;
		last[i] = 0;
		event_log_write(log_, SQL_RUN_START, &sessions[i], NULL, 1, "ttti", "demo", "m",
				NULL, (int64_t)1);
		event(i);
	}
	event_log_commit(log_);
	ck_assert_uint_eq(sessions[SESSIONS - 1].committed, 1);
}

static void tear_down(void)
{
	char cmd[96];

	event_log_free(log_);
	event_base_free(base);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

/* As any other process sees it. */
static long long number(const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *st = NULL;
	long long n;

	ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK, "%s: %s", sql,
		      sqlite3_errmsg(db));
	ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	return n;
}

static long long indexed(int i)
{
	char sql[128];

	(void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM event_index WHERE session = %lld",
		       (long long)sessions[i].row);
	return number(sql);
}

static void count(void *arg, const struct chat_event *e)
{
	uint64_t *n = arg;

	ck_assert_uint_eq(e->seq, ++*n);
}

/* Each event is found once, in order, by the worker and by plain SQL. */
static void all_is_found(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < SESSIONS; i++) {
		uint64_t n = 0;

		ck_assert_int_eq(query_events(event_log_db(log_), sessions[i].row, 0, count, &n),
				 1);
		ck_assert_uint_eq(n, sessions[i].committed);
		sum += n;
	}
	ck_assert_int_eq(number("SELECT count(*) FROM events"), (long long)sum);
	ck_assert_int_eq(number("SELECT count(*) FROM v_events"), (long long)sum);
	ck_assert_int_eq(number(INDEX_FAULTS), 0);
	/* what a small commit of afterwards would have to find: nothing is missing before an entry
	 */
	ck_assert_int_eq(number("SELECT count(*) FROM events e JOIN event_index i ON i.session = "
				"e.session AND i.seq > e.seq WHERE NOT EXISTS (SELECT 1 FROM "
				"event_index o WHERE o.session = e.session AND o.seq = e.seq)"),
			 0);
}

/* PRC-6: with little to do each event is indexed with its commit */
START_TEST(a_small_commit_indexes_at_once)
{
	events(0, LIMIT_INDEX_GROUP);
	event_log_commit(log_);
	ck_assert_int_eq(indexed(0), 1 + LIMIT_INDEX_GROUP);
	ck_assert_int_eq(number("SELECT count(*) FROM event_lag"), 0);
	all_is_found();
}
END_TEST

/* DUR-4: what is not indexed yet is found by everybody */
START_TEST(what_is_not_indexed_is_found)
{
	const char *reason = NULL;
	struct buf page = BUF_INIT;
	uint64_t n;

	event(0);
	events(1, MANY);
	event_log_commit(log_);
	ck_assert_int_eq(indexed(0), 1);
	ck_assert_int_eq(indexed(1), 1);
	ck_assert_int_eq(number("SELECT group_concat(session) = '1,2' FROM event_lag"), 1);
	all_is_found();
	ck_assert_int_eq(query_replay(event_log_db(log_), sessions[1].row, last[1], 1, 3, &page, &n,
				      &reason),
			 1);
	ck_assert_ptr_null(reason);
	ck_assert_uint_eq(n, last[1] - 3);
	buf_fini(&page);
	ck_assert_int_eq(number("SELECT max(seq) FROM v_events WHERE session_id = 'ses_1'"),
			 (long long)last[1]);
}
END_TEST

START_TEST(a_session_that_streams_is_never_far_behind)
{
	long long worst = 0;

	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < SESSIONS; i++)
			events(i, MANY / SESSIONS + 1);
		event_log_commit(log_);
		for (int i = 0; i < SESSIONS; i++) {
			long long behind = (long long)last[i] - indexed(i);

			if (behind > worst)
				worst = behind;
		}
		if (round % 10 == 0)
			all_is_found();
	}
	ck_assert_int_gt(worst, 0);
	ck_assert_int_le(worst, LIMIT_INDEX_LAG);
	ck_assert_int_eq(number("SELECT count(*) FROM event_lag"), SESSIONS);
}
END_TEST

START_TEST(one_commit_may_bring_more_than_a_tail_holds)
{
	events(0, 5 * LIMIT_INDEX_LAG + 3);
	events(1, 2 * LIMIT_INDEX_LAG);
	event_log_commit(log_);
	all_is_found();
	events(0, 3 * LIMIT_INDEX_LAG);
	event_log_commit(log_);
	all_is_found();
}
END_TEST

/* A turn that waits, or has ended, is indexed to its last event. */
START_TEST(another_write_settles)
{
	events(0, MANY);
	events(1, MANY);
	event_log_commit(log_);
	events(0, MANY);
	events(1, 3 * LIMIT_INDEX_LAG);
	state(1, "idle");
	event_log_commit(log_);
	ck_assert_int_lt(indexed(0), (long long)last[0]);
	ck_assert_int_eq(indexed(1), (long long)last[1]);
	ck_assert_int_eq(number("SELECT group_concat(session) = '1' FROM event_lag"), 1);
	all_is_found();
}
END_TEST

/* What is removed can be found by who takes it out. */
START_TEST(a_removal_hides_no_event)
{
	events(1, 1);
	events(0, MANY);
	event_log_write(log_, SQL_SESSION_REMOVE, &sessions[0], NULL, generation[0], "i",
			(int64_t)1);
	event_log_commit(log_);
	ck_assert_uint_eq(sessions[0].committed, last[0]);
	ck_assert_int_eq(number(INDEX_FAULTS), 0);
}
END_TEST

START_TEST(silence_settles)
{
	int64_t start = clock_mono_ms();
	int passes = 0;

	events(0, MANY);
	event_log_commit(log_);
	ck_assert_int_eq(number("SELECT count(*) FROM event_lag"), 1);
	while (number("SELECT count(*) FROM event_lag") > 0) {
		ck_assert_int_lt(clock_mono_ms() - start, 10L * LIMIT_INDEX_LAG_MS);
		(void)event_base_loop(base, EVLOOP_ONCE);
		event_log_commit(log_);		/* as at the end of each pass */
		ck_assert_int_lt(++passes, 10); /* it slept meanwhile, and was woken */
	}
	ck_assert_int_ge(clock_mono_ms() - start, LIMIT_INDEX_LAG_MS);
	ck_assert_int_eq(indexed(0), (long long)last[0]);
}
END_TEST

START_TEST(the_end_of_the_process_settles)
{
	events(0, MANY);
	event_log_commit(log_);
	event_log_free(log_);
	open_log();
	ck_assert_int_eq(number("SELECT count(*) FROM event_lag"), 0);
	ck_assert_int_eq(indexed(0), (long long)last[0]);
}
END_TEST

/* DUR-6: the next process indexes what a dead one left, and goes on behind it */
START_TEST(what_a_dead_process_left_is_indexed)
{
	struct event_log *dead = log_;

	events(0, MANY);
	events(1, 1);
	event_log_commit(log_);
	ck_assert_int_eq(indexed(0), 1);
	open_log();
	ck_assert_int_eq(indexed(0), (long long)last[0]);
	ck_assert_int_eq(indexed(1), (long long)last[1]);
	for (int i = 0; i < SESSIONS; i++) {
		event_log_forget(dead, &sessions[i]);
		memset(&sessions[i].tail, 0, sizeof(sessions[i].tail)); /* loaded anew */
	}
	all_is_found();
	for (int i = 0; i < 2; i++) {
		state(i, "processing");
		event_log_commit(log_);
		event_log_write(log_, SQL_RUN_RESTART, &sessions[i], NULL, ++generation[i], "i",
				(int64_t)last[i]);
	}
	events(0, MANY);
	event_log_commit(log_);
	all_is_found();
	events(0, MANY);
	events(1, MANY);
	event_log_commit(log_);
	all_is_found();
	state(0, "idle");
	state(1, "idle");
	event_log_commit(log_);
	ck_assert_int_eq(number("SELECT count(*) FROM event_lag"), 0);
	all_is_found();
	event_log_free(dead);
}
END_TEST

/* SDC-18: who has lost the session neither indexes it nor says that it is indexed */
START_TEST(who_lost_the_session_leaves_it_alone)
{
	struct event_log *old = log_;
	struct log_session mine = {.committed = 1};
	uint64_t was;

	events(0, MANY);
	event_log_commit(log_);
	ck_assert_int_eq(indexed(0), 1);
	was = last[0];

	/* another process takes it, and writes to it */
	open_log();
	mine = sessions[0];
	memset(&mine.tail, 0, sizeof(mine.tail));
	event_log_write(log_, SQL_RUN_TAKE, &mine, NULL, 2, "i", (int64_t)last[0]);
	event_log_commit(log_);
	ck_assert_uint_eq(mine.stale, 0);
	for (int i = 0; i < MANY; i++)
		event_log_event(log_, &mine, NULL, 2, ++last[0], CHAT_EVENT_RESPONSE_CHUNK,
				strdup("{}"), 2);
	event_log_commit(log_);
	ck_assert_uint_eq(mine.committed, was + MANY);
	ck_assert_int_eq(indexed(0), (long long)was);
	ck_assert_int_eq(number("SELECT count(*) FROM event_lag"), 1);

	/* the first one comes to its end, or to the age of what it knew */
	event_log_free(old);
	ck_assert_int_eq(indexed(0), (long long)was);
	ck_assert_int_eq(number("SELECT count(*) FROM event_lag"), 1);
	sessions[0].committed = mine.committed;
	all_is_found();
	event_log_forget(log_, &mine);
}
END_TEST

static void forget(struct event_log *l, struct log_session *s)
{
	event_log_forget(l, s);
	memset(&s->tail, 0, sizeof(s->tail));
}

static void event_of(struct event_log *l, struct log_session *s, uint64_t g, uint64_t seq)
{
	event_log_event(l, s, NULL, g, seq, CHAT_EVENT_RESPONSE_CHUNK, strdup("{}"), 2);
}

/* Session 0 waits for a person, and b has it too; with it b goes on, under load. */
static struct event_log *two_have_it(struct log_session *ret_of_b)
{
	struct event_log *a = log_;

	state(0, "waiting");
	event_log_commit(a);
	open_log();
	*ret_of_b = sessions[0];
	memset(&ret_of_b->tail, 0, sizeof(ret_of_b->tail));
	event_log_write(log_, SQL_RUN_STATE, ret_of_b, NULL, 1, "tii", "processing", (int64_t)1,
			(int64_t)1);
	event_log_commit(log_);
	for (int i = 0; i < MANY; i++)
		event_of(log_, ret_of_b, 1, (uint64_t)i + 2);
	event_log_commit(log_);
	ck_assert_int_eq(number("SELECT count(*) FROM event_lag"), 1);
	return a;
}

/* DUR-3: a worker that was taken for dead while a turn waited has its generation as well */
START_TEST(a_waiting_session_that_two_have_gets_no_seq_twice)
{
	struct log_session of_b;
	struct event_log *a = two_have_it(&of_b);

	event_of(a, &sessions[0], 1, 2);
	event_log_commit(a);
	ck_assert_uint_eq(sessions[0].stale, 1);
	ck_assert_int_eq(number(INDEX_FAULTS), 0);
	ck_assert_int_eq(number("SELECT count(*) FROM events WHERE session = 1"), 1 + MANY);
	event_log_forget(log_, &of_b);
	event_log_free(a);
}
END_TEST

START_TEST(who_did_not_begin_the_run_takes_no_lag_away)
{
	struct log_session of_b, other = sessions[1];
	struct event_log *a = two_have_it(&of_b);

	forget(a, &sessions[0]); /* loaded anew since it waits */
	event_log_write(a, SQL_KEY_INSERT, &sessions[0], NULL, 1, "ttttii", "local", "k", "f", "{}",
			(int64_t)1, (int64_t)0);
	event_log_commit(a);
	memset(&other.tail, 0, sizeof(other.tail));
	event_of(log_, &of_b, 1, MANY + 2);
	for (int i = 0; i < MANY; i++)
		event_of(log_, &other, 1, (uint64_t)i + 2);
	event_log_commit(log_);
	ck_assert_uint_eq(of_b.committed, MANY + 2);
	ck_assert_int_eq(number(INDEX_FAULTS), 0);
	event_log_forget(log_, &of_b);
	event_log_forget(log_, &other);
	event_log_free(a);
}
END_TEST

static uint64_t last_seq_in(struct event_log *l, const char *id)
{
	auto_session_row struct session_row row = {0};

	ck_assert_int_eq(query_session(event_log_db(l), id, &row), 1);
	return row.last_seq;
}

/* DUR-6, SDC-18: who takes a session sees what its owner has not indexed, or does not get it */
START_TEST(a_take_over_sees_what_lags)
{
	struct event_log *a = log_, *b;
	struct log_session mine = sessions[0];

	open_log(); /* before there is anything to catch up with */
	b = log_;
	state(0, "processing");
	event_log_commit(a);
	for (int i = 0; i < MANY; i++)
		event_of(a, &sessions[0], 1, ++last[0]);
	event_log_commit(a);
	ck_assert_int_eq(indexed(0), 1);
	ck_assert_uint_eq(last_seq_in(b, "ses_0"), last[0]);
	memset(&mine.tail, 0, sizeof(mine.tail));
	event_log_write(b, SQL_RUN_RESTART, &mine, NULL, 2, "i", (int64_t)last[0] - 1);
	event_log_commit(b);
	ck_assert_uint_eq(mine.stale, 2); /* something was written since it was read */
	mine.stale = 0;
	event_log_write(b, SQL_RUN_TAKE, &mine, NULL, 2, "i", (int64_t)last[0] - 1);
	event_log_commit(b);
	ck_assert_uint_eq(mine.stale, 2);
	mine.stale = 0;
	event_log_write(b, SQL_RUN_RESTART, &mine, NULL, 2, "i", (int64_t)last[0]);
	event_of(b, &mine, 2, ++last[0]);
	event_log_commit(b);
	ck_assert_uint_eq(mine.stale, 0);
	ck_assert_int_eq(number("SELECT count(*) FROM event_lag"), 0);
	ck_assert_int_eq(number(INDEX_FAULTS), 0);
	event_log_forget(b, &mine);
	event_log_free(a);
}
END_TEST

/* DUR-6: catching up makes short what has to be looked through, and lets nothing be missed */
START_TEST(catching_up_again_is_short)
{
	struct event_log *a = log_, *b;

	open_log();
	b = log_;
	events(0, 1);
	last[0]--;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++)
			event_of(a, &sessions[0], 1, ++last[0]);
		event_log_commit(a);
		event_log_catch_up(b);
		ck_assert_int_eq(indexed(0), (long long)sessions[0].committed);
		ck_assert_int_eq(
			number("SELECT since > (SELECT max(row) FROM events) FROM event_lag"), 1);
	}
	/* the newest rows go, and their numbers come again */
	for (int i = 0; i < MANY; i++)
		event_of(a, &sessions[1], 1, ++last[1]);
	event_log_write(a, SQL_SESSION_REMOVE, &sessions[1], NULL, 1, "i", (int64_t)1);
	event_log_commit(a);
	event_log_catch_up(b);
	{
		const struct retention_policy forever = {0};
		struct retention *r = retention_new();

		retention_begin(r, &forever, clock_wall_ms());
		while (retention_slice(r, event_log_db(b), 1000000, true) == RETENTION_MORE)
			;
		ck_assert_uint_eq(retention_stats(r)->events, 1 + MANY);
		retention_free(r);
	}
	for (int i = 0; i < MANY; i++)
		event_of(a, &sessions[0], 1, ++last[0]);
	event_log_commit(a);
	ck_assert_uint_eq(sessions[0].committed, last[0]);
	ck_assert_int_eq(number(INDEX_FAULTS), 0);
	event_log_forget(a, &sessions[1]);
	event_log_free(a);
}
END_TEST

/* --- failures --- */

static int interrupt(void *arg)
{
	sqlite3_stmt *st = NULL;

	while ((st = sqlite3_next_stmt(arg, st))) {
		if (sqlite3_stmt_busy(st) &&
		    strstr(sqlite3_sql(st), "SELECT 1 FROM sessions WHERE row = ?1 "
					    "AND generation = ?2"))
			return 1;
	}
	return 0;
}

/* FAF-4: that fails too, with a tail that is full */
START_TEST(a_guard_that_cannot_be_read_fails_the_commit)
{
	sqlite3 *db = db_handle(event_log_db(log_));
	struct {
		struct log_session s;
		uint64_t behind;
	} x = {.s = sessions[0]};

	memset(&x.s.tail, 0, sizeof(x.s.tail));
	for (uint64_t i = 0; i < LIMIT_INDEX_LAG + 4; i++)
		event_of(log_, &x.s, 1, i + 2);
	sqlite3_progress_handler(db, 1, interrupt, db);
	event_log_commit(log_);
	ck_assert(event_log_is_stalled(log_));
	ck_assert_uint_eq(x.behind, 0);
	ck_assert_uint_le(x.s.tail.n, LIMIT_INDEX_LAG);
	sqlite3_progress_handler(db, 0, NULL, NULL);
	while (event_log_is_stalled(log_)) {
		(void)event_base_loop(base, EVLOOP_ONCE);
		event_log_commit(log_);
	}
	ck_assert_uint_eq(x.s.committed, LIMIT_INDEX_LAG + 5);
	ck_assert_int_eq(number(INDEX_FAULTS), 0);
	event_log_forget(log_, &x.s);
}
END_TEST

static int fail_in; /* writes and syncs until one fails; 0: none does */
static bool fail_really;

static int hook(enum shim_op op, const char *file, bool *really)
{
	if ((op != SHIM_WRITE && op != SHIM_SYNC) || !strstr(file, "-wal") || fail_in == 0 ||
	    --fail_in > 0)
		return SQLITE_OK;
	*really = fail_really;
	return op == SHIM_WRITE ? SQLITE_IOERR_WRITE : SQLITE_IOERR_FSYNC;
}

static void commit_until_it_works(void)
{
	int64_t until = clock_mono_ms() + 20000;

	event_log_commit(log_);
	while (event_log_is_stalled(log_)) {
		ck_assert_int_lt(clock_mono_ms(), until);
		(void)event_base_loop(base, EVLOOP_ONCE);
		event_log_commit(log_);
	}
}

/* FAF-4: entries alone that can't be written do not leave the log stalled, nor the index behind */
START_TEST(a_settling_that_fails_is_tried_again)
{
	int64_t until = clock_mono_ms() + 20000;

	events(0, MANY);
	event_log_commit(log_);
	usleep(LIMIT_INDEX_LAG_MS * 1000 + 50000);
	fail_in = 1 + _i;
	fail_really = _i % 2;
	event_log_commit(log_);
	ck_assert(event_log_is_stalled(log_));
	fail_in = 0;
	event_log_forget(log_, &sessions[0]); /* nothing else wakes it */
	while (event_log_is_stalled(log_)) {
		ck_assert_int_lt(clock_mono_ms(), until);
		(void)event_base_loop(base, EVLOOP_ONCE);
		event_log_commit(log_);
	}
	ck_assert_int_eq(number(INDEX_FAULTS), 0);
}
END_TEST

/*
 * FAF-4: commits of all sizes, some of which fail at some write, really or seemingly; now and then
 * another write, now and then another process.
 */
START_TEST(failures_lose_no_event)
{
	struct dice dice = {.state = (uint64_t)_i + 1};

	for (int round = 0; round < 40; round++) {
		for (int n = dice_below(&dice, 3 * MANY); n > 0; n--)
			event(dice_below(&dice, SESSIONS));
		if (dice_is(&dice, 25))
			state(dice_below(&dice, SESSIONS), "processing");
		fail_in = dice_is(&dice, 33) ? 1 + dice_below(&dice, 30) : 0;
		fail_really = dice_is(&dice, 50);
		commit_until_it_works();
		fail_in = 0;
		all_is_found();
		if (dice_is(&dice, 10)) {
			event_log_free(log_);
			open_log();
			for (int i = 0; i < SESSIONS; i++)
				memset(&sessions[i].tail, 0, sizeof(sessions[i].tail));
			ck_assert_int_eq(number("SELECT count(*) FROM event_lag"), 0);
		}
	}
	ck_assert_int_gt(number("SELECT count(*) FROM events"), 100);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("event_index");
	TCase *c = tcase_create("event_index");
	SRunner *r;
	int failed;

	shim_install();
	shim_set_hook(hook);
	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, a_small_commit_indexes_at_once);
	tcase_add_test(c, what_is_not_indexed_is_found);
	tcase_add_test(c, a_session_that_streams_is_never_far_behind);
	tcase_add_test(c, one_commit_may_bring_more_than_a_tail_holds);
	tcase_add_test(c, another_write_settles);
	tcase_add_test(c, a_removal_hides_no_event);
	tcase_add_test(c, silence_settles);
	tcase_add_test(c, the_end_of_the_process_settles);
	tcase_add_test(c, what_a_dead_process_left_is_indexed);
	tcase_add_test(c, who_lost_the_session_leaves_it_alone);
	tcase_add_test(c, a_waiting_session_that_two_have_gets_no_seq_twice);
	tcase_add_test(c, who_did_not_begin_the_run_takes_no_lag_away);
	tcase_add_test(c, a_take_over_sees_what_lags);
	tcase_add_test(c, catching_up_again_is_short);
	tcase_add_test(c, a_guard_that_cannot_be_read_fails_the_commit);
	tcase_add_loop_test(c, a_settling_that_fails_is_tried_again, 0, 4);
	tcase_add_loop_test(c, failures_lose_no_event, 0, 12);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
