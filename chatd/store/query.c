/*
 * query.c - what all reads of the event log have in common. See query.h.
 */
#include "chatd/store/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chatd/store/queries.h"
#include "common/json.h"
#include "common/log.h"
#include "common/require.h"

static uint64_t read_failures;

uint64_t query_failures(void)
{
	return read_failures;
}

char *query_dup(sqlite3_stmt *st, int i)
{
	const char *t = (const char *)sqlite3_column_text(st, i);
	char *copy = t ? strdup(t) : NULL;

	REQUIRE(!t || copy);
	return copy;
}

void query_copy(sqlite3_stmt *st, int i, char *out, size_t size)
{
	const char *t = (const char *)sqlite3_column_text(st, i);

	(void)snprintf(out, size, "%s", t ? t : "");
}

struct str query_str(sqlite3_stmt *st, int i)
{
	const char *t = (const char *)sqlite3_column_text(st, i);

	return (struct str){t ? t : "", t ? (size_t)sqlite3_column_bytes(st, i) : 0};
}

/* Callers only know that it failed: this is where it is said. */
void query_complain(const char *why)
{
	static struct log_limit lines;

	read_failures++;
	if (log_allowed(&lines, 10))
		log_error("log.read_failed", "why=\"%s\"", why);
}

sqlite3_stmt *query_stmt(struct db *db, enum sql which)
{
	sqlite3_stmt *st = db ? db_stmt(db, which) : NULL;

	if (db && !st)
		query_complain(sqlite3_errmsg(db_handle(db)));
	return st;
}

sqlite3_stmt *query_start(struct db *db, enum sql which, int64_t first)
{
	sqlite3_stmt *st = query_stmt(db, which);

	if (st)
		(void)sqlite3_bind_int64(st, 1, first);
	return st;
}

int query_step(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		query_complain(sqlite3_errmsg(sqlite3_db_handle(st)));
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
}

int query_finish(sqlite3_stmt *st, int result)
{
	(void)sqlite3_reset(st); /* its error is in result */
	return result;
}

json_t *query_json(sqlite3_stmt *st, int i)
{
	struct str s = query_str(st, i);

	return s.n ? json_read(s.p, s.n, NULL, 0) : NULL;
}
