/*
 * migrate.c - the schema and its versions. See migrate.h.
 *
 * Step i turns version i into version i + 1; an empty database is version 0. schema.sql is the
 * first step; later ones get files of their own and never change afterwards.
 */
#include "chatd/store/migrate.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "chatd/store/db.h"
#include "chatd/store/schema_sql.h"
#include "common/log.h"
#include "proto/chat_event.h"

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

static int create(sqlite3 *db, char *error, size_t error_size)
{
	char pragmas[128];
	int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

	(void)snprintf(pragmas, sizeof(pragmas),
		       "PRAGMA application_id = %d; PRAGMA user_version = %d", SCHEMA_APP_ID,
		       SCHEMA_VERSION);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, schema_sql, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = fill_event_types(db);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, pragmas, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	if (rc != SQLITE_OK) {
		(void)snprintf(error, error_size, "creating the schema: %s", sqlite3_errmsg(db));
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL,
				   NULL); /* may have rolled back itself */
		return -1;
	}
	log_notice("db.created", "schema=%d", SCHEMA_VERSION);
	return 0;
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

int migrate(sqlite3 *db, char *error, size_t error_size)
{
	int version;
	bool empty;
	int r = identify(db, &version, &empty, error, error_size);

	return r == 0 && empty ? create(db, error, error_size) : r;
}
