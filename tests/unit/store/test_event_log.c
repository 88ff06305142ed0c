/*
 * test_event_log.c - group commit, publish after commit, generations, failures.
 */
#include "chatd/store/event_log.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "chatd/store/queries.h"
#include "common/limits.h"
#include "proto/replay.h"
#include "tests/unit/store/index_sql.h"

static char dir[] = "/tmp/test_event_log.XXXXXX";
static char path[128];
static struct event_base *base;
static struct event_log *log_;
static struct log_session session;
static struct log_turn *turn;

/* what the log told, in order */
static char told[4096];
static int n_stale;
static int n_stalls, n_unstalls;

static void on_committed(void *arg, struct log_session *s, const struct chat_event *e)
{
	char one[64];

	(void)snprintf(one, sizeof(one), "e%llu:%llu ", (unsigned long long)e->generation,
		       (unsigned long long)e->seq);
	strcat(told, one);
	ck_assert_uint_eq(s->committed, e->seq);
}

static void on_stale(void *arg, struct log_session *s, uint64_t generation)
{
	n_stale++;
}

static void on_stalled(void *arg, const char *why)
{
	if (why)
		n_stalls++;
	else
		n_unstalls++;
}

static const struct event_log_ops ops = {on_committed, on_stale, on_stalled};

static void on_after(void *arg, bool ok)
{
	strcat(told, arg);
	strcat(told, ok ? "+ " : "- ");
}

static void event_at(uint64_t generation, uint64_t seq)
{
	char *payload = strdup("{\"content\":\"x\"}");

	event_log_event(log_, &session, turn, generation, seq, CHAT_EVENT_RESPONSE_CHUNK, payload,
			strlen(payload));
}

static void start_run(uint64_t generation, const char *turn_id, uint64_t first_seq)
{
	log_turn_unref(turn);
	turn = log_turn_new(turn_id, 0);
	event_log_write(log_, SQL_RUN_START, &session, NULL, generation, "ttti", "demo", "m", NULL,
			(int64_t)1);
	event_log_write(log_, SQL_TURN_INSERT, &session, turn, generation, "ttttii", turn_id,
			"demo", "m", "msg_1", (int64_t)first_seq, (int64_t)1);
}

static void new_session(void)
{
	memset(&session, 0, sizeof(session));
	strcpy(session.id, "ses_1");
	event_log_write(log_, SQL_SESSION_INSERT, &session, NULL, 0, "tttttti", "local", "t",
			"demo", "m", NULL, NULL, (int64_t)1);
}

static void open_log(void)
{
	const char *why = NULL;

	ck_assert_int_eq(event_log_open(base, path, true, &ops, NULL, &log_, &why), 0);
}

static void set_up(void)
{
	strcpy(dir, "/tmp/test_event_log.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/events.db", dir);
	base = event_base_new();
	told[0] = '\0';
	n_stale = n_stalls = n_unstalls = 0;
	turn = NULL;
	open_log();
	new_session();
}

static void tear_down(void)
{
	char cmd[160];

	event_log_free(log_);
	log_turn_unref(turn);
	event_base_free(base);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static long long scalar(const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	long long v;

	ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
	v = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	return v;
}

/* DUR-2: nothing is told before the commit that holds it. */
START_TEST(nothing_is_told_before_the_commit)
{
	start_run(1, "turn_1", 1);
	event_at(1, 1);
	event_log_after(log_, &session, on_after, "reply");
	ck_assert_str_eq(told, "");
	ck_assert_int_eq(scalar("SELECT count(*) FROM events"), 0);
	event_log_commit(log_);
	ck_assert_str_eq(told, "e1:1 reply+ ");
	ck_assert_int_eq(scalar("SELECT count(*) FROM v_events WHERE session_id = 'ses_1' AND "
				"turn_id = 'turn_1' "
				"AND type = 'response_chunk' AND seq = 1 AND generation = 1"),
			 1);
	ck_assert_int_eq(session.pending, 0);
}
END_TEST

/* DUR-2: one commit for all that is pending; callbacks come after every event of the group. */
START_TEST(a_group_is_one_transaction_told_in_order)
{
	start_run(1, "turn_1", 1);
	event_log_after(log_, &session, on_after, "a");
	for (uint64_t seq = 1; seq <= 5; seq++)
		event_at(1, seq);
	event_log_after(log_, &session, on_after, "b");
	event_log_commit(log_);
	ck_assert_str_eq(told, "e1:1 e1:2 e1:3 e1:4 e1:5 a+ b+ ");
	ck_assert_uint_eq(event_log_stats(log_)->commits, 1);
}
END_TEST

/* SDC-18: a write of a run whose generation is over changes nothing and is not told. */
START_TEST(a_stale_generation_can_not_write)
{
	start_run(1, "turn_1", 1);
	event_at(1, 1);
	event_log_commit(log_);
	/* somebody else starts the next run */
	{
		sqlite3 *db;

		ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
		ck_assert_int_eq(
			sqlite3_exec(db, "UPDATE sessions SET generation = 2", NULL, NULL, NULL),
			0);
		(void)sqlite3_close(db);
	}
	told[0] = '\0';
	event_at(1, 2);
	event_log_write(log_, SQL_RUN_STATE, &session, NULL, 1, "tii", "idle", (int64_t)2,
			(int64_t)1);
	event_log_after(log_, &session, on_after, "end");
	event_log_commit(log_);
	ck_assert_str_eq(told, "end- ");
	ck_assert_int_ge(n_stale, 1);
	ck_assert_int_eq(scalar("SELECT count(*) FROM events"), 1);
	ck_assert_int_eq(scalar("SELECT state = 'processing' FROM sessions"), 1);
}
END_TEST

/* DUR-3: the same seq can't be stored twice, in one commit or in two; the run that tries is stale.
 */
START_TEST(a_seq_is_never_used_twice)
{
	start_run(1, "turn_1", 1);
	event_at(1, 1);
	if (_i == 1)
		event_log_commit(log_);
	event_at(1, 1);
	event_at(1, 2); /* of a run that is stale */
	event_log_commit(log_);
	ck_assert_str_eq(told, "e1:1 ");
	ck_assert_int_ge(n_stale, 1);
	ck_assert_int_eq(scalar("SELECT count(*) FROM events"), 1);
	ck_assert_int_eq(scalar(INDEX_FAULTS), 0);
}
END_TEST

/* DUR-3, FAF-4: what was tried in a transaction that did not happen has used no seq. */
START_TEST(a_seq_of_a_commit_that_failed_is_free)
{
	sqlite3 *db;

	start_run(1, "turn_1", 1);
	event_log_commit(log_);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db,
				      "CREATE TRIGGER no AFTER INSERT ON event_index BEGIN "
				      "SELECT raise(FAIL, 'no'); END",
				      NULL, NULL, NULL),
			 0);
	event_at(1, 1);
	event_at(1, 2);
	event_log_commit(log_);
	ck_assert(event_log_is_stalled(log_));
	ck_assert_str_eq(told, "");
	ck_assert_int_eq(sqlite3_exec(db, "DROP TRIGGER no", NULL, NULL, NULL), 0);
	(void)sqlite3_close(db);
	while (event_log_is_stalled(log_)) {
		ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
		event_log_commit(log_);
	}
	ck_assert_str_eq(told, "e1:1 e1:2 ");
	ck_assert_int_eq(n_stale, 0);
	ck_assert_int_eq(scalar(INDEX_FAULTS), 0);
}
END_TEST

/* OPS-6: why a log could not be migrated is what is told, and nothing else. */
START_TEST(a_log_that_cannot_be_opened_tells_the_reason)
{
	const char *why = NULL;
	struct event_log *none;
	sqlite3 *db;

	event_log_free(log_);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db,
				      _i ? "PRAGMA user_version = 9999" : "PRAGMA user_version = 3",
				      0, 0, 0),
			 0);
	(void)sqlite3_close(db);
	ck_assert_int_eq(event_log_open(base, path, true, &ops, NULL, &none, &why),
			 _i ? DB_NEWER : -1);
	ck_assert_msg(strstr(why, _i ? "9999" : "migrating the schema: ") != NULL, "%s", why);
	ck_assert_int_eq(n_stalls, 0);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "PRAGMA user_version = 4", 0, 0, 0), 0);
	(void)sqlite3_close(db);
	open_log();
}
END_TEST

/* FAF-4: while the log is locked everything waits, nothing is told, and it goes on by itself. */
START_TEST(a_locked_log_stalls_and_resumes_by_itself)
{
	sqlite3 *db;

	start_run(1, "turn_1", 1);
	event_log_commit(log_);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), 0);
	event_at(1, 1);
	event_log_after(log_, &session, on_after, "r");
	event_log_commit(log_);
	ck_assert(event_log_is_stalled(log_));
	ck_assert_str_eq(told, "");
	ck_assert_int_eq(n_stalls, 1);
	event_log_commit(log_); /* too early: not even tried */
	ck_assert_int_eq(n_stalls, 1);
	ck_assert_int_eq(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), 0);
	(void)sqlite3_close(db);
	while (event_log_is_stalled(log_)) { /* the log's own timer wakes the loop */
		ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
		event_log_commit(log_);
	}
	ck_assert_str_eq(told, "e1:1 r+ ");
	ck_assert_int_eq(n_unstalls, 1);
}
END_TEST

/* FAF-2, FAF-4: a start that could not be stored in time is taken back as if it had never been. */
START_TEST(a_withdrawn_run_is_never_written)
{
	sqlite3 *db;

	start_run(1, "turn_1", 1);
	event_at(1, 1);
	event_log_commit(log_);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), 0);
	event_at(1, 2); /* the end of the run before stays */
	start_run(2, "turn_2", 3);
	event_at(2, 3);
	event_log_after(log_, &session, on_after, "post");
	event_log_commit(log_);
	ck_assert(event_log_is_stalled(log_));
	told[0] = '\0';
	ck_assert_int_eq(event_log_withdraw(log_, &session, 2), 0);
	ck_assert_str_eq(told, "post- ");
	ck_assert_int_eq(event_log_withdraw(log_, &session, 2), -1);
	ck_assert_int_eq(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), 0);
	(void)sqlite3_close(db);
	while (event_log_is_stalled(log_)) {
		ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
		event_log_commit(log_);
	}
	ck_assert_str_eq(told, "post- e1:2 ");
	ck_assert_int_eq(scalar("SELECT max(seq) FROM events"), 2);
	ck_assert_int_eq(scalar("SELECT generation FROM sessions"), 1);
}
END_TEST

/* FAF-4: with nothing left to write, the log still finds out that it can be written again. */
START_TEST(a_stalled_log_with_nothing_pending_recovers)
{
	sqlite3 *db;

	event_log_commit(log_);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), 0);
	start_run(1, "turn_1", 1);
	event_at(1, 1);
	event_log_commit(log_);
	ck_assert_int_eq(event_log_withdraw(log_, &session, 1), 0);
	ck_assert(event_log_is_stalled(log_));
	ck_assert_int_eq(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), 0);
	(void)sqlite3_close(db);
	while (event_log_is_stalled(log_)) {
		ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
		event_log_commit(log_);
	}
	ck_assert_int_eq(n_unstalls, 1);
}
END_TEST

/* A process that was stopped inside the gate stalls the others, and no longer than it stays there.
 */
START_TEST(a_gate_that_is_held_stalls_and_resumes)
{
	char gate[160];
	int fd;

	start_run(1, "turn_1", 1);
	event_log_commit(log_);
	(void)snprintf(gate, sizeof(gate), "%s-gate", path);
	fd = open(gate, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	event_at(1, 1);
	event_log_commit(log_);
	ck_assert(event_log_is_stalled(log_));
	ck_assert_str_eq(told, "");
	(void)close(fd);
	while (event_log_is_stalled(log_)) {
		ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
		event_log_commit(log_);
	}
	ck_assert_str_eq(told, "e1:1 ");
}
END_TEST

static int stored_events(void)
{
	sqlite3_stmt *st = NULL;
	int n = -1;

	if (event_log_db(log_) &&
	    sqlite3_prepare_v2(db_handle(event_log_db(log_)), "SELECT count(*) FROM events", -1,
			       &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int(st, 0);
	(void)sqlite3_finalize(st);
	return n;
}

static void until_it_writes(void)
{
	while (event_log_is_stalled(log_)) {
		ck_assert_int_eq(stored_events(), 1);
		ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
		event_log_commit(log_);
	}
}

/* FAF-4: a log that can't be opened for writing is read, whoever else has it open or not. */
START_TEST(a_log_that_can_not_be_written_at_the_start_is_read)
{
	const char *why = NULL;
	char gate[160];
	struct db *other = NULL;
	int tries = 0, fd;

	start_run(1, "turn_1", 1);
	event_at(1, 1);
	event_log_commit(log_);
	event_log_free(log_);
	if (_i)
		ck_assert_ptr_nonnull((other = db_open_read_only(path)));
	(void)snprintf(gate, sizeof(gate), "%s-gate", path);
	fd = open(gate, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert_int_eq(event_log_open(base, path, true, &ops, NULL, &log_, &why), 0);
	ck_assert(event_log_is_stalled(log_));
	ck_assert_int_eq(n_stalls, 1);
	ck_assert(db_is_read_only(event_log_db(log_)));
	for (; tries < 2; tries++) {
		ck_assert_int_eq(stored_events(), 1);
		ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
		event_log_commit(log_);
		ck_assert(event_log_is_stalled(log_));
	}
	db_close(other);
	(void)close(fd);
	until_it_writes();
	ck_assert_int_eq(n_unstalls, 1);
	ck_assert(!db_is_read_only(event_log_db(log_)));
	told[0] = '\0';
	event_at(1, 2);
	event_log_commit(log_);
	ck_assert_str_eq(told, "e1:2 ");
}
END_TEST

/* FAF-4, DUR-1: a log that is gone for a moment is waited for, not begun anew in its place. */
START_TEST(a_log_that_is_away_is_not_begun_anew)
{
	char away[64];

	start_run(1, "turn_1", 1);
	event_at(1, 1);
	event_log_commit(log_);
	(void)snprintf(away, sizeof(away), "%s.away", dir);
	ck_assert_int_eq(rename(dir, away), 0);
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	told[0] = '\0';
	event_at(1, 2);
	event_log_distrust(log_);
	for (int tries = 0; tries < 3; tries++) {
		event_log_commit(log_);
		ck_assert(event_log_is_stalled(log_));
		ck_assert_int_eq(stored_events(), 1);
		ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
	}
	ck_assert_int_eq(rmdir(dir), 0); /* nothing was put there */
	ck_assert_int_eq(rename(away, dir), 0);
	until_it_writes();
	ck_assert_str_eq(told, "e1:2 ");
}
END_TEST

/* FAF-4: a full disk loses and invents nothing. The limit on file size stands in for the disk. */
START_TEST(a_full_disk_stalls_and_nothing_is_lost)
{
	struct rlimit old, small;
	uint64_t seq = 0;

	(void)signal(SIGXFSZ, SIG_IGN);
	start_run(1, "turn_1", 1);
	event_log_commit(log_);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 200 * 1024;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	while (!event_log_is_stalled(log_) && seq < 100000) {
		told[0] = '\0';
		for (int i = 0; i < 50; i++)
			event_at(1, ++seq);
		event_log_commit(log_);
	}
	ck_assert(event_log_is_stalled(log_));
	ck_assert_str_eq(told, "");
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	while (event_log_is_stalled(log_)) {
		ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
		event_log_commit(log_);
	}
	ck_assert_uint_eq(session.committed, seq);
	ck_assert_int_eq(scalar("SELECT count(*) FROM events"), (long long)seq);
	ck_assert_int_eq(scalar("SELECT max(seq) FROM events"), (long long)seq);
}
END_TEST

/* DUR-4: which cursors the log serves, and why not. */
START_TEST(a_cursor_is_served_or_told_why_not)
{
	static const struct {
		uint64_t generation, seq;
		const char *reason;
		uint64_t count;
	} cases[] = {
		{1, 1, NULL, 4},
		{1, 4, NULL, 1},
		{1, 5, NULL, 0},
		{1, 6, "ahead", 0},
		{2, 3, "other_history", 0},
		{1, 0, "unknown", 0},
		{1, 2, "too_old", 0},
	};

	start_run(1, "turn_1", 1);
	for (uint64_t seq = 1; seq <= 5; seq++)
		event_at(1, seq);
	event_log_commit(log_);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf page = BUF_INIT;
		const char *reason;
		uint64_t count;

		if (i == 6) { /* as retention would */
			sqlite3 *db;

			ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
			ck_assert_int_eq(
				sqlite3_exec(db, "DELETE FROM events WHERE seq = 2", 0, 0, 0), 0);
			(void)sqlite3_close(db);
		}
		ck_assert_int_eq(query_replay(event_log_db(log_), session.row, 5,
					      cases[i].generation, cases[i].seq, &page, &count,
					      &reason),
				 1);
		ck_assert_pstr_eq(reason, cases[i].reason);
		if (!reason)
			ck_assert_uint_eq(count, cases[i].count);
		buf_fini(&page);
	}
}
END_TEST

/* An event of the log becomes so large that its replay record has `size` bytes. */
static void grow_event(int seq, size_t size)
{
	struct chat_event empty = {.turn_id = str_of("turn_1"), .payload = str_of("{\"x\":\"\"}")};
	size_t text = size - replay_size(&empty);
	char sql[200];
	sqlite3 *db;

	(void)snprintf(
		sql, sizeof(sql),
		"UPDATE events SET payload = '{\"x\":\"' || printf('%%.*c', %zu, 'x') || '\"}' "
		"WHERE seq = %d",
		text, seq);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, sql, 0, 0, 0), SQLITE_OK);
	(void)sqlite3_close(db);
}

/* PRC-3, DUR-4: an event for which a page has no room, where it is in the page */
static const struct {
	uint64_t after;
	size_t size;
	uint64_t count;
	const char *reason;
} large_events[] = {
	{3, LIMIT_FRAME / 2, 1, NULL},		/* alone, exactly as long as a page may be */
	{3, LIMIT_FRAME / 2 + 1, 0, "too_old"}, /* one more */
	{1, LIMIT_FRAME / 2 - 4096, 3, NULL},	/* behind two small ones, with room to spare */
	{1, LIMIT_FRAME / 2, 2, NULL},		/* the page ends before it */
	{1, LIMIT_FRAME + 1, 2, NULL},		/* ... and before what no frame carries */
	{3, LIMIT_FRAME + 1, 0, "too_old"},
};

START_TEST(a_page_ends_before_an_event_that_it_can_not_carry)
{
	struct buf page = BUF_INIT;
	const char *reason;
	uint64_t count;

	start_run(1, "turn_1", 1);
	for (uint64_t seq = 1; seq <= 5; seq++)
		event_at(1, seq);
	event_log_commit(log_);
	grow_event(4, large_events[_i].size);
	ck_assert_int_eq(query_replay(event_log_db(log_), session.row, 5, 1, large_events[_i].after,
				      &page, &count, &reason),
			 1);
	ck_assert_pstr_eq(reason, large_events[_i].reason);
	ck_assert_uint_eq(count, large_events[_i].count);
	ck_assert_uint_le(page.len, LIMIT_FRAME / 2);
	buf_fini(&page);
}
END_TEST

/* DUR-1: what is pending when the process ends in order is still written. */
START_TEST(closing_commits_what_is_pending)
{
	start_run(1, "turn_1", 1);
	event_at(1, 1);
	event_log_free(log_);
	ck_assert_int_eq(scalar("SELECT count(*) FROM events"), 1);
	ck_assert_int_eq(scalar(INDEX_FAULTS), 0);
	ck_assert_int_eq(scalar(INDEX_LAG), 0);
	open_log();
}
END_TEST

static long wal_bytes(void)
{
	char wal[sizeof(path) + 8];
	struct stat st;

	(void)snprintf(wal, sizeof(wal), "%s-wal", path);
	ck_assert_int_eq(stat(wal, &st), 0);
	return (long)st.st_size;
}

#define FEW_PAGES 100

static void commit_many(int commits, uint64_t *seq)
{
	for (int i = 0; i < commits; i++) {
		for (int j = 0; j < 100; j++)
			event_at(1, ++*seq);
		event_log_commit(log_);
		told[0] = '\0';
	}
}

/* DUR-9: the WAL is given back: it does not grow with what is written. */
START_TEST(checkpoints_bound_the_wal)
{
	uint64_t seq = 0;
	long before;

	event_log_set_checkpoint_pages(log_, FEW_PAGES);
	start_run(1, "turn_1", 1);
	commit_many(100, &seq);
	ck_assert_uint_ge(event_log_stats(log_)->checkpoints, 2);
	before = wal_bytes();
	ck_assert_int_lt(before, 2L * FEW_PAGES * 4096);
	commit_many(300, &seq);
	ck_assert_uint_ge(event_log_stats(log_)->checkpoints, 8);
	ck_assert_int_le(wal_bytes(), before + 32 * 4096);
	ck_assert_int_lt(event_log_stats(log_)->wal_pages, 2 * FEW_PAGES);
	ck_assert_int_eq(scalar("SELECT count(*) FROM events"), 40000);
}
END_TEST

/* DUR-9: a reader makes the WAL grow, not the log wait; once it is gone the WAL is used anew. */
START_TEST(a_reader_delays_the_checkpoint_and_nothing_else)
{
	sqlite3 *reader;
	uint64_t seq = 0;
	int grown;

	event_log_set_checkpoint_pages(log_, FEW_PAGES);
	start_run(1, "turn_1", 1);
	commit_many(1, &seq);
	ck_assert_int_eq(sqlite3_open_v2(path, &reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	ck_assert_int_eq(
		sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM events", NULL, NULL, NULL), 0);
	commit_many(200, &seq);
	ck_assert_uint_eq(session.committed, seq);
	grown = event_log_stats(log_)->wal_pages;
	ck_assert_int_gt(grown, 4 * FEW_PAGES);
	ck_assert_uint_le(event_log_stats(log_)->checkpoints, (uint64_t)(grown / FEW_PAGES));
	(void)sqlite3_close(reader);
	commit_many(200, &seq);
	ck_assert_int_lt(event_log_stats(log_)->wal_pages, 2 * FEW_PAGES);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("event_log");
	TCase *tc = tcase_create("event_log");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, nothing_is_told_before_the_commit);
	tcase_add_test(tc, a_group_is_one_transaction_told_in_order);
	tcase_add_test(tc, a_stale_generation_can_not_write);
	tcase_add_loop_test(tc, a_seq_is_never_used_twice, 0, 2);
	tcase_add_test(tc, a_seq_of_a_commit_that_failed_is_free);
	tcase_add_loop_test(tc, a_log_that_cannot_be_opened_tells_the_reason, 0, 2);
	tcase_add_test(tc, a_locked_log_stalls_and_resumes_by_itself);
	tcase_add_test(tc, a_withdrawn_run_is_never_written);
	tcase_add_test(tc, a_stalled_log_with_nothing_pending_recovers);
	tcase_add_test(tc, a_gate_that_is_held_stalls_and_resumes);
	tcase_add_test(tc, a_full_disk_stalls_and_nothing_is_lost);
	tcase_add_test(tc, a_cursor_is_served_or_told_why_not);
	tcase_add_loop_test(tc, a_page_ends_before_an_event_that_it_can_not_carry, 0,
			    (int)(sizeof(large_events) / sizeof(large_events[0])));
	tcase_add_test(tc, closing_commits_what_is_pending);
	tcase_add_test(tc, checkpoints_bound_the_wal);
	tcase_add_test(tc, a_log_that_is_away_is_not_begun_anew);
	tcase_add_loop_test(tc, a_log_that_can_not_be_written_at_the_start_is_read, 0, 2);
	tcase_add_test(tc, a_reader_delays_the_checkpoint_and_nothing_else);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
