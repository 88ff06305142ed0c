/*
 * verify_schema.c - the tables, indexes and views of the log against those of its schema version.
 * See verify_schema.h.
 *
 * chatd makes them once, and takes their being there for granted: an INDEXED BY fails where its
 * index is missing, a view that was changed hides events from everybody. What they should be is
 * what the same steps of the schema make of an empty database in memory.
 *
 * Of a table only its being there is checked: one that was given a column by hand works as before.
 */
#include "chatd/ctl/verify_schema.h"

#include <stdio.h>
#include <string.h>

#include "chatd/store/migrate.h"
#include "common/log.h"

static const struct place nowhere;

/* An empty log. -1: failed, and r->why says why. Closed in both cases by log_reader_close(). */
static int make_empty(struct log_reader *r)
{
	enum log_level max = log_max;
	int rc = sqlite3_open(":memory:", &r->db);

	log_max = LOG_LEVEL_ERR; /* nobody needs to know of this one */
	if (rc != SQLITE_OK)
		(void)snprintf(r->why, sizeof(r->why), "a schema to compare with: %s",
			       sqlite3_errstr(rc));
	r->failed = rc != SQLITE_OK || migrate(r->db, r->why, sizeof(r->why)) != 0;
	log_max = max;
	return r->failed ? -1 : 0;
}

static void compare(struct verify *v, const char *type, const char *name, const char *wanted)
{
	auto_stmt sqlite3_stmt *st = log_reader_query(
		&v->log, "SELECT sql FROM main.sqlite_schema WHERE type = ?1 AND name = ?2", "ss",
		type, name);

	if (!log_reader_step(&v->log, st))
		finding(&v->findings, nowhere, "%s %s of the schema is missing", type, name);
	else if (strcmp(type, "table") != 0 && strcmp(log_reader_text(st, 0), wanted) != 0)
		finding(&v->findings, nowhere, "%s %s is not as the schema has it", type, name);
}

void verify_schema(struct verify *v)
{
	struct log_reader empty = {0};
	auto_stmt sqlite3_stmt *st = NULL;

	if (make_empty(&empty) == 0) /* what has no text belongs to its table */
		st = log_reader_query(&empty,
				      "SELECT type, name, sql FROM sqlite_schema "
				      "WHERE sql IS NOT NULL ORDER BY type, name",
				      "");
	while (log_reader_step(&empty, st) && !v->log.failed)
		compare(v, log_reader_text(st, 0), log_reader_text(st, 1), log_reader_text(st, 2));
	if (empty.failed && !v->log.failed) {
		v->log.failed = true;
		memcpy(v->log.why, empty.why, sizeof(v->log.why));
	}
	log_reader_end(&st);
	st = NULL;
	log_reader_close(&empty);
}
