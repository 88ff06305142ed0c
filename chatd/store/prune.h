/*
 * prune.h - retention by hand: a whole round at once, also while chatd runs.
 *
 * It does what worker 0 does (retention.h), with limits of the caller's, in slices that leave turns
 * most of the time. Viewers of what it removes are told by their workers within
 * LIMIT_REMOVED_LOOK_MS.
 */
#pragma once

#include "chatd/store/retention.h"

/* Called after each slice. Returning false ends it there; what was done stays done. */
typedef bool (*prune_progress_fn)(void *arg, const struct retention_stats *done);

/*
 * Retention of the log at `path`, which must exist and be of this version (chatd migrates it).
 * *ret_done (may be NULL) is set in any case. 0, or -1 with *ret_error (static buffer). progress
 * may be NULL.
 */
int prune_run(const char *path, const struct retention_policy *p, prune_progress_fn progress,
	      void *arg, struct retention_stats *ret_done, const char **ret_error);

/*
 * Rewrites the whole file: every free page is given back, and a file of schema version 1 can shrink
 * from then on. Nobody can commit while it runs, and it needs as much space again; for when chatd
 * is down. 0, or -1 with *ret_error.
 */
int prune_rewrite(const char *path, const char **ret_error);
