/*
 * parked.c - requests whose worker is away for a moment. See parked.h.
 *
 * The list is in the order of deadlines. All wait equally long, so a new one belongs at the end;
 * one that was handed over and comes back has only those before it that came meanwhile.
 */
#include "streamerd/parked.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/list.h"
#include "common/require.h"

struct waiter {
	TAILQ_ENTRY(waiter) link;
	struct parked *parked; /* borrowed: the owner */
	struct http_request *req;
	struct visit visit;
};

TAILQ_HEAD(waiter_list, waiter);

struct parked {
	struct waiter_list waiters;
	struct event *timer; /* owned */
	void (*again)(void *arg, struct http_request *req, const struct visit *v);
	void *arg;
	bool all;     /* at the next tick everybody's turn comes */
	bool drained; /* nobody is taken any more */
};

static void set_timer(struct parked *p)
{
	const struct waiter *first = TAILQ_FIRST(&p->waiters);
	struct timeval tv = {0, 0};
	int64_t ms;

	if (!first) {
		(void)event_del(p->timer);
		return;
	}
	ms = p->all ? 0 : first->visit.until - clock_mono_ms();
	if (ms > 0)
		tv = (struct timeval){ms / 1000, ms % 1000 * 1000};
	REQUIRE(event_add(p->timer, &tv) == 0); /* only memory could be short */
}

static struct http_request *leave(struct waiter *w)
{
	struct http_request *req = w->req;

	TAILQ_REMOVE(&w->parked->waiters, w, link);
	free(w);
	return req;
}

static void on_gone(void *arg)
{
	http_drop(leave(arg));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct parked *p = arg;
	struct waiter_list due = TAILQ_HEAD_INITIALIZER(due);
	int64_t now = clock_mono_ms();
	struct waiter *w;

	(void)fd;
	(void)what;
	while ((w = TAILQ_FIRST(&p->waiters)) && (p->all || w->visit.until <= now)) {
		TAILQ_REMOVE(&p->waiters, w, link);
		TAILQ_INSERT_TAIL(&due, w, link);
		http_on_gone(w->req, NULL, NULL);
	}
	p->all = false;
	while ((w = TAILQ_FIRST(&due))) { /* some come back to the list meanwhile */
		TAILQ_REMOVE(&due, w, link);
		p->again(p->arg, w->req, &w->visit);
		free(w);
	}
	set_timer(p);
}

struct parked *parked_new(struct event_base *base,
			  void (*again)(void *arg, struct http_request *req, const struct visit *v),
			  void *arg)
{
	struct parked *p = calloc(1, sizeof(*p));

	REQUIRE(p);
	TAILQ_INIT(&p->waiters);
	p->timer = evtimer_new(base, on_timer, p);
	REQUIRE(p->timer);
	p->again = again;
	p->arg = arg;
	return p;
}

void parked_free(struct parked *p)
{
	struct waiter *w;

	if (!p)
		return;
	while ((w = TAILQ_FIRST(&p->waiters)))
		http_drop(leave(w));
	event_free(p->timer);
	free(p);
}

bool parked_add(struct parked *p, struct http_request *req, const struct visit *v)
{
	struct waiter *w, *before;

	if (p->drained || clock_mono_ms() >= v->until)
		return false;
	w = calloc(1, sizeof(*w));
	REQUIRE(w);
	w->parked = p;
	w->req = req;
	w->visit = *v;
	before = TAILQ_LAST(&p->waiters, waiter_list);
	while (before && before->visit.until > v->until)
		before = TAILQ_PREV(before, waiter_list, link);
	if (before)
		TAILQ_INSERT_AFTER(&p->waiters, before, w, link);
	else
		TAILQ_INSERT_HEAD(&p->waiters, w, link);
	http_on_gone(req, on_gone, w);
	set_timer(p);
	return true;
}

void parked_wake(struct parked *p)
{
	p->all = true;
	set_timer(p);
}

void parked_drain(struct parked *p)
{
	p->drained = true;
	parked_wake(p);
}
