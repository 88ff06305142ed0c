/*
 * parked.h - requests whose worker is away for a moment.
 *
 * A worker that dies is back within a fraction of a second, and a 503 in between is an error on
 * somebody's screen, or the end of an EventSource, for nothing. So a request waits here, for at
 * most LIMIT_WORKER_WAIT_MS since it came, and goes to its handler once more when a link is up or
 * its time is over. There are never more than there are connections.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/limits.h"
#include "streamerd/route.h"

/* What it takes to hand a request to its handler, now or once more. */
struct visit {
	const struct route *route;
	struct str params[ROUTE_PARAMS]; /* borrowed from the request */
	char owner[LIMIT_OWNER + 1];	 /* "" on open routes */
	int64_t until;			 /* monotonic ms: not parked any more from then on */
};

struct parked;

/* again: the request is the callee's to answer. Called from the event loop only. */
struct parked *parked_new(struct event_base *base,
			  void (*again)(void *arg, struct http_request *req, const struct visit *v),
			  void *arg);
/* Drops what still waits. NULL is fine. */
void parked_free(struct parked *p);

/* True: the request (unanswered, without http_on_gone()) is kept, and v copied. False: its time is
 * over, or parked_drain() was called. */
bool parked_add(struct parked *p, struct http_request *req, const struct visit *v);
/* A link is up: all are handed over again, soon. */
void parked_wake(struct parked *p);
/* Nobody waits any more: all are handed over, soon, and no more are taken. */
void parked_drain(struct parked *p);
