/*
 * call.h - requests in flight on a channel, by number, each with a deadline.
 *
 * streamerd's side of request and reply. Each call ends exactly once: with the answer, or with
 * FAULT_WORKER_UNAVAILABLE when the deadline passes or the channel goes down. Late answers are
 * ignored. Callbacks never run inside call_start().
 */
#pragma once

#include <event2/event.h>

#include "proto/fault.h"
#include "proto/messages.h"

struct calls; /* owned by the link to one worker */

/* answer is a reply, snapshot or replayed message, or NULL: then `why` tells. */
typedef void (*call_done_fn)(void *arg, const struct msg *answer, enum fault why);

struct calls *calls_new(struct event_base *base);
void calls_free(struct calls *c); /* ends what is open with FAULT_WORKER_UNAVAILABLE, then frees */

/* Told of each call whose deadline has passed, before its `done`: a peer that is there and mute. */
void calls_on_unanswered(struct calls *c, void (*unanswered)(void *arg, enum msg_type asked),
			 void *arg);

/*
 * The number to put into the request, or 0 if LIMIT_CALLS is reached (done is not called). asked:
 * what the request is.
 */
uint64_t call_start(struct calls *c, enum msg_type asked, call_done_fn done, void *arg);
/* The caller is no longer interested: done will not be called. */
void call_forget(struct calls *c, uint64_t req);
/* Hands over an answer; 0 if nobody waits for it. */
int call_answer(struct calls *c, uint64_t req, const struct msg *answer);
/* The channel is gone: ends all that is open. */
void calls_fail(struct calls *c);
size_t calls_open(const struct calls *c);
