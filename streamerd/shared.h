/*
 * shared.h - a few pages of memory that all serving processes of one streamerd have in common.
 *
 * The parent makes them and hands them on as a descriptor; each serving process attaches to them as
 * one of N. Without that (tests, tools) the same calls work on memory of this process alone.
 *
 * Rules for whatever lies here: fixed places and sizes, no pointers; a process may be killed
 * between any two instructions and another takes its place, so what several of them write is
 * changed by single atomic operations and is right after each of them. A process may be wrong about
 * what lies here, or be made so: others are then wrong about numbers, and nothing else. All of it
 *is zero at first and ends with the parent: what must outlive a restart does not belong here.
 *
 *	stats    a slot for each process, written by that process alone; any of them may read all.
 *	         In a slot of a process that was replaced, counters go on and gauges begin at 0.
 *	tickets  LIMIT_SHARED_TICKETS bytes, for what must be used once whichever process is asked:
 *	         their layout is that of the one who uses them.
 *	quota    an area for each process, written by that process alone: what it counts under the
 *	         limits that hold for all together. The area of one that died is emptied.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "streamerd/stats.h"

struct quota;

/* Makes the memory. A descriptor that the caller owns (close-on-exec), or -errno. */
int shared_new(void);
/*
 * Becomes process `index` of `processes`, at most LIMIT_PROCESSES: `stats` is its slot from then
 * on. The descriptor may be closed afterwards. 0 or -errno.
 */
int shared_attach(int fd, unsigned index, unsigned processes);
/* Process `index` is dead: what it counted in the quota it does not hold any more. 0 or -errno. */
int shared_forget(int fd, unsigned index);

unsigned shared_processes(void); /* 1 if shared_attach() was not called */
unsigned shared_index(void);
/* The sums over all processes. */
void shared_sum(struct stats *out);
/* Open connections, viewers included, of the process that has fewest. */
uint64_t shared_least_load(void);
/* Aligned to 64 bytes. */
void *shared_tickets(void);
struct quota *shared_quota(void); /* never NULL */
