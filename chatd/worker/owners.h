/*
 * owners.h - how many turns each owner has here that run or stand in a queue.
 *
 * What is counted is what this worker has in its hands: an owner's sessions are spread over the
 * workers, and each keeps the limit by itself. Waiting turns are rows, not work, and not counted.
 */
#pragma once

#include <stddef.h>

#include "common/buf.h"

struct worker;

void owners_add(struct worker *w, const char *owner);
void owners_remove(struct worker *w, const char *owner); /* one that was added */
size_t owners_turns(const struct worker *w, struct str owner);
