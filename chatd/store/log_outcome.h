/*
 * log_outcome.h - what a COMMIT did whose outcome is unknown.
 *
 * Private to chatd/store.
 */
#pragma once

#include "chatd/store/pending_write.h"

/*
 * The writes from the head of list to last were run, and their COMMIT failed in a way that may have
 * left it done. Returns 1 if it happened, 0 if not, or -1 if that can't be read now
 * (sqlite3_errmsg() of db says why). With 1, sessions and turns know again what the transaction
 * taught: the rows of its INSERTs and which runs are stale. Only reads the database.
 */
int log_outcome_find(struct db *db, const struct pending_list *list,
		     const struct pending_write *last);
