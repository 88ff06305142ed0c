/*
 * recover.h - taking up what an earlier worker left running.
 */
#pragma once

#include "chatd/worker/worker.h"

struct session;

/* Takes up the orphaned turn of a session that was just loaded. 0, or -1 if the log can't be read.
 */
int recover_session(struct session *s);
/*
 * Takes up every session of ours that the log calls busy and that nobody here works on. Before the
 * first request, and at each beat from then on: what a worker that was still leaving then handed
 * over is found too. 0, or -1 if the log can't be read.
 */
int recover(struct worker *w);
