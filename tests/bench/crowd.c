/*
 * crowd.c - viewers by the thousand. See crowd.h.
 *
 *	WAITING --connect--> CONNECTING --request--> HEAD --head, snapshot--> LIVE
 *	   ^                                           `---> STALLED             |
 *	   +--------------------------- return ---- AWAY <--------drop----------+
 *
 * A viewer that is not live counts against `at_once`, so that the backlog of the server's socket
 * doesn't overflow: what is measured is the server and not the kernel's resending of SYNs. Source
 * addresses are 127.0.0.2 and up, for one address has only some 28,000 ports.
 *
 * Reads go into one buffer for all; a viewer keeps what is left of a frame. The clock is read once
 * per read.
 */
#include "tests/bench/crowd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/require.h"
#include "tests/bench/sse_scan.h"

#define ADDRESSES      16
#define STALL_RCVBUF   2048
#define BUFFER	       (256 * 1024)
#define CLOSED_WITHOUT "a viewer was closed by the server before it was live"

enum state { WAITING, CONNECTING, HEAD, LIVE, STALLED, AWAY };

struct viewer {
	struct watch watch; /* first */
	struct crowd *crowd;
	unsigned session;
	enum state state;
	bool stalls, has_cursor, returned, in_head;
	uint16_t have;	     /* bytes in part */
	uint64_t last;	     /* seq of the last event */
	uint64_t wanted;     /* caught up once last is that */
	int64_t caught_up;   /* when it was, 0 if not yet */
	char id[SSE_ID_LEN]; /* of the last event, as the server wrote it */
	char part[SSE_FRAME_MAX];
};

struct crowd {
	struct poller *poller;	     /* borrowed */
	const struct source *source; /* borrowed */
	enum crowd_server server;
	int port;
	struct viewer **viewers; /* owned */
	unsigned n, waiting, under_way, at_once;
	unsigned next;	     /* viewers before it are not WAITING */
	int64_t returned_us; /* when crowd_return() was called */
	struct crowd_counts counts;
	char buffer[BUFFER];
};

struct crowd *crowd_new(struct poller *p, const struct source *s, enum crowd_server server,
			int port)
{
	struct crowd *c = calloc(1, sizeof(*c));

	REQUIRE(c);
	c->poller = p;
	c->source = s;
	c->server = server;
	c->port = port;
	return c;
}

/*
 * By RST: a connection in TIME_WAIT would refuse the SYN of one that gets the same ports, which
 * then comes seconds later, and that would be taken for the server's slowness.
 */
static void cut(struct viewer *v)
{
	struct linger reset = {.l_onoff = 1};

	if (v->watch.fd >= 0)
		(void)setsockopt(v->watch.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	poller_close(v->crowd->poller, &v->watch);
}

void crowd_free(struct crowd *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		cut(c->viewers[i]);
		free(c->viewers[i]);
	}
	free(c->viewers);
	free(c);
}

/* --- opening --- */

static void set_state(struct viewer *v, enum state to)
{
	struct crowd *c = v->crowd;
	bool was = v->state == CONNECTING || v->state == HEAD;
	bool is = to == CONNECTING || to == HEAD;

	c->under_way += is;
	c->under_way -= was;
	c->waiting += to == WAITING;
	c->waiting -= v->state == WAITING;
	v->state = to;
}

static void give_up(const char *why)
{
	(void)fprintf(stderr, "viewers: %s: %s\n", why, strerror(errno));
	exit(1);
}

static void connect_viewer(struct viewer *v, unsigned number)
{
	struct crowd *c = v->crowd;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)c->port)};
	struct sockaddr_in from = {.sin_family = AF_INET};
	int one = 1, small = STALL_RCVBUF;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		give_up("socket");
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (v->stalls)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + number % ADDRESSES);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0)
		give_up("bind");
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS)
		give_up("connect");
	v->watch.fd = fd;
	v->have = 0;
	v->in_head = true;
	set_state(v, CONNECTING);
	poller_add(c->poller, &v->watch, EPOLLOUT);
}

static void send_request(struct viewer *v)
{
	char name[SOURCE_NAME_LEN], request[256];
	struct crowd *c = v->crowd;
	int n, did;

	source_session_name(v->session, name);
	n = snprintf(request, sizeof(request),
		     "GET %s%s%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s%s%s\r\n",
		     c->server == CROWD_NCHAN ? "/sub/" : "/v1/sessions/", name,
		     c->server == CROWD_NCHAN ? "" : "/events",
		     v->has_cursor ? "Last-Event-ID: " : "", v->has_cursor ? v->id : "",
		     v->has_cursor ? "\r\nAccept: text/event-stream\r\n"
				   : "Accept: text/event-stream\r\n");
	did = (int)send(v->watch.fd, request, (size_t)n, MSG_NOSIGNAL);
	if (did != n)
		give_up("send");
	set_state(v, HEAD);
	poller_change(c->poller, &v->watch, EPOLLIN);
}

void crowd_continue(struct crowd *c)
{
	for (; c->next < c->n && c->under_way < c->at_once; c->next++) {
		if (c->viewers[c->next]->state == WAITING)
			connect_viewer(c->viewers[c->next], c->next);
	}
}

static void on_ready(struct watch *w, uint32_t events);

void crowd_open(struct crowd *c, unsigned n, unsigned at_once, bool stalled)
{
	c->viewers = realloc(c->viewers, (c->n + n) * sizeof(struct viewer *));
	REQUIRE(c->viewers);
	for (unsigned i = 0; i < n; i++) {
		struct viewer *v = calloc(1, sizeof(*v));

		REQUIRE(v);
		v->watch = (struct watch){.ready = on_ready, .fd = -1};
		v->crowd = c;
		v->session = c->n % c->source->n_sessions;
		v->stalls = stalled;
		c->viewers[c->n++] = v;
		c->waiting++; /* WAITING is what a zeroed viewer is */
	}
	c->at_once = at_once;
	crowd_continue(c);
}

void crowd_drop(struct crowd *c, unsigned n)
{
	for (unsigned i = 0; i < c->n && n > 0; i++) {
		struct viewer *v = c->viewers[i];

		if (v->state != LIVE)
			continue;
		cut(v);
		set_state(v, AWAY);
		v->returned = false;
		n--;
	}
}

void crowd_return(struct crowd *c, unsigned at_once)
{
	c->returned_us = clock_mono_us();
	for (unsigned i = 0; i < c->n; i++) {
		struct viewer *v = c->viewers[i];

		if (v->state != AWAY)
			continue;
		set_state(v, WAITING);
		v->has_cursor = v->id[0] != '\0';
		v->returned = true;
		v->wanted = c->source->seqs[v->session];
		v->caught_up = v->last >= v->wanted ? c->returned_us : 0;
	}
	c->next = 0;
	c->at_once = at_once;
	crowd_continue(c);
}

unsigned crowd_opening(const struct crowd *c)
{
	return c->waiting + c->under_way;
}

/* --- reading --- */

static void come_live(struct viewer *v, uint64_t last)
{
	if (!v->has_cursor)
		v->last = last;
	set_state(v, v->stalls ? STALLED : LIVE);
	if (v->stalls)
		poller_change(v->crowd->poller, &v->watch, 0);
}

static void end_viewer(struct viewer *v)
{
	if (v->state != LIVE) {
		(void)fprintf(stderr, CLOSED_WITHOUT "\n");
		exit(1);
	}
	v->crowd->counts.ended++;
	poller_close(v->crowd->poller, &v->watch);
	set_state(v, AWAY);
	v->returned = false;
}

static void deliver(struct viewer *v, const struct sse_frame *f, int64_t now)
{
	struct crowd_counts *n = &v->crowd->counts;

	if (f->seq <= v->last) {
		n->doubled++;
		return;
	}
	n->holes += f->seq - v->last - 1;
	v->last = f->seq;
	n->delivered++;
	n->last_us = now;
	hist_add(&n->latency, now - f->made_us);
	if (v->returned && !v->caught_up && v->last >= v->wanted)
		v->caught_up = now;
}

static void on_frame(struct viewer *v, const struct sse_frame *f, int64_t now)
{
	if (f->is_snapshot && v->has_cursor && v->state == HEAD)
		v->crowd->counts.resets++;
	if (v->state == HEAD && (f->is_snapshot || f->has_event))
		come_live(v, f->is_snapshot ? f->id_seq : f->seq - 1);
	if (f->has_event)
		deliver(v, f, now);
}

/* The head ends; returns what is behind it, or NULL if it isn't whole. */
static char *take_head(struct viewer *v, char *p, char *end)
{
	char *stop = memmem(p, (size_t)(end - p), "\r\n\r\n", 4);

	if (!stop)
		return NULL;
	if (memcmp(p, "HTTP/1.1 200", 12) != 0) {
		v->crowd->counts.refused++;
		(void)fprintf(stderr, "a viewer was answered: %.*s\n", (int)(stop - p), p);
		exit(1);
	}
	v->in_head = false;
	if (v->crowd->server != CROWD_CHAT)
		come_live(v, v->crowd->source->seqs[v->session]);
	return stop + 4;
}

/* Takes what is whole; returns where the rest begins. */
static char *take_frames(struct viewer *v, char *p, char *end)
{
	struct sse_frame f = {0}, last = {0};
	int64_t now = clock_mono_us();
	char *next;

	if (v->in_head) {
		next = take_head(v, p, end);
		if (!next)
			return p;
		p = next;
	}
	while ((next = sse_scan(p, end, &f))) {
		on_frame(v, &f, now);
		if (f.id)
			last = f;
		p = next;
	}
	if (last.id) {
		memcpy(v->id, last.id, last.id_len);
		v->id[last.id_len] = '\0';
	}
	return p;
}

static void on_readable(struct viewer *v)
{
	struct crowd *c = v->crowd;
	size_t left;
	char *rest;
	ssize_t n;

	memcpy(c->buffer, v->part, v->have);
	n = recv(v->watch.fd, c->buffer + v->have, BUFFER - v->have, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		end_viewer(v);
		return;
	}
	c->counts.bytes += (uint64_t)n;
	c->counts.reads++;
	rest = take_frames(v, c->buffer, c->buffer + v->have + n);
	left = (size_t)(c->buffer + v->have + n - rest);
	if (left > sizeof(v->part)) {
		(void)fprintf(stderr, "a frame is too long: %.100s\n", rest);
		exit(1);
	}
	memcpy(v->part, rest, left);
	v->have = (uint16_t)left;
}

static void on_ready(struct watch *w, uint32_t events)
{
	struct viewer *v = (struct viewer *)w;

	if (v->state == CONNECTING) {
		if (events & (EPOLLERR | EPOLLHUP))
			give_up("connecting");
		send_request(v);
	} else if (v->state == STALLED) {
		(void)poller_close(v->crowd->poller, w); /* cut by the server, as it may be */
	} else {
		on_readable(v);
	}
}

/* --- what was seen --- */

unsigned crowd_live(const struct crowd *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->n; i++)
		n += c->viewers[i]->state == LIVE;
	return n;
}

uint64_t crowd_missing(const struct crowd *c)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < c->n; i++) {
		const struct viewer *v = c->viewers[i];

		if (v->state == LIVE)
			n += c->source->seqs[v->session] - v->last;
	}
	return n;
}

void crowd_clear(struct crowd *c)
{
	memset(&c->counts, 0, sizeof(c->counts));
}

const struct crowd_counts *crowd_counts(const struct crowd *c)
{
	return &c->counts;
}

void crowd_caught_up(const struct crowd *c, struct hist *ret, unsigned *ret_behind)
{
	hist_clear(ret);
	*ret_behind = 0;
	for (unsigned i = 0; i < c->n; i++) {
		const struct viewer *v = c->viewers[i];

		if (!v->returned)
			continue;
		if (v->caught_up)
			hist_add(ret, v->caught_up - c->returned_us);
		else
			(*ret_behind)++;
	}
}
