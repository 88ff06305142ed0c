/*
 * backup.h - a copy of the event log while it is written to.
 *
 * One moment of the log, page by page (sqlite3_backup), within one read transaction: writers go on
 * and don't wait, the copy is consistent however long it takes, and never begins anew. While it
 * runs the WAL can't be reset, so it grows by what is written meanwhile. VACUUM INTO would hold the
 * same transaction for longer, and use a processor to build every index again.
 *
 * The copy is one file (no WAL), synced, under its name only once it is whole. To restore it: stop
 * chatd, take PATH, PATH-wal and PATH-shm away, put the copy in PATH's place, start chatd.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Called after each LIMIT_BACKUP_PAGES, and at the end. Returning false gives up. */
typedef bool (*backup_progress_fn)(void *arg, int64_t bytes_done, int64_t bytes_all);

/*
 * Copies the log at `path` to `target`, which must not exist. 0, or -1 with *ret_error (static
 * buffer); then there is no target. progress may be NULL.
 */
int backup_run(const char *path, const char *target, backup_progress_fn progress, void *arg,
	       const char **ret_error);
