/*
 * exclusive.c - one active session for each owner. See exclusive.h.
 *
 * An owner's sessions are spread over the workers. One that another worker has is taken over by way
 * of the log: its generation is raised and its turn aborted from its rows, in the same transaction
 * that starts the new turn. What the other worker still writes is then refused by SQL, and a poke
 * lets it find out at once. If the other worker wrote something between our reading and our commit,
 * the take-over is stale and is tried again.
 */
#include "chatd/worker/exclusive.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/worker/peer.h"
#include "chatd/worker/queue.h"
#include "chatd/worker/turn.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/require.h"
#include "proto/shard.h"

#define TAKE_OVER_TRIES 5 /* each loses only to a commit of the other worker in between */

struct take_over {
	LIST_ENTRY(take_over) link;
	struct worker *worker;
	char id[LIMIT_ID + 1];
	char *owner;	     /* owned */
	struct event *again; /* owned: the next try, after this pass has swept the stale session */
	int tries;
};

static void take_over_free(struct take_over *t)
{
	LIST_REMOVE(t, link);
	event_free(t->again);
	free(t->owner);
	free(t);
}

/* A session of ours, or one that was just taken over. */
static enum fault clear(struct session *s)
{
	enum fault fault;

	s->hold_queue = true;
	fault = turn_abort(s, "exclusive");
	s->hold_queue = false;
	if (fault != FAULT_NONE)
		return fault;
	queue_withdraw_all(s);
	session_emit(s, NULL, CHAT_EVENT_SESSION_CLEARED,
		     json_pack("{s:s}", "reason", "exclusive"));
	event_log_write(s->worker->log, SQL_RUN_STATE, &s->log, NULL, s->generation, "tii", "idle",
			(int64_t)s->last_seq, clock_wall_ms());
	log_info("session.cleared", "session=%s reason=exclusive", s->log.id);
	return FAULT_NONE;
}

/* Once more, or that is all that can be done. */
static void failed(struct take_over *t)
{
	static const struct timeval soon = {0, 1000};

	if (t->tries < TAKE_OVER_TRIES && !t->worker->stopping) {
		REQUIRE(event_add(t->again, &soon) == 0);
		return;
	}
	log_error("exclusive.failed",
		  "session=%s tries=%d: it may go on beside the owner's new one", t->id, t->tries);
	take_over_free(t);
}

static void on_taken(void *arg, bool ok)
{
	struct take_over *t = arg;

	if (!ok) {
		failed(t);
		return;
	}
	peer_poke(t->worker, t->id, t->owner);
	take_over_free(t);
}

static void try_once(evutil_socket_t fd, short what, void *arg)
{
	struct take_over *t = arg;
	enum fault why;
	struct session *s = session_load(t->worker, t->id, &why);
	int r = s ? turn_take_over(s) : why == FAULT_SESSION_NOT_FOUND ? 0 : -1;

	t->tries++;
	if (r > 0 && clear(s) != FAULT_NONE)
		r = -1;
	if (s)
		s->gone = FAULT_WORKER_UNAVAILABLE; /* it is the other worker's again */
	if (r > 0) {
		event_log_after(t->worker->log, &s->log, on_taken, t);
	} else if (r < 0) {
		failed(t);
	} else {
		log_info("exclusive.nothing", "session=%s: it has ended by itself", t->id);
		take_over_free(t);
	}
}

static void take_over(struct worker *w, const char *id, struct str owner)
{
	struct take_over *t = calloc(1, sizeof(*t));

	REQUIRE(t);
	t->worker = w;
	t->owner = str_dup(owner);
	str_put(t->id, sizeof(t->id), id);
	t->again = evtimer_new(w->base, try_once, t);
	REQUIRE(t->again);
	LIST_INSERT_HEAD(&w->take_overs, t, link);
	try_once(-1, 0, t);
}

void exclusive_free(struct worker *w)
{
	struct take_over *t;

	while ((t = LIST_FIRST(&w->take_overs)))
		take_over_free(t);
}

int exclusive_enforce(struct worker *w, struct str owner, const struct session *except)
{
	auto_free char *owner_text = str_dup(owner);
	auto_json json_t *ids = NULL;
	struct session *s, *next;
	json_t *id;
	size_t i;

	if (!w->options->exclusive)
		return 0;
	ids = query_owner_active(event_log_db(w->log), owner_text);
	if (!ids)
		return -1;
	/* ours first, from memory: they may be ahead of the log */
	HASH_ITER (hh, w->sessions, s, next) {
		if (s != except && !s->gone && str_eq(owner, s->owner) && session_is_busy(s) &&
		    clear(s) != FAULT_NONE)
			return -1;
	}
	json_array_foreach (ids, i, id) {
		const char *text = json_string_value(id);
		enum fault why;

		if (except && strcmp(text, except->log.id) == 0)
			continue;
		if (shard_of(str_of(text), w->count) != w->index) {
			take_over(w, text, owner);
			continue;
		}
		s = session_load(w, text, &why); /* waiting, as rows */
		if (s && session_is_busy(s) && clear(s) != FAULT_NONE)
			return -1;
	}
	return 0;
}
