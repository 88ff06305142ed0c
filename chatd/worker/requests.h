/*
 * requests.h - what a streamerd may ask of a worker, each answered exactly once.
 *
 * Reads are answered from what is committed. Changes are answered after the commit that holds
 * them: accepted means stored.
 */
#pragma once

#include "chatd/worker/link.h"

void request_handle(struct worker *w, struct link *l, const struct msg *m);
