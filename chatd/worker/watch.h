/*
 * watch.h - streamerds that want to know in which sessions of an owner something begins.
 */
#pragma once

#include "chatd/worker/session.h"

/* l is told, with its number `sub`, from now on; asked again with the same number changes nothing.
 */
void watch_owner(struct worker *w, struct link *l, struct str owner, uint64_t sub);
void watch_end(struct link *l, uint64_t sub); /* one that is not there is fine */
void watch_end_all(struct link *l);	      /* the link goes */

/* Tells who watches the session's owner, if e is an event with which something begins or ends. */
void watch_tell(struct session *s, const struct chat_event *e);
/* The session waits for a person from now on, and its row says so. */
void watch_tell_waiting(struct session *s);

/*
 * {"active":[id…],"changed":[id…]}: which of the owner's sessions that this worker has run or wait,
 * and which changed at `since` or later (0: none). As the log has it: what is not committed yet
 * will be told. NULL if the log can't be read.
 */
json_t *watch_list(struct worker *w, struct str owner, int64_t since);
