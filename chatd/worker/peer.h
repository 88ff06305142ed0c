/*
 * peer.h - a word from one worker to another.
 */
#pragma once

#include "chatd/worker/worker.h"

/*
 * Makes the worker that owns the session look at its rows, where it will find that its run is over.
 * Best effort: a worker that can't be reached finds out when it next writes, or when it starts.
 */
void peer_poke(struct worker *w, const char *session_id, const char *owner);
void peers_free(struct worker *w); /* at exit */
