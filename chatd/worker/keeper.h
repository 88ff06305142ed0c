/*
 * keeper.h - when retention runs in a worker, and what becomes of sessions that it removed.
 *
 * Worker 0 does it for all: one owner, so that no two processes fold the same turn and the file's
 * size is judged once; if that worker dies its successor goes on where the rows are. Every worker
 * looks for removed sessions among those it holds: only it can tell their viewers.
 */
#pragma once

#include "chatd/store/retention.h"
#include "chatd/worker/worker.h"

struct keeper;

struct keeper *keeper_new(struct worker *w);
void keeper_free(struct keeper *k); /* NULL is fine */
/* A round and a look now, by the options that hold now. */
void keeper_hurry(struct keeper *k);
const struct retention_stats *keeper_stats(const struct keeper *k);
/* Bytes of the database in use and in all. 0, or -1 if it can't be read. */
int keeper_size(struct keeper *k, int64_t *ret_used, int64_t *ret_file);
