/*
 * migrate.h - the schema and its versions.
 *
 * PRAGMA user_version holds the version, PRAGMA application_id marks the file as ours. Forward
 * only, one step a version, all in one transaction.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#define SCHEMA_VERSION 4
#define SCHEMA_APP_ID  0x63686174 /* "chat" */

/*
 * Is this file ours to open? Changes nothing in it. 0 if it is, or is empty; -1 if it could not be
 * read now; DB_NEWER if a later release wrote it; DB_FOREIGN if it is somebody else's or no
 * database at all. error says why.
 */
int migrate_check(sqlite3 *db, char *error, size_t error_size);

/*
 * Call inside the gate. 0 if the database now has the current schema, else as migrate_check(); -1
 * also if it could not be written now.
 */
int migrate(sqlite3 *db, char *error, size_t error_size);

/* Can be read, and nothing needs to be migrated. */
bool migrate_is_current(sqlite3 *db);
