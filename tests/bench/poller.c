/*
 * poller.c - the one epoll loop of a bench program. See poller.h.
 */
#include "tests/bench/poller.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/require.h"

#define BATCH 128 /* reads of a few µs each: who is behind schedule is so by less than 1 ms */

void poller_init(struct poller *p)
{
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	REQUIRE(p->epoll >= 0);
}

void poller_fini(struct poller *p)
{
	(void)close(p->epoll);
	p->epoll = -1;
}

static void control(struct poller *p, int op, struct watch *w, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = w};

	REQUIRE(epoll_ctl(p->epoll, op, w->fd, &e) == 0);
	w->events = events;
}

void poller_add(struct poller *p, struct watch *w, uint32_t events)
{
	control(p, EPOLL_CTL_ADD, w, events);
}

void poller_change(struct poller *p, struct watch *w, uint32_t events)
{
	if (events != w->events)
		control(p, EPOLL_CTL_MOD, w, events);
}

void poller_close(struct poller *p, struct watch *w)
{
	if (w->fd >= 0)
		(void)close(w->fd);
	w->fd = -1;
	w->events = 0;
}

void poller_wait(struct poller *p, int64_t us)
{
	struct epoll_event got[BATCH];
	struct timespec t = {us / 1000000, us % 1000000 * 1000};
	int n = epoll_pwait2(p->epoll, got, BATCH, us < 0 ? &(struct timespec){0, 0} : &t, NULL);

	for (int i = 0; i < n; i++) {
		struct watch *w = got[i].data.ptr;

		if (w->fd >= 0)
			w->ready(w, got[i].events);
	}
}

int poller_raise_limit(void)
{
	struct rlimit r;

	REQUIRE(getrlimit(RLIMIT_NOFILE, &r) == 0);
	r.rlim_cur = r.rlim_max;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &r) == 0);
	return (int)r.rlim_cur;
}
