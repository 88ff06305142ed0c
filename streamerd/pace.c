/*
 * pace.c - crowded feeds take a breath. See pace.h.
 *
 *	           pass of cost c       event, before 1.5c         2c
 *	SETTLED ------------------> PAUSE -----------------> HELD -----> marked
 *	   ^                          |                        |
 *	   +--- event, after 1.5c ----+                        +-- anything else, or a block's
 *	        (marked at once)                                   worth of events ---> marked
 *
 * Times are since the pass began.
 *
 * What a pass costs is measured by the clock each time, so that nothing is assumed about numbers of
 * viewers or about the machine; the lesser of two in a row counts, for one may have been disturbed.
 * Once a block's worth of events has gathered, more of them would not make a write cheaper, and a
 * feed that waited on could run through its own tail.
 */
#include "streamerd/pace.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/require.h"
#include "streamerd/feed.h"

/* For the pause that is over first; none: never. */
static void set_timer(struct pace *p, int64_t now)
{
	struct itimerspec t = {0};
	int64_t first = INT64_MAX, us;
	struct feed *f;

	TAILQ_FOREACH (f, &p->held, held) {
		if (f->pause_until < first)
			first = f->pause_until;
	}
	if (first != INT64_MAX) {
		us = first > now ? first - now : 1;
		t.it_value = (struct timespec){us / 1000000, us % 1000000 * 1000};
	}
	(void)timerfd_settime(p->fd, 0, &t, NULL); /* can't fail for these values */
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct pace *p = arg;
	int64_t now = clock_mono_us();
	struct feed *f, *next;

	for (f = TAILQ_FIRST(&p->held); f; f = next) {
		next = TAILQ_NEXT(f, held);
		if (now >= f->pause_until)
			p->over(p->arg, f);
	}
	set_timer(p, now); /* and so it is no longer readable */
}

void pace_init(struct pace *p, struct event_base *base, void (*over)(void *arg, struct feed *f),
	       void *arg)
{
	*p = (struct pace){.over = over, .arg = arg};
	TAILQ_INIT(&p->held);
	p->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	REQUIRE(p->fd >= 0);
	p->ev = event_new(base, p->fd, EV_READ | EV_PERSIST, on_timer, p);
	REQUIRE(p->ev && event_add(p->ev, NULL) == 0);
}

void pace_fini(struct pace *p)
{
	REQUIRE(TAILQ_EMPTY(&p->held));
	event_free(p->ev);
	(void)close(p->fd);
}

bool pace_hold(struct pace *p, struct feed *f, size_t bytes)
{
	int64_t now;

	f->gathered += bytes;
	if (!f->pause_until || f->is_marked || f->gathered >= LIMIT_TAIL_BLOCK)
		return false;
	if (f->is_held)
		return true;
	now = clock_mono_us();
	if (now >= f->pause_until - f->pause_us / 2)
		return false;
	TAILQ_INSERT_TAIL(&p->held, f, held);
	f->is_held = true;
	set_timer(p, now);
	return true;
}

void pace_release(struct pace *p, struct feed *f)
{
	if (!f->is_held)
		return;
	TAILQ_REMOVE(&p->held, f, held);
	f->is_held = false;
}

void pace_settled(struct feed *f, int64_t began, int64_t ended)
{
	int64_t cost = ended - began, least = cost < f->pass_us ? cost : f->pass_us;

	if (!f->gathered)
		return; /* it may have sent nothing */
	f->gathered = 0;
	f->pass_us = cost;
	if (least <= LIMIT_CROWD_US) {
		f->pause_until = 0; /* a feed that is not crowded never asks for the time */
		return;
	}
	f->pause_us = least < LIMIT_CROWD_PAUSE_US ? least : LIMIT_CROWD_PAUSE_US;
	f->pause_until = ended + f->pause_us;
}
