/*
 * log_life.c - a random life of an event log. See log_life.h.
 *
 *	life_run:    some actions ─ key n ─ event_log_after(n) ─ event_log_commit() ─ want[n]
 *	                                       told: an event, an answer ──> disk_note_told(n)
 *	life_check:  n = the last key ─ integrity ─ the rows are want[n] ─ the events are those of
 *n, and each is found
 *
 * want[n] is one text that names every session with its state, its counts of turns, messages and
 * events: built from what was appended, compared with what one query says. A half turn, a hole in
 * the seqs or an event of a deleted session makes another text. The payload of an event follows
 * from its session and seq, so each one is compared byte by byte without being kept.
 */
#include "tests/unit/store/log_life.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chatd/store/event_log.h"
#include "chatd/store/retention.h"
#include "tests/unit/store/dice.h"
#include "tests/unit/store/disk.h"
#include "tests/unit/store/index_sql.h"

#define WORKERS		 2
#define MAX_SESSIONS	 128
#define ALIVE		 6
#define CHECKPOINT_PAGES 24
#define READER_COMMITS	 12 /* it holds its snapshot for so many, then none for as many */
#define SLICE_COMMITS	 3  /* after so many, a slice of retention */
#define MAX_PAYLOAD	 9000
#define MAX_TEXT	 1024

struct life_session {
	struct log_session log;
	int worker;
	bool alive, running;
	struct log_turn *turn; /* owned */
	uint64_t generation, seq, idle_seq;
	int turns, done;
};

static struct event_base *base;
static struct event_log *logs[WORKERS];
static struct life_session sessions[MAX_SESSIONS];
static int n_sessions;
static int commit_n; /* the one under way */
static struct retention *retention;
static char want[LIFE_COMMITS + 1][MAX_TEXT];
static struct dice dice;

/* --- what is told --- */

static void on_committed(void *arg, struct log_session *s, const struct chat_event *e)
{
	disk_note_told(commit_n);
}

static void on_stale(void *arg, struct log_session *s, uint64_t generation)
{
	ck_abort_msg("a run is stale");
}

static void on_stalled(void *arg, const char *why)
{
	ck_abort_msg("the log is stalled: %s", why);
}

static const struct event_log_ops log_ops = {on_committed, on_stale, on_stalled};

static void on_answer(void *arg, bool ok)
{
	ck_assert(ok);
	disk_note_told((int)(intptr_t)arg);
}

/* --- a life --- */

static int payload_of(int session, uint64_t seq, char text[MAX_PAYLOAD])
{
	struct dice d = {(uint64_t)session << 32 | seq};
	int n = 20 + dice_below(&d, dice_is(&d, 5) ? MAX_PAYLOAD - 200 : 400);
	int head = snprintf(text, MAX_PAYLOAD, "{\"content\":\"%d.%d ", session, (int)seq);

	memset(text + head, 'a' + dice_below(&d, 26), (size_t)n);
	strcpy(text + head + n, "\"}");
	return head + n + 2;
}

static struct event_log *log_of(const struct life_session *s)
{
	return logs[s->worker];
}

static void emit(struct life_session *s, enum chat_event_type type)
{
	char text[MAX_PAYLOAD];
	int n = payload_of((int)(s - sessions), ++s->seq, text);

	event_log_event(log_of(s), &s->log, s->turn, s->generation, s->seq, type, strdup(text),
			(size_t)n);
}

static void message(struct life_session *s, const char *role)
{
	char id[LIMIT_ID + 32];

	(void)snprintf(id, sizeof(id), "msg_%s_%s_%d", role, s->log.id, s->turns);
	event_log_write(log_of(s), SQL_MESSAGE_INSERT, &s->log, s->turn, s->generation, "tTtttttti",
			id, role, "complete", "\"hello\"", NULL, NULL, NULL, (int64_t)1);
}

static struct life_session *create_session(int worker)
{
	struct life_session *s = &sessions[n_sessions];

	ck_assert_int_lt(n_sessions, MAX_SESSIONS);
	memset(s, 0, sizeof(*s));
	s->worker = worker;
	s->alive = true;
	(void)snprintf(s->log.id, sizeof(s->log.id), "ses_%03d", n_sessions++);
	event_log_write(log_of(s), SQL_SESSION_INSERT, &s->log, NULL, 0, "tttttti", "local", "t",
			"demo", "m", NULL, NULL, (int64_t)1);
	return s;
}

static void start_turn(struct life_session *s)
{
	char id[LIMIT_ID + 24];

	s->generation++;
	s->turns++;
	s->running = true;
	(void)snprintf(id, sizeof(id), "turn_%s_%d", s->log.id, s->turns);
	log_turn_unref(s->turn);
	s->turn = log_turn_new(id, 0);
	event_log_write(log_of(s), SQL_RUN_START, &s->log, NULL, s->generation, "ttti", "demo", "m",
			NULL, (int64_t)1);
	event_log_write(log_of(s), SQL_TURN_INSERT, &s->log, s->turn, s->generation, "ttttii", id,
			"demo", "m", "msg_1", (int64_t)s->seq + 1, (int64_t)1);
	message(s, "user");
	emit(s, CHAT_EVENT_RESPONSE_START);
}

static void end_turn(struct life_session *s)
{
	emit(s, CHAT_EVENT_RESPONSE_END);
	message(s, "assistant");
	event_log_write(log_of(s), SQL_TURN_END, &s->log, s->turn, s->generation, "Ttiituuuutt",
			"done", (int64_t)s->seq, (int64_t)1, "stop", (int64_t)-1, (int64_t)-1,
			(int64_t)-1, (int64_t)-1, NULL, NULL);
	event_log_write(log_of(s), SQL_RUN_STATE, &s->log, NULL, s->generation, "tii", "idle",
			(int64_t)s->seq, (int64_t)1);
	s->running = false;
	s->done++;
	s->idle_seq = s->seq;
}

static void delete_session(struct life_session *s)
{
	event_log_write(log_of(s), SQL_QUEUE_DROP, &s->log, NULL, s->generation, "i", (int64_t)1);
	event_log_write(log_of(s), SQL_SESSION_REMOVE, &s->log, NULL, s->generation, "i",
			(int64_t)1);
	s->alive = false;
}

/* A living session of the worker, or a new one while it has few. */
static struct life_session *choose(int worker)
{
	int mine[ALIVE], n = 0;

	for (int i = 0; i < n_sessions; i++) {
		if (sessions[i].alive && sessions[i].worker == worker)
			mine[n++] = i;
	}
	if (n == 0 || (n < ALIVE / WORKERS && dice_is(&dice, 50)))
		return create_session(worker);
	return &sessions[mine[dice_below(&dice, n)]];
}

static void act(struct life_session *s)
{
	if (!s->running) {
		start_turn(s);
		return;
	}
	for (int i = dice_below(&dice, 6); i > 0; i--)
		emit(s, CHAT_EVENT_RESPONSE_CHUNK);
	if (dice_is(&dice, 20))
		end_turn(s);
}

static void describe(char text[MAX_TEXT])
{
	size_t at = 0;

	for (int i = 0; i < n_sessions; i++) {
		const struct life_session *s = &sessions[i];

		if (!s->alive)
			continue;
		at += (size_t)snprintf(text + at, MAX_TEXT - at,
				       "%s %s generation=%d last=%d turns=%d done=%d messages=%d "
				       "events=%d/%d\n",
				       s->log.id, s->running ? "processing" : "idle",
				       (int)s->generation, (int)s->idle_seq, s->turns, s->done,
				       s->turns + s->done, (int)s->seq, (int)s->seq);
		ck_assert_uint_lt(at, MAX_TEXT);
	}
}

static void commit_some(int worker)
{
	struct life_session *s = choose(worker);
	char key[16];

	act(s);
	for (int i = dice_below(&dice, 3); i > 0; i--)
		act(choose(worker));
	(void)snprintf(key, sizeof(key), "%d", commit_n);
	event_log_write(logs[worker], SQL_KEY_INSERT, &s->log, NULL, s->generation, "ttttii",
			"local", key, "f", "{}", (int64_t)1, (int64_t)0);
	s = choose(worker);
	if (!s->running && s->turns > 1 && dice_is(&dice, 20))
		delete_session(s);
	describe(want[commit_n]);
	event_log_after(logs[worker], NULL, on_answer, (void *)(intptr_t)commit_n);
	event_log_commit(logs[worker]);
	ck_assert(!event_log_is_stalled(logs[worker]));
}

static void open_log(int worker, const char *path, bool durability_full)
{
	const char *why;

	if (event_log_open(base, path, durability_full, &log_ops, NULL, &logs[worker], &why) != 0)
		ck_abort_msg("%s", why);
	event_log_set_checkpoint_pages(logs[worker], CHECKPOINT_PAGES);
}

/* What removed sessions leave goes in slices: no row of a living one is touched, nobody is told. */
static void retain(bool begin)
{
	const struct retention_policy removed_only = {.removed_keep_ms = 1000000};
	enum retention_outcome outcome;

	if (begin)
		retention_begin(retention, &removed_only, 1000);
	outcome = retention_slice(retention, event_log_db(logs[0]), 0, true);
	ck_assert(outcome == RETENTION_DONE || outcome == RETENTION_MORE);
}

static void must_run(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		ck_abort_msg("%s: %s", sql, sqlite3_errmsg(db));
}

int life_removed_events, life_lagging_commits;

static int count(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st;
	int n;

	ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int(st, 0);
	(void)sqlite3_finalize(st);
	return n;
}

void life_run(const char *path, uint64_t seed, bool durability_full)
{
	sqlite3 *reader;
	int worker;

	dice.state = seed;
	n_sessions = life_lagging_commits = 0;
	memset(want, 0, sizeof(want));
	base = event_base_new();
	retention = retention_new();
	for (int i = 0; i < WORKERS; i++)
		open_log(i, path, durability_full);
	ck_assert_int_eq(sqlite3_open_v2(path, &reader, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	for (commit_n = 1; commit_n <= LIFE_COMMITS; commit_n++) {
		if (commit_n % (2 * READER_COMMITS) == 0)
			must_run(reader, "BEGIN; SELECT count(*) FROM sessions");
		else if (commit_n % (2 * READER_COMMITS) == READER_COMMITS &&
			 commit_n > READER_COMMITS)
			must_run(reader, "COMMIT");
		if (commit_n == LIFE_COMMITS / 2) {
			event_log_free(logs[0]);
			open_log(0, path, durability_full);
		}
		worker = dice_below(&dice, WORKERS);
		commit_some(worker);
		life_lagging_commits += count(db_handle(event_log_db(logs[worker])), INDEX_LAG) > 0;
		if (commit_n % SLICE_COMMITS == 0)
			retain(commit_n % (8 * SLICE_COMMITS) == 0);
	}
	life_removed_events = (int)retention_stats(retention)->events;
	retention_free(retention);
	for (int i = 0; i < WORKERS; i++) {
		ck_assert_uint_gt(event_log_stats(logs[i])->checkpoints, 0);
		event_log_free(logs[i]);
	}
	must_run(reader, "ROLLBACK"); /* the moment that it held */
	ck_assert_int_eq(count(reader, INDEX_LAG), 0);
	(void)sqlite3_close(reader);
	for (int i = 0; i < n_sessions; i++)
		log_turn_unref(sessions[i].turn);
	event_base_free(base);
}

/* --- what is found --- */

static char why[2 * MAX_TEXT + 128];

/* The first column of the first row, in `text`. False: it can't be read; *why* says so. */
static bool read_text(sqlite3 *db, const char *sql, char text[MAX_TEXT])
{
	sqlite3_stmt *st = NULL;
	const unsigned char *found;
	bool ok = sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK &&
		  sqlite3_step(st) == SQLITE_ROW;

	if (ok) {
		found = sqlite3_column_text(st, 0);
		(void)snprintf(text, MAX_TEXT, "%s", found ? (const char *)found : "");
	} else {
		(void)snprintf(why, sizeof(why), "%s: %s", sqlite3_errmsg(db), sql);
	}
	(void)sqlite3_finalize(st);
	return ok;
}

static bool says(sqlite3 *db, const char *sql, const char *expected)
{
	char found[MAX_TEXT];

	if (!read_text(db, sql, found))
		return false;
	if (strcmp(found, expected) == 0)
		return true;
	(void)snprintf(why, sizeof(why), "found\n%s\nnot\n%s\n", found, expected);
	return false;
}

static bool events_are_right(sqlite3 *db)
{
	sqlite3_stmt *st = NULL;
	char text[MAX_PAYLOAD];
	bool ok = true;
	int rc;

	rc = sqlite3_prepare_v2(db,
				"SELECT substr(s.id, 5), e.seq, e.payload, t.row IS NOT NULL AND "
				"t.generation = e.generation FROM events e "
				"LEFT JOIN sessions s ON s.row = e.session "
				"LEFT JOIN turns t ON t.row = e.turn AND t.session = e.session",
				-1, &st, NULL);
	while (rc == SQLITE_OK && ok && sqlite3_step(st) == SQLITE_ROW) {
		int session = sqlite3_column_int(st, 0), n;

		n = payload_of(session, (uint64_t)sqlite3_column_int64(st, 1), text);
		ok = sqlite3_column_bytes(st, 2) == n &&
		     memcmp(sqlite3_column_text(st, 2), text, (size_t)n) == 0 &&
		     sqlite3_column_int(st, 3) == 1;
		if (!ok)
			(void)snprintf(why, sizeof(why), "event %d.%d is not as it was appended",
				       session, sqlite3_column_int(st, 1));
	}
	if (sqlite3_finalize(st) != SQLITE_OK || rc != SQLITE_OK) {
		(void)snprintf(why, sizeof(why), "events: %s", sqlite3_errmsg(db));
		return false;
	}
	return ok;
}

static const char sessions_sql[] =
	"SELECT group_concat(x, '') FROM (SELECT id || ' ' || state || ' generation=' || generation"
	" || ' last=' || last_seq"
	" || ' turns=' || (SELECT count(*) FROM turns t WHERE t.session = s.row)"
	" || ' done=' || (SELECT count(*) FROM turns t WHERE t.session = s.row AND state = 'done')"
	" || ' messages=' || (SELECT count(*) FROM messages m WHERE m.session = s.row)"
	" || ' events=' || (SELECT count(*) || '/' || coalesce(max(seq), 0) FROM events e"
	" WHERE e.session = s.row) || char(10) AS x FROM sessions s "
	"WHERE removed_at IS NULL ORDER BY id)";

/* A turn has its question and its first event, and once it is done its answer and its last one. */
static const char half_turns_sql[] =
	"SELECT count(*) FROM turns t WHERE"
	" t.session IN (SELECT row FROM sessions WHERE removed_at IS NULL) AND"
	" (NOT EXISTS (SELECT 1 FROM events e WHERE e.session = t.session AND e.turn = t.row"
	"  AND e.seq = t.first_seq AND e.type = 1)"
	" OR NOT EXISTS (SELECT 1 FROM messages m WHERE m.turn = t.row AND m.role = 'user')"
	" OR (t.state = 'done') <> EXISTS (SELECT 1 FROM events e WHERE e.session = t.session"
	"  AND e.turn = t.row AND e.type = 10 AND e.seq = t.last_seq)"
	" OR (t.state = 'done') <> EXISTS (SELECT 1 FROM messages m WHERE m.turn = t.row"
	"  AND m.role = 'assistant'))";

int life_check(sqlite3 *db, const char **ret_why)
{
	char text[MAX_TEXT];
	int n;

	*ret_why = why;
	why[0] = '\0';
	if (!says(db, "PRAGMA integrity_check(1)", "ok") ||
	    !read_text(db, "SELECT count(*) FROM sqlite_schema", text))
		return -1;
	if (strcmp(text, "0") == 0)
		return 0;
	if (!says(db, "SELECT count(*) FROM pragma_foreign_key_check", "0") ||
	    !says(db, "SELECT count(*) = coalesce(max(CAST(key AS INTEGER)), 0) FROM idempotency",
		  "1") ||
	    !read_text(db, "SELECT count(*) FROM idempotency", text))
		return -1;
	n = atoi(text);
	if (n > LIFE_COMMITS) {
		(void)snprintf(why, sizeof(why), "%d commits", n);
		return -1;
	}
	return says(db, sessions_sql, want[n]) && says(db, half_turns_sql, "0") &&
			       says(db, INDEX_FAULTS, "0") && events_are_right(db)
		       ? n
		       : -1;
}
