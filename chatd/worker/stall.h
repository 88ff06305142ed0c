/*
 * stall.h - what a worker does while its log can't be written.
 *
 * Turns pause: nothing is read from providers. A POST whose turn could not be stored in
 * LIMIT_STALL_MS is refused, and the turn taken back. A person who watches is told after
 * LIMIT_STALL_MS by a notice: an `error` event that is not stored and has no id, since nothing can
 * be stored. Who comes later finds it in the snapshot. When the log can be written again the turns
 * go on, and a `warning` says so.
 */
#pragma once

#include "chatd/worker/worker.h"

void stall_begins(struct worker *w);
void stall_ends(struct worker *w);
void stall_check(struct worker *w); /* once a pass */
