/*
 * test_backup.c - a copy of the log and a round of retention by hand, while another process writes.
 */
#include "chatd/store/backup.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chatd/store/db.h"
#include "chatd/store/migrate.h"
#include "chatd/store/prune.h"
#include "common/clock.h"
#include "common/limits.h"
#include "tests/unit/store/index_sql.h"

static char dir[40], path[64], copy[64];

static struct db *open_log(void)
{
	struct db *db;
	const char *why = "";

	if (db_open(path, false, &db, &why) != 0)
		ck_abort_msg("%s", why);
	return db;
}

static void run(struct db *db, const char *sql)
{
	if (sqlite3_exec(db_handle(db), sql, NULL, NULL, NULL) != SQLITE_OK)
		ck_abort_msg("%s: %s", sql, sqlite3_errmsg(db_handle(db)));
}

/* A session whose turn ended long ago, with many events. */
static void set_up(void)
{
	struct db *db;

	strcpy(dir, "/tmp/test_backup.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/events.db", dir);
	(void)snprintf(copy, sizeof(copy), "%s/copy.db", dir);
	db = open_log();
	run(db, "INSERT INTO sessions (row, id, owner, title, provider, model, generation, state, "
		"last_seq, created_at, updated_at) VALUES (1, 'ses_1', 'local', 't', 'demo', 'm', "
		"1, 'idle', 20000, 1, 1)");
	run(db, "INSERT INTO turns (row, session, generation, id, state, provider, model, "
		"message_id, first_seq, last_seq, started_at, ended_at) VALUES (1, 1, 1, 'turn_1', "
		"'done', 'demo', 'm', 'msg_1', 1, 20000, 1, 1)");
	run(db, "INSERT INTO messages (session, turn, id, role, status, content, created_at) "
		"VALUES (1, 1, 'msg_1', 'assistant', 'complete', '\"x\"', 1)");
	run(db, "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
		"INSERT INTO events (session, seq, generation, turn, ts, type, payload) "
		"SELECT 1, i, 1, 1, 1, 2, '{\"content\":\"' || hex(zeroblob(400)) || '\"}' FROM n");
	run(db, "INSERT INTO event_index SELECT session, seq, row FROM events");
	db_gate_enter(db);
	ck_assert_int_eq(db_checkpoint(db, NULL), SQLITE_OK);
	db_gate_leave(db);
	db_close(db);
}

static void tear_down(void)
{
	char cmd[64];

	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static int64_t number(const char *file, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	int64_t n;

	ck_assert_int_eq(sqlite3_open_v2(file, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	(void)sqlite3_busy_timeout(db, 5000);
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		ck_abort_msg("%s: %s", sql, sqlite3_errmsg(db));
	ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	return n;
}

/* Commits two rows at a time, as a worker does, until it is killed. */
static _Noreturn void write_for_ever(void)
{
	struct db *db = open_log();

	for (int i = 0;; i++) {
		char sql[128];

		(void)snprintf(sql, sizeof(sql),
			       "BEGIN IMMEDIATE; INSERT INTO event_types VALUES (%d, 'a'), (%d, "
			       "'b'); COMMIT",
			       1000 + 2 * i, 1001 + 2 * i);
		if (db_gate_enter(db) < 0)
			continue;
		run(db, sql);
		if (db_wal_pages(db) > LIMIT_WAL_PAGES)
			(void)db_checkpoint(db, NULL);
		db_gate_leave(db);
	}
}

static pid_t start_writer(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		write_for_ever();
	for (int i = 0; number(path, "SELECT count(*) FROM event_types") < 40; i++) {
		ck_assert_int_lt(i, 20000);
		(void)usleep(1000);
	}
	return pid;
}

static void stop_writer(pid_t pid)
{
	int status;

	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static int reports;
static int64_t commits_at_first, commits_at_last;

static bool note(void *arg, int64_t done, int64_t all)
{
	int64_t n = number(path, "SELECT count(*) FROM event_types");

	ck_assert_int_le(done, all);
	if (reports++ == 0)
		commits_at_first = n;
	if (done == all)
		ck_assert_int_gt(all, 20000 * 800L);
	commits_at_last = n;
	(void)usleep(20000); /* the writer goes on meanwhile */
	return arg == NULL;
}

/* OPS-1, DUR-9: one moment, whole, while another process commits and does not wait. */
START_TEST(a_copy_is_one_moment_of_a_log_that_is_written)
{
	pid_t writer = start_writer();
	const char *why = "";
	int64_t n;

	if (backup_run(path, copy, note, NULL, &why) < 0)
		ck_abort_msg("%s", why);
	stop_writer(writer);
	ck_assert_int_gt(reports, 5);
	ck_assert_int_gt(commits_at_last, commits_at_first); /* it was not held up */
	ck_assert_int_eq(number(copy, "SELECT count(*) FROM pragma_integrity_check WHERE "
				      "integrity_check = 'ok'"),
			 1);
	ck_assert_int_eq(number(copy, "SELECT count(*) FROM events"), 20000);
	n = number(copy, "SELECT count(*) FROM event_types WHERE type >= 1000");
	ck_assert_int_eq(n % 2, 0); /* whole transactions */
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(number(copy, "SELECT max(type) - 999 FROM event_types"), n);
	ck_assert_int_le(n, commits_at_first);
}
END_TEST

static long suffix_size(const char *suffix)
{
	char name[80];
	struct stat st;

	(void)snprintf(name, sizeof(name), "%s%s", copy, suffix);
	return stat(name, &st) == 0 ? (long)st.st_size : -1;
}

/* DUR-9: the copy is one file that nobody else may read; a log is made of it by opening it. */
START_TEST(a_copy_is_one_file_and_opens_as_a_log)
{
	const char *why = "";
	struct stat st;
	struct db *db;

	ck_assert_int_eq(backup_run(path, copy, NULL, NULL, &why), 0);
	ck_assert_int_eq(suffix_size(".partial"), -1);
	ck_assert_int_eq(suffix_size("-wal"), -1);
	ck_assert_int_eq(stat(copy, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	strcpy(path, copy);
	db = open_log();
	ck_assert_int_eq(number(path, "SELECT last_seq FROM sessions"), 20000);
	run(db, "UPDATE sessions SET title = 'goes on'");
	db_close(db);
}
END_TEST

/* FAF-6: what can't be done is said, and leaves nothing behind. */
START_TEST(a_copy_that_can_not_be_made_leaves_nothing)
{
	const char *why = "";
	char other[64];
	int fd;

	ck_assert_int_eq(backup_run(path, copy, note, "give up", &why), -1);
	ck_assert_str_eq(why, "given up");
	ck_assert_int_eq(suffix_size(""), -1);
	ck_assert_int_eq(suffix_size(".partial"), -1);
	(void)snprintf(other, sizeof(other), "%s/none.db", dir);
	ck_assert_int_eq(backup_run(other, copy, NULL, NULL, &why), -1);
	ck_assert_ptr_nonnull(strstr(why, "none.db"));
	ck_assert_int_eq(access(other, F_OK), -1);
	fd = open(copy, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	(void)close(fd);
	ck_assert_int_eq(backup_run(path, copy, NULL, NULL, &why), -1);
	ck_assert_ptr_nonnull(strstr(why, "there already"));
	ck_assert_int_eq(suffix_size(""), 0);
}
END_TEST

static bool count_slices(void *arg, const struct retention_stats *done)
{
	ck_assert_uint_ge(done->events, *(uint64_t *)arg);
	*(uint64_t *)arg = done->events;
	reports++;
	return true;
}

/* OPS-3: prune is a whole round, in slices between which the writer commits. */
START_TEST(prune_does_a_round_while_another_writes)
{
	struct retention_policy p = {.keep_deltas_ms = 1000};
	struct retention_stats done;
	pid_t writer = start_writer();
	int64_t before = number(path, "SELECT count(*) FROM event_types"), after;
	uint64_t last = 0;
	const char *why = "";

	if (prune_run(path, &p, count_slices, &last, &done, &why) < 0)
		ck_abort_msg("%s", why);
	after = number(path, "SELECT count(*) FROM event_types");
	stop_writer(writer);
	ck_assert_uint_eq(done.events, 20000);
	ck_assert_uint_eq(done.turns_folded, 1);
	ck_assert_int_gt(reports, 5);
	ck_assert_int_gt(after, before + 10);
	ck_assert_int_eq(number(path, "SELECT count(*) FROM events"), 0);
	ck_assert_int_eq(number(path, "SELECT count(*) FROM event_index"), 0);
	ck_assert_int_lt(number(path, "SELECT freelist_count FROM pragma_freelist_count"),
			 LIMIT_RETENTION_SPARE + 1);
}
END_TEST

START_TEST(prune_does_not_create_a_log)
{
	struct retention_policy p = {0};
	const char *why = "";

	(void)unlink(path);
	ck_assert_int_eq(prune_run(path, &p, NULL, NULL, NULL, &why), -1);
	ck_assert_ptr_nonnull(strstr(why, "No such file"));
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_int_eq(prune_rewrite(path, &why), -1);
}
END_TEST

/* OPS-6: a file that can't shrink can afterwards. */
START_TEST(a_rewritten_file_is_small_and_can_shrink)
{
	struct db *db = open_log();
	const char *why = "";
	int64_t pages;

	run(db, "PRAGMA auto_vacuum = NONE; VACUUM; DELETE FROM events; DELETE FROM event_index");
	db_close(db);
	ck_assert_int_eq(number(path, "SELECT auto_vacuum FROM pragma_auto_vacuum"), 0);
	pages = number(path, "SELECT page_count FROM pragma_page_count");
	if (prune_rewrite(path, &why) < 0)
		ck_abort_msg("%s", why);
	ck_assert_int_eq(number(path, "SELECT auto_vacuum FROM pragma_auto_vacuum"), 2);
	ck_assert_int_lt(number(path, "SELECT page_count FROM pragma_page_count"), pages / 10);
}
END_TEST

static void run_on_view(struct db *db, const char *before, const char *view, const char *after)
{
	char sql[64];

	(void)snprintf(sql, sizeof(sql), "%s %s %s", before, view, after);
	run(db, sql);
}

/* OPS-6: a large file of version 1 is migrated and not rewritten: that would take too long. */
START_TEST(a_large_old_file_is_migrated_and_left_as_it_is)
{
	static const char *const views[] = {"v_turns", "v_sessions", "v_events", "v_messages",
					    "v_calls", "v_usage",    "v_stuck"};
	struct db *db = open_log();

	run(db, "PRAGMA auto_vacuum = NONE; VACUUM");
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		run_on_view(db, "DROP VIEW", views[i], "");
	run(db, "DROP VIEW event_places; DROP VIEW events_lagging; DROP TABLE event_index; DROP "
		"TABLE event_lag; DROP INDEX sessions_by_run; CREATE UNIQUE INDEX "
		"events_by_session ON events (session, seq)");
	run(db, "DROP INDEX turns_by_start; DROP INDEX turns_by_day; DROP INDEX turns_to_fold; "
		"DROP INDEX sessions_by_age; DROP INDEX sessions_removed; "
		"ALTER TABLE turns DROP COLUMN folded; ALTER TABLE turns DROP COLUMN traceparent; "
		"ALTER TABLE sessions DROP COLUMN removed_at; PRAGMA user_version = 1");
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		run_on_view(db, "CREATE VIEW", views[i], "AS SELECT 1");
	run(db, "CREATE TABLE large AS SELECT zeroblob(40000000) AS b");
	db_close(db);
	db = open_log();
	ck_assert_int_eq(number(path, "SELECT user_version FROM pragma_user_version"),
			 SCHEMA_VERSION);
	ck_assert_int_eq(number(path, "SELECT auto_vacuum FROM pragma_auto_vacuum"), 0);
	ck_assert_int_eq(number(path, "SELECT count(*) FROM v_turns WHERE NOT folded"), 1);
	ck_assert_int_eq(number(path, "SELECT count(*) FROM v_events"), 20000);
	ck_assert_int_eq(number(path, INDEX_FAULTS), 0);
	db_close(db);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("backup");
	TCase *tc = tcase_create("backup");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 100);
	tcase_add_test(tc, a_copy_is_one_moment_of_a_log_that_is_written);
	tcase_add_test(tc, a_copy_is_one_file_and_opens_as_a_log);
	tcase_add_test(tc, a_copy_that_can_not_be_made_leaves_nothing);
	tcase_add_test(tc, prune_does_a_round_while_another_writes);
	tcase_add_test(tc, prune_does_not_create_a_log);
	tcase_add_test(tc, a_rewritten_file_is_small_and_can_shrink);
	tcase_add_test(tc, a_large_old_file_is_migrated_and_left_as_it_is);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
