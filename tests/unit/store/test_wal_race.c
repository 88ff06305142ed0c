/*
 * test_wal_race.c - SQLite's WAL-reset race, forced, with and without the gate.
 *
 * Every SQLite from 3.7.0 to 3.51.2 can corrupt a WAL database: a checkpoint reads the WAL's
 * header, then another process commits and, all being backfilled, resets the WAL; the checkpoint
 * goes on with the old header and marks frames as backfilled that are yet to be written. Those are
 * never copied.
 *
 *	checkpointer	reads header (mxFrame M) ──┐              ┌── marks M as backfilled
 *	committer	                           └─ resets, commits ┘    … writes M more, lost
 *
 * The window is a few instructions wide, so a shim VFS holds it open: SQLite calls xUnfetch inside
 * it. Without the gate (chatd/store/db.h) the test sees corruption, which proves that it can; with
 * the gate the committer waits in the kernel and nothing happens. A second test lets four processes
 * loose on one database with a checkpoint every few commits.
 */
#include "chatd/store/event_log.h"

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/store/index_sql.h"
#include "tests/unit/store/shim_vfs.h"

#define FIXED_VERSION 3051003 /* the first SQLite without the race */
#define WRITERS	      4
#define STRESS_MS     3000
#define DEADLINE_MS   20000

static char dir[32], path[64];
static struct db *d1, *d2;

static void set_up(void)
{
	strcpy(dir, "/tmp/test_wal_race.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/events.db", dir);
	shim_install();
	shim_set_hook(NULL);
	d1 = d2 = NULL;
}

static void tear_down(void)
{
	char cmd[64];

	db_close(d1);
	db_close(d2);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static struct db *open_db(void)
{
	struct db *db;
	const char *why;

	ck_assert_int_eq(db_open(path, true, &db, &why), 0);
	return db;
}

static void run(struct db *db, const char *sql)
{
	char *why = NULL;

	if (sqlite3_exec(db_handle(db), sql, NULL, NULL, &why) != SQLITE_OK)
		ck_abort_msg("%s: %s", sql, why);
}

/* The first line of integrity_check, as a new connection sees it. Static. */
static const char *integrity(void)
{
	static char line[256];
	sqlite3 *db;
	sqlite3_stmt *st;

	ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &st, NULL),
			 SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW)
		(void)snprintf(line, sizeof(line), "%s", sqlite3_column_text(st, 0));
	else
		(void)snprintf(line, sizeof(line), "%s", sqlite3_errmsg(db));
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	return line;
}

#define CHANGE_ALL "UPDATE t1 SET b = randomblob(600)"
#define CHANGE_FEW "UPDATE t1 SET b = randomblob(600) WHERE a < 5"

/* Up to the moment before the checkpoint: d2 wrote and backfilled all, d1 has not looked since. */
static void prepare(void)
{
	d1 = open_db();
	d2 = open_db();
	run(d1, "CREATE TABLE t1 (a INTEGER PRIMARY KEY, b); CREATE INDEX i1 ON t1 (b);"
		"WITH s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 20) "
		"INSERT INTO t1 SELECT NULL, randomblob(600) FROM s");
	ck_assert_int_eq(db_checkpoint(d1, NULL), SQLITE_OK);
	run(d2, CHANGE_ALL);
	ck_assert_int_eq(db_checkpoint(d2, NULL), SQLITE_OK);
}

static int n_hooked;

static int commit_in_the_window(enum shim_op op, const char *file, bool *really)
{
	if (op != SHIM_UNFETCH)
		return SQLITE_OK;
	shim_set_hook(NULL);
	n_hooked++;
	run(d2, CHANGE_FEW);
	return SQLITE_OK;
}

/* The control: if this sees no corruption in an old SQLite, the test below proves nothing. */
START_TEST(without_the_gate_a_commit_during_a_checkpoint_corrupts)
{
	prepare();
	n_hooked = 0;
	shim_set_hook(commit_in_the_window);
	(void)db_checkpoint(d1, NULL);
	ck_assert_int_eq(n_hooked, 1);
	run(d2, CHANGE_ALL);
	(void)db_checkpoint(d1, NULL);
	if (sqlite3_libversion_number() < FIXED_VERSION)
		ck_assert_str_ne(integrity(), "ok");
	else
		ck_assert_str_eq(integrity(), "ok");
}
END_TEST

static int to_child[2], from_child[2];
static pid_t child;

/* Waits until the kernel shows the child waiting for a lock. */
static void wait_until_blocked(pid_t pid)
{
	int64_t until = clock_mono_ms() + DEADLINE_MS;
	char want[32], line[256];

	(void)snprintf(want, sizeof(want), " %d ", (int)pid);
	while (clock_mono_ms() < until) {
		FILE *f = fopen("/proc/locks", "re");
		bool found = false;

		ck_assert_ptr_nonnull(f);
		while (fgets(line, sizeof(line), f))
			found |= strstr(line, "->") && strstr(line, "FLOCK") && strstr(line, want);
		(void)fclose(f);
		if (found)
			return;
		(void)poll(NULL, 0, 1);
	}
	ck_abort_msg("the committer does not wait for the gate");
}

static int let_child_commit(enum shim_op op, const char *file, bool *really)
{
	struct pollfd p = {from_child[0], POLLIN, 0};

	if (op != SHIM_UNFETCH)
		return SQLITE_OK;
	shim_set_hook(NULL);
	n_hooked++;
	ck_assert_int_eq(write(to_child[1], "x", 1), 1);
	wait_until_blocked(child);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	return SQLITE_OK;
}

static void committer(void)
{
	struct db *db;
	const char *why;
	char c;

	if (db_open(path, true, &db, &why) != 0 || write(from_child[1], "r", 1) != 1 ||
	    read(to_child[0], &c, 1) != 1)
		_exit(1);
	db_gate_enter(db);
	if (sqlite3_exec(db_handle(db), CHANGE_FEW, NULL, NULL, NULL) != SQLITE_OK)
		_exit(2);
	db_gate_leave(db);
	_exit(write(from_child[1], "d", 1) == 1 ? 0 : 3);
}

/* DUR-9: nobody commits while a checkpoint runs, so the race can't happen. */
START_TEST(with_the_gate_a_commit_waits_for_the_checkpoint)
{
	int status;
	char c;

	ck_assert_int_eq(pipe(to_child), 0);
	ck_assert_int_eq(pipe(from_child), 0);
	/* the table must be there, and no connection open, when the process forks */
	d1 = open_db();
	db_close(d1);
	child = fork();
	if (child == 0)
		committer();
	ck_assert_int_eq(read(from_child[0], &c, 1), 1);
	prepare();
	n_hooked = 0;
	shim_set_hook(let_child_commit);
	db_gate_enter(d1);
	ck_assert_int_eq(db_checkpoint(d1, NULL), SQLITE_OK);
	db_gate_leave(d1);
	ck_assert_int_eq(n_hooked, 1);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	run(d2, CHANGE_ALL);
	ck_assert_int_eq(db_checkpoint(d1, NULL), SQLITE_OK);
	ck_assert_str_eq(integrity(), "ok");
}
END_TEST

/* --- four processes --- */

static uint64_t told;

static void on_committed(void *arg, struct log_session *s, const struct chat_event *e)
{
	if (e->seq != ++told)
		_exit(10);
}

static void on_stale(void *arg, struct log_session *s, uint64_t generation)
{
	_exit(11);
}

static void on_stalled(void *arg, const char *why)
{
}

static const struct event_log_ops ops = {on_committed, on_stale, on_stalled};

static void writer(int index)
{
	struct event_base *base = event_base_new();
	struct log_session s = {.id = ""};
	struct log_turn *turn;
	struct event_log *log;
	const char *why;
	uint64_t seq = 0;
	int64_t until = clock_mono_ms() + STRESS_MS;

	if (event_log_open(base, path, true, &ops, NULL, &log, &why) != 0)
		_exit(1);
	event_log_set_checkpoint_pages(log, 20);
	(void)snprintf(s.id, sizeof(s.id), "ses_%d", index);
	turn = log_turn_new(s.id + 4, 0);
	event_log_write(log, SQL_SESSION_INSERT, &s, NULL, 0, "tttttti", "local", "t", "demo", "m",
			NULL, NULL, (int64_t)1);
	event_log_write(log, SQL_RUN_START, &s, NULL, 1, "ttti", "demo", "m", NULL, (int64_t)1);
	event_log_write(log, SQL_TURN_INSERT, &s, turn, 1, "ttttii", turn->id, "demo", "m", "msg_1",
			(int64_t)1, (int64_t)1);
	while (clock_mono_ms() < until) {
		for (int i = 0; i < 5 + (int)(seq / 5 % 2) * LIMIT_INDEX_GROUP; i++)
			event_log_event(log, &s, turn, 1, ++seq, CHAT_EVENT_RESPONSE_CHUNK,
					strdup("{\"content\":\"x\"}"), 15);
		event_log_commit(log);
	}
	if (event_log_stats(log)->checkpoints == 0)
		_exit(2);
	event_log_free(log);
	if (told != seq)
		_exit(3);
	log_turn_unref(turn);
	event_base_free(base);
	_exit(0);
}

static long long scalar(struct db *db, const char *sql)
{
	sqlite3_stmt *st;
	long long v;

	ck_assert_int_eq(sqlite3_prepare_v2(db_handle(db), sql, -1, &st, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
	v = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	return v;
}

/* DUR-3, DUR-9: four processes, one database, a checkpoint every few commits. */
START_TEST(four_writers_with_constant_checkpoints_keep_the_log_whole)
{
	pid_t pids[WRITERS];

	for (int i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			writer(i);
	}
	for (int i = 0; i < WRITERS; i++) {
		int status;

		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_str_eq(integrity(), "ok");
	d1 = open_db();
	ck_assert_int_eq(scalar(d1, "SELECT count(DISTINCT session) FROM events"), WRITERS);
	ck_assert_int_eq(scalar(d1, "SELECT count(*) FROM (SELECT session FROM events GROUP BY "
				    "session HAVING min(seq) <> 1 OR max(seq) <> count(*))"),
			 0);
	ck_assert_int_gt(scalar(d1, "SELECT min(n) FROM (SELECT count(*) AS n FROM events "
				    "GROUP BY session)"),
			 0);
	ck_assert_int_eq(scalar(d1, INDEX_FAULTS), 0);
	ck_assert_int_eq(scalar(d1, INDEX_LAG), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("wal_race");
	TCase *tc = tcase_create("wal_race");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, without_the_gate_a_commit_during_a_checkpoint_corrupts);
	tcase_add_test(tc, with_the_gate_a_commit_waits_for_the_checkpoint);
	tcase_add_test(tc, four_writers_with_constant_checkpoints_keep_the_log_whole);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
