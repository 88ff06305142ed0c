/*
 * log_life.h - a random life of an event log, and what a reader must find after each commit of it.
 *
 * Two logs on one database, as two workers have, take turns: sessions are created, start turns, get
 * chunks, end turns and are deleted; checkpoints run every few commits, a reader holds the WAL's
 * end now and then, one log is closed and opened again, slices of retention take out what deleted
 * sessions left. Commits count from 1; each one stores its
 * number as an idempotency key, so that a database says which commit is its last.
 *
 * With a recording of disk.h under way, what the logs tell is noted there: the commit it is of.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#define LIFE_COMMITS 120

void life_run(const char *path, uint64_t seed, bool durability_full);
/* Events that retention took out in the last life. */
extern int life_removed_events;
/* After so many commits of it, events were without entries in the index. */
extern int life_lagging_commits;

/*
 * Looks at a database that was found after a crash. Returns the last commit that is there, 0 for a
 * database that is still empty, or -1 with *ret_why (static) if it is not, in every row that
 * counts, what it was after some commit.
 */
int life_check(sqlite3 *db, const char **ret_why);
