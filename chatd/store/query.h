/*
 * query.h - what all reads of the event log have in common. Private to chatd/store.
 *
 * A query is started, stepped through and finished at once, so no read transaction stays open that
 * could keep the WAL from being reset. What fails is logged and counted here.
 */
#pragma once

#include <jansson.h>

#include "chatd/store/db.h"
#include "common/buf.h"

/* Prepared, or NULL. A NULL db gives NULL, of which who closed it has told. */
sqlite3_stmt *query_stmt(struct db *db, enum sql which);
/* Prepared and bound to one integer, or NULL. A NULL db gives NULL. */
sqlite3_stmt *query_start(struct db *db, enum sql which, int64_t first);
int query_step(sqlite3_stmt *st); /* 1 a row, 0 the end, -1 */
/* Resets it; returns result. */
int query_finish(sqlite3_stmt *st, int result);

void query_complain(const char *why); /* that a read failed */

/* Column i of the row. */
char *query_dup(sqlite3_stmt *st, int i); /* malloc'ed, or NULL */
void query_copy(sqlite3_stmt *st, int i, char *out, size_t size);
struct str query_str(sqlite3_stmt *st, int i); /* "" if NULL; valid until the next step */
json_t *query_json(sqlite3_stmt *st, int i);   /* new reference, or NULL */
