/*
 * bench_log.c - what the event log costs beside bare SQLite, and how long a commit takes.
 *
 *	bench_log [-r ROUNDS] [-n EVENTS] [-b BATCH] [-w WAL_PAGES] [-d DIR] [-o FILE.json]
 *
 * A: events of 2,000 interleaved sessions through event_log, durability full: appended, committed
 *    in groups, told.
 * B: the same rows into tables of the same shape by two prepared INSERTs in a bare loop,
 *    synchronous = FULL, WAL: each event, and at once its entry in event_index, as the log does it
 *    in commits of up to LIMIT_INDEX_GROUP events. In the larger ones measured here the log writes
 *    the entries later, several together (event_index.h): what that gains is A's.
 *
 * Both have the same page cache, checkpoint by themselves never, and run a PASSIVE checkpoint in
 * the committing process each time the WAL has grown by the same number of pages; that time counts.
 * A round begins with two empty files and gives A and B slices of 2,000 events in turn, so that a
 * slow moment of the machine hits both. Figures are medians of the rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "chatd/store/event_log.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/require.h"
#include "tests/bench/bench.h"
#include "tests/bench/bench_options.h"

#define SESSIONS      2000
#define PAYLOAD	      150
#define SLICE	      2000 /* events; a multiple of every batch */
#define TARGET_RATIO  0.7
#define TARGET_P99_MS 5.0

static const char *top = ".";
static int rounds = 5;
static int n_events = 200000;
static int checkpoint_pages; /* 0: as the log does it by itself */

struct result {
	int64_t us, cpu_us;	      /* in all slices */
	struct samples commit_ms;     /* all */
	struct samples checkpoint_ms; /* those in which a checkpoint ran */
};

static void make_dir(char dir[200], char path[256])
{
	(void)snprintf(dir, 200, "%s/bench_log.XXXXXX", top);
	REQUIRE(mkdtemp(dir));
	(void)snprintf(path, 256, "%s/events.db", dir);
}

static void remove_dir(const char *dir, const char *path)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-gate"};
	char name[300];

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		(void)unlink(name);
	}
	(void)rmdir(dir);
}

/* The sessions take turns in an order that is the same for A and B but not the one of their rows.
 */
static int session_of(int event)
{
	return (int)(((uint64_t)event * 7919) % SESSIONS);
}

static char *payload_of(int event)
{
	char *p = malloc(PAYLOAD + 1);
	int n;

	REQUIRE(p);
	n = snprintf(p, PAYLOAD, "{\"content\":\"%08d ", event);
	memset(p + n, 'a' + event % 26, (size_t)(PAYLOAD - n));
	memcpy(p + PAYLOAD - 2, "\"}", 3);
	return p;
}

/* What this process has had of the CPUs; unlike the wall clock, it doesn't count waiting for one.
 */
static int64_t cpu_us(void)
{
	struct timespec t;

	REQUIRE(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void note(struct result *r, int64_t start, bool checkpoint)
{
	double ms = (double)(clock_mono_us() - start) / 1000;

	samples_add(&r->commit_ms, ms);
	if (checkpoint)
		samples_add(&r->checkpoint_ms, ms);
}

/* --- A --- */

static uint64_t n_told;

static void on_committed(void *arg, struct log_session *s, const struct chat_event *e)
{
	n_told++;
}

static void on_stale(void *arg, struct log_session *s, uint64_t generation)
{
	REQUIRE(!"stale");
}

static void on_stalled(void *arg, const char *why)
{
	REQUIRE(!"stalled");
}

static const struct event_log_ops ops = {on_committed, on_stale, on_stalled};

struct session {
	struct log_session log;
	struct log_turn *turn;
	uint64_t seq;
};

struct log_run {
	struct event_base *base;
	struct event_log *log;
	struct session sessions[SESSIONS];
	char dir[200], path[256];
	struct result result;
};

static void start_session(struct event_log *l, struct session *s, int i)
{
	(void)snprintf(s->log.id, sizeof(s->log.id), "ses_%06d", i);
	s->turn = log_turn_new(s->log.id + 4, 0);
	event_log_write(l, SQL_SESSION_INSERT, &s->log, NULL, 0, "tttttti", "local", "t", "demo",
			"m", NULL, NULL, (int64_t)1);
	event_log_write(l, SQL_RUN_START, &s->log, NULL, 1, "ttti", "demo", "m", NULL, (int64_t)1);
	event_log_write(l, SQL_TURN_INSERT, &s->log, s->turn, 1, "ttttii", s->turn->id, "demo", "m",
			"msg", (int64_t)1, (int64_t)1);
}

static struct log_run *log_run_open(void)
{
	struct log_run *r = calloc(1, sizeof(*r));
	const char *why;

	REQUIRE(r);
	make_dir(r->dir, r->path);
	r->base = event_base_new();
	REQUIRE(event_log_open(r->base, r->path, true, &ops, NULL, &r->log, &why) == 0);
	if (checkpoint_pages)
		event_log_set_checkpoint_pages(r->log, checkpoint_pages);
	for (int i = 0; i < SESSIONS; i++)
		start_session(r->log, &r->sessions[i], i);
	event_log_commit(r->log);
	n_told = 0;
	return r;
}

static void log_run_slice(struct log_run *r, int from, int batch)
{
	int64_t begin = clock_mono_us(), cpu = cpu_us();

	for (int i = from; i < from + SLICE;) {
		uint64_t checkpoints = event_log_stats(r->log)->checkpoints;
		int64_t start;

		for (int j = 0; j < batch; j++, i++) {
			struct session *s = &r->sessions[session_of(i)];

			event_log_event(r->log, &s->log, s->turn, 1, ++s->seq,
					CHAT_EVENT_RESPONSE_CHUNK, payload_of(i), PAYLOAD);
		}
		start = clock_mono_us();
		event_log_commit(r->log);
		note(&r->result, start, event_log_stats(r->log)->checkpoints > checkpoints);
	}
	r->result.us += clock_mono_us() - begin;
	r->result.cpu_us += cpu_us() - cpu;
}

static void log_run_close(struct log_run *r)
{
	REQUIRE(n_told == (uint64_t)n_events);
	event_log_free(r->log);
	for (int i = 0; i < SESSIONS; i++)
		log_turn_unref(r->sessions[i].turn);
	event_base_free(r->base);
	remove_dir(r->dir, r->path);
	free(r);
}

/* --- B --- */

struct bare_run {
	sqlite3 *db;
	sqlite3_stmt *begin, *insert, *insert_entry, *commit;
	int wal_pages;
	uint64_t seqs[SESSIONS];
	char dir[200], path[256];
	struct result result;
};

static const char bare_schema[] =
	"PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL; PRAGMA cache_size = -16384;"
	"CREATE TABLE events (row INTEGER PRIMARY KEY, session INTEGER, seq INTEGER, "
	"generation INTEGER, turn INTEGER, ts INTEGER, type INTEGER, payload TEXT);"
	"CREATE TABLE event_index (session INTEGER, seq INTEGER, event INTEGER, "
	"PRIMARY KEY (session, seq)) WITHOUT ROWID";

static int on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
	((struct bare_run *)arg)->wal_pages = pages;
	return SQLITE_OK;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st;

	REQUIRE(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) == SQLITE_OK);
	return st;
}

static void step(sqlite3_stmt *st)
{
	REQUIRE(sqlite3_step(st) == SQLITE_DONE);
	REQUIRE(sqlite3_reset(st) == SQLITE_OK);
}

static struct bare_run *bare_run_open(void)
{
	struct bare_run *r = calloc(1, sizeof(*r));

	REQUIRE(r);
	make_dir(r->dir, r->path);
	REQUIRE(sqlite3_open(r->path, &r->db) == SQLITE_OK);
	REQUIRE(sqlite3_exec(r->db, bare_schema, NULL, NULL, NULL) == SQLITE_OK);
	(void)sqlite3_wal_autocheckpoint(r->db, 0);
	(void)sqlite3_wal_hook(r->db, on_wal, r);
	r->begin = prepare(r->db, "BEGIN IMMEDIATE");
	r->insert = prepare(r->db, "INSERT INTO events (session, seq, generation, turn, ts, type, "
				   "payload) VALUES (?, ?, ?, ?, ?, ?, ?)");
	r->insert_entry =
		prepare(r->db, "INSERT INTO event_index (session, seq, event) VALUES (?, ?, ?)");
	r->commit = prepare(r->db, "COMMIT");
	return r;
}

static void insert(struct bare_run *r, int event)
{
	char *payload = payload_of(event);
	int session = session_of(event);

	(void)sqlite3_bind_int(r->insert, 1, session + 1);
	(void)sqlite3_bind_int64(r->insert, 2, (int64_t)++r->seqs[session]);
	(void)sqlite3_bind_int(r->insert, 3, 1);
	(void)sqlite3_bind_int(r->insert, 4, session + 1);
	(void)sqlite3_bind_int64(r->insert, 5, clock_wall_ms());
	(void)sqlite3_bind_int(r->insert, 6, 2);
	(void)sqlite3_bind_text(r->insert, 7, payload, PAYLOAD, SQLITE_STATIC);
	step(r->insert);
	free(payload);
	(void)sqlite3_bind_int(r->insert_entry, 1, session + 1);
	(void)sqlite3_bind_int64(r->insert_entry, 2, (int64_t)r->seqs[session]);
	(void)sqlite3_bind_int64(r->insert_entry, 3, sqlite3_last_insert_rowid(r->db));
	step(r->insert_entry);
}

/* The same as the log does it. */
static int pages_between(int batch)
{
	if (checkpoint_pages)
		return checkpoint_pages;
	return LIMIT_WAL_PAGES + (batch > LIMIT_WAL_GROUP ? LIMIT_WAL_BUSY_PAGES : 0);
}

static void bare_run_slice(struct bare_run *r, int from, int batch)
{
	int64_t begin = clock_mono_us(), cpu = cpu_us();

	for (int i = from; i < from + SLICE;) {
		int64_t start = clock_mono_us();
		bool checkpoint;

		step(r->begin);
		for (int j = 0; j < batch; j++, i++)
			insert(r, i);
		step(r->commit);
		checkpoint = r->wal_pages >= pages_between(batch);
		if (checkpoint)
			(void)sqlite3_wal_checkpoint_v2(r->db, NULL, SQLITE_CHECKPOINT_PASSIVE,
							NULL, NULL);
		note(&r->result, start, checkpoint);
	}
	r->result.us += clock_mono_us() - begin;
	r->result.cpu_us += cpu_us() - cpu;
}

static void bare_run_close(struct bare_run *r)
{
	(void)sqlite3_finalize(r->begin);
	(void)sqlite3_finalize(r->insert);
	(void)sqlite3_finalize(r->insert_entry);
	(void)sqlite3_finalize(r->commit);
	REQUIRE(sqlite3_close(r->db) == SQLITE_OK);
	remove_dir(r->dir, r->path);
	free(r);
}

/* --- both --- */

/* Medians over the rounds. */
struct medians {
	struct samples per_second, cpu, p50, p99, max, checkpoints, checkpoint_p50;
};

static void add_round(struct medians *m, struct result *r)
{
	samples_add(&m->per_second, n_events / ((double)r->us / 1e6));
	samples_add(&m->cpu, (double)r->cpu_us / n_events);
	samples_add(&m->p50, samples_quantile(&r->commit_ms, 0.5));
	samples_add(&m->p99, samples_quantile(&r->commit_ms, 0.99));
	samples_add(&m->max, samples_quantile(&r->commit_ms, 1));
	samples_add(&m->checkpoints, (double)r->checkpoint_ms.n);
	samples_add(&m->checkpoint_p50, samples_quantile(&r->checkpoint_ms, 0.5));
	samples_fini(&r->commit_ms);
	samples_fini(&r->checkpoint_ms);
}

static json_t *medians_json(const char *name, struct medians *m)
{
	double v[] = {
		samples_quantile(&m->per_second, 0.5),	samples_quantile(&m->p50, 0.5),
		samples_quantile(&m->p99, 0.5),		samples_quantile(&m->max, 0.5),
		samples_quantile(&m->checkpoints, 0.5), samples_quantile(&m->checkpoint_p50, 0.5),
		samples_quantile(&m->cpu, 0.5),
	};

	(void)printf("  %-10s %8.0f events/s, %.1f µs of CPU each   commit p50 %.2f p99 %.2f max "
		     "%.1f ms   "
		     "%.0f checkpoints, p50 of those commits %.1f ms\n",
		     name, v[0], v[6], v[1], v[2], v[3], v[4], v[5]);
	samples_fini(&m->per_second);
	samples_fini(&m->cpu);
	samples_fini(&m->p50);
	samples_fini(&m->p99);
	samples_fini(&m->max);
	samples_fini(&m->checkpoints);
	samples_fini(&m->checkpoint_p50);
	return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "events_per_second", v[0],
			 "cpu_us_per_event", v[6], "commit_p50_ms", v[1], "commit_p99_ms", v[2],
			 "commit_max_ms", v[3], "checkpoints", v[4], "checkpoint_commit_p50_ms",
			 v[5]);
}

static json_t *run_batch(int batch, bool *all_met)
{
	struct medians log, bare;
	struct samples ratios = {0};
	json_t *jl, *jb;
	double ratio, p99;
	bool met;

	memset(&log, 0, sizeof(log));
	memset(&bare, 0, sizeof(bare));
	for (int i = 0; i < rounds; i++) {
		struct log_run *a = log_run_open();
		struct bare_run *b = bare_run_open();

		for (int at = 0; at < n_events; at += SLICE) {
			log_run_slice(a, at, batch);
			bare_run_slice(b, at, batch);
		}
		samples_add(&ratios, (double)b->result.us / (double)a->result.us);
		add_round(&log, &a->result);
		add_round(&bare, &b->result);
		log_run_close(a);
		bare_run_close(b);
	}
	ratio = samples_quantile(&ratios, 0.5);
	samples_fini(&ratios);
	(void)printf("batch %d: ratio %.2f\n", batch, ratio);
	jl = medians_json("event_log", &log);
	jb = medians_json("bare", &bare);
	p99 = json_real_value(json_object_get(jl, "commit_p99_ms"));
	met = ratio >= TARGET_RATIO && (batch != 100 || p99 < TARGET_P99_MS);
	*all_met &= met;
	return json_pack("{s:i, s:f, s:b, s:o, s:o}", "batch", batch, "ratio", ratio, "met", met,
			 "event_log", jl, "bare", jb);
}

int main(int argc, char **argv)
{
	static const int batches[] = {10, 100, 1000};
	const char *out = NULL;
	json_t *runs = json_array(), *all;
	bool met = true;
	int only = 0;
	const struct bench_option options[] = {
		{'r', "ROUNDS", &rounds, NULL}, {'n', "EVENTS", &n_events, NULL},
		{'b', "BATCH", &only, NULL},	{'w', "WAL_PAGES", &checkpoint_pages, NULL},
		{'d', "DIR", NULL, &top},	{'o', "FILE.json", NULL, &out},
	};

	bench_options(argc, argv, options, sizeof(options) / sizeof(options[0]));
	n_events = n_events / SLICE * SLICE;
	(void)log_set_level("warning");
	(void)printf(
		"event log against bare SQLite: %d sessions, %d events of %d bytes, %d rounds, "
		"checkpoint at %d pages\n",
		SESSIONS, n_events, PAYLOAD, rounds,
		checkpoint_pages ? checkpoint_pages : LIMIT_WAL_PAGES);
	for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
		if (only == 0 || only == batches[i])
			(void)json_array_append_new(runs, run_batch(batches[i], &met));
	}
	(void)printf("targets (ratio >= %.1f, p99 < %.0f ms at batch 100): %s\n", TARGET_RATIO,
		     TARGET_P99_MS, met ? "met" : "MISSED");
	all = json_pack("{s:o, s:i, s:i, s:i, s:b, s:o}", "machine", bench_machine(top),
			"wal_pages", checkpoint_pages, "events", n_events, "rounds", rounds, "met",
			met, "runs", runs);
	bench_write(out, all);
	json_decref(all);
	return 0;
}
