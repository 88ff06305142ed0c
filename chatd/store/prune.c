/*
 * prune.c - retention by hand. See prune.h.
 */
#include "chatd/store/prune.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "chatd/store/migrate.h"
#include "common/clock.h"
#include "common/limits.h"

#define REST	    4	    /* after each slice, so many times what it took: turns go first */
#define REST_MAX_US 1000000 /* on a slow machine a slice is long for other reasons */
#define LATER_US    20000
#define MAX_LATERS  500 /* ten seconds in which somebody else always writes */

static char error_text[512];

static int fail(const char *path, const char *why)
{
	(void)snprintf(error_text, sizeof(error_text), "%s: %s", path, why);
	return -1;
}

static void rest(int64_t us)
{
	struct timespec t = {us / 1000000, us % 1000000 * 1000};

	(void)nanosleep(&t, NULL); /* a signal ends it early: no harm */
}

/* The schema version of the file, or -1. */
static int version_of(const char *path)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	int version = -1;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		version = sqlite3_column_int(st, 0);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	return version;
}

/* db_open() would create it, or migrate it under a chatd of the older version that still runs. */
static int open_existing(const char *path, struct db **ret, const char **ret_error)
{
	const char *why;

	*ret_error = error_text;
	if (access(path, R_OK | W_OK) < 0)
		return fail(path, strerror(errno));
	if (version_of(path) < SCHEMA_VERSION)
		return fail(path, "it is no event log, or of an older version: start chatd once");
	if (db_open(path, true, ret, &why) != 0) {
		(void)snprintf(error_text, sizeof(error_text), "%s", why);
		return -1;
	}
	return 0;
}

static void checkpoint(struct db *db)
{
	if (db_gate_enter(db) < 0)
		return; /* an offer: whoever commits next will */
	(void)db_checkpoint(db, NULL);
	db_gate_leave(db);
}

static int slices(struct retention *r, struct db *db, const char *path, prune_progress_fn progress,
		  void *arg)
{
	int laters = 0;

	for (;;) {
		int64_t start = clock_mono_us(), pause;
		enum retention_outcome o = retention_slice(r, db, LIMIT_RETENTION_IDLE_US, true);

		if (o == RETENTION_FULL)
			return fail(path, "the disk is full");
		if (o == RETENTION_FAILED)
			return fail(path, "it can't be written");
		if (o == RETENTION_LATER && ++laters > MAX_LATERS)
			return fail(path, "it is locked");
		if (db_wal_pages(db) > LIMIT_WAL_PAGES)
			checkpoint(db);
		if (progress && !progress(arg, retention_stats(r)))
			return 0;
		if (o == RETENTION_DONE)
			return 0;
		if (o == RETENTION_MORE)
			laters = 0;
		pause = o == RETENTION_LATER ? LATER_US : (clock_mono_us() - start) * REST;
		rest(pause > REST_MAX_US ? REST_MAX_US : pause);
	}
}

int prune_run(const char *path, const struct retention_policy *p, prune_progress_fn progress,
	      void *arg, struct retention_stats *ret_done, const char **ret_error)
{
	struct retention *r;
	struct db *db;
	int result;

	if (ret_done)
		memset(ret_done, 0, sizeof(*ret_done));
	if (open_existing(path, &db, ret_error) < 0)
		return -1;
	r = retention_new();
	retention_begin(r, p, clock_wall_ms());
	result = slices(r, db, path, progress, arg);
	checkpoint(db);
	if (ret_done)
		*ret_done = *retention_stats(r);
	retention_free(r);
	db_close(db);
	return result;
}

int prune_rewrite(const char *path, const char **ret_error)
{
	struct db *db;
	int r = 0;

	if (open_existing(path, &db, ret_error) < 0)
		return -1;
	if (db_gate_enter(db) < 0) {
		r = fail(path, "somebody else writes it");
	} else {
		if (sqlite3_exec(db_handle(db), "PRAGMA auto_vacuum = INCREMENTAL; VACUUM", NULL,
				 NULL, NULL) != SQLITE_OK)
			r = fail(path, sqlite3_errmsg(db_handle(db)));
		else
			(void)db_checkpoint(db, NULL);
		db_gate_leave(db);
	}
	db_close(db);
	return r;
}
