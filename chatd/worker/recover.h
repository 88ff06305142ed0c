/*
 * recover.h - taking up what an earlier worker left running.
 */
#pragma once

#include "chatd/worker/worker.h"

struct session;

/* Takes up the orphaned turn of a session that was just loaded. 0, or -1 if the log can't be read.
 */
int recover_session(struct session *s);
/* Call once, before the first request. 0, or -1 if the log can't be read. */
int recover(struct worker *w);
