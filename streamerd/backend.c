/*
 * backend.c - the links to the chatd workers, one channel each. See backend.h.
 *
 *	       +------------- back-off --------------+
 *	       v                                     |
 *	    WAITING --timer--> CONNECTING --hello--> UP --down--+
 *	       ^                    |                           |
 *	       +-------down---------+                           |
 *	       +------------------------------------------------+
 *
 * Worker 0 is tried first; its hello says how many there are, and the other links are made. If a
 * later hello gives another number (chatd was started again with another configuration), the
 * links are made to fit: which worker owns a session follows from the number.
 *
 * Why a link can't be used is logged when the reason is another than the last one told, and once a
 * minute as long as it stays; so is, in total and as often as the limiter allows, what a worker
 *that is there did not answer.
 *
 * What a worker sends is checked here as far as this process relies on it: an event that could
 * break the framing of a stream ends the channel, not the process.
 */
#include "streamerd/backend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/require.h"
#include "common/sock.h"
#include "proto/channel.h"
#include "proto/chat_event.h"
#include "proto/shard.h"
#include "streamerd/stats.h"

struct link {
	struct backend *backend; /* the owner */
	unsigned worker;
	struct channel *channel; /* owned; NULL while waiting */
	struct calls *calls;	 /* owned */
	struct event *retry;	 /* owned */
	unsigned attempts;
	bool up;
	char why[96];	 /* why it is down, as last told; "" once it is up */
	int64_t told_at; /* monotonic ms */
};

struct backend {
	struct event_base *base;
	const char *dir;
	uid_t peer_uid;
	const struct backend_ops *ops;
	void *arg;
	struct link *links[LIMIT_WORKERS]; /* owned; [0] always exists */
	unsigned workers;		   /* 0: not known yet */
	unsigned next;			   /* whose turn it is in backend_pick() */
	struct log_limit lines, unanswered;
};

static void wait_and_retry(struct link *l)
{
	int64_t ms = backoff_ms(l->attempts++, LIMIT_BUS_RETRY_MIN_MS, LIMIT_BUS_RETRY_MAX_MS,
				backoff_random());
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	(void)event_add(l->retry, &tv);
}

/* Is it worth a line that the link is down because of that? */
static bool is_news(struct link *l, const char *why)
{
	int64_t now = clock_mono_ms();
	char text[sizeof(l->why)];

	(void)snprintf(text, sizeof(text), "%s", why);
	if (strcmp(text, l->why) == 0 && now - l->told_at < LIMIT_BUS_REPEAT_MS)
		return false;
	memcpy(l->why, text, sizeof(text));
	l->told_at = now;
	return log_allowed(&l->backend->lines, 20) != 0;
}

static void link_down(struct link *l, const char *why)
{
	bool was_up = l->up;

	l->up = false;
	channel_free(l->channel);
	l->channel = NULL;
	if (is_news(l, why))
		log_warning("bus.down", "worker=%u why=\"%s\"", l->worker, log_safe(why));
	wait_and_retry(l);
	if (!was_up)
		return;
	stats->bus_downs++;
	calls_fail(l->calls);
	l->backend->ops->down(l->backend->arg, l->worker);
}

static struct link *link_new(struct backend *b, unsigned worker);

static struct link *link_free(struct link *l)
{
	if (!l)
		return NULL;
	l->up = false;
	channel_free(l->channel);
	calls_free(l->calls);
	event_free(l->retry);
	free(l);
	return NULL;
}

/* Makes the links fit the number of workers that a hello gave. */
static void set_workers(struct backend *b, unsigned workers)
{
	if (workers == b->workers)
		return;
	log_notice("bus.workers", "count=%u", workers);
	for (unsigned i = workers; i < b->workers; i++) {
		bool was_up = b->links[i]->up;

		b->links[i] = link_free(b->links[i]);
		if (was_up)
			b->ops->down(b->arg, i);
	}
	b->workers = workers;
	for (unsigned i = 1; i < workers; i++) {
		if (!b->links[i])
			b->links[i] = link_new(b, i);
	}
}

static void on_up(void *arg, const struct msg_hello *peer)
{
	struct link *l = arg;
	struct backend *b = l->backend;

	if (peer->worker != l->worker || (l->worker != 0 && peer->workers != b->workers)) {
		/* an old worker of a chatd that is just being replaced, or a mixed-up directory */
		link_down(l, "hello of another worker");
		return;
	}
	l->attempts = 0;
	l->why[0] = '\0';
	l->up = true;
	stats->bus_ups++;
	log_notice("bus.up", "worker=%u of=%u", l->worker, (unsigned)peer->workers);
	if (l->worker == 0)
		set_workers(b, (unsigned)peer->workers);
	b->ops->up(b->arg, l->worker);
}

/* Is this a "{...}" that fits into one line? */
static bool is_payload(struct str s)
{
	return s.n >= 2 && s.p[0] == '{' && s.p[s.n - 1] == '}' && !memchr(s.p, '\n', s.n) &&
	       !memchr(s.p, '\r', s.n);
}

static bool is_turn_id(struct str s)
{
	return s.n == 0 || id_is_plausible(s.p, s.n);
}

static const char *take_event(struct backend *b, const struct msg_event *e)
{
	if (e->type == CHAT_EVENT_SNAPSHOT || e->type >= CHAT_EVENT_N || !is_turn_id(e->turn_id) ||
	    !is_payload(e->payload))
		return "event that can't be passed on";
	stats->events_in++;
	b->ops->event(b->arg, e);
	return NULL;
}

static const char *take_activity(struct backend *b, const struct msg_activity *a)
{
	if (a->type == CHAT_EVENT_SNAPSHOT || a->type >= CHAT_EVENT_N || a->seq == 0 ||
	    !is_turn_id(a->turn_id) || !id_is_plausible(a->session_id.p, a->session_id.n) ||
	    !is_payload(a->payload))
		return "activity that can't be passed on";
	b->ops->activity(b->arg, a);
	return NULL;
}

static uint64_t answer_number(const struct msg *m)
{
	switch ((int)m->type) {
	case MSG_REPLY:
		return m->reply.req;
	case MSG_SNAPSHOT:
		return m->snapshot.req;
	case MSG_REPLAYED:
		return m->replayed.req;
	default:
		return 0;
	}
}

static void on_message(void *arg, const struct msg *m)
{
	struct link *l = arg;
	const char *bad = NULL;

	if (m->type == MSG_EVENT)
		bad = take_event(l->backend, &m->event);
	else if (m->type == MSG_ACTIVITY)
		bad = take_activity(l->backend, &m->activity);
	else if (m->type == MSG_SNAPSHOT &&
		 (!is_payload(m->snapshot.payload) || !is_turn_id(m->snapshot.turn_id)))
		bad = "snapshot that can't be passed on";
	else
		(void)call_answer(l->calls, answer_number(m), m); /* 0: it came too late */
	if (bad)
		link_down(l, bad);
}

static void on_down(void *arg, const char *why)
{
	link_down(arg, why);
}

static const struct channel_ops channel_ops = {on_up, on_message, on_down};

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;
	struct backend *b = l->backend;
	struct msg_hello hello = {.version = PROTO_VERSION, .role = {"streamerd", 9}};
	char path[256];
	int s, n;

	n = snprintf(path, sizeof(path), "%s/worker-%u.sock", b->dir, l->worker);
	s = n > 0 && n < (int)sizeof(path) ? sock_connect_unix(path) : -ENAMETOOLONG;
	if (s < 0) {
		if (is_news(l, strerror(-s)))
			log_warning("bus.unreachable", "worker=%u path=\"%s\" error=\"%s\"",
				    l->worker, log_safe(path), strerror(-s));
		wait_and_retry(l);
		return;
	}
	l->channel = channel_new(b->base, s, FROM_STREAMERD, &hello,
				 (struct channel_allow){b->peer_uid, (gid_t)-1}, &channel_ops, l);
}

static void on_unanswered(void *arg, enum msg_type asked)
{
	struct link *l = arg;

	if (log_allowed(&l->backend->unanswered, 5))
		log_warning("bus.unanswered", "worker=%u message=%s after_ms=%d", l->worker,
			    msg_name(asked), LIMIT_CALL_MS);
}

static struct link *link_new(struct backend *b, unsigned worker)
{
	struct link *l = calloc(1, sizeof(*l));
	struct timeval now = {0, 0};

	REQUIRE(l);
	l->backend = b;
	l->worker = worker;
	l->calls = calls_new(b->base);
	calls_on_unanswered(l->calls, on_unanswered, l);
	l->retry = evtimer_new(b->base, on_retry, l);
	REQUIRE(l->retry);
	(void)event_add(l->retry, &now);
	return l;
}

struct backend *backend_new(struct event_base *base, const char *dir, uid_t peer_uid,
			    const struct backend_ops *ops, void *arg)
{
	struct backend *b = calloc(1, sizeof(*b));

	REQUIRE(b);
	b->base = base;
	b->dir = dir;
	b->peer_uid = peer_uid;
	b->ops = ops;
	b->arg = arg;
	b->links[0] = link_new(b, 0);
	return b;
}

void backend_free(struct backend *b)
{
	if (!b)
		return;
	for (unsigned i = 0; i < LIMIT_WORKERS; i++)
		b->links[i] = link_free(b->links[i]);
	free(b);
}

unsigned backend_workers(const struct backend *b)
{
	return b->workers;
}

bool backend_is_up(const struct backend *b, unsigned worker)
{
	return worker < LIMIT_WORKERS && b->links[worker] && b->links[worker]->up;
}

int backend_worker_of(const struct backend *b, struct str session_id)
{
	return b->workers ? (int)shard_of(session_id, b->workers) : -1;
}

int backend_pick(struct backend *b)
{
	for (unsigned i = 0; i < b->workers; i++) {
		unsigned w = b->next++ % b->workers;

		if (backend_is_up(b, w))
			return (int)w;
	}
	return -1;
}

uint64_t backend_call(struct backend *b, unsigned worker, struct msg *m, call_done_fn done,
		      void *arg)
{
	uint64_t req;

	if (!backend_is_up(b, worker))
		return 0;
	req = call_start(b->links[worker]->calls, m->type, done, arg);
	if (req) {
		m->status.req = req; /* first in each request: messages.h */
		channel_send(b->links[worker]->channel, m);
	}
	return req;
}

void backend_forget(struct backend *b, unsigned worker, uint64_t req)
{
	if (worker < LIMIT_WORKERS && b->links[worker])
		call_forget(b->links[worker]->calls, req);
}

void backend_send(struct backend *b, unsigned worker, const struct msg *m)
{
	if (backend_is_up(b, worker))
		channel_send(b->links[worker]->channel, m);
}
