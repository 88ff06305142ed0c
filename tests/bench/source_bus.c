/*
 * source_bus.c - events go out over the bus, as from a chatd worker. See source.h.
 *
 * Speaks proto/messages on DIR/worker-0.sock, so that streamerd alone is measured: hello,
 * subscribe, unsubscribe, get_snapshot, replay and status are answered as a worker does, in order
 * with the events; anything else is an empty answer. Every event is one of a turn that runs
 * (response_chunk of generation 1). Nothing is stored but the time at which each was made.
 *
 * proto/channel is not used: it runs in libevent's loop, and the load has one of its own. What is
 * made in one pass goes out in one write. A streamerd that doesn't read is not cut off: how much
 * waits is for the benchmark to see (unsent).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/limits.h"
#include "common/require.h"
#include "common/sock.h"
#include "proto/chat_event.h"
#include "proto/fault.h"
#include "proto/messages.h"
#include "proto/replay.h"
#include "tests/bench/source.h"

#define LINKS	   8 /* streamerds */
#define GENERATION 1
#define TURN	   "turn_bench"
#define WALL_MS	   1700000000000 /* every event's ts: it is not what is measured */

struct source_bus;

struct link {
	struct watch watch;
	struct source_bus *bus;
	struct buf in, out;
	uint64_t *subs; /* owned: the subscription to each session, 0 if none */
};

struct source_bus {
	struct source source; /* first */
	struct watch listener;
	struct link links[LINKS];
};

static struct source_bus *of(const struct source *s)
{
	return (struct source_bus *)s;
}

static void link_close(struct link *l)
{
	poller_close(l->bus->source.poller, &l->watch);
	buf_fini(&l->in);
	buf_fini(&l->out);
	free(l->subs);
	l->subs = NULL;
}

static void link_flush(struct link *l)
{
	ssize_t n;

	if (l->watch.fd < 0 || l->out.len == 0)
		return;
	n = send(l->watch.fd, l->out.data, l->out.len, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN) {
		link_close(l);
		return;
	}
	if (n > 0)
		buf_consume(&l->out, (size_t)n);
	poller_change(l->bus->source.poller, &l->watch, l->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void say(struct link *l, const struct msg *m)
{
	REQUIRE(msg_encode(&l->out, m) == 0);
}

static void reply(struct link *l, uint64_t req, enum fault fault, const char *body)
{
	struct msg m = {.type = MSG_REPLY,
			.reply = {.req = req, .fault = fault, .body = str_of(body)}};

	say(l, &m);
}

static void on_subscribe(struct link *l, unsigned session, const struct msg_subscribe *m)
{
	uint64_t seq = l->bus->source.seqs[session];
	char body[80];

	l->subs[session] = m->sub;
	(void)snprintf(body, sizeof(body), "{\"generation\":%d,\"seq\":%llu}", seq ? GENERATION : 0,
		       (unsigned long long)seq);
	reply(l, m->req, FAULT_NONE, body);
}

static void on_unsubscribe(struct link *l, uint64_t sub)
{
	for (unsigned i = 0; i < l->bus->source.n_sessions; i++) {
		if (l->subs[i] == sub)
			l->subs[i] = 0;
	}
}

static void on_get_snapshot(struct link *l, unsigned session, uint64_t req)
{
	uint64_t seq = l->bus->source.seqs[session];
	struct msg m = {.type = MSG_SNAPSHOT,
			.snapshot = {.req = req,
				     .generation = seq ? GENERATION : 0,
				     .seq = seq,
				     .ts = WALL_MS,
				     .turn_id = str_of(TURN),
				     .payload = str_of("{\"state\":\"processing\",\"queue\":[]}")}};

	say(l, &m);
}

static struct chat_event event_at(const struct source *s, unsigned session, uint64_t seq,
				  char payload[SOURCE_EVENT_BYTES])
{
	source_payload(seq, s->made_us[session][seq - 1], payload);
	return (struct chat_event){.turn_id = str_of(TURN),
				   .generation = GENERATION,
				   .seq = seq,
				   .ts = WALL_MS,
				   .type = CHAT_EVENT_RESPONSE_CHUNK,
				   .payload = {payload, SOURCE_EVENT_BYTES}};
}

static void on_replay(struct link *l, unsigned session, const struct msg_replay *m)
{
	const struct source *s = &l->bus->source;
	struct msg a = {.type = MSG_REPLAYED, .replayed = {.req = m->req}};
	auto_buf struct buf page = BUF_INIT;
	const char *why = NULL;

	if (m->seq > s->seqs[session])
		why = "ahead";
	else if (m->generation != (m->seq ? GENERATION : 0))
		why = "other_history";
	a.replayed.reason = str_of(why);
	if (why)
		a.replayed.fault = FAULT_BAD_FIELD;
	for (uint64_t seq = m->seq + 1;
	     !why && seq <= s->seqs[session] && a.replayed.count < LIMIT_REPLAY_EVENTS &&
	     page.len < LIMIT_REPLAY_BYTES - 1024;
	     seq++) {
		char payload[SOURCE_EVENT_BYTES];
		struct chat_event e = event_at(s, session, seq, payload);

		replay_add(&page, &e);
		a.replayed.count++;
	}
	a.replayed.events = (struct str){page.data ? page.data : "", page.len};
	say(l, &a);
}

static void on_session_request(struct link *l, const struct msg *m, struct str id)
{
	int session = source_session_number(id.p, id.n);

	if (session < 0 || (unsigned)session >= l->bus->source.n_sessions)
		reply(l, m->status.req, FAULT_SESSION_NOT_FOUND, "");
	else if (m->type == MSG_SUBSCRIBE)
		on_subscribe(l, (unsigned)session, &m->subscribe);
	else if (m->type == MSG_GET_SNAPSHOT)
		on_get_snapshot(l, (unsigned)session, m->get_snapshot.req);
	else
		on_replay(l, (unsigned)session, &m->replay);
}

static void on_hello(struct link *l)
{
	struct msg m = {
		.type = MSG_HELLO,
		.hello = {.version = PROTO_VERSION, .role = str_of("worker"), .workers = 1}};

	say(l, &m);
}

static void on_message(struct link *l, const struct msg *m)
{
	if (m->type == MSG_HELLO)
		on_hello(l);
	else if (m->type == MSG_UNSUBSCRIBE)
		on_unsubscribe(l, m->unsubscribe.sub);
	else if (m->type == MSG_SUBSCRIBE)
		on_session_request(l, m, m->subscribe.session_id);
	else if (m->type == MSG_GET_SNAPSHOT)
		on_session_request(l, m, m->get_snapshot.session_id);
	else if (m->type == MSG_REPLAY)
		on_session_request(l, m, m->replay.session_id);
	else if (m->type == MSG_STATUS)
		reply(l, m->status.req, FAULT_NONE, "{\"log_writable\":true}");
	else
		reply(l, m->status.req, FAULT_NONE, "{}");
}

/* Takes every whole frame from in. */
static void take_frames(struct link *l)
{
	size_t at = 0;

	while (l->in.len - at >= 4) {
		const unsigned char *h = (const unsigned char *)l->in.data + at;
		size_t n = (size_t)h[0] << 24 | (size_t)h[1] << 16 | (size_t)h[2] << 8 | h[3];
		struct msg m;

		if (l->in.len - at - 4 < n)
			break;
		if (msg_decode(l->in.data + at + 4, n, FROM_STREAMERD, &m) != MSG_OK) {
			(void)fprintf(stderr, "streamerd sent a message that can't be read\n");
			exit(1);
		}
		on_message(l, &m);
		at += 4 + n;
	}
	buf_consume(&l->in, at);
}

static void on_ready(struct watch *w, uint32_t events)
{
	struct link *l = (struct link *)((char *)w - offsetof(struct link, watch));
	ssize_t n;

	if (events & ~(uint32_t)EPOLLOUT) {
		buf_reserve(&l->in, 65536);
		n = recv(w->fd, l->in.data + l->in.len, 65536, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			link_close(l);
			return;
		}
		if (n > 0) {
			l->in.len += (size_t)n;
			take_frames(l);
		}
	}
	link_flush(l);
}

static void on_accept(struct watch *w, uint32_t events)
{
	struct source_bus *b =
		(struct source_bus *)((char *)w - offsetof(struct source_bus, listener));
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	for (int i = 0; fd >= 0 && i < LINKS; i++) {
		struct link *l = &b->links[i];

		if (l->watch.fd >= 0)
			continue;
		*l = (struct link){.watch = {.ready = on_ready, .fd = fd}, .bus = b};
		l->subs = calloc(b->source.n_sessions, sizeof(*l->subs));
		REQUIRE(l->subs);
		poller_add(b->source.poller, &l->watch, EPOLLIN);
		return;
	}
	if (fd >= 0)
		(void)close(fd);
}

static void bus_publish(struct source *s, unsigned session)
{
	char payload[SOURCE_EVENT_BYTES];
	struct chat_event e = event_at(s, session, s->seqs[session], payload);
	struct msg m = {.type = MSG_EVENT,
			.event = {.generation = e.generation,
				  .seq = e.seq,
				  .ts = e.ts,
				  .type = e.type,
				  .turn_id = e.turn_id,
				  .payload = e.payload}};

	for (int i = 0; i < LINKS; i++) {
		struct link *l = &of(s)->links[i];

		if (l->watch.fd < 0 || !l->subs[session])
			continue;
		m.event.sub = l->subs[session];
		say(l, &m);
	}
}

static void bus_flush(struct source *s)
{
	for (int i = 0; i < LINKS; i++)
		link_flush(&of(s)->links[i]);
}

static size_t bus_unsent(const struct source *s)
{
	size_t n = 0;

	for (int i = 0; i < LINKS; i++)
		n += of(s)->links[i].out.len;
	return n;
}

static void bus_free(struct source *s)
{
	for (int i = 0; i < LINKS; i++)
		link_close(&of(s)->links[i]);
	poller_close(s->poller, &of(s)->listener);
	free(of(s));
}

struct source *source_bus_new(struct poller *p, unsigned n_sessions, const char *dir)
{
	static const struct source_ops ops = {bus_publish, bus_flush, bus_unsent, bus_free};
	struct source_bus *b = calloc(1, sizeof(*b));
	char path[256];
	int fd;

	REQUIRE(b);
	source_init(&b->source, &ops, p, n_sessions);
	for (int i = 0; i < LINKS; i++)
		b->links[i] = (struct link){.watch.fd = -1, .bus = b};
	(void)snprintf(path, sizeof(path), "%s/worker-0.sock", dir);
	fd = sock_listen_unix(path, 0600, LINKS);
	if (fd < 0) {
		(void)fprintf(stderr, "%s: %s\n", path, strerror(-fd));
		exit(1);
	}
	b->listener = (struct watch){.ready = on_accept, .fd = fd};
	poller_add(p, &b->listener, EPOLLIN);
	return &b->source;
}
