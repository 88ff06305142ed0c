/*
 * backend.h - the links to the chatd workers, one channel each.
 *
 * How many workers there are is learnt from the first one's hello. A link that is lost is tried
 * again with back-off (50 ms doubling to 2 s) for ever. While a link is down its requests fail at
 * once; nothing is queued here for a worker that is not there (whole HTTP requests wait: parked.h).
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <sys/types.h>

#include "proto/call.h"
#include "proto/messages.h"

struct backend;

struct backend_ops {
	void (*up)(void *arg, unsigned worker);	  /* the link can be used */
	void (*down)(void *arg, unsigned worker); /* its calls have been failed before this */
	/* A checked event: known type, ids plausible, payload a one-line "{...}". */
	void (*event)(void *arg, const struct msg_event *e);
	/* The same of a session that somebody may want to subscribe to. */
	void (*activity)(void *arg, const struct msg_activity *a);
};

/* dir and ops are borrowed. peer_uid: whose workers are believed besides our own uid and root. */
struct backend *backend_new(struct event_base *base, const char *dir, uid_t peer_uid,
			    const struct backend_ops *ops, void *arg);
/* Open calls are failed. No further callback of ops. NULL is fine. */
void backend_free(struct backend *b);

unsigned backend_workers(const struct backend *b); /* 0 as long as none has been reached */
bool backend_is_up(const struct backend *b, unsigned worker);
/* The worker that owns a session, or -1 if the number of workers is not known yet. */
int backend_worker_of(const struct backend *b, struct str session_id);
/* A worker that is up, each in turn; -1 if none is. */
int backend_pick(struct backend *b);

/*
 * Sends a request, whose `req` is filled in here. done is called exactly once, later, unless the
 * call is forgotten. Returns its number, or 0 if the worker can't be asked (down, LIMIT_CALLS).
 */
uint64_t backend_call(struct backend *b, unsigned worker, struct msg *m, call_done_fn done,
		      void *arg);
void backend_forget(struct backend *b, unsigned worker, uint64_t req);
/* Sends what has no answer; dropped if the worker is down. */
void backend_send(struct backend *b, unsigned worker, const struct msg *m);
