/*
 * db.h - one connection to the event log: pragmas, prepared statements, the gate, checkpoints.
 *
 * The gate is an exclusive flock on PATH-gate, held around every commit and every checkpoint of
 * ours, whatever the process. Two reasons: SQLite before 3.51.3 can corrupt a WAL database when
 * one process commits while another checkpoints; and writers that queue in the kernel don't poll.
 * No connection of ours checkpoints by itself (wal_autocheckpoint = 0, none on close).
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>

#include "chatd/store/sql.h"

struct db;

/*
 * Opens or creates path, migrates it to the current schema. Returns 0, -1 if it can't be opened
 * now (full, I/O error, locked), or DB_NEWER / DB_FOREIGN. ret_error (static buffer) says why.
 */
enum { DB_NEWER = 1, DB_FOREIGN = 2 };
int db_open(const char *path, bool durability_full, struct db **ret_db, const char **ret_error);
/*
 * As db_open(), of a log that was there before: creates nothing. -1 if it isn't there, or is empty:
 * its file system is not mounted just now, and what is begun in its place would be lost.
 */
int db_reopen(const char *path, bool durability_full, struct db **ret_db, const char **ret_error);
/*
 * For reads only, where db_open() can't: a read-only file system, a file of somebody else. NULL if
 * that doesn't work either, or if the schema isn't ours. SQLite lets all connections of a process
 * to one file share what it knows of the WAL: close this one before db_open() is tried again, which
 * would inherit that nothing can be written.
 */
struct db *db_open_read_only(const char *path);
void db_close(struct db *db); /* NULL is fine */
bool db_is_read_only(const struct db *db);
/* A transaction that writes is open: an error that could not be rolled back. */
bool db_is_writing(const struct db *db);

sqlite3 *db_handle(struct db *db);
/* Prepared, reset, no bindings. Borrowed. NULL with sqlite3_errcode() set if it can't be prepared.
 */
sqlite3_stmt *db_stmt(struct db *db, enum sql which);
unsigned db_flags(enum sql which);

/* Waits for at most LIMIT_GATE_MS. 0, or -1: whoever holds it does not let go. */
int db_gate_enter(struct db *db);
int db_gate_try(struct db *db); /* 0, or -1 at once: somebody has it */
void db_gate_leave(struct db *db);

/* Pages in the WAL after our last commit. */
int db_wal_pages(const struct db *db);
/*
 * Call inside the gate. Copies what it can of the WAL into the database. Returns an SQLite code.
 * *ret_all (may be NULL): nothing is left, and what was copied is synced.
 */
int db_checkpoint(struct db *db, bool *ret_all);
