/*
 * backup.c - a copy of the event log while it is written to. See backup.h.
 *
 *	target.partial ── pages ── journal_mode = DELETE ── fsync ── link to target ── fsync folder
 *
 * The source is opened read-only, so that it is neither created nor migrated nor checkpointed.
 */
#include "chatd/store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chatd/store/migrate.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/limits.h"
#include "common/require.h"

#define BUSY_MS 10000 /* a chatd that restores its WAL holds the file for a moment */

static char error_text[512];

static int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(error_text, sizeof(error_text), fmt, ap);
	va_end(ap);
	return -1;
}

/* Opens the log and fixes the moment. */
static int open_source(const char *path, sqlite3 **ret)
{
	int rc = sqlite3_open_v2(path, ret, SQLITE_OPEN_READONLY, NULL);

	if (rc != SQLITE_OK)
		return fail("%s: %s", path, sqlite3_errstr(rc));
	(void)sqlite3_busy_timeout(*ret, BUSY_MS);
	if (sqlite3_exec(*ret, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL) !=
	    SQLITE_OK)
		return fail("%s: %s", path, sqlite3_errmsg(*ret));
	return migrate_check(*ret, error_text, sizeof(error_text)) == 0 ? 0 : -1;
}

static int copy_pages(sqlite3 *to, sqlite3 *from, backup_progress_fn progress, void *arg)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
	int rc = b ? SQLITE_OK : sqlite3_errcode(to);
	bool go_on = true;

	while (rc == SQLITE_OK && go_on) {
		rc = sqlite3_backup_step(b, LIMIT_BACKUP_PAGES);
		if (progress && (rc == SQLITE_OK || rc == SQLITE_DONE)) {
			int64_t all = sqlite3_backup_pagecount(b);
			int64_t left = sqlite3_backup_remaining(b);

			go_on = progress(arg, (all - left) * 4096, all * 4096);
		}
	}
	(void)sqlite3_backup_finish(b); /* its error is rc */
	if (!go_on)
		return fail("given up");
	if (rc != SQLITE_DONE)
		return fail("copying: %s", sqlite3_errstr(rc));
	/* one file that needs no WAL, also where nothing can be written */
	if (sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) != SQLITE_OK)
		return fail("copying: %s", sqlite3_errmsg(to));
	return 0;
}

static int copy(const char *partial, sqlite3 *from, backup_progress_fn progress, void *arg)
{
	sqlite3 *to = NULL;
	int r, rc = sqlite3_open_v2(partial, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);

	if (rc != SQLITE_OK)
		r = fail("%s: %s", partial, sqlite3_errstr(rc));
	else if (sqlite3_exec(to, "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF", NULL, NULL,
			      NULL) != SQLITE_OK)
		r = fail("%s: %s", partial, sqlite3_errmsg(to));
	else
		r = copy_pages(to, from, progress, arg);
	(void)sqlite3_close(to); /* what it could not write was told by then */
	return r;
}

static int sync_path(const char *path, int flags)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | flags);

	return fd < 0 || fsync(fd) < 0 ? fail("%s: %s", path, strerror(errno)) : 0;
}

/* Gives it its name, unless somebody else took that meanwhile. */
static int publish(const char *partial, const char *target)
{
	auto_free char *folder = str_dup(str_of(target));

	if (sync_path(partial, 0) < 0)
		return -1;
	if (link(partial, target) < 0)
		return fail("%s: %s", target, strerror(errno));
	return sync_path(dirname(folder), O_DIRECTORY);
}

/* Nobody but us may read a copy of what people said. */
static int reserve(const char *partial, const char *target)
{
	auto_close int fd = -1;

	if (access(target, F_OK) == 0)
		return fail("%s: it is there already", target);
	fd = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? fail("%s: %s", partial, strerror(errno)) : 0;
}

int backup_run(const char *path, const char *target, backup_progress_fn progress, void *arg,
	       const char **ret_error)
{
	auto_free char *partial = NULL;
	sqlite3 *from = NULL;
	int r;

	*ret_error = error_text;
	REQUIRE(asprintf(&partial, "%s.partial", target) > 0);
	r = open_source(path, &from);
	if (r == 0)
		r = reserve(partial, target);
	if (r == 0) {
		r = copy(partial, from, progress, arg);
		if (r == 0)
			r = publish(partial, target);
		(void)unlink(partial); /* under its own name it stays */
	}
	(void)sqlite3_close(from);
	return r;
}
