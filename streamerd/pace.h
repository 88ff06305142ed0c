/*
 * pace.h - crowded feeds take a breath: events for very many viewers are gathered for as long as
 * sending the last ones took.
 *
 * Each write costs a system call, however little it carries. Where one pass over a feed's viewers
 * takes longer than LIMIT_CROWD_US, a pause as long follows. An event that comes in its first half
 * is held to its end, and goes out in one write for each viewer with what came meanwhile: so one
 * crowded session leaves half of the core to the others. One that comes in its second half is sent
 * at once: such events come too slowly for two to be gathered, and waiting would gain nothing. An
 * event is later by the pause at most, which is never longer than LIMIT_CROWD_PAUSE_US.
 *
 * Whatever else asks for a pass (a join, an answer, an end) has it at once, and the events with it.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list.h"

struct feed;

/* Embedded in its hub. */
struct pace {
	int fd;			 /* owned: a timer of the kernel, finer than the loop's */
	struct event *ev;	 /* owned */
	TAILQ_HEAD(, feed) held; /* borrowed: each has a pause that is not over */
	void (*over)(void *arg, struct feed *f);
	void *arg;
};

/* over() is called from the loop when a held feed's pause is over; it releases the feed. */
void pace_init(struct pace *p, struct event_base *base, void (*over)(void *arg, struct feed *f),
	       void *arg);
void pace_fini(struct pace *p); /* none may be held */
/* An event of so many bytes has come for f. Is f held, so that it need not be settled now? */
bool pace_hold(struct pace *p, struct feed *f, size_t bytes);
void pace_release(struct pace *p, struct feed *f); /* if it is held */
/* f has been settled; times as of clock_mono_us(). */
void pace_settled(struct feed *f, int64_t began, int64_t ended);
