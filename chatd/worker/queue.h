/*
 * queue.h - messages that wait behind a running turn (on_busy = queue).
 *
 * A queued turn is a row from the moment it is accepted; it starts in the very transaction that
 * ends the one before it. Its generation is given when it starts; until then it is the one that it
 * will have if nothing is withdrawn or restarted before.
 */
#pragma once

#include "chatd/worker/turn.h"

/* Turns in the queue of s. */
size_t queue_length(const struct session *s);
/* Puts turn `id` behind the others; its writes are appended. The caller has looked at LIMIT_QUEUE.
 */
void queue_add(struct session *s, const char *id, const struct turn_request *r);
/* Takes one back: 1 if it was there. It ends with an `aborted` event of its own. */
int queue_withdraw(struct session *s, struct str turn_id);
void queue_withdraw_all(struct session *s);
/* Starts the first, if there is one and s is idle. */
void queue_start_next(struct session *s);
/* A JSON array of {"turn_id","content"}. New reference. */
json_t *queue_json(const struct session *s);

/* Reads it from the log when a session is loaded. 1, or -1. */
int queue_load(struct session *s);
void queue_free(struct session *s); /* memory only */
