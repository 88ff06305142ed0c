/*
 * bare_hub.c - the yardstick of the fan-out benchmark: a bare epoll loop that does nothing more
 * than it must.
 *
 *	bare_hub PORT
 *
 * POST /pub/NAME is an event of session NAME; GET /v1/sessions/NAME/events a viewer of it, who goes
 * on behind Last-Event-ID. Every event is written to every viewer of its session by one write() of
 * its own: that is the limit which a server meets that doesn't coalesce. A viewer whose socket is
 * full goes on from its cursor when it can, still one event a write. All events are kept.
 *
 * Deliberately not here: checks of what comes in beyond what keeps the figures true, time-outs,
 * heartbeats, an end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/require.h"
#include "tests/bench/poller.h"
#include "tests/bench/source.h"

#define SESSIONS 4096
#define INPUT	 65536
#define BACKLOG	 4096

struct frame {
	size_t n;
	char bytes[];
};

struct session {
	struct frame **frames; /* owned; seq - 1 */
	size_t n;
	LIST_HEAD(, peer) viewers;
};

/* A connection: the publisher's, or a viewer's once it has asked. */
struct peer {
	struct watch watch;
	struct session *session; /* NULL: not a viewer */
	LIST_ENTRY(peer) next;
	uint32_t at;  /* frames that it has whole */
	uint32_t off; /* bytes of the next one that it has */
	struct buf in;
};

static struct poller poller;
static struct session sessions[SESSIONS];

static void drop(struct peer *p)
{
	if (p->session)
		LIST_REMOVE(p, next);
	buf_fini(&p->in);
	poller_close(&poller, &p->watch);
	/* the struct stays: the poller may still hold it. A run drops some thousand at most. */
}

/* One write each, until the socket takes no more. */
static void push(struct peer *p)
{
	const struct session *s = p->session;

	while (p->at < s->n) {
		const struct frame *f = s->frames[p->at];
		ssize_t n = send(p->watch.fd, f->bytes + p->off, f->n - p->off, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN) {
			drop(p);
			return;
		}
		if (n > 0)
			p->off += (uint32_t)n;
		if (p->off < f->n) {
			poller_change(&poller, &p->watch, EPOLLIN | EPOLLOUT);
			return;
		}
		p->at++;
		p->off = 0;
	}
	poller_change(&poller, &p->watch, EPOLLIN);
}

static void publish(struct session *s, const char *payload, size_t n)
{
	struct frame *f = malloc(sizeof(*f) + n + 64);
	struct peer *p, *next;
	int head;

	REQUIRE(f);
	head = snprintf(f->bytes, 64, "id: %zu\ndata: ", s->n + 1);
	memcpy(f->bytes + head, payload, n);
	memcpy(f->bytes + (size_t)head + n, "\n\n", 2);
	f->n = (size_t)head + n + 2;
	if (s->n == 0 || (s->n & (s->n - 1)) == 0) {
		s->frames = realloc(s->frames, (s->n ? 2 * s->n : 1) * sizeof(struct frame *));
		REQUIRE(s->frames);
	}
	s->frames[s->n++] = f;
	for (p = LIST_FIRST(&s->viewers); p; p = next) {
		next = LIST_NEXT(p, next);
		if (!(p->watch.events & EPOLLOUT))
			push(p);
	}
}

static void watch_session(struct peer *p, struct session *s, const char *head)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
	const char *cursor = strcasestr(head, "\r\nlast-event-id:");

	REQUIRE(send(p->watch.fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) > 0);
	p->at = cursor ? (uint32_t)strtoul(cursor + 16, NULL, 10) : (uint32_t)s->n;
	p->session = s;
	LIST_INSERT_HEAD(&s->viewers, p, next);
	buf_fini(&p->in);
	push(p);
}

static struct session *session_in(const char *path, const char *end)
{
	int number = source_session_number(path, (size_t)(end - path));

	return number >= 0 && number < SESSIONS ? &sessions[number] : NULL;
}

/* The request at the front of p->in, if it is whole; returns its length, 0 if not. */
static size_t take_request(struct peer *p, char *at)
{
	static const char get[] = "GET /v1/sessions/", post[] = "POST /pub/";
	static const char done[] = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
	char *end = strstr(at, "\r\n\r\n"), *length;
	struct session *s = NULL;
	size_t n = 0;

	if (!end)
		return 0;
	if (strncmp(at, get, sizeof(get) - 1) == 0) {
		s = session_in(at + sizeof(get) - 1, strstr(at, "/events"));
		if (s)
			watch_session(p, s, at);
		return s ? 1 : 0;
	}
	length = strcasestr(at, "content-length:");
	n = length ? strtoul(length + 15, NULL, 10) : 0;
	if (p->in.data + p->in.len < end + 4 + n)
		return 0;
	if (strncmp(at, post, sizeof(post) - 1) == 0)
		s = session_in(at + sizeof(post) - 1, strchr(at + sizeof(post) - 1, ' '));
	REQUIRE(s);
	publish(s, end + 4, n);
	(void)!send(p->watch.fd, done, sizeof(done) - 1, MSG_NOSIGNAL);
	return (size_t)(end + 4 + n - at);
}

static void take_requests(struct peer *p)
{
	size_t at = 0, n;

	(void)buf_str(&p->in); /* a NUL behind it */
	while (at < p->in.len && (n = take_request(p, p->in.data + at))) {
		if (p->session)
			return;
		at += n;
	}
	buf_consume(&p->in, at);
}

static void on_ready(struct watch *w, uint32_t events)
{
	struct peer *p = (struct peer *)w;
	ssize_t n;

	if (p->session && (events & EPOLLOUT))
		push(p);
	if (w->fd < 0 || !(events & ~(uint32_t)EPOLLOUT))
		return;
	buf_reserve(&p->in, INPUT);
	n = recv(w->fd, p->in.data + p->in.len, INPUT - 1, 0);
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		drop(p);
		return;
	}
	if (n > 0 && !p->session) {
		p->in.len += (size_t)n;
		take_requests(p);
	}
}

static void on_accept(struct watch *w, uint32_t events)
{
	int fd;

	while ((fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct peer *p = calloc(1, sizeof(*p));
		int one = 1;

		REQUIRE(p);
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		p->watch = (struct watch){.ready = on_ready, .fd = fd};
		poller_add(&poller, &p->watch, EPOLLIN);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	struct watch listener = {.ready = on_accept};
	int one = 1;

	if (argc != 2) {
		(void)fprintf(stderr, "bare_hub PORT\n");
		return 2;
	}
	(void)poller_raise_limit();
	poller_init(&poller);
	listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	a.sin_port = htons((uint16_t)atoi(argv[1]));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	REQUIRE(setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0);
	if (bind(listener.fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    listen(listener.fd, BACKLOG) != 0) {
		perror("bare_hub");
		return 1;
	}
	poller_add(&poller, &listener, EPOLLIN);
	for (;;)
		poller_wait(&poller, 1000000);
}
