/*
 * shared.h - a few pages of memory that all serving processes of one streamerd have in common.
 *
 * The parent makes them and hands them on as a descriptor; each serving process attaches to them as
 * one of N. Without that (tests, tools) the same calls work on memory of this process alone.
 *
 * Rules for whatever lies here: fixed places and sizes, no pointers; a process may be killed
 * between any two instructions and another takes its place, so what several of them write is
 * changed by single atomic operations and is right after each of them. All of it is zero at first
 * and ends with the parent: what must outlive a restart does not belong here.
 *
 *	stats    a slot for each process, written by that process alone; any of them may read all.
 *	         In a slot of a process that was replaced, counters go on and gauges begin at 0.
 *	tickets  LIMIT_SHARED_TICKETS bytes, for what must be used once whichever process is asked:
 *	         their layout is that of the one who uses them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "streamerd/stats.h"

/* Makes the memory. A descriptor that the caller owns (close-on-exec), or -errno. */
int shared_new(void);
/*
 * Becomes process `index` of `processes`, at most LIMIT_PROCESSES: `stats` is its slot from then
 * on. The descriptor may be closed afterwards. 0 or -errno.
 */
int shared_attach(int fd, unsigned index, unsigned processes);

unsigned shared_processes(void); /* 1 if shared_attach() was not called */
unsigned shared_index(void);
/* The sums over all processes. */
void shared_sum(struct stats *out);
/* Open connections, viewers included, of the process that has fewest. */
uint64_t shared_least_load(void);
/* Aligned to 64 bytes. */
void *shared_tickets(void);
