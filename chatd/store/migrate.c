/*
 * migrate.c - the schema and its versions. See migrate.h.
 *
 * Step i turns version i into version i + 1; an empty database is version 0. schema.sql is the
 * first step; later ones have files of their own. None ever changes once it was released.
 *
 * auto_vacuum = INCREMENTAL can only be set in an empty file. One that has it not is rewritten by
 * VACUUM when it is small; a large one is left as it is: its free pages are used again, and
 * `chatctl prune --vacuum` gives them back.
 */
#include "chatd/store/migrate.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "chatd/store/db.h"
#include "chatd/store/schema_2_sql.h"
#include "chatd/store/schema_3_sql.h"
#include "chatd/store/schema_4_sql.h"
#include "chatd/store/schema_sql.h"
#include "common/limits.h"
#include "common/log.h"
#include "proto/chat_event.h"

static const char *const steps[] = {schema_sql, schema_2_sql, schema_3_sql, schema_4_sql};
_Static_assert(sizeof(steps) / sizeof(steps[0]) == SCHEMA_VERSION, "a step for each version");

static int pragma_int(sqlite3 *db, const char *sql, int *ret)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);

	if (rc == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		*ret = sqlite3_column_int(s, 0);
	else
		rc = rc ? rc : SQLITE_ERROR;
	(void)sqlite3_finalize(s);
	return rc == SQLITE_OK ? 0 : -1;
}

/* The names of events, for v_events: the table in proto/chat_event.h is the only list. */
static int fill_event_types(sqlite3 *db)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(
		db, "INSERT OR REPLACE INTO event_types (type, name) VALUES (?1, ?2)", -1, &s,
		NULL);

	for (int i = 1; rc == SQLITE_OK && i < CHAT_EVENT_N; i++) {
		(void)sqlite3_bind_int(s, 1, i);
		(void)sqlite3_bind_text(s, 2, chat_event_name((unsigned)i), -1, SQLITE_STATIC);
		rc = sqlite3_step(s) == SQLITE_DONE ? sqlite3_reset(s) : sqlite3_errcode(db);
	}
	(void)sqlite3_finalize(s);
	return rc;
}

/* From version `from` to ours, all or nothing. */
static int upgrade(sqlite3 *db, int from, char *error, size_t error_size)
{
	char pragmas[128];
	int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

	if (from && rc == SQLITE_OK)
		log_notice("db.migrating", "from=%d to=%d: a second for a million events, and more",
			   from, SCHEMA_VERSION);
	(void)snprintf(pragmas, sizeof(pragmas),
		       "PRAGMA application_id = %d; PRAGMA user_version = %d", SCHEMA_APP_ID,
		       SCHEMA_VERSION);
	for (int i = from; rc == SQLITE_OK && i < SCHEMA_VERSION; i++)
		rc = sqlite3_exec(db, steps[i], NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = fill_event_types(db);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, pragmas, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	if (rc != SQLITE_OK) {
		(void)snprintf(error, error_size, "%s: %s",
			       from ? "migrating the schema" : "creating the schema",
			       sqlite3_errmsg(db));
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL,
				   NULL); /* may have rolled back itself */
		return -1;
	}
	if (from)
		log_notice("db.migrated", "from=%d to=%d", from, SCHEMA_VERSION);
	else
		log_notice("db.created", "schema=%d", SCHEMA_VERSION);
	return 0;
}

static void rewrite_if_small(sqlite3 *db)
{
	int pages, page_size, auto_vacuum;

	if (pragma_int(db, "PRAGMA auto_vacuum", &auto_vacuum) < 0 || auto_vacuum != 0 ||
	    pragma_int(db, "PRAGMA page_count", &pages) < 0 ||
	    pragma_int(db, "PRAGMA page_size", &page_size) < 0)
		return;
	if ((int64_t)pages * page_size > LIMIT_VACUUM_AT_START)
		log_notice("db.no_auto_vacuum",
			   "pages=%d: the file can't shrink before "
			   "'chatctl prune --vacuum' has rewritten it",
			   pages);
	else if (sqlite3_exec(db, "PRAGMA auto_vacuum = INCREMENTAL; VACUUM", NULL, NULL, NULL) !=
		 SQLITE_OK)
		log_notice("db.no_auto_vacuum", "why=\"%s\"", sqlite3_errmsg(db));
	else
		log_notice("db.rewritten", "pages=%d", pages);
}

/* Reads what identifies a database. Returns as migrate_check(). */
static int identify(sqlite3 *db, int *ret_version, bool *ret_empty, char *error, size_t error_size)
{
	int app_id, tables;

	if (pragma_int(db, "PRAGMA user_version", ret_version) < 0 ||
	    pragma_int(db, "PRAGMA application_id", &app_id) < 0 ||
	    pragma_int(db, "SELECT count(*) FROM sqlite_schema", &tables) < 0) {
		(void)snprintf(error, error_size, "reading the schema version: %s",
			       sqlite3_errmsg(db));
		return (sqlite3_errcode(db) & 0xff) == SQLITE_NOTADB ? DB_FOREIGN : -1;
	}
	*ret_empty = *ret_version == 0 && tables == 0;
	if (*ret_empty)
		return 0;
	if (app_id != SCHEMA_APP_ID) {
		(void)snprintf(error, error_size, "this is not an event log of chatd");
		return DB_FOREIGN;
	}
	if (*ret_version > SCHEMA_VERSION) {
		(void)snprintf(error, error_size,
			       "the event log has schema version %d, this chatd knows up to %d: "
			       "use the newer chatd that wrote it",
			       *ret_version, SCHEMA_VERSION);
		return DB_NEWER;
	}
	return 0;
}

int migrate_check(sqlite3 *db, char *error, size_t error_size)
{
	int version;
	bool empty;

	return identify(db, &version, &empty, error, error_size);
}

bool migrate_is_current(sqlite3 *db)
{
	char error[128];
	int version;
	bool empty;

	return identify(db, &version, &empty, error, sizeof(error)) == 0 &&
	       version == SCHEMA_VERSION;
}

int migrate(sqlite3 *db, char *error, size_t error_size)
{
	int version;
	bool empty;
	int r = identify(db, &version, &empty, error, error_size);

	if (r == 0 && version < SCHEMA_VERSION)
		r = upgrade(db, version, error, error_size);
	if (r == 0 && version > 0) /* also where a crash came between the two */
		rewrite_if_small(db);
	return r;
}
