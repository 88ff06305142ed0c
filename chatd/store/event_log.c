/*
 * event_log.c - what a worker writes, in order, committed in groups. See event_log.h.
 *
 * pending: a list of writes (pending_write.c), each self-contained, so that a transaction can be
 * run again from the list as often as it takes.
 *
 *	event_log_commit:  gate ─ BEGIN ─ each write ─ COMMIT ─ leave gate ─ tell
 *	                     │ busy                    │ error
 *	                     └── try again later       └── later open anew, look what is there
 *
 * A checkpoint runs here as well, inside the gate, when the WAL has grown by LIMIT_WAL_PAGES since
 * the last one: nobody can be committing then.
 *
 * While the log is stalled it is read as ever, over the connection that failed or one that can only
 * read. Everything stays in the list, in its order, and each pass of the loop after
 * LIMIT_LOG_RETRY_MS tries again. What a failed COMMIT did is found out by log_outcome.c.
 */
#include "chatd/store/event_log.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "chatd/store/log_outcome.h"
#include "chatd/store/pending_write.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/require.h"

struct event_log {
	struct event_base *base; /* borrowed */
	const char *path;	 /* borrowed */
	bool durability_full;
	const struct event_log_ops *ops; /* borrowed */
	void *ops_arg;
	struct db *db;		     /* owned; may only be good for reads. NULL: not even that */
	struct pending_list pending; /* owned */
	size_t n_pending;
	bool stalled;
	bool told_why;	     /* it can't be opened anew: once in a stall */
	bool suspect;	     /* the connection failed: good for reads until there is a new one */
	bool commit_unknown; /* a COMMIT failed: it may have happened ... */
	struct pending_write *attempted; /* ... for all up to this one. Borrowed from pending */
	struct event_index index;
	struct event *lag;   /* owned; wakes the loop when something has to be indexed */
	struct event *retry; /* owned; only wakes the loop, whose pass ends with a commit */
	int64_t retry_at;
	int checkpoint_pages; /* how much the WAL may grow between checkpoints */
	int checkpoint_at;    /* WAL pages at which to checkpoint next ... */
	int busy_pages;	      /* ... and how many more while commits are large */
	struct event_log_stats stats;
};

struct log_turn *log_turn_new(const char *id, int64_t row)
{
	struct log_turn *t = calloc(1, sizeof(*t));

	REQUIRE(t);
	t->refs = 1;
	t->row = row;
	str_put(t->id, sizeof(t->id), id);
	return t;
}

void log_turn_unref(struct log_turn *t)
{
	if (t && --t->refs == 0)
		free(t);
}

/* --- appending --- */

static struct pending_write *append(struct event_log *l, enum pending_kind kind, enum sql sql,
				    struct log_session *s, struct log_turn *t, uint64_t generation)
{
	struct pending_write *w = pending_write_new(kind, sql, s, t, generation);

	TAILQ_INSERT_TAIL(&l->pending, w, link);
	l->n_pending++;
	return w;
}

void event_log_event(struct event_log *l, struct log_session *s, struct log_turn *t,
		     uint64_t generation, uint64_t seq, enum chat_event_type type, char *payload,
		     size_t n)
{
	struct pending_write *w = append(l, PENDING_EVENT, SQL_EVENT_INSERT, s, t, generation);

	w->seq = seq;
	w->ts = clock_wall_ms();
	w->type = type;
	w->payload = payload;
	w->payload_n = n;
	w->bytes = n;
	l->stats.pending_events++;
	l->stats.pending_bytes += n;
}

void event_log_write(struct event_log *l, enum sql which, struct log_session *s, struct log_turn *t,
		     uint64_t generation, const char *types, ...)
{
	struct pending_write *w = append(l, PENDING_STATEMENT, which, s, t, generation);
	va_list ap;

	va_start(ap, types);
	pending_write_set_params(w, types, ap);
	va_end(ap);
	l->stats.pending_bytes += w->bytes;
}

void event_log_after(struct event_log *l, struct log_session *s, void (*done)(void *arg, bool ok),
		     void *arg)
{
	struct pending_write *w = append(l, PENDING_AFTER, SQL_N, s, NULL, 0);

	w->done = done;
	w->arg = arg;
}

static void note_commit(struct event_log *l, int64_t us, uint64_t events)
{
	static const uint64_t sizes[] = {1, 2, 5, 10, 50, 100, 500};
	static const int64_t edges[] = {250, 500, 1000, 2500, 5000, 10000, 50000};
	int i = 0, size = 0;

	while (i < 7 && us > edges[i])
		i++;
	while (size < 7 && events > sizes[size])
		size++;
	l->stats.batch_buckets[size]++;
	l->stats.commit_buckets[i]++;
	l->stats.commits++;
	l->stats.commit_us_sum += (uint64_t)us;
	if ((uint64_t)us > l->stats.commit_us_max)
		l->stats.commit_us_max = (uint64_t)us;
}

/*
 * A checkpoint makes the commit that runs it wait for two syncs. With little to do that is soon;
 * under load, when many commits would meet one, it is put off, and copies each page once instead of
 * often.
 */
static void maybe_checkpoint(struct event_log *l, size_t group)
{
	static struct log_limit lines;
	int pages = db_wal_pages(l->db);
	int64_t start;
	int rc;

	if (pages < l->checkpoint_pages)
		l->checkpoint_at = l->checkpoint_pages;
	if (pages < l->checkpoint_at + (group > LIMIT_WAL_GROUP ? l->busy_pages : 0))
		return;
	start = clock_mono_us();
	rc = db_checkpoint(l->db, NULL); /* what it could not copy, the next one will */
	l->stats.checkpoints++;
	l->stats.checkpoint_us_sum += (uint64_t)(clock_mono_us() - start);
	if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY && log_allowed(&lines, 3))
		log_warning("log.checkpoint", "why=\"%s\" wal_pages=%d", sqlite3_errstr(rc), pages);
	/* a reader may hold the WAL's end: then it goes on growing, and so does the distance */
	l->checkpoint_at = pages + l->checkpoint_pages;
}

/* --- telling --- */

/* What was attempted is committed; what was appended since is not. */
static void tell(struct event_log *l)
{
	struct pending_list told = TAILQ_HEAD_INITIALIZER(told);
	struct pending_write *w, *last = l->attempted;

	while (last) { /* none: only entries of the index were written */
		w = TAILQ_FIRST(&l->pending);
		TAILQ_REMOVE(&l->pending, w, link);
		TAILQ_INSERT_TAIL(&told, w, link);
		l->n_pending--;
		l->stats.pending_events -= w->kind == PENDING_EVENT;
		l->stats.pending_bytes -= w->bytes;
		if (w == last)
			last = NULL;
	}
	l->attempted = NULL;
	TAILQ_FOREACH (w, &told, link) {
		struct chat_event e;

		if (w->session)
			w->session->pending--;
		if (w->kind != PENDING_EVENT)
			continue;
		if (w->dropped)
			continue;
		REQUIRE(w->session); /* an event is some session's */
		e = (struct chat_event){
			.session_id = str_of(w->session->id),
			.turn_id = str_of(w->turn ? w->turn->id : NULL),
			.generation = w->generation,
			.seq = w->seq,
			.ts = w->ts,
			.type = w->type,
			.payload = {w->payload, w->payload_n},
		};
		l->stats.events++;
		l->stats.bytes += w->payload_n;
		w->session->committed = w->seq;
		w->session->committed_generation = w->generation;
		l->ops->committed(l->ops_arg, w->session, &e);
	}
	while ((w = TAILQ_FIRST(&told))) {
		TAILQ_REMOVE(&told, w, link);
		if (w->kind == PENDING_AFTER)
			w->done(w->arg, !w->session || !w->session->stale);
		else if (w->dropped)
			l->ops->stale(l->ops_arg, w->session, w->generation);
		pending_write_free(w);
	}
}

static void stall(struct event_log *l, const char *why)
{
	struct timeval tv = {0, LIMIT_LOG_RETRY_MS * 1000};

	/* something must be tried, or nobody finds out that the log can be written again */
	if (l->n_pending == 0)
		event_log_write(l, SQL_PROBE, NULL, NULL, 0, "");
	l->stats.failures++;
	l->retry_at = clock_mono_ms() + LIMIT_LOG_RETRY_MS;
	REQUIRE(event_add(l->retry, &tv) == 0);
	if (l->stalled)
		return;
	l->stalled = true;
	log_error("log.stalled", "why=\"%s\" pending=%zu: turns wait, trying again every %d ms",
		  why, l->n_pending, LIMIT_LOG_RETRY_MS);
	l->ops->stalled(l->ops_arg, why);
}

/* What was pending is committed. What the callbacks append now is not: the next pass commits it. */
static void committed(struct event_log *l)
{
	bool was_stalled = l->stalled;

	if (was_stalled)
		log_notice("log.writable", "pending=%zu", l->n_pending);
	l->stalled = l->told_why = false;
	tell(l);
	if (was_stalled)
		l->ops->stalled(l->ops_arg, NULL);
	if (l->n_pending > 0)
		event_active(l->retry, EV_TIMEOUT, 1);
}

/*
 * What a failed sync left in the WAL is readable but maybe only in memory, and syncing it again
 * proves nothing. Copying it into the database, which is then synced, does.
 */
static bool make_durable(struct event_log *l)
{
	bool all;

	if (db_gate_enter(l->db) < 0)
		return false;
	(void)db_checkpoint(l->db, &all);
	db_gate_leave(l->db);
	l->stats.checkpoints++;
	return all;
}

/*
 * A connection that writes, in place of one that failed. Until there is one, the failed one is read
 * from: it needs no file opened, and shows what its last commit left. While it is there, SQLite
 * recovers no WAL either, so what a failed COMMIT may have left behind is shown to nobody.
 */
static int renew(struct event_log *l, const char **ret_why)
{
	struct db *db;

	/* one that could not roll back shows what is not so; one that only reads shares that */
	if (l->db && (db_is_read_only(l->db) || db_is_writing(l->db))) {
		db_close(l->db);
		l->db = NULL;
	}
	if (db_reopen(l->path, l->durability_full, &db, ret_why) != 0) {
		if (!l->db && !l->commit_unknown)
			l->db = db_open_read_only(l->path);
		return -1;
	}
	db_close(l->db);
	l->db = db;
	l->suspect = false;
	return 0;
}

/* Opens anew if need be and finds out what an unknown COMMIT did. 1: it happened, 0: go on, -1:
 * later. */
static int reopen(struct event_log *l)
{
	const char *why;
	int happened;

	if ((l->suspect || !l->db || db_is_read_only(l->db)) && renew(l, &why) < 0) {
		if (l->stalled && !l->told_why)
			log_error("log.reopen", "why=\"%s\"", why);
		l->told_why = true;
		stall(l, why);
		return -1;
	}
	if (!l->commit_unknown)
		return 0;
	/* of entries of the index alone nobody knows, and nobody need to */
	happened = l->attempted ? log_outcome_find(l->db, &l->pending, l->attempted) : 1;
	if (happened < 0) {
		stall(l, sqlite3_errmsg(db_handle(l->db)));
		return -1;
	}
	if (happened == 1 && !make_durable(l)) {
		stall(l, "a commit that failed can't be made durable");
		return -1;
	}
	l->commit_unknown = false;
	return happened;
}

/* Wakes the loop when what is indexed later has to be. */
static void watch_lag(struct event_log *l)
{
	int64_t due = event_index_due(&l->index), ms = due - clock_mono_ms();
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	if (due != INT64_MAX && ms > 0 && !event_pending(l->lag, EV_TIMEOUT, NULL))
		REQUIRE(event_add(l->lag, &tv) == 0);
}

static void commit(struct event_log *l, bool index_all)
{
	int64_t start = clock_mono_us();
	size_t group = l->n_pending;
	uint64_t events = l->stats.pending_events;
	int rc;

	if (l->n_pending == 0 && !index_all && event_index_due(&l->index) > start / 1000)
		return;
	if (l->stalled && clock_mono_ms() < l->retry_at)
		return;
	switch (reopen(l)) {
	case 1:
		committed(l);
		return;
	case 0:
		break;
	default:
		return;
	}
	if (db_gate_enter(l->db) < 0) {
		stall(l, "the gate is held by another process");
		return;
	}
	l->attempted = TAILQ_LAST(&l->pending, pending_list);
	rc = pending_write_run_all(l->db, &l->pending, &l->index, index_all, &l->commit_unknown);
	if (rc == SQLITE_OK)
		maybe_checkpoint(l, group);
	db_gate_leave(l->db);
	if (rc == SQLITE_OK) {
		note_commit(l, clock_mono_us() - start, events);
		committed(l);
		return;
	}
	stall(l, sqlite3_errstr(rc));
	rc &= 0xff;
	/* a full disk leaves the connection sound, and a new one could not be opened there */
	if (rc != SQLITE_BUSY && rc != SQLITE_LOCKED && rc != SQLITE_FULL)
		l->suspect = true; /* good for reads until the next try */
}

void event_log_commit(struct event_log *l)
{
	commit(l, false);
	watch_lag(l);
}

void event_log_forget(struct event_log *l, struct log_session *s)
{
	if (l)
		event_index_forget(&l->index, s);
}

static bool begins_run(const struct pending_write *w, uint64_t generation)
{
	if (w->kind == PENDING_AFTER)
		return false;
	return w->sql == SQL_SESSION_INSERT || w->sql == SQL_KEY_INSERT ||
	       w->generation >= generation;
}

int event_log_withdraw(struct event_log *l, struct log_session *s, uint64_t generation)
{
	struct pending_list out = TAILQ_HEAD_INITIALIZER(out);
	struct pending_write *w, *next;
	bool found = false;

	if (l->commit_unknown)
		return -1;
	for (w = TAILQ_FIRST(&l->pending); w; w = next) {
		next = TAILQ_NEXT(w, link);
		if (w->session != s)
			continue;
		found = found || begins_run(w, generation);
		if (!found)
			continue;
		TAILQ_REMOVE(&l->pending, w, link);
		TAILQ_INSERT_TAIL(&out, w, link);
		l->n_pending--;
		l->stats.pending_events -= w->kind == PENDING_EVENT;
		l->stats.pending_bytes -= w->bytes;
		s->pending--;
	}
	while ((w = TAILQ_FIRST(&out))) {
		TAILQ_REMOVE(&out, w, link);
		if (w->kind == PENDING_AFTER)
			w->done(w->arg, false);
		pending_write_free(w);
	}
	/* something must be tried, or nobody finds out that the log can be written again */
	if (l->stalled && l->n_pending == 0)
		event_log_write(l, SQL_PROBE, NULL, NULL, 0, "");
	return found ? 0 : -1;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	/* waking the loop is all: its pass ends with event_log_commit() */
}

void event_log_catch_up(struct event_log *l)
{
	int rc = SQLITE_BUSY;

	if (l->stalled || !l->db)
		return;
	if (db_gate_enter(l->db) == 0) {
		rc = event_index_catch_up(l->db);
		db_gate_leave(l->db);
	}
	if (rc != SQLITE_OK)
		log_warning("log.catch_up", "why=\"%s\"", sqlite3_errstr(rc));
}

int event_log_open(struct event_base *base, const char *path, bool durability_full,
		   const struct event_log_ops *ops, void *arg, struct event_log **ret_log,
		   const char **ret_error)
{
	struct event_log *l = calloc(1, sizeof(*l));
	int r;

	REQUIRE(l);
	l->base = base;
	l->path = path;
	l->durability_full = durability_full;
	l->ops = ops;
	l->ops_arg = arg;
	event_log_set_checkpoint_pages(l, LIMIT_WAL_PAGES);
	l->busy_pages = LIMIT_WAL_BUSY_PAGES;
	TAILQ_INIT(&l->pending);
	event_index_init(&l->index);
	l->retry = evtimer_new(base, on_wake, l);
	l->lag = evtimer_new(base, on_wake, l);
	REQUIRE(l->retry && l->lag);
	r = db_open(path, durability_full, &l->db, ret_error);
	if (r < 0) {
		l->db = db_open_read_only(path);
		if (l->db) { /* what is stored can be shown meanwhile */
			r = 0;
			l->told_why = true;
			stall(l, *ret_error);
		}
	}
	if (r != 0) {
		l->db = NULL;
		event_log_free(l);
		return r;
	}
	event_log_catch_up(l);
	*ret_log = l;
	return 0;
}

void event_log_free(struct event_log *l)
{
	struct pending_write *w;

	if (!l)
		return;
	l->retry_at = 0;
	if (l->db)
		commit(l, true);
	if (l->db && db_gate_enter(l->db) == 0) {
		(void)db_checkpoint(l->db,
				    NULL); /* an offer to the next one who opens it, no duty */
		db_gate_leave(l->db);
	}
	if (l->stats.pending_events > 0)
		log_error("log.lost", "events=%llu: never stored, and never shown",
			  (unsigned long long)l->stats.pending_events);
	while ((w = TAILQ_FIRST(&l->pending))) {
		TAILQ_REMOVE(&l->pending, w, link);
		if (w->session)
			w->session->pending--;
		if (w->kind == PENDING_AFTER)
			w->done(w->arg, false);
		pending_write_free(w);
	}
	db_close(l->db);
	event_index_fini(&l->index);
	event_free(l->lag);
	event_free(l->retry);
	free(l);
}

void event_log_set_checkpoint_pages(struct event_log *l, int pages)
{
	l->checkpoint_pages = l->checkpoint_at = pages;
	l->busy_pages = 0;
}

void event_log_tidy(struct event_log *l, bool busy)
{
	if (!l->db || l->stalled || db_gate_try(l->db) < 0)
		return;
	maybe_checkpoint(l, busy ? LIMIT_WAL_GROUP + 1 : 0);
	db_gate_leave(l->db);
}

void event_log_distrust(struct event_log *l)
{
	l->suspect = true;
}

bool event_log_is_stalled(const struct event_log *l)
{
	return l->stalled;
}

size_t event_log_pending_bytes(const struct event_log *l)
{
	return l->stats.pending_bytes;
}

const struct event_log_stats *event_log_stats(struct event_log *l)
{
	l->stats.wal_pages = l->db ? db_wal_pages(l->db) : 0;
	return &l->stats;
}

uint64_t event_log_take_max(struct event_log *l)
{
	uint64_t max = l->stats.commit_us_max;

	l->stats.commit_us_max = 0;
	return max;
}

struct db *event_log_db(struct event_log *l)
{
	return l->db;
}
