/*
 * keeper.c - when retention runs in a worker. See keeper.h.
 *
 * A round begins LIMIT_RETENTION_MS after the one before it has ended. It goes in slices, each in a
 * transaction of its own between two passes of the loop, and rests after each for a multiple of
 * what the slice took, so that it has a tenth of the time of an idle worker and a fiftieth of a
 * busy one's, but for a backlog of more than an hour: load that never ends must not let the log
 * grow for ever. If somebody else commits just then it waits for its next turn rather than in the
 * gate.
 */
#include "chatd/worker/keeper.h"

#include <stdlib.h>

#include "chatd/worker/session.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/require.h"

struct keeper {
	struct worker *worker;	     /* borrowed */
	struct retention *retention; /* owned */
	struct event *slice, *look;  /* owned */
	bool in_round;
};

static void after_us(struct keeper *k, int64_t us)
{
	struct timeval tv = {us / 1000000, us % 1000000};

	REQUIRE(event_add(k->slice, &tv) == 0);
}

static void begin(struct keeper *k)
{
	const struct options *o = k->worker->options;
	struct retention_policy p = {
		.keep_deltas_ms = o->keep_deltas_ms,
		.keep_sessions_ms = o->keep_sessions_ms,
		.keep_keys_ms = LIMIT_KEY_KEEP_MS,
		.max_size = o->max_size,
		.removed_keep_ms = LIMIT_REMOVED_KEEP_MS,
	};

	retention_begin(k->retention, &p, clock_wall_ms());
	k->in_round = true;
}

static void end(struct keeper *k, const struct retention_stats *before)
{
	const struct retention_stats *s = retention_stats(k->retention);

	k->in_round = false;
	if (s->events + s->sessions_removed + s->pages_given_back >
	    before->events + before->sessions_removed + before->pages_given_back)
		log_info("retention.round",
			 "events=%llu turns=%llu sessions=%llu pages=%llu: so many since the start",
			 (unsigned long long)s->events, (unsigned long long)s->turns_folded,
			 (unsigned long long)s->sessions_removed,
			 (unsigned long long)s->pages_given_back);
}

static void on_slice(evutil_socket_t fd, short what, void *arg)
{
	struct keeper *k = arg;
	struct worker *w = k->worker;
	bool busy = w->n_turns > 0;
	struct retention_stats before = *retention_stats(k->retention);
	int64_t start = clock_mono_us(), us;
	enum retention_outcome outcome;

	if (w->stopping || event_log_is_stalled(w->log) || !event_log_db(w->log)) {
		after_us(k, LIMIT_RETENTION_MS * 1000LL);
		return;
	}
	if (!k->in_round)
		begin(k);
	outcome = retention_slice(k->retention, event_log_db(w->log),
				  busy ? LIMIT_RETENTION_SLICE_US : LIMIT_RETENTION_IDLE_US, false);
	event_log_tidy(w->log, busy);
	if (outcome == RETENTION_FAILED) /* a full disk says nothing against the connection */
		event_log_distrust(w->log);
	us = clock_mono_us() - start;
	if (outcome == RETENTION_MORE || outcome == RETENTION_LATER) {
		if (busy && !retention_is_behind(k->retention))
			us *= LIMIT_RETENTION_BUSY_REST;
		else
			us *= LIMIT_RETENTION_REST;
		after_us(k, 1000 + us);
		return;
	}
	end(k, &before);
	after_us(k, LIMIT_RETENTION_MS * 1000LL);
}

/* What retention, or an operator's prune, has removed: whoever watches it is told. What a DELETE
 * has removed, in any worker, is emptied by worker 0, and need not wait for the next round. */
static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct keeper *k = arg;
	struct worker *w = k->worker;
	struct session *s, *next;

	if (w->index == 0 && !k->in_round && event_log_db(w->log) &&
	    retention_has_removed(k->retention, event_log_db(w->log)))
		after_us(k, 0);

	HASH_ITER (hh, w->sessions, s, next) {
		if (s->log.row && query_stands(event_log_db(w->log), s->log.row) == 0)
			session_removed(s);
	}
}

struct keeper *keeper_new(struct worker *w)
{
	static const struct timeval look = {LIMIT_REMOVED_LOOK_MS / 1000, 0};
	struct keeper *k = calloc(1, sizeof(*k));

	REQUIRE(k);
	k->worker = w;
	k->retention = retention_new();
	k->slice = evtimer_new(w->base, on_slice, k);
	k->look = event_new(w->base, -1, EV_PERSIST, on_look, k);
	REQUIRE(k->slice && k->look && event_add(k->look, &look) == 0);
	if (w->index == 0)
		after_us(k, LIMIT_RETENTION_FIRST_MS * 1000LL);
	return k;
}

void keeper_free(struct keeper *k)
{
	if (!k)
		return;
	event_free(k->slice);
	event_free(k->look);
	retention_free(k->retention);
	free(k);
}

void keeper_hurry(struct keeper *k)
{
	if (k->worker->index == 0)
		after_us(k, 0);
	event_active(k->look, EV_TIMEOUT, 0);
}

const struct retention_stats *keeper_stats(const struct keeper *k)
{
	return retention_stats(k->retention);
}

int keeper_size(struct keeper *k, int64_t *ret_used, int64_t *ret_file)
{
	return retention_size(k->retention, event_log_db(k->worker->log), ret_used, ret_file);
}
