/*
 * source_post.c - events go out as POST requests on one kept connection. See source.h.
 *
 * Pipelined: the next request doesn't wait for the last one's answer, and what is made in one pass
 * goes out in one write. Answers are read and counted by their status lines; one that is not 2xx,
 * or the end of the connection, ends the benchmark, for events would be missing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/require.h"
#include "tests/bench/source.h"

struct source_post {
	struct source source; /* first */
	struct watch watch;
	struct buf out;
	char head[256]; /* of every request but for the session's name */
};

static struct source_post *of(const struct source *s)
{
	return (struct source_post *)s;
}

static void give_up(const char *why, const char *what)
{
	(void)fprintf(stderr, "publishing failed: %s %.80s\n", why, what);
	exit(1);
}

static void post_flush(struct source *s)
{
	struct source_post *p = of(s);
	ssize_t n;

	if (p->out.len == 0)
		return;
	n = send(p->watch.fd, p->out.data, p->out.len, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		give_up("send", strerror(errno));
	if (n > 0)
		buf_consume(&p->out, (size_t)n);
	poller_change(s->poller, &p->watch, p->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* Looks for the status lines in what has come; a split one is seen by its second half's silence. */
static void check_answers(const char *p, size_t n)
{
	static const char mark[] = "HTTP/1.1 ";
	const char *end = p + n;

	while ((p = memmem(p, (size_t)(end - p), mark, sizeof(mark) - 1))) {
		p += sizeof(mark) - 1;
		if (p < end && *p != '2')
			give_up("answered", p);
	}
}

static void on_ready(struct watch *w, uint32_t events)
{
	struct source_post *p =
		(struct source_post *)((char *)w - offsetof(struct source_post, watch));
	static char answers[65536];
	ssize_t n;

	if (events & EPOLLOUT)
		post_flush(&p->source);
	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	n = recv(w->fd, answers, sizeof(answers), 0);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		give_up("recv", n ? strerror(errno) : "end of connection");
	if (n > 0)
		check_answers(answers, (size_t)n);
}

static void post_publish(struct source *s, unsigned session)
{
	struct source_post *p = of(s);
	char name[SOURCE_NAME_LEN], payload[SOURCE_EVENT_BYTES];
	uint64_t seq = s->seqs[session];

	source_session_name(session, name);
	source_payload(seq, s->made_us[session][seq - 1], payload);
	buf_adds(&p->out, "POST /pub/");
	buf_adds(&p->out, name);
	buf_adds(&p->out, p->head);
	buf_add(&p->out, payload, sizeof(payload));
}

static size_t post_unsent(const struct source *s)
{
	return of(s)->out.len;
}

static void post_free(struct source *s)
{
	poller_close(s->poller, &of(s)->watch);
	buf_fini(&of(s)->out);
	free(of(s));
}

struct source *source_post_new(struct poller *poller, unsigned n_sessions, int port)
{
	static const struct source_ops ops = {post_publish, post_flush, post_unsent, post_free};
	struct source_post *p = calloc(1, sizeof(*p));
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	REQUIRE(p && fd >= 0);
	source_init(&p->source, &ops, poller, n_sessions);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		give_up("connect", strerror(errno));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	REQUIRE(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	(void)snprintf(p->head, sizeof(p->head),
		       " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
		       "Content-Length: %d\r\n\r\n",
		       SOURCE_EVENT_BYTES);
	p->watch = (struct watch){.ready = on_ready, .fd = fd};
	poller_add(poller, &p->watch, EPOLLIN);
	return &p->source;
}
