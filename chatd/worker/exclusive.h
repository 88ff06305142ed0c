/*
 * exclusive.h - one active session for each owner ([workers] exclusive = yes).
 *
 * When a turn starts, whatever else of its owner runs or waits ends: the turn is aborted, its
 * prompts are discarded, its queue is withdrawn, and its viewers are told `session_cleared`. The
 * session itself stays and can be continued.
 */
#pragma once

#include "chatd/worker/session.h"

/* Ends the owner's other activity; its writes are appended, before those of the turn that is about
 * to start. except: the session of that turn, or NULL for a new one. 0, or -1 if the log can't be
 * read. */
int exclusive_enforce(struct worker *w, struct str owner, const struct session *except);
void exclusive_free(struct worker *w); /* at exit, after the log */
