/*
 * scripted_server.c - an HTTP server on loopback for tests. See scripted_server.h.
 */
#include "tests/unit/provider/scripted_server.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/unit/provider/run_cases.h"

struct connection {
	struct scripted_server *server;
	struct bufferevent *bev;
	struct connection *next;
	enum after after;
};

static void drop(struct connection *c)
{
	struct connection **at = &c->server->connections;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	bufferevent_free(c->bev);
	free(c);
}

static void reset(struct connection *c)
{
	struct linger l = {1, 0};

	(void)setsockopt(bufferevent_getfd(c->bev), SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	drop(c);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct connection *c = arg;

	if (c->after == AFTER_CLOSE)
		drop(c);
	else if (c->after == AFTER_RESET)
		reset(c);
}

/* The length of the whole request at the front of the input, 0 if it is not all there. */
static size_t whole_request(const char *p, size_t n)
{
	const char *end = memmem(p, n, "\r\n\r\n", 4);
	const char *length;
	size_t head;

	if (p[0] == 0x16)
		return n; /* a TLS hello: is answered in plain text like all else */
	if (!end)
		return 0;
	head = (size_t)(end - p) + 4;
	length = memmem(p, head, "Content-Length: ", 16);
	ck_assert(length);
	head += strtoul(length + 16, NULL, 10);
	return head <= n ? head : 0;
}

static void on_readable(struct bufferevent *bev, void *arg)
{
	struct connection *c = arg;
	struct scripted_server *s = c->server;
	struct evbuffer *in = bufferevent_get_input(bev);
	const char *p = (const char *)evbuffer_pullup(in, -1);
	size_t n = p ? whole_request(p, evbuffer_get_length(in)) : 0;
	const struct play *play;

	if (n == 0)
		return;
	buf_clear(&s->request);
	buf_add(&s->request, p, n);
	(void)evbuffer_drain(in, n);
	play = &s->plays[s->requests < s->n_plays ? s->requests : s->n_plays - 1];
	s->requests++;
	c->after = play->after;
	if (!play->bytes)
		drop(c);
	else
		(void)bufferevent_write(bev, play->bytes, play->n ? play->n : strlen(play->bytes));
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct connection *c = arg;

	c->server->closed_by_peer++;
	drop(c);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len,
		      void *arg)
{
	struct scripted_server *s = arg;
	struct connection *c = calloc(1, sizeof(*c));

	ck_assert(c);
	s->accepted++;
	c->server = s;
	c->next = s->connections;
	c->after = AFTER_HOLD;
	s->connections = c;
	c->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(c->bev, on_readable, on_written, on_event, c);
	(void)bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

void scripted_server_start(struct scripted_server *s, struct event_base *base,
			   const struct play *plays, int n_plays)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sin);

	*s = (struct scripted_server){.base = base, .plays = plays, .n_plays = n_plays};
	s->listener = evconnlistener_new_bind(base, on_accept, s, LEV_OPT_CLOSE_ON_FREE, 16,
					      (struct sockaddr *)&sin, sizeof(sin));
	ck_assert(s->listener);
	ck_assert_int_eq(
		getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&sin, &len), 0);
	(void)snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d", ntohs(sin.sin_port));
}

void scripted_server_stop(struct scripted_server *s)
{
	while (s->connections)
		drop(s->connections);
	evconnlistener_free(s->listener);
	buf_fini(&s->request);
}

size_t scripted_server_unsent(const struct scripted_server *s)
{
	size_t n = 0;

	for (const struct connection *c = s->connections; c; c = c->next)
		n += evbuffer_get_length(bufferevent_get_output(c->bev));
	return n;
}
