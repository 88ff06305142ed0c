/*
 * snapshot.h - the state of a session as a viewer is shown it.
 *
 * Only what is committed is ever shown. While writes of the session are pending, its accumulator
 * is ahead of the log: then the answer waits for the commit of this pass; if the log is stalled,
 * it is built from the events that are on disk instead.
 */
#pragma once

#include "chatd/worker/link.h"
#include "chatd/worker/session.h"

/* Answers request `req` of the link with a snapshot message, now or after the next commit. */
void snapshot_send(struct link *l, uint64_t req, struct session *s);
