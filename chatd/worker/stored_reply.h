/*
 * stored_reply.h - answers that leave only after the commit that makes them true.
 */
#pragma once

#include "chatd/worker/link.h"

/*
 * Answers request req of the link with body (taken over; NULL: empty) once the writes of s that are
 * appended so far are committed; with log_unavailable if s turns out to be somebody else's.
 */
void stored_reply(struct worker *w, struct session *s, struct link *l, uint64_t req, json_t *body);
