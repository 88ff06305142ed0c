/*
 * http_server.c - listeners, the connections they make, and room for them. See http.h.
 *
 * Owns the listening sockets and the connections. A connection is on up to three lists: all; idle
 * (kept alive, oldest first); deferred (has something to do in the next pass of the loop).
 *
 * Room. Open connections and those handed over are counted against max_connections, which several
 * processes may share (http_crowd.h). A place is taken before a connection is accepted, for what
 * was accepted can't be left to another process. At the limit a new connection displaces the one
 * that has been idle for longest; if none is idle here, accepting stops and the kernel's backlog
 * waits: until one of ours ends, or every LIMIT_HTTP_FULL_MS, for one may have ended in another
 * process. The same gate closes for a moment when accept(2) has no descriptor or memory left: a
 * listening socket stays readable then, and a loop that did not look away would spin and fill the
 * log. Connections are counted for each address too, so that one alone can't take all the room.
 *
 * Several processes may have one listening socket; each is woken for a connection, and who is there
 * first has it. Left alone, that is nearly always the same one. So whoever has more than its share
 * (ops->yields) looks away for a moment.
 *
 * Draining closes the listeners and whatever waits for another request that has not begun to
 * arrive; who has not sent its first one yet has LIMIT_HTTP_FRESH_MS to begin. The rest gets
 * "Connection: close" with its answer, and what is not answered after write_ms is closed, except
 * what a handler still holds.
 */
#include "streamerd/http/http_server.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/require.h"
#include "common/sock.h"
#include "streamerd/http/http_answer.h"
#include "streamerd/http/http_crowd.h"
#include "streamerd/http/http_reply.h"

struct listener {
	struct http_server *server; /* borrowed: its owner */
	int fd;			    /* owned */
	struct event *ev;	    /* owned */
	TAILQ_ENTRY(listener) all;
};

TAILQ_HEAD(listener_list, listener);
TAILQ_HEAD(conn_list, http_conn);

struct http_server {
	struct event_base *base; /* borrowed */
	struct http_conf conf;
	struct http_ops ops;
	void *arg; /* borrowed */
	struct listener_list listeners;
	struct conn_list all, idle, deferred;
	size_t n_open, n_deferred;
	struct http_net *proxies; /* owned: conf's */
	struct http_crowd crowd;
	size_t unsent;				       /* bytes of answers that connections keep */
	struct event *defer_ev, *accept_ev, *drain_ev; /* owned */
	bool listening;				       /* the listeners' events are added */
	bool paused;				       /* looks away: accept_ev ends it */
	bool full;	  /* had no place for one more, when it looked */
	bool full_told;	  /* ... and has not had one since */
	unsigned unasked; /* connections to take before asking again */
	bool draining;
	bool fresh_told; /* ... and the time to begin is over */
	struct log_limit accept_log, full_log, crowd_log, unread_log;
	uint64_t open, times_full, times_crowded, times_unread; /* if conf names no other place */
	char scratch[LIMIT_HTTP_READ];
};

/* --- accepting --- */

static void pause_accepting(struct http_server *s, int ms)
{
	struct timeval tv = {0, ms * 1000};
	struct listener *l;

	TAILQ_FOREACH (l, &s->listeners, all)
		(void)event_del(l->ev);
	s->listening = false;
	s->paused = true;
	REQUIRE(event_add(s->accept_ev, &tv) == 0); /* only memory could be short */
}

static void update_listening(struct http_server *s)
{
	bool want = !s->draining && !s->paused && (!s->full || !TAILQ_EMPTY(&s->idle));
	struct listener *l;

	if (want == s->listening)
		return;
	s->listening = want;
	TAILQ_FOREACH (l, &s->listeners, all) {
		if (!want) {
			(void)event_del(l->ev);
		} else if (event_add(l->ev, NULL) < 0) { /* the kernel is out of room for it */
			pause_accepting(s, LIMIT_HTTP_ACCEPT_PAUSE_MS);
			return;
		}
	}
}

/* No place, and nobody here who could make room. */
static void wait_for_room(struct http_server *s)
{
	struct timeval tv = {0, LIMIT_HTTP_FULL_MS * 1000};

	s->full = true;
	REQUIRE(event_add(s->accept_ev, &tv) == 0); /* only memory could be short */
	update_listening(s);
	if (s->full_told)
		return;
	s->full_told = true;
	++*s->conf.times_full;
	if (log_allowed(&s->full_log, 1))
		log_warning("http.full", "connections=%d limit=%d", s->crowd.sockets,
			    s->conf.max_connections);
}

static bool take_place(struct http_server *s)
{
	if (!http_crowd_enter(&s->crowd))
		return false;
	s->full_told = false;
	return true;
}

static void give_place_back(struct http_server *s)
{
	http_crowd_leave(&s->crowd);
	s->full = false;
}

static void on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *s = arg;

	(void)fd;
	(void)what;
	s->paused = false;
	s->full = false;
	update_listening(s);
}

bool http_server_trusts(const struct http_server *s, const union http_addr *addr)
{
	for (size_t i = 0; i < s->conf.n_proxies; i++) {
		if (http_net_has(&s->proxies[i], addr))
			return true;
	}
	return false;
}

/*
 * Told, as far as that can be done without waiting: the socket takes so little at once, and what
 * has come of a request is read, or closing would reset the connection.
 */
static void turn_away(struct http_server *s, int fd, enum fault fault, const char *detail)
{
	auto_buf struct buf answer = BUF_INIT;
	auto_buf struct buf body = BUF_INIT;

	s->ops.refuse(s->arg, fault, detail, &body);
	http_reply_head(&answer, fault_status(fault), HTTP_REFUSAL_HEADERS "Retry-After: 1\r\n",
			body.len, HTTP_AFTER_CLOSE, clock_wall_ms() / 1000);
	buf_add(&answer, body.data, body.len);
	(void)recv(fd, s->scratch, sizeof(s->scratch), MSG_DONTWAIT);
	(void)send(fd, answer.data, answer.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)shutdown(fd, SHUT_WR);
	(void)close(fd);
}

static void turn_away_crowd(struct http_server *s, int fd, const union http_addr *addr)
{
	char name[HTTP_PEER_LEN];

	++*s->conf.times_crowded;
	http_peer_name(addr, name);
	if (log_allowed(&s->crowd_log, 1))
		log_warning("http.crowded", "peer=%s limit=%d", name, s->conf.max_per_address);
	turn_away(s, fd, FAULT_TOO_MANY, "too many connections from this address");
}

/* False once nobody is idle any more: whoever made room, another process was there first. */
static bool displace(struct http_server *s)
{
	while (!TAILQ_EMPTY(&s->idle)) {
		http_conn_close(TAILQ_FIRST(&s->idle));
		if (take_place(s))
			return true;
	}
	return false;
}

/* has_place: one was taken for it. */
static void welcome(struct http_server *s, int fd, const union http_addr *addr, bool has_place)
{
	uint64_t address = 0;
	uint8_t key[16];
	int one = 1;

	if (http_peer_key(addr, key) && !http_server_trusts(s, addr)) {
		address = http_crowd_enter_address(&s->crowd, key);
		if (!address) {
			turn_away_crowd(s, fd, addr);
			if (has_place)
				give_place_back(s);
			return;
		}
	}
	if (!has_place && !displace(s)) {
		turn_away(s, fd, FAULT_OVERLOADED, "too many connections");
		http_crowd_leave_address(&s->crowd, address);
		return;
	}
	if (addr->sa.sa_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* only speed */
	http_conn_new(s, fd, addr, address);
}

/* Once it has looked away, the next few are taken unasked: the others may be worse off. */
static bool yields(struct http_server *s)
{
	if (!s->ops.yields)
		return false;
	if (s->unasked > 0) {
		s->unasked--;
		return false;
	}
	if (!s->ops.yields(s->arg))
		return false;
	s->unasked = LIMIT_HTTP_UNASKED;
	return true;
}

/*
 * Errors of one connection that ended before we got to it (accept(2) names them) are not ours;
 * after any other the listener rests, for it may still be readable.
 */
static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *s = ((struct listener *)arg)->server;

	(void)what;
	for (int i = 0; i < LIMIT_HTTP_ACCEPTS && s->listening; i++) {
		union http_addr addr = {.sa = {.sa_family = AF_UNIX}};
		socklen_t len = sizeof(addr);
		bool has_place;
		int conn, error;

		if (yields(s)) {
			pause_accepting(s, LIMIT_HTTP_YIELD_MS);
			return;
		}
		has_place = take_place(s);
		if (!has_place && TAILQ_EMPTY(&s->idle)) {
			wait_for_room(s);
			return;
		}
		conn = accept4(fd, &addr.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (conn >= 0) {
			welcome(s, conn, &addr, has_place);
			continue;
		}
		error = errno;
		if (has_place)
			give_place_back(s);
		switch (error) {
		case EAGAIN:
			return;
		case EINTR:
		case ECONNABORTED:
		case EPERM: /* a firewall rule */
		case EPROTO:
		case ENETDOWN:
		case ENETUNREACH:
		case EHOSTDOWN:
		case EHOSTUNREACH:
		case ENONET:
		case ENOPROTOOPT:
		case EOPNOTSUPP:
			continue;
		default: /* EMFILE, ENFILE, ENOMEM, ENOBUFS, ... */
			if (log_allowed(&s->accept_log, 1))
				log_warning("http.accept",
					    "error=\"%s\" connections=%zu pause_ms=%d",
					    strerror(error), s->n_open, LIMIT_HTTP_ACCEPT_PAUSE_MS);
			pause_accepting(s, LIMIT_HTTP_ACCEPT_PAUSE_MS);
			return;
		}
	}
}

void http_server_listen(struct http_server *s, int fd)
{
	struct listener *l = calloc(1, sizeof(*l));

	REQUIRE(l && !s->draining);
	REQUIRE(sock_nonblock(fd) == 0);
	l->server = s;
	l->fd = fd;
	l->ev = event_new(s->base, fd, EV_READ | EV_PERSIST, on_accept, l);
	REQUIRE(l->ev);
	TAILQ_INSERT_TAIL(&s->listeners, l, all);
	s->listening = false; /* not all of them, that is; adding one twice does no harm */
	update_listening(s);
}

static void stop_listening(struct http_server *s)
{
	struct listener *l;

	while ((l = TAILQ_FIRST(&s->listeners))) {
		TAILQ_REMOVE(&s->listeners, l, all);
		event_free(l->ev);
		(void)close(l->fd);
		free(l);
	}
	s->listening = false;
}

/* --- what connections need --- */

struct event_base *http_server_base(const struct http_server *s)
{
	return s->base;
}

const struct http_conf *http_server_conf(const struct http_server *s)
{
	return &s->conf;
}

int http_server_is_draining(const struct http_server *s)
{
	return s->draining;
}

char *http_server_scratch(struct http_server *s)
{
	return s->scratch;
}

void http_server_request(struct http_server *s, struct http_request *r)
{
	s->ops.request(s->arg, r);
}

void http_server_refuse(struct http_server *s, enum fault fault, const char *detail,
			struct buf *body)
{
	s->ops.refuse(s->arg, fault, detail, body);
}

void http_server_answered(struct http_server *s, const struct http_request *r, int status,
			  size_t body_bytes)
{
	if (s->ops.answered)
		s->ops.answered(s->arg, r, status, body_bytes);
}

static void undefer(struct http_server *s, struct http_conn *c)
{
	if (!c->deferred)
		return;
	c->deferred = false;
	s->n_deferred--;
	TAILQ_REMOVE(&s->deferred, c, defer);
}

void http_server_add(struct http_server *s, struct http_conn *c)
{
	TAILQ_INSERT_TAIL(&s->all, c, all);
	s->n_open++;
	*s->conf.connections = s->n_open;
}

void http_server_remove(struct http_server *s, struct http_conn *c)
{
	http_server_set_idle(s, c, false);
	undefer(s, c);
	TAILQ_REMOVE(&s->all, c, all);
	s->n_open--;
	if (!c->handed_over) {
		give_place_back(s);
		http_crowd_leave_address(&s->crowd, c->address);
	}
	*s->conf.connections = s->n_open;
	update_listening(s);
}

void http_server_took(struct http_server *s, struct http_conn *c, int fd)
{
	c->handed_over = true;
	http_crowd_keep(&s->crowd, fd, c->address);
}

void http_server_taken_ended(struct http_server *s, int fd)
{
	http_crowd_leave_fd(&s->crowd, fd);
	s->full = false;
	update_listening(s);
}

bool http_server_keeps(struct http_server *s, struct http_conn *c, size_t bytes)
{
	s->unsent -= c->kept;
	c->kept = bytes;
	s->unsent += bytes;
	if (!bytes || s->unsent <= LIMIT_HTTP_UNSENT)
		return true;
	++*s->conf.times_unread;
	if (log_allowed(&s->unread_log, 1))
		log_warning("http.unread", "bytes=%zu limit=%d", s->unsent, LIMIT_HTTP_UNSENT);
	return false;
}

void http_server_set_idle(struct http_server *s, struct http_conn *c, bool idle)
{
	if (idle == c->idle_listed)
		return;
	c->idle_listed = idle;
	if (idle)
		TAILQ_INSERT_TAIL(&s->idle, c, idle);
	else
		TAILQ_REMOVE(&s->idle, c, idle);
	update_listening(s);
}

void http_server_defer(struct http_server *s, struct http_conn *c)
{
	if (c->deferred)
		return;
	c->deferred = true;
	s->n_deferred++;
	TAILQ_INSERT_TAIL(&s->deferred, c, defer);
	event_active(s->defer_ev, EV_READ, 0);
}

/* As many as are on the list now: what they put on it is for the next pass. */
static void on_deferred(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *s = arg;
	struct http_conn *c;

	(void)fd;
	(void)what;
	for (size_t n = s->n_deferred; n && (c = TAILQ_FIRST(&s->deferred)); n--) {
		undefer(s, c);
		http_conn_resume(c);
	}
}

/* --- life --- */

static void close_silent(struct http_server *s, bool fresh_too)
{
	struct http_conn *c = TAILQ_FIRST(&s->all);

	while (c) {
		struct http_conn *next = TAILQ_NEXT(c, all);
		char byte;

		/* a request that has reached the socket is still served */
		if (c->state == HTTP_CONN_IDLE && !c->deferred && !c->busy &&
		    (fresh_too || !c->fresh) && recv(c->fd, &byte, 1, MSG_PEEK) <= 0)
			http_conn_close(c);
		c = next;
	}
}

/* Twice: once for who said nothing, once for whoever is left. */
static void on_drain(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *s = arg;
	struct timeval tv = {s->conf.write_ms / 1000, s->conf.write_ms % 1000 * 1000};
	struct http_conn *c = TAILQ_FIRST(&s->all);

	(void)fd;
	(void)what;
	if (!s->fresh_told) {
		s->fresh_told = true;
		close_silent(s, true);
		REQUIRE(event_add(s->drain_ev, &tv) == 0);
		return;
	}
	while (c) {
		struct http_conn *next = TAILQ_NEXT(c, all);

		if (c->state != HTTP_CONN_PENDING)
			http_conn_close(c);
		c = next;
	}
}

struct http_server *http_server_new(struct event_base *base, const struct http_conf *conf,
				    const struct http_ops *ops, void *arg)
{
	struct http_server *s = calloc(1, sizeof(*s));

	REQUIRE(s && ops->request && ops->refuse && conf->max_connections > 0 &&
		conf->max_per_address > 0 && conf->max_sockets > 0 && conf->quota);
	s->base = base;
	s->conf = *conf;
	if (conf->n_proxies) {
		s->proxies = calloc(conf->n_proxies, sizeof(*s->proxies));
		REQUIRE(s->proxies);
		memcpy(s->proxies, conf->proxies, conf->n_proxies * sizeof(*s->proxies));
	}
	s->conf.proxies = s->proxies;
	if (!s->conf.connections)
		s->conf.connections = &s->open;
	if (!s->conf.times_full)
		s->conf.times_full = &s->times_full;
	if (!s->conf.times_crowded)
		s->conf.times_crowded = &s->times_crowded;
	if (!s->conf.times_unread)
		s->conf.times_unread = &s->times_unread;
	http_crowd_init(&s->crowd, conf->quota, conf->max_connections, conf->max_per_address,
			conf->max_sockets);
	s->ops = *ops;
	s->arg = arg;
	TAILQ_INIT(&s->listeners);
	TAILQ_INIT(&s->all);
	TAILQ_INIT(&s->idle);
	TAILQ_INIT(&s->deferred);
	s->defer_ev = event_new(base, -1, 0, on_deferred, s);
	s->accept_ev = evtimer_new(base, on_accept_again, s);
	s->drain_ev = evtimer_new(base, on_drain, s);
	REQUIRE(s->defer_ev && s->accept_ev && s->drain_ev);
	return s;
}

void http_server_drain(struct http_server *s)
{
	struct timeval tv = {0, LIMIT_HTTP_FRESH_MS * 1000};

	if (s->draining)
		return;
	s->draining = true;
	stop_listening(s);
	(void)event_del(s->accept_ev);
	close_silent(s, false);
	REQUIRE(event_add(s->drain_ev, &tv) == 0);
}

void http_server_free(struct http_server *s)
{
	struct http_conn *c;

	if (!s)
		return;
	s->draining = true;
	stop_listening(s);
	while ((c = TAILQ_FIRST(&s->all))) {
		REQUIRE(c->state != HTTP_CONN_PENDING && !c->busy); /* see http.h */
		http_conn_close(c);
	}
	event_free(s->drain_ev);
	event_free(s->accept_ev);
	event_free(s->defer_ev);
	http_crowd_fini(&s->crowd);
	free(s->proxies);
	free(s);
}

size_t http_server_connections(const struct http_server *s)
{
	return s->n_open;
}

uint64_t http_server_times_full(const struct http_server *s)
{
	return *s->conf.times_full;
}

uint64_t http_server_times_crowded(const struct http_server *s)
{
	return *s->conf.times_crowded;
}

uint64_t http_server_times_unread(const struct http_server *s)
{
	return *s->conf.times_unread;
}
