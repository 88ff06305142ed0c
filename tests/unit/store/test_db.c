/*
 * test_db.c - opening the event log: creation, versions, strangers, settings, views.
 */
#include "chatd/store/db.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chatd/store/migrate.h"
#include "chatd/store/queries.h"
#include "common/limits.h"

static char dir[32], path[64];

static void set_up(void)
{
	strcpy(dir, "/tmp/test_db.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/events.db", dir);
}

static void tear_down(void)
{
	char cmd[64];

	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static struct db *open_ours(bool full)
{
	struct db *db = NULL;
	const char *why = "";
	int r = db_open(path, full, &db, &why);

	if (r != 0)
		ck_abort_msg("db_open: %d %s", r, why);
	return db;
}

/* As an operator with plain sqlite3 would. */
static sqlite3 *open_plain(int flags)
{
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open_v2(path, &db, flags, NULL), SQLITE_OK);
	return db;
}

static void run(sqlite3 *db, const char *sql)
{
	char *why = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		ck_abort_msg("%s: %s", sql, why);
}

/* The first column of the first row as text, "" if NULL. Static. */
static const char *value(sqlite3 *db, const char *sql)
{
	static char text[512];
	sqlite3_stmt *st;
	const unsigned char *v;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		ck_abort_msg("%s: %s", sql, sqlite3_errmsg(db));
	ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
	v = sqlite3_column_text(st, 0);
	(void)snprintf(text, sizeof(text), "%s", v ? (const char *)v : "");
	(void)sqlite3_finalize(st);
	return text;
}

static void refused(int want, const char *part)
{
	struct db *db = NULL;
	const char *why = "";

	ck_assert_int_eq(db_open(path, true, &db, &why), want);
	ck_assert_ptr_null(db);
	ck_assert_msg(strstr(why, part), "\"%s\" does not say \"%s\"", why, part);
}

/* OPS-6: the first start creates the schema, the second one finds it. */
START_TEST(a_new_log_is_created_and_found_again)
{
	struct db *db = open_ours(true);

	ck_assert_int_eq(atoi(value(db_handle(db), "PRAGMA user_version")), SCHEMA_VERSION);
	ck_assert_int_eq(atoi(value(db_handle(db), "PRAGMA application_id")), SCHEMA_APP_ID);
	ck_assert_str_eq(value(db_handle(db), "PRAGMA journal_mode"), "wal");
	run(db_handle(db),
	    "INSERT INTO event_types (type, name) VALUES (999, 'left by the first start')");
	db_close(db);
	db = open_ours(true);
	ck_assert_str_eq(value(db_handle(db), "SELECT count(*) FROM event_types WHERE type = 999"),
			 "1");
	ck_assert_str_eq(value(db_handle(db), "PRAGMA integrity_check"), "ok");
	db_close(db);
}
END_TEST

/* OPS-6: a database of a later release is refused, said so, and left as it was. */
/* SEC-5: what people said is not for every user of the machine, whatever the umask says. */
START_TEST(a_new_log_and_its_wal_are_nobody_elses)
{
	mode_t before = umask(022);
	struct db *db = open_ours(true);
	char wal[80];
	struct stat st;

	(void)umask(before);
	(void)snprintf(wal, sizeof(wal), "%s-wal", path);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	ck_assert_int_eq(stat(wal, &st), 0);
	ck_assert_int_eq(st.st_mode & 0007, 0);
	db_close(db);
}
END_TEST

START_TEST(a_newer_log_is_refused_with_both_versions)
{
	char sql[64], want[64];
	sqlite3 *plain;

	db_close(open_ours(true));
	plain = open_plain(SQLITE_OPEN_READWRITE);
	(void)snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", SCHEMA_VERSION + 1);
	run(plain, sql);
	(void)sqlite3_close(plain);
	(void)snprintf(want, sizeof(want), "schema version %d, this chatd knows up to %d",
		       SCHEMA_VERSION + 1, SCHEMA_VERSION);
	refused(DB_NEWER, want);
	plain = open_plain(SQLITE_OPEN_READONLY);
	ck_assert_int_eq(atoi(value(plain, "PRAGMA user_version")), SCHEMA_VERSION + 1);
	(void)sqlite3_close(plain);
}
END_TEST

/* OPS-6: somebody else's database is not ours to migrate. */
START_TEST(a_foreign_database_is_refused_and_left_alone)
{
	sqlite3 *plain = open_plain(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);

	run(plain, "CREATE TABLE photos (id INTEGER)");
	(void)sqlite3_close(plain);
	refused(DB_FOREIGN, "not an event log");
	plain = open_plain(SQLITE_OPEN_READONLY);
	ck_assert_str_eq(value(plain, "SELECT group_concat(name) FROM sqlite_schema"), "photos");
	ck_assert_str_eq(value(plain, "PRAGMA journal_mode"), "delete");
	(void)sqlite3_close(plain);
}
END_TEST

static void write_file(const char *text)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	for (int i = 0; i < 200; i++)
		(void)fputs(text, f);
	(void)fclose(f);
}

START_TEST(a_file_that_is_no_database_is_refused_and_left_alone)
{
	struct stat before, after;

	write_file("holiday pictures\n");
	ck_assert_int_eq(stat(path, &before), 0);
	refused(DB_FOREIGN, "not a database");
	ck_assert_int_eq(stat(path, &after), 0);
	ck_assert_int_eq(before.st_size, after.st_size);
}
END_TEST

START_TEST(a_path_that_can_not_be_opened_is_named)
{
	(void)snprintf(path, sizeof(path), "%s/nowhere/events.db", dir);
	refused(-1, "nowhere/events.db-gate: No such file");
	(void)snprintf(path, sizeof(path), "%s/folder", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	refused(-1, "/folder");
}
END_TEST

/* DUR-2: what `durability` means. 2: each commit is synced; 1: only checkpoints are. */
START_TEST(durability_is_the_synchronous_pragma)
{
	struct db *db = open_ours(true);

	ck_assert_str_eq(value(db_handle(db), "PRAGMA synchronous"), "2");
	db_close(db);
	db = open_ours(false);
	ck_assert_str_eq(value(db_handle(db), "PRAGMA synchronous"), "1");
	db_close(db);
}
END_TEST

static long size_of(const char *suffix)
{
	char name[sizeof(path) + 8];
	struct stat st;

	(void)snprintf(name, sizeof(name), "%s%s", path, suffix);
	return stat(name, &st) == 0 ? (long)st.st_size : -1;
}

/* DUR-9: a connection of ours never checkpoints by itself, neither while it writes nor at its end.
 */
START_TEST(no_connection_checkpoints_by_itself)
{
	struct db *db = open_ours(true);
	long size;

	ck_assert_str_eq(value(db_handle(db), "PRAGMA wal_autocheckpoint"), "0");
	size = size_of("");
	run(db_handle(db), "CREATE TABLE filler (b); "
			   "WITH s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 3000) "
			   "INSERT INTO filler SELECT randomblob(4000) FROM s");
	run(db_handle(db), "INSERT INTO filler VALUES (1)");
	ck_assert_int_gt(db_wal_pages(db), 3000); /* SQLite would have at 1000 */
	ck_assert_int_eq(size_of(""), size);
	db_close(db);
	ck_assert_int_eq(size_of(""), size);
	ck_assert_int_gt(size_of("-wal"), 3000L * 4096);
	db = open_ours(true);
	db_gate_enter(db);
	ck_assert_int_eq(db_checkpoint(db, NULL), SQLITE_OK);
	db_gate_leave(db);
	ck_assert_int_gt(size_of(""), 3000L * 4096);
	db_close(db);
}
END_TEST

START_TEST(a_checkpoint_says_whether_anything_is_left)
{
	struct db *db = open_ours(true);
	sqlite3 *reader = open_plain(SQLITE_OPEN_READONLY);
	bool all;

	run(reader, "BEGIN; SELECT count(*) FROM event_types");
	run(db_handle(db), "CREATE TABLE filler (b)");
	db_gate_enter(db);
	ck_assert_int_eq(db_checkpoint(db, &all), SQLITE_OK);
	ck_assert(!all);
	(void)sqlite3_close(reader);
	ck_assert_int_eq(db_checkpoint(db, &all), SQLITE_OK);
	ck_assert(all);
	db_gate_leave(db);
	db_close(db);
}
END_TEST

/* DUR-9: a reader sees the last commit while somebody writes, and the writer does not wait. */
START_TEST(a_reader_reads_while_another_writes)
{
	struct db *db = open_ours(true);
	sqlite3 *reader = open_plain(SQLITE_OPEN_READONLY);
	const char *count = "SELECT count(*) FROM event_types WHERE type > 900";

	run(db_handle(db), "BEGIN IMMEDIATE; INSERT INTO event_types VALUES (901, 'a')");
	ck_assert_str_eq(value(reader, count), "0");
	run(reader, "BEGIN");
	ck_assert_str_eq(value(reader, count), "0");
	run(db_handle(db), "COMMIT");
	ck_assert_str_eq(value(reader, count), "0"); /* its own moment */
	run(reader, "COMMIT");
	ck_assert_str_eq(value(reader, count), "1");
	(void)sqlite3_close(reader);
	db_close(db);
}
END_TEST

/* DUR-9: a copy made by plain SQLite while the log is open is whole. */
START_TEST(the_log_can_be_copied_while_it_is_open)
{
	struct db *db = open_ours(true);
	sqlite3 *reader = open_plain(SQLITE_OPEN_READONLY);
	char sql[128];

	run(db_handle(db), "INSERT INTO event_types VALUES (901, 'a')");
	(void)snprintf(sql, sizeof(sql), "VACUUM INTO '%s/copy.db'", dir);
	run(reader, sql);
	(void)sqlite3_close(reader);
	db_close(db);
	(void)snprintf(path, sizeof(path), "%s/copy.db", dir);
	reader = open_plain(SQLITE_OPEN_READONLY);
	ck_assert_str_eq(value(reader, "PRAGMA integrity_check"), "ok");
	ck_assert_str_eq(value(reader, "SELECT name FROM event_types WHERE type = 901"), "a");
	(void)sqlite3_close(reader);
}
END_TEST

/* Rows at 2001-02-03T04:05:06.789Z and later: one session, a turn that is done and one that runs.
 */
static const char sample[] =
	"INSERT INTO sessions (row, id, owner, title, provider, model, generation, state, "
	"last_seq, "
	"created_at, updated_at) VALUES (1, 'ses_1', 'local', 'title', 'demo', 'm', 2, "
	"'processing', "
	"1, 981173106789, 981173107789);"
	"INSERT INTO turns (row, id, session, generation, state, provider, model, message_id, "
	"first_seq, last_seq, started_at, ended_at, stop_reason, input_tokens, output_tokens) "
	"VALUES "
	"(1, 'turn_1', 1, 1, 'done', 'demo', 'm', 'msg_2', 1, 1, 981173106789, 981173108000, "
	"'stop', "
	"11, 22), (2, 'turn_2', 1, 2, 'running', 'demo', 'm', 'msg_4', 2, NULL, 981173109000, "
	"NULL, "
	"NULL, 33, NULL);"
	"INSERT INTO messages (id, session, turn, role, status, content, created_at) VALUES "
	"('msg_1', 1, 1, 'user', 'complete', '\"hi\"', 981173106789);"
	"INSERT INTO events (session, seq, generation, turn, ts, type, payload) VALUES "
	"(1, 1, 1, 1, 981173106789, 10, '{}'), (1, 2, 2, 2, 981173109000, 1, '{}');"
	"INSERT INTO event_index SELECT session, seq, row FROM events";

/* As a worker leaves it for a moment under load: the second event is without an entry. */
static const char lags[] =
	"DELETE FROM event_index WHERE seq = 2; INSERT INTO event_lag VALUES (1, 2)";

/* OPS-2: each view answers its question, with names and ISO times; also of events that have no
 * entry in the index yet. */
START_TEST(the_views_read_well)
{
	static const struct {
		const char *sql, *want;
	} cases[] = {
		{"SELECT group_concat(time || ' ' || session_id || ' ' || turn_id || ' ' || type "
		 "|| ' ' "
		 "|| seq, ', ') FROM v_events",
		 "2001-02-03T04:05:06.789Z ses_1 turn_1 response_end 1, "
		 "2001-02-03T04:05:09.000Z ses_1 turn_2 response_start 2"},
		{"SELECT session_id || ' ' || turns || ' ' || messages || ' ' || created || ' ' || "
		 "updated FROM v_sessions",
		 "ses_1 2 1 2001-02-03T04:05:06.789Z 2001-02-03T04:05:07.789Z"},
		{"SELECT turn_id || ' ' || state || ' ' || started || ' ' || ended || ' ' || "
		 "duration_ms "
		 "FROM v_turns WHERE turn_id = 'turn_1'",
		 "turn_1 done 2001-02-03T04:05:06.789Z 2001-02-03T04:05:08.000Z 1211"},
		{"SELECT ended FROM v_turns WHERE turn_id = 'turn_2'", ""},
		{"SELECT message_id || ' ' || role || ' ' || content || ' ' || created FROM "
		 "v_messages",
		 "msg_1 user \"hi\" 2001-02-03T04:05:06.789Z"},
		{"SELECT day || ' ' || owner || ' ' || provider || ' ' || model || ' ' || turns || "
		 "' ' "
		 "|| input_tokens || ' ' || output_tokens FROM v_usage",
		 "2001-02-03 local demo m 2 44 22"},
		{"SELECT group_concat(turn_id || ' ' || started || ' ' || last_event) FROM v_stuck",
		 "turn_2 2001-02-03T04:05:09.000Z 2001-02-03T04:05:09.000Z"},
		{"SELECT abs(silent_seconds - (strftime('%s', 'now') - 981173109)) <= 1 FROM "
		 "v_stuck",
		 "1"},
	};
	struct db *db = open_ours(true);
	sqlite3 *plain;

	run(db_handle(db), sample);
	if (_i == 1)
		run(db_handle(db), lags);
	plain = open_plain(SQLITE_OPEN_READONLY);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_str_eq(value(plain, cases[i].sql), cases[i].want);
	(void)sqlite3_close(plain);
	db_close(db);
}
END_TEST

#define ASKED 14

static sqlite3_stmt *plan(struct db *db, const char *sql)
{
	char text[2048];
	sqlite3_stmt *st;

	(void)snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %s", sql);
	if (sqlite3_prepare_v2(db_handle(db), text, -1, &st, NULL) != SQLITE_OK)
		ck_abort_msg("%s: %s", sql, sqlite3_errmsg(db_handle(db)));
	return st;
}

#define MAX_STEPS 64

/* Of steps of a plan, in their order: whether one sorts what event_lag (l) is asked for, which is
 * at most LIMIT_INDEX_LAG events or so of a session. All else must come in its order. */
struct sorting {
	int lagging[MAX_STEPS]; /* ids of what has such steps */
	int n;
};

static bool sorts_what_lags(struct sorting *s, sqlite3_stmt *st)
{
	const char *step = (const char *)sqlite3_column_text(st, 3);
	int parent = sqlite3_column_int(st, 1);

	if (strcmp(step, "SEARCH l USING INTEGER PRIMARY KEY (rowid=?)") == 0) {
		ck_assert_int_lt(s->n, MAX_STEPS);
		s->lagging[s->n++] = parent;
	}
	for (int i = 0; i < s->n; i++) {
		if (s->lagging[i] == parent && strcmp(step, "USE TEMP B-TREE FOR ORDER BY") == 0)
			return true;
	}
	return false;
}

/* What an operator lists often must not walk the table of events. */
START_TEST(reads_of_one_session_use_an_index)
{
	static const enum sql reads[] = {
		SQL_SESSION_BY_ID,  SQL_TURN_LAST,	   SQL_MESSAGES_PAGE, SQL_LAST_SEQ,
		SQL_EVENT_AT,	    SQL_EVENTS_AFTER,	   SQL_HISTORY,	      SQL_SESSIONS_PAGE,
		SQL_KEEP_KEYS,	    SQL_KEEP_NEXT_TURN,	   SQL_KEEP_OLDEST,   SQL_KEEP_FOLD_EVENTS,
		SQL_KEEP_EVENTS_OF, SQL_KEEP_TURNS_OF,	   SQL_KEEP_INDEX_OF, SQL_KEEP_FOLD_INDEX,
		SQL_LAG_INDEX,	    SQL_LAG_DELETE,	   SQL_RUN_TAKE,      SQL_RUN_RESTART,
		SQL_TURN_ENDS_AT,   SQL_KEEP_NEXT_REMOVED, SQL_QUEUE,	      SQL_STEPS,
		SQL_MESSAGE_ROW,    SQL_MESSAGE_OF_TURN,   SQL_PROMPT,	      SQL_KEY};
	struct db *db = open_ours(true);

	for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
		const char *sql = sqlite3_sql(db_stmt(db, reads[i]));
		sqlite3_stmt *st = plan(db, sql);
		struct sorting sorting = {.n = 0};

		while (sqlite3_step(st) == SQLITE_ROW) {
			const char *step = (const char *)sqlite3_column_text(st, 3);

			if (sorts_what_lags(&sorting, st) || strcmp(step, "SCAN CONSTANT ROW") == 0)
				continue;
			ck_assert_msg(!strstr(step, "SCAN"), "%s: %s", sql, step);
			ck_assert_msg(!strstr(step, "TEMP B-TREE"), "%s: %s", sql, step);
		}
		(void)sqlite3_finalize(st);
	}
	db_close(db);
}
END_TEST

/* OPS-2: what operators ask of a log of years is answered along an index, and the newest come first
 * without sorting the others. */
START_TEST(what_operators_ask_uses_an_index)
{
	static const char *const asked[] = {
		"SELECT * FROM v_turns ORDER BY started DESC LIMIT 20",
		"SELECT * FROM v_turns WHERE started >= '2026-11-30' ORDER BY started",
		"SELECT * FROM v_turns WHERE turn_id = 'turn_1'",
		"SELECT * FROM v_turns WHERE session_id = 'ses_1'",
		"SELECT * FROM v_sessions ORDER BY updated DESC LIMIT 20",
		"SELECT * FROM v_sessions WHERE updated >= '2026-11-30'",
		"SELECT * FROM v_usage WHERE day = date('now')",
		"SELECT * FROM v_usage WHERE day >= '2026-11-28'",
		"SELECT * FROM v_messages WHERE session_id = 'ses_1'",
		"SELECT * FROM v_calls WHERE session_id = 'ses_1'",
		"SELECT * FROM v_events WHERE session_id = 'ses_1' ORDER BY seq",
		"SELECT * FROM v_events WHERE turn_id = 'turn_1'",
		"SELECT * FROM v_open_prompts",
		"SELECT * FROM v_stuck",
	};
	struct db *db = open_ours(true);
	const char *sql = asked[_i];
	sqlite3_stmt *st = plan(db, sql);
	struct sorting sorting = {.n = 0};

	while (sqlite3_step(st) == SQLITE_ROW) {
		const char *step = (const char *)sqlite3_column_text(st, 3);

		if (sorts_what_lags(&sorting, st))
			continue;
		/* v_usage is what its groups came to */
		if (strncmp(step, "SCAN", 4) == 0 && strcmp(step, "SCAN v_usage") != 0)
			ck_assert_msg(strstr(step, "USING"), "%s: %s", sql, step);
		ck_assert_msg(!strstr(step, "FOR ORDER BY"), "%s: %s", sql, step);
	}
	(void)sqlite3_finalize(st);
	ck_assert_int_eq(sizeof(asked) / sizeof(asked[0]), ASKED);
	db_close(db);
}
END_TEST

/* Every statement of the table must be one that SQLite accepts. */
START_TEST(every_statement_can_be_prepared)
{
	struct db *db = open_ours(true);

	ck_assert_ptr_nonnull(db_stmt(db, _i));
	db_close(db);
}
END_TEST

/* OPS-3: a log is kept for years, so nothing that chatd does may walk through a whole table. A scan
 * of a partial index is one of what is open; event_lag has no more than that. */
START_TEST(no_statement_walks_through_a_table)
{
	struct db *db = open_ours(true);
	const char *text = sqlite3_sql(db_stmt(db, _i));
	sqlite3_stmt *st = plan(db, text);

	while (strncmp(text, "PRAGMA", 6) != 0 && sqlite3_step(st) == SQLITE_ROW) {
		const char *step = (const char *)sqlite3_column_text(st, 3);

		if (strncmp(step, "SCAN", 4) == 0 && !strstr(step, "CONSTANT ROW") &&
		    strcmp(step, "SCAN event_lag") != 0)
			ck_assert_msg(strstr(step, "USING") != NULL, "%s: %s", text, step);
	}
	(void)sqlite3_finalize(st);
	db_close(db);
}
END_TEST

/* FAF-4: whatever is asked, that it could not be read is counted and in the operator's log. */
START_TEST(a_read_that_can_not_begin_is_told)
{
	struct db *db = open_ours(true);
	sqlite3 *plain = open_plain(SQLITE_OPEN_READWRITE);
	auto_session_row struct session_row row = {0};
	struct prompt_row prompt;
	char next[64], *fingerprint, *answer;
	int64_t waiting, queued;
	uint64_t failed = query_failures();

	run(plain, "DROP TABLE events; DROP TABLE idempotency; DROP TABLE grants; DROP TABLE "
		   "prompts; DROP TABLE calls; DROP TABLE steps; DROP TABLE messages; DROP TABLE "
		   "turns; DROP TABLE sessions");
	(void)sqlite3_close(plain);
	ck_assert_int_eq(query_session(db, "ses_1", &row), -1);
	ck_assert_uint_eq(query_failures(), ++failed);
	ck_assert_ptr_null(query_sessions(db, "local", "", 10, next));
	ck_assert_uint_eq(query_failures(), ++failed);
	ck_assert_ptr_null(query_processing(db));
	ck_assert_uint_eq(query_failures(), ++failed);
	ck_assert_ptr_null(query_owner_changed(db, "local", 1, 10));
	ck_assert_uint_eq(query_failures(), ++failed);
	ck_assert_int_eq(query_stands(db, 1), -1);
	ck_assert_uint_eq(query_failures(), ++failed);
	ck_assert_int_eq(query_key(db, "local", "k", 0, &fingerprint, &answer), -1);
	ck_assert_uint_eq(query_failures(), ++failed);
	ck_assert_int_eq(query_prompt(db, 1, "prm_1", &prompt), -1);
	ck_assert_uint_eq(query_failures(), ++failed);
	ck_assert_int_eq(query_open_turns(db, &waiting, &queued), -1);
	ck_assert_uint_eq(query_failures(), ++failed);
	db_close(db);
}
END_TEST

static void count_event(void *arg, const struct chat_event *e)
{
	(void)e;
	++*(int *)arg;
}

/* FAF-4: an event that is none stands for nothing, and an operator hears of it. */
START_TEST(an_event_that_is_damaged_is_told)
{
	struct db *db = open_ours(true);
	struct buf page = BUF_INIT;
	uint64_t count, failed = query_failures();
	const char *reason = NULL;
	int n = 0;

	run(db_handle(db), sample);
	run(db_handle(db), "UPDATE events SET payload = 'x' WHERE seq = 2");
	ck_assert_int_eq(query_events(db, 1, 0, count_event, &n), -1);
	ck_assert_int_eq(n, 1);
	ck_assert_uint_eq(query_failures(), failed + 1);
	ck_assert_int_eq(query_replay(db, 1, 2, 1, 1, &page, &count, &reason), -1);
	ck_assert_uint_eq(query_failures(), failed + 2);
	buf_fini(&page);
	db_close(db);
}
END_TEST

/* FAF-4: a turn that is not over has all its events: no answer is made of what is left. */
START_TEST(an_event_that_is_missing_is_told)
{
	struct db *db = open_ours(true);
	uint64_t failed = query_failures();
	int n = 0;

	run(db_handle(db), sample);
	run(db_handle(db), "DELETE FROM event_index WHERE seq = 1");
	ck_assert_int_eq(query_events(db, 1, 0, count_event, &n), -1);
	ck_assert_int_eq(n, 0);
	ck_assert_uint_eq(query_failures(), failed + 1);
	db_close(db);
}
END_TEST

/* FAF-4: a text that is not UTF-8 takes no session out of its owner's list. */
START_TEST(a_text_that_is_not_utf8_hides_no_session)
{
	struct db *db = open_ours(true);
	char next[64];
	json_t *page;
	const json_t *s;

	run(db_handle(db), sample);
	run(db_handle(db), "UPDATE sessions SET system = CAST(x'73e9' AS TEXT)");
	page = query_sessions(db, "local", "", 10, next);
	ck_assert_uint_eq(json_array_size(page), 1);
	s = json_array_get(page, 0);
	ck_assert_str_eq(json_string_value(json_object_get(s, "id")), "ses_1");
	ck_assert_str_eq(json_string_value(json_object_get(s, "system")), "s\xef\xbf\xbd");
	json_decref(page);
	db_close(db);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("db");
	TCase *tc = tcase_create("db");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, a_new_log_is_created_and_found_again);
	tcase_add_test(tc, a_new_log_and_its_wal_are_nobody_elses);
	tcase_add_test(tc, a_newer_log_is_refused_with_both_versions);
	tcase_add_test(tc, a_foreign_database_is_refused_and_left_alone);
	tcase_add_test(tc, a_file_that_is_no_database_is_refused_and_left_alone);
	tcase_add_test(tc, a_path_that_can_not_be_opened_is_named);
	tcase_add_test(tc, durability_is_the_synchronous_pragma);
	tcase_add_test(tc, no_connection_checkpoints_by_itself);
	tcase_add_test(tc, a_checkpoint_says_whether_anything_is_left);
	tcase_add_test(tc, a_reader_reads_while_another_writes);
	tcase_add_test(tc, the_log_can_be_copied_while_it_is_open);
	tcase_add_loop_test(tc, the_views_read_well, 0, 2);
	tcase_add_test(tc, a_read_that_can_not_begin_is_told);
	tcase_add_test(tc, an_event_that_is_damaged_is_told);
	tcase_add_test(tc, an_event_that_is_missing_is_told);
	tcase_add_test(tc, a_text_that_is_not_utf8_hides_no_session);
	tcase_add_test(tc, reads_of_one_session_use_an_index);
	tcase_add_loop_test(tc, what_operators_ask_uses_an_index, 0, ASKED);
	tcase_add_loop_test(tc, every_statement_can_be_prepared, 0, SQL_N);
	tcase_add_loop_test(tc, no_statement_walks_through_a_table, 0, SQL_N);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
