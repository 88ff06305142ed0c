/*
 * act.h - a request to a session's worker, as its owner, and what came of it.
 */
#pragma once

#include "chatd/ctl/bus_client.h"
#include "chatd/ctl/ctl.h"

/*
 * Connects, sends m (its req is filled in by `number`, a pointer into m) and prints the answer:
 * the JSON body, or `done` for people (NULL: nothing). CTL_OK; or CTL_NO, CTL_NOT_FOUND,
 * CTL_FAILED, and it has been said.
 */
int act(const struct ctl *c, const char *session_id, struct msg *m, uint64_t *number,
	const char *done);
/* What the answer of a worker is as an exit status; a fault is said. */
int act_status(enum fault fault, const struct buf *body);
