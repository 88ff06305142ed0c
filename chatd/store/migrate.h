/*
 * migrate.h - the schema and its versions.
 *
 * PRAGMA user_version holds the version, PRAGMA application_id marks the file as ours. Forward
 * only, one step a version, all in one transaction.
 */
#pragma once

#include <sqlite3.h>
#include <stddef.h>

#define SCHEMA_VERSION 1
#define SCHEMA_APP_ID  0x63686174 /* "chat" */

/*
 * Call inside the gate. 0 if the database now has the current schema; -1 if it could not be written
 * or read now; DB_NEWER if a later release wrote it; DB_FOREIGN if it is somebody else's. error
 * says why.
 */
int migrate(sqlite3 *db, char *error, size_t error_size);
