/*
 * log_reader.c - the event log's file, opened to be read. See log_reader.h.
 */
#include "chatd/ctl/log_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "chatd/store/migrate.h"

#define BUSY_MS 10000 /* a chatd that restores its WAL holds the file for a moment */

static int fail(struct log_reader *r, const char *what)
{
	if (!r->failed)
		(void)snprintf(r->why, sizeof(r->why), "%s: %s", what,
			       r->db ? sqlite3_errmsg(r->db) : "out of memory");
	r->failed = true;
	return -1;
}

static int refuse(struct log_reader *r, const char *why)
{
	r->failed = true;
	(void)snprintf(r->why, sizeof(r->why), "%s", why);
	return -1;
}

int log_reader_open(struct log_reader *r, const char *path)
{
	int64_t app_id, version;

	memset(r, 0, sizeof(*r));
	if (sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
		return fail(r, "opening it");
	(void)sqlite3_busy_timeout(r->db, BUSY_MS);
	(void)sqlite3_extended_result_codes(r->db, 1);
	if (sqlite3_exec(r->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
		return fail(r, "beginning to read");
	app_id = log_reader_int(r, 0, "PRAGMA application_id", "");
	version = log_reader_int(r, 0, "PRAGMA user_version", "");
	/* the pragmas come from the header; this fixes the moment */
	(void)log_reader_int(r, 0, "SELECT count(*) FROM sqlite_schema", "");
	if (r->failed)
		return -1;
	if (app_id != SCHEMA_APP_ID)
		return refuse(r, "this is not an event log of chatd");
	if (version != SCHEMA_VERSION)
		return refuse(r, version > SCHEMA_VERSION
					 ? "it was written by a newer version"
					 : "it was written by an older version; start chatd once");
	return 0;
}

void log_reader_close(struct log_reader *r)
{
	(void)sqlite3_close(r->db); /* read-only: nothing can be lost */
	r->db = NULL;
}

static sqlite3_stmt *prepare(struct log_reader *r, const char *sql, const char *types, va_list ap)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(r->db, sql, -1, &st, NULL) != SQLITE_OK) {
		(void)fail(r, "reading it");
		return NULL;
	}
	for (int i = 0; types[i]; i++) {
		if (types[i] == 'i')
			(void)sqlite3_bind_int64(st, i + 1, va_arg(ap, int64_t));
		else
			(void)sqlite3_bind_text(st, i + 1, va_arg(ap, const char *), -1,
						SQLITE_STATIC);
	}
	return st;
}

sqlite3_stmt *log_reader_query(struct log_reader *r, const char *sql, const char *types, ...)
{
	sqlite3_stmt *st;
	va_list ap;

	va_start(ap, types);
	st = prepare(r, sql, types, ap);
	va_end(ap);
	return st;
}

bool log_reader_step(struct log_reader *r, sqlite3_stmt *st)
{
	int rc = st ? sqlite3_step(st) : SQLITE_DONE;

	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		(void)fail(r, "reading it");
	return rc == SQLITE_ROW;
}

int64_t log_reader_int(struct log_reader *r, int64_t none, const char *sql, const char *types, ...)
{
	auto_stmt sqlite3_stmt *st = NULL;
	va_list ap;

	va_start(ap, types);
	st = prepare(r, sql, types, ap);
	va_end(ap);
	if (!log_reader_step(r, st) || sqlite3_column_type(st, 0) == SQLITE_NULL)
		return none;
	return sqlite3_column_int64(st, 0);
}
