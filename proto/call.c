/*
 * call.c - requests in flight on a channel. See call.h.
 *
 * All calls have the same deadline, so they expire in the order in which they were made: one list
 * in that order, one timer for its head, one hash for the look-up.
 */
#include "proto/call.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/limits.h"
#include "common/list.h"
#include "common/require.h"

struct call {
	uint64_t req;
	enum msg_type asked;
	call_done_fn done;
	void *arg;
	int64_t deadline;
	TAILQ_ENTRY(call) link;
	UT_hash_handle hh;
};

struct calls {
	TAILQ_HEAD(, call) list; /* owned */
	struct call *by_req;
	uint64_t last_req;
	struct event *timer;				    /* owned */
	void (*unanswered)(void *arg, enum msg_type asked); /* may be NULL */
	void *unanswered_arg;
};

static void arm(struct calls *c)
{
	struct call *first = TAILQ_FIRST(&c->list);
	int64_t ms;
	struct timeval tv;

	if (!first)
		return;
	ms = first->deadline - clock_mono_ms();
	if (ms < 0)
		ms = 0;
	tv = (struct timeval){ms / 1000, (ms % 1000 + 1) * 1000 % 1000000};
	(void)event_add(c->timer, &tv);
}

static struct call *unlink_call(struct calls *c, struct call *call)
{
	TAILQ_REMOVE(&c->list, call, link);
	HASH_DEL(c->by_req, call);
	return call;
}

static void end(struct calls *c, struct call *call, const struct msg *answer, enum fault why)
{
	call_done_fn done = call->done;
	void *arg = call->arg;

	free(unlink_call(c, call));
	done(arg, answer, why);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct calls *c = arg;
	int64_t now = clock_mono_ms();
	struct call *call;

	while ((call = TAILQ_FIRST(&c->list)) && call->deadline <= now) {
		if (c->unanswered)
			c->unanswered(c->unanswered_arg, call->asked);
		end(c, call, NULL, FAULT_WORKER_UNAVAILABLE);
	}
	arm(c);
}

struct calls *calls_new(struct event_base *base)
{
	struct calls *c = calloc(1, sizeof(*c));

	REQUIRE(c);
	TAILQ_INIT(&c->list);
	c->timer = evtimer_new(base, on_timer, c);
	REQUIRE(c->timer);
	return c;
}

void calls_fail(struct calls *c)
{
	struct call *call;

	while ((call = TAILQ_FIRST(&c->list)))
		end(c, call, NULL, FAULT_WORKER_UNAVAILABLE);
}

void calls_free(struct calls *c)
{
	if (!c)
		return;
	calls_fail(c);
	event_free(c->timer);
	free(c);
}

void calls_on_unanswered(struct calls *c, void (*unanswered)(void *arg, enum msg_type asked),
			 void *arg)
{
	c->unanswered = unanswered;
	c->unanswered_arg = arg;
}

uint64_t call_start(struct calls *c, enum msg_type asked, call_done_fn done, void *arg)
{
	struct call *call;

	if (HASH_COUNT(c->by_req) >= LIMIT_CALLS)
		return 0;
	call = calloc(1, sizeof(*call));
	REQUIRE(call);
	call->req = ++c->last_req;
	call->asked = asked;
	call->done = done;
	call->arg = arg;
	call->deadline = clock_mono_ms() + LIMIT_CALL_MS;
	TAILQ_INSERT_TAIL(&c->list, call, link);
	HASH_ADD(hh, c->by_req, req, sizeof(call->req), call);
	if (TAILQ_FIRST(&c->list) == call)
		arm(c);
	return call->req;
}

static struct call *find(struct calls *c, uint64_t req)
{
	struct call *call;

	HASH_FIND(hh, c->by_req, &req, sizeof(req), call);
	return call;
}

void call_forget(struct calls *c, uint64_t req)
{
	struct call *call = find(c, req);

	if (call)
		free(unlink_call(c, call));
}

int call_answer(struct calls *c, uint64_t req, const struct msg *answer)
{
	struct call *call = find(c, req);

	if (!call)
		return 0;
	end(c, call, answer, FAULT_NONE);
	return 1;
}

size_t calls_open(const struct calls *c)
{
	return HASH_COUNT(c->by_req);
}
