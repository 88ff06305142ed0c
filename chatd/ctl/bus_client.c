/*
 * bus_client.c - one connection to a worker, used by a program that waits. See bus_client.h.
 *
 * Plays the streamerd of the bus. How many workers there are is in the hello of any of them: the
 * first is asked, then the one that has the session.
 */
#include "chatd/ctl/bus_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "common/require.h"
#include "common/sock.h"
#include "proto/channel.h"
#include "proto/shard.h"

struct bus_client {
	struct event_base *base; /* owned */
	struct channel *channel; /* owned */
	struct event *deadline;	 /* owned */
	unsigned workers;	 /* 0 before its hello */
	bool down, late;
	const char *why; /* once down */
	uint64_t last_req;
	uint64_t waits_for; /* number of the open request, 0: none */
	enum fault fault;   /* of its reply ... */
	struct buf *body;   /* ... and where its body goes */
	void (*on_event)(void *arg, const struct msg_event *e);
	void *arg;
};

static void on_up(void *arg, const struct msg_hello *peer)
{
	struct bus_client *b = arg;

	b->workers = (unsigned)peer->workers;
}

static void on_message(void *arg, const struct msg *m)
{
	struct bus_client *b = arg;

	if (m->type == MSG_EVENT && b->on_event) {
		b->on_event(b->arg, &m->event);
	} else if (m->type == MSG_REPLY && m->reply.req == b->waits_for) {
		b->waits_for = 0;
		b->fault = (enum fault)m->reply.fault;
		buf_clear(b->body);
		buf_add(b->body, m->reply.body.p, m->reply.body.n);
	}
}

static void on_down(void *arg, const char *why)
{
	struct bus_client *b = arg;

	b->down = true;
	b->why = why;
}

static const struct channel_ops ops = {on_up, on_message, on_down};

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	((struct bus_client *)arg)->late = true;
}

static void set_deadline(struct bus_client *b)
{
	static const struct timeval tv = {LIMIT_CALL_MS / 1000, 0};

	b->late = false;
	REQUIRE(event_add(b->deadline, &tv) == 0);
}

static struct bus_client *connect_to(const char *bus_dir, unsigned worker, const char **ret_why)
{
	struct msg_hello hello = {PROTO_VERSION, str_of("chatctl"), 0, 0};
	struct bus_client *b;
	char path[256];
	int fd;

	*ret_why = "its name is too long";
	if (snprintf(path, sizeof(path), "%s/worker-%u.sock", bus_dir, worker) >= (int)sizeof(path))
		return NULL;
	fd = sock_connect_unix(path);
	if (fd < 0) {
		*ret_why = strerror(-fd);
		return NULL;
	}
	b = calloc(1, sizeof(*b));
	REQUIRE(b);
	b->base = event_base_new();
	REQUIRE(b->base);
	b->deadline = evtimer_new(b->base, on_deadline, b);
	REQUIRE(b->deadline);
	b->channel = channel_new(b->base, fd, FROM_STREAMERD, &hello, CHANNEL_ALLOW_NONE, &ops, b);
	set_deadline(b);
	while (!b->workers && !b->down && !b->late)
		(void)event_base_loop(b->base, EVLOOP_ONCE);
	(void)event_del(b->deadline);
	if (b->workers)
		return b;
	*ret_why = b->down ? b->why : "it does not answer";
	bus_client_close(b);
	return NULL;
}

struct bus_client *bus_client_open_worker(const char *bus_dir, unsigned worker,
					  const char **ret_why)
{
	return connect_to(bus_dir, worker, ret_why);
}

struct bus_client *bus_client_open(const char *bus_dir, const char *session_id,
				   void (*on_event)(void *arg, const struct msg_event *e),
				   void *arg, const char **ret_why)
{
	struct bus_client *b = connect_to(bus_dir, 0, ret_why);
	unsigned worker = b && session_id ? shard_of(str_of(session_id), b->workers) : 0;

	if (worker > 0) {
		bus_client_close(b);
		b = connect_to(bus_dir, worker, ret_why);
	}
	if (b) {
		b->on_event = on_event;
		b->arg = arg;
	}
	return b;
}

void bus_client_close(struct bus_client *b)
{
	if (!b)
		return;
	channel_free(b->channel);
	event_free(b->deadline);
	event_base_free(b->base);
	free(b);
}

unsigned bus_client_workers(const struct bus_client *b)
{
	return b->workers;
}

uint64_t bus_client_req(struct bus_client *b)
{
	return ++b->last_req;
}

enum fault bus_client_ask(struct bus_client *b, const struct msg *m, struct buf *ret_body)
{
	b->waits_for = b->last_req;
	b->body = ret_body;
	b->fault = FAULT_WORKER_UNAVAILABLE;
	buf_clear(ret_body);
	channel_send(b->channel, m);
	set_deadline(b);
	while (b->waits_for && !b->down && !b->late)
		(void)event_base_loop(b->base, EVLOOP_ONCE);
	(void)event_del(b->deadline);
	b->waits_for = 0;
	return b->fault;
}

bool bus_client_wait(struct bus_client *b, const bool *stop)
{
	while (!b->down && !*stop)
		(void)event_base_loop(b->base, EVLOOP_ONCE);
	return *stop;
}
