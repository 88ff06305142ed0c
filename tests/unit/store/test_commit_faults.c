/*
 * test_commit_faults.c - every write and every sync of a small life of the log fails once.
 *
 * A COMMIT that returns an I/O error may or may not have happened. A shim VFS makes the nth write
 * or sync fail, with the operation done or not done, once or several times in a row, for n = 1, 2,
 * … until there is none left to fail. Whatever failed: each event is stored once and told once, in
 * order, each callback is called once and with success, and the database is whole.
 *
 * The log waits LIMIT_LOG_RETRY_MS after a failure, so the cases run side by side, a process each.
 */
#include "chatd/store/event_log.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chatd/store/log_outcome.h"
#include "tests/unit/store/index_sql.h"
#include "tests/unit/store/shim_vfs.h"

#define AT_ONCE 24 /* processes */
#define EVENTS	7

enum outcome { OUTCOME_FINE, OUTCOME_WRONG, OUTCOME_UNTOUCHED };

struct fault {
	const char *name;
	enum shim_op op;
	int code;
	bool really; /* done, though it is said to have failed */
	int times;   /* in a row */
};

static const struct fault faults[] = {
	{"sync done, said to have failed", SHIM_SYNC, SQLITE_IOERR_FSYNC, true, 1},
	{"sync failed", SHIM_SYNC, SQLITE_IOERR_FSYNC, false, 1},
	{"sync failed three times", SHIM_SYNC, SQLITE_IOERR_FSYNC, true, 3},
	{"write done, said to have failed", SHIM_WRITE, SQLITE_IOERR_WRITE, true, 1},
	{"write failed", SHIM_WRITE, SQLITE_IOERR_WRITE, false, 1},
	{"disk full for two writes", SHIM_WRITE, SQLITE_FULL, false, 2},
};
#define N_FAULTS (int)(sizeof(faults) / sizeof(faults[0]))

static const struct fault *fault;
static int fault_at, n_seen;

static int inject(enum shim_op op, const char *file, bool *really)
{
	if (op != fault->op)
		return SQLITE_OK;
	n_seen++;
	if (n_seen < fault_at || n_seen >= fault_at + fault->times)
		return SQLITE_OK;
	*really = fault->really;
	return fault->code;
}

static char dir[40], path[64];
static struct event_base *base;
static struct event_log *log_;
static struct log_session session, other;
static struct log_turn *turn;
static char told[256];
static uint64_t seq;
static int n_told;
static bool ahead; /* an event could be read before it was told */

static void on_committed(void *arg, struct log_session *s, const struct chat_event *e)
{
	size_t n = strlen(told);

	n_told++;
	(void)snprintf(told + n, sizeof(told) - n, "%d ", (int)e->seq);
}

static void on_stale(void *arg, struct log_session *s, uint64_t generation)
{
	size_t n = strlen(told);

	(void)snprintf(told + n, sizeof(told) - n, "stale ");
}

static void on_stalled(void *arg, const char *why)
{
}

static const struct event_log_ops ops = {on_committed, on_stale, on_stalled};

static void on_after(void *arg, bool ok)
{
	size_t n = strlen(told);

	(void)snprintf(told + n, sizeof(told) - n, "%s%s ", (const char *)arg, ok ? "+" : "-");
}

static void add_event(void);

/* While the log is stalled it is read as ever: what is told, and nothing that a power cut takes
 * back. */
static void read_meanwhile(void)
{
	sqlite3_stmt *st = NULL;
	struct db *db = event_log_db(log_);

	if (!db)
		return;
	if (sqlite3_prepare_v2(db_handle(db), "SELECT count(*) FROM events", -1, &st, NULL) ==
		    SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW && sqlite3_column_int(st, 0) > n_told)
		ahead = true;
	(void)sqlite3_finalize(st);
}

static void commit(const char *name)
{
	static char names[] = "a\0b\0c\0d\0e\0f";

	event_log_after(log_, &session, on_after, names + 2 * (*name - 'a'));
	event_log_commit(log_);
	if (*name == 'c') /* a worker goes on appending, whatever became of the commit */
		add_event();
	while (event_log_is_stalled(log_)) {
		read_meanwhile();
		(void)event_base_loop(base, EVLOOP_ONCE);
		event_log_commit(log_);
	}
}

static void add_event(void)
{
	event_log_event(log_, &session, turn, 1, ++seq, CHAT_EVENT_RESPONSE_CHUNK,
			strdup("{\"content\":\"x\"}"), 15);
}

/* A life: a session alone, a turn that starts, goes on and ends, another session that is deleted.
 */
static void live(void)
{
	event_log_write(log_, SQL_SESSION_INSERT, &session, NULL, 0, "tttttti", "local", "t",
			"demo", "m", NULL, NULL, (int64_t)1);
	commit("a");
	event_log_write(log_, SQL_RUN_START, &session, NULL, 1, "ttti", "demo", "m", NULL,
			(int64_t)1);
	event_log_write(log_, SQL_TURN_INSERT, &session, turn, 1, "ttttii", turn->id, "demo", "m",
			"msg_1", (int64_t)1, (int64_t)1);
	for (int i = 0; i <= LIMIT_INDEX_GROUP; i++)
		add_event();
	commit("b");
	for (int i = 0; i <= LIMIT_INDEX_GROUP; i++) /* they are indexed later */
		add_event();
	commit("c");
	add_event();
	event_log_write(log_, SQL_TURN_END, &session, turn, 1, "Ttiituuuutt", "done", (int64_t)seq,
			(int64_t)1, "stop", (int64_t)-1, (int64_t)-1, (int64_t)-1, (int64_t)-1,
			NULL, NULL);
	event_log_write(log_, SQL_RUN_STATE, &session, NULL, 1, "tii", "idle", (int64_t)seq,
			(int64_t)1);
	commit("d");
	event_log_write(log_, SQL_SESSION_INSERT, &other, NULL, 0, "tttttti", "local", "t", "demo",
			"m", NULL, NULL, (int64_t)1);
	commit("e");
	event_log_write(log_, SQL_QUEUE_DROP, &other, NULL, 0, "i", (int64_t)1);
	event_log_write(log_, SQL_SESSION_REMOVE, &other, NULL, 0, "i", (int64_t)1);
	commit("f");
}

static bool says(sqlite3 *db, const char *sql, const char *want)
{
	sqlite3_stmt *st = NULL;
	bool same = false;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		same = strcmp((const char *)sqlite3_column_text(st, 0), want) == 0;
	if (!same)
		(void)fprintf(stderr, "%s, case %d: not %s: %s\n", fault->name, fault_at, want,
			      sql);
	(void)sqlite3_finalize(st);
	return same;
}

static bool whole(void)
{
	sqlite3 *db = NULL;
	bool ok = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK;

	ok = ok && says(db, "PRAGMA integrity_check(1)", "ok");
	ok = ok && says(db, "SELECT group_concat(seq, ' ') FROM events",
			"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20");
	ok = ok &&
	     says(db, "SELECT count(*) || state || last_seq FROM sessions WHERE removed_at IS NULL",
		  "1idle20");
	ok = ok && says(db, "SELECT count(*) || state || last_seq FROM turns", "1done20");
	ok = ok && says(db, INDEX_FAULTS, "0") && says(db, INDEX_LAG, "0");
	(void)sqlite3_close(db);
	return ok;
}

static enum outcome case_in_child(void)
{
	static const char want[] =
		"a+ 1 2 3 4 5 6 7 8 9 b+ 10 11 12 13 14 15 16 17 18 c+ 19 20 d+ e+ f+ ";
	/* the third commit did not happen: what was appended meanwhile is in its second try */
	static const char want_again[] =
		"a+ 1 2 3 4 5 6 7 8 9 b+ 10 11 12 13 14 15 16 17 18 19 c+ 20 d+ e+ f+ ";
	char cmd[64];
	const char *why;
	bool ok;

	strcpy(dir, "/tmp/test_commit_faults.XXXXXX");
	if (!mkdtemp(dir))
		return OUTCOME_WRONG;
	(void)snprintf(path, sizeof(path), "%s/events.db", dir);
	base = event_base_new();
	shim_install();
	if (event_log_open(base, path, true, &ops, NULL, &log_, &why) != 0)
		return OUTCOME_WRONG;
	event_log_set_checkpoint_pages(log_, 8);
	strcpy(session.id, "ses_1");
	strcpy(other.id, "ses_2");
	turn = log_turn_new("turn_1", 0);
	shim_set_hook(inject);
	live();
	shim_set_hook(NULL);
	event_log_free(log_);
	log_turn_unref(turn);
	event_base_free(base);
	ok = whole();
	if (strcmp(told, want) != 0 && strcmp(told, want_again) != 0) {
		(void)fprintf(stderr, "%s, case %d: told %s\n", fault->name, fault_at, told);
		ok = false;
	}
	if (ahead) {
		(void)fprintf(stderr, "%s, case %d: read before it was told\n", fault->name,
			      fault_at);
		ok = false;
	}
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd) != 0 || !ok)
		return OUTCOME_WRONG;
	return n_seen < fault_at ? OUTCOME_UNTOUCHED : OUTCOME_FINE;
}

/* FAF-4, DUR-2, DUR-3: nothing is lost, invented, repeated or told twice, whatever call failed. */
START_TEST(whatever_call_fails_each_event_is_stored_once_and_told_once)
{
	int n = 1, untouched = 0, fine = 0;

	fault = &faults[_i];
	while (untouched == 0) {
		pid_t pids[AT_ONCE];

		for (int i = 0; i < AT_ONCE; i++) {
			fault_at = n++;
			pids[i] = fork();
			if (pids[i] == 0)
				_exit((int)case_in_child());
		}
		for (int i = 0; i < AT_ONCE; i++) {
			int status;

			ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
			ck_assert(WIFEXITED(status));
			ck_assert_int_ne(WEXITSTATUS(status), OUTCOME_WRONG);
			untouched += WEXITSTATUS(status) == OUTCOME_UNTOUCHED;
			fine += WEXITSTATUS(status) == OUTCOME_FINE;
		}
	}
	ck_assert_int_gt(fine, 4); /* at least one for each commit */
}
END_TEST

/* --- removals say what they say, and no more --- */

static bool run_sql(const char *sql)
{
	sqlite3 *db = NULL;
	bool ok = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
		  sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;

	(void)sqlite3_close(db);
	return ok;
}

static void insert(struct log_session *s)
{
	event_log_write(log_, SQL_SESSION_INSERT, s, NULL, 0, "tttttti", "local", "t", "demo", "m",
			NULL, NULL, (int64_t)1);
}

/* A removal comes first in a transaction that does not happen, then an event of another session;
 * and before it is tried again another process removes the same session. */
static bool be_overtaken(void)
{
	static const struct fault fails = {"commit", SHIM_WRITE, SQLITE_IOERR_WRITE, false, 1};
	static char b[] = "b";

	insert(&session);
	event_log_write(log_, SQL_RUN_START, &session, NULL, 1, "ttti", "demo", "m", NULL,
			(int64_t)1);
	event_log_write(log_, SQL_TURN_INSERT, &session, turn, 1, "ttttii", turn->id, "demo", "m",
			"msg_1", (int64_t)1, (int64_t)1);
	insert(&other);
	commit("a");
	fault = &fails;
	fault_at = 1;
	shim_set_hook(inject);
	event_log_write(log_, SQL_SESSION_REMOVE, &other, NULL, 0, "i", (int64_t)7);
	add_event();
	event_log_after(log_, &session, on_after, b);
	event_log_commit(log_);
	if (!event_log_is_stalled(log_) ||
	    !run_sql("UPDATE sessions SET removed_at = 99, generation = generation + 1 "
		     "WHERE id = 'ses_2'"))
		return false;
	while (event_log_is_stalled(log_)) {
		(void)event_base_loop(base, EVLOOP_ONCE);
		event_log_commit(log_);
	}
	return true;
}

static bool begin(void)
{
	const char *why;

	strcpy(dir, "/tmp/test_commit_faults.XXXXXX");
	if (!mkdtemp(dir))
		return false;
	(void)snprintf(path, sizeof(path), "%s/events.db", dir);
	strcpy(session.id, "ses_1");
	strcpy(other.id, "ses_2");
	turn = log_turn_new("turn_1", 0);
	base = event_base_new();
	shim_install();
	return event_log_open(base, path, true, &ops, NULL, &log_, &why) == 0;
}

static bool is_cleaned_up(void)
{
	char cmd[64];

	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd) == 0;
}

static enum outcome overtaken_in_child(void)
{
	sqlite3 *db = NULL;
	bool ok = begin() && be_overtaken();

	shim_set_hook(NULL);
	event_log_free(log_);
	log_turn_unref(turn);
	event_base_free(base);
	ok = ok && strcmp(told, "a+ 1 stale b+ ") == 0 &&
	     sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
	     says(db, "SELECT group_concat(seq, ' ') FROM events", "1");
	(void)sqlite3_close(db);
	return is_cleaned_up() && ok ? OUTCOME_FINE : OUTCOME_WRONG;
}

/* DUR-2, FAF-4: what another process has removed is no sign that our COMMIT happened */
START_TEST(a_removal_by_another_process_is_no_sign_of_a_commit)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit((int)overtaken_in_child());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), OUTCOME_FINE);
}
END_TEST

static void put(struct pending_list *list, enum sql which, const char *types, ...)
{
	struct pending_write *w = pending_write_new(PENDING_STATEMENT, which, &other, NULL, 0);
	va_list ap;

	va_start(ap, types);
	pending_write_set_params(w, types, ap);
	va_end(ap);
	TAILQ_INSERT_TAIL(list, w, link);
}

/* FAF-4: a session that came and went in one transaction is still a sign that it happened */
START_TEST(a_session_that_came_and_went_in_a_commit_tells_of_it)
{
	struct pending_list list = TAILQ_HEAD_INITIALIZER(list);
	struct event_index index;
	struct pending_write *w;
	bool unknown = false;

	ck_assert(begin());
	put(&list, SQL_SESSION_INSERT, "tttttti", "local", "t", "demo", "m", NULL, NULL,
	    (int64_t)1);
	put(&list, SQL_SESSION_REMOVE, "i", (int64_t)7);
	ck_assert_int_eq(
		log_outcome_find(event_log_db(log_), &list, TAILQ_LAST(&list, pending_list)), 0);
	event_index_init(&index);
	ck_assert_int_eq(pending_write_run_all(event_log_db(log_), &list, &index, false, &unknown),
			 SQLITE_OK);
	ck_assert_int_eq(
		log_outcome_find(event_log_db(log_), &list, TAILQ_LAST(&list, pending_list)), 1);
	ck_assert_int_gt(other.row, 0);
	while ((w = TAILQ_FIRST(&list))) {
		TAILQ_REMOVE(&list, w, link);
		pending_write_free(w);
	}
	event_log_free(log_);
	log_turn_unref(turn);
	event_base_free(base);
	ck_assert(is_cleaned_up());
}
END_TEST

int main(void)
{
	Suite *s = suite_create("commit_faults");
	TCase *tc = tcase_create("commit_faults");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, whatever_call_fails_each_event_is_stored_once_and_told_once, 0,
			    N_FAULTS);
	tcase_add_test(tc, a_removal_by_another_process_is_no_sign_of_a_commit);
	tcase_add_test(tc, a_session_that_came_and_went_in_a_commit_tells_of_it);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
