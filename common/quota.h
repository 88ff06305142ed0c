/*
 * quota.h - counts under a limit that several processes keep together: so many of this, and no
 * more, whichever of them is asked.
 *
 * What is counted has a kind and a name (an address, an owner). All processes map the same memory;
 * in it each has an area that it alone writes, and that others only read. So a process that is
 * killed at any instant leaves nothing half-done: whoever sees it die empties its area, and all
 * that it held is free again.
 *
 * Exact: never more than max are in. Refused is who finds max of them in or on their way in; if
 * that is for one on its way who then does not come in after all, a moment is waited for it.
 *
 * A process counts up to LIMIT_QUOTA_NAMES different names; they lie in buckets by a keyed hash,
 * so that nobody can choose names that meet. In a bucket that is full a new name is refused as if
 * its max were reached. Two names whose hashes agree in 54 bits share one count.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

enum quota_kind {
	QUOTA_CONNECTIONS, /* all of them; no name */
	QUOTA_ADDRESS,	   /* connections of an address */
	QUOTA_VIEWERS,	   /* streams of an owner */
	QUOTA_TICKETS,	   /* given to an owner in a while */
};

struct quota;

/*
 * Process `index` of `processes` (at most LIMIT_PROCESSES). memory: quota_bytes(processes) bytes,
 * aligned to a page, zero before anyone used them; borrowed. Its area must be empty. NULL: a memory
 * of its own, for one process.
 */
struct quota *quota_new(void *memory, unsigned index, unsigned processes);
void quota_free(struct quota *q); /* NULL is fine */
size_t quota_bytes(unsigned processes);
/* Where in the memory the area of a process is: whole pages, empty when all bytes are 0. */
void quota_area_at(unsigned index, size_t *ret_offset, size_t *ret_length);

/* What stands for a name of a kind, in all processes that share the memory. Never 0. */
uint64_t quota_key(const struct quota *q, enum quota_kind kind, struct str name);
/* One more, unless there are max. */
bool quota_enter(struct quota *q, uint64_t key, unsigned max);
/* One less of those that this process entered. */
void quota_leave(struct quota *q, uint64_t key);
/* How many there are, of all processes. */
uint64_t quota_count(const struct quota *q, uint64_t key);
