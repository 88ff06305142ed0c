/*
 * http_conn.c - one client connection: reading, answering, closing. See http.h and http_conn.h.
 *
 *	        first byte       head whole       body whole        http_reply()
 *	 IDLE ─────────────> HEAD ────────> BODY ────────> PENDING ────────────> WRITING
 *	  ^                    └───────────────┴──refusal────────────────────────>│
 *	  └────────────────────────────────────────────────── sent, keep-alive ───┤
 *	                         CLOSED <─── LINGER <──────── sent, to be closed ──┘
 *	http_take(), http_drop(), errors and deadlines lead to CLOSED from anywhere.
 *
 * One state has one deadline, which is absolute: set when a pass over the connection ends in the
 * state, and not moved by bytes that come in. (WRITING is the exception: there it starts anew with
 * each LIMIT_HTTP_WRITE_STEP that went, so that a large answer may take long and a client that
 *takes it by the byte may not.) A request that arrives in one piece and is answered at once costs
 *one timer.
 *
 * Requests of one connection are served one after the other. While one is PENDING the socket is
 * read on, to notice that the peer left, up to LIMIT_HTTP_PIPELINED bytes; then reading stops
 * and TCP makes the peer wait. The buffer exists only while it holds something: an idle connection
 * is this struct.
 *
 * When is a peer gone? EOF only says that it sends no more: after a whole request that is half a
 * close (`nc -N`, shutdown(SHUT_WR)), and the answer is still wanted. Gone is a connection that
 * was reset or is shut in both directions (POLLHUP, POLLERR): at once for a Unix socket whose peer
 * has closed; for TCP when a RST comes, which a peer that has closed with nothing unread sends only
 * in reply to our bytes. After EOF the socket is always readable, so it is watched edge-triggered.
 *
 * Closing after an answer is done in two steps, or the kernel would reply with a RST to bytes that
 * we have not read and the peer might lose the answer: our side is shut, then what still comes
 * is thrown away for a short time.
 *
 * A method may end the connection while others of its methods are on the stack: `busy` marks those,
 * and the struct is freed by the outermost one, in http_conn_leave(). Handlers are called from the
 *event loop only, never out of their own call of http_reply() or http_on_gone(): what is left to do
 *then is put on the server's deferred list.
 */
#include "streamerd/http/http_conn.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/require.h"
#include "streamerd/http/http_answer.h"
#include "streamerd/http/http_server.h"

/* --- state, events, deadlines --- */

size_t http_conn_buffered(const struct http_conn *c)
{
	return c->in.len - c->in_at;
}

static bool is_reading(const struct http_conn *c)
{
	return c->state == HTTP_CONN_IDLE || c->state == HTTP_CONN_HEAD ||
	       c->state == HTTP_CONN_BODY;
}

void http_conn_set_state(struct http_conn *c, enum http_conn_state state)
{
	c->state = state;
	c->timed = false;
	c->progress = 0;
	http_server_set_idle(c->server, c, state == HTTP_CONN_IDLE && !c->fresh);
}

void http_conn_end_request(struct http_conn *c, int status, size_t body_bytes)
{
	http_server_answered(c->server, c->request, status, body_bytes);
	http_request_free(c->request);
	c->request = NULL;
	c->fresh = false;
}

/* The socket is given up: closed here, or taken (c->fd is -1 then). */
void http_conn_give_up(struct http_conn *c)
{
	if (c->state == HTTP_CONN_CLOSED)
		return;
	if (c->watching)
		(void)event_del(&c->io);
	c->watching = 0;
	(void)event_del(&c->timer);
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	if (c->request)
		http_conn_end_request(c, 0, 0);
	http_server_keeps(c->server, c, 0);
	http_conn_set_state(c, HTTP_CONN_CLOSED);
	http_server_remove(c->server, c);
}

static short wanted(const struct http_conn *c)
{
	bool full = http_conn_buffered(c) >= LIMIT_HTTP_PIPELINED;
	bool edges = event_base_get_features(http_server_base(c->server)) & EV_FEATURE_ET;

	switch (c->state) {
	case HTTP_CONN_IDLE:
	case HTTP_CONN_HEAD:
	case HTTP_CONN_BODY:
		return c->deferred || c->eof ? 0 : EV_READ;
	case HTTP_CONN_PENDING:
		if (c->request->gone)
			return 0;
		if (c->eof || full)
			return edges ? EV_READ | EV_ET : 0;
		return EV_READ;
	case HTTP_CONN_WRITING:
		return EV_WRITE;
	case HTTP_CONN_LINGER:
		return EV_READ;
	case HTTP_CONN_CLOSED:
		return 0;
	}
	return 0;
}

static void on_io(evutil_socket_t fd, short what, void *arg);

/* -1 if the kernel has no room for another watched socket. */
static int watch(struct http_conn *c)
{
	short want = wanted(c);

	if (want == c->watching)
		return 0;
	if (c->watching)
		(void)event_del(&c->io);
	c->watching = 0;
	if (!want)
		return 0;
	if (event_assign(&c->io, http_server_base(c->server), c->fd, (short)(want | EV_PERSIST),
			 on_io, c) < 0 ||
	    event_add(&c->io, NULL) < 0)
		return -1;
	c->watching = want;
	return 0;
}

static int64_t deadline_ms(const struct http_conn *c)
{
	const struct http_conf *conf = http_server_conf(c->server);

	switch (c->state) {
	case HTTP_CONN_IDLE:
		return c->fresh ? conf->head_ms : conf->idle_ms;
	case HTTP_CONN_HEAD:
		return conf->head_ms;
	case HTTP_CONN_BODY:
		return conf->body_ms;
	case HTTP_CONN_WRITING:
		return conf->write_ms;
	case HTTP_CONN_LINGER:
		return LIMIT_HTTP_LINGER_MS;
	case HTTP_CONN_PENDING:
	case HTTP_CONN_CLOSED:
		return -1;
	}
	return -1;
}

static void set_deadline(struct http_conn *c)
{
	int64_t ms = deadline_ms(c);
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	if (c->timed)
		return;
	c->timed = true;
	if (ms < 0)
		(void)event_del(&c->timer);
	else
		REQUIRE(event_add(&c->timer, &tv) == 0); /* only memory could be short */
}

void http_conn_enter(struct http_conn *c)
{
	REQUIRE(!c->busy);
	c->busy = true;
}

void http_conn_leave(struct http_conn *c)
{
	if (c->state == HTTP_CONN_IDLE && (http_conn_buffered(c) || c->eof)) {
		http_server_defer(c->server, c);
		http_server_set_idle(c->server, c, false); /* only waits for its turn */
	}
	if (c->state != HTTP_CONN_CLOSED && watch(c) < 0 && c->state != HTTP_CONN_PENDING)
		http_conn_give_up(c);
	c->busy = false;
	if (c->state == HTTP_CONN_CLOSED) {
		buf_fini(&c->in);
		buf_fini(&c->out);
		free(c);
		return;
	}
	set_deadline(c);
}

/* --- the peer leaves --- */

static void tell_gone(struct http_conn *c)
{
	struct http_request *r = c->request;
	void (*on_gone)(void *) = r->on_gone;

	r->on_gone = NULL;
	if (on_gone)
		on_gone(r->on_gone_arg);
}

static void check_gone(struct http_conn *c)
{
	struct pollfd p = {.fd = c->fd};

	if (poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR))) {
		c->request->gone = true;
		tell_gone(c);
	}
}

void http_on_gone(struct http_request *r, void (*gone)(void *arg), void *arg)
{
	r->on_gone = gone;
	r->on_gone_arg = arg;
	if (gone && r->gone)
		http_server_defer(r->conn->server, r->conn);
}

/* --- reading --- */

static bool begin(struct http_conn *c)
{
	if (!http_conn_buffered(c))
		return false;
	c->request = http_request_new(c);
	http_conn_set_state(c, HTTP_CONN_HEAD);
	return true;
}

/* 25 bytes into an empty socket: if they don't fit, something is wrong with the peer. */
static void send_continue(struct http_conn *c)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (send(c->fd, text, sizeof(text) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(text) - 1)
		http_conn_give_up(c);
}

static bool read_head(struct http_conn *c)
{
	struct http_request *r = c->request;
	const char *p = c->in.data + c->in_at;
	const char *why;
	size_t used = 0;

	switch (http_head_parse(&r->head, p, http_conn_buffered(c), &used)) {
	case HTTP_HEAD_MORE:
		return false;
	case HTTP_HEAD_REFUSED:
		http_answer_refuse(c, r->head.fault, r->head.detail);
		return true;
	case HTTP_HEAD_WHOLE:
		break;
	}
	why = http_request_set_head(r, p, used);
	if (why) {
		http_answer_refuse(c, FAULT_BAD_REQUEST, why);
	} else if (r->head.length > http_server_conf(c->server)->max_body) {
		http_answer_refuse(c, FAULT_TOO_LARGE, "the body is over the limit");
	} else {
		http_conn_set_state(c, HTTP_CONN_BODY);
		if (r->head.expect_continue && r->head.length && http_conn_buffered(c) == used)
			send_continue(c);
	}
	return true;
}

/* Moves the first n bytes of the buffer to the request; what is behind them stays. */
static void hand_over(struct http_conn *c, size_t n)
{
	struct http_request *r = c->request;

	if (c->in_at == 0 && c->in.len == n) {
		r->raw = c->in;
		c->in = (struct buf)BUF_INIT;
		return;
	}
	buf_add(&r->raw, c->in.data + c->in_at, n);
	c->in_at += n;
	if (!http_conn_buffered(c)) {
		buf_fini(&c->in);
		c->in_at = 0;
	}
}

static bool read_body(struct http_conn *c)
{
	struct http_request *r = c->request;
	size_t whole = r->head_bytes + (size_t)r->head.length;

	if (http_conn_buffered(c) < whole)
		return false;
	hand_over(c, whole);
	http_conn_set_state(c, HTTP_CONN_PENDING);
	http_server_request(c->server, r);
	return true;
}

static bool advance(struct http_conn *c)
{
	if (c->state == HTTP_CONN_IDLE)
		return begin(c);
	if (c->state == HTTP_CONN_HEAD)
		return read_head(c);
	return c->state == HTTP_CONN_BODY && read_body(c);
}

/* Goes as far as the bytes reach, but leaves the loop to others after LIMIT_HTTP_BURST requests. */
static void process(struct http_conn *c)
{
	int answered = 0;

	while (answered < LIMIT_HTTP_BURST && advance(c))
		answered += c->state == HTTP_CONN_IDLE;
	if (answered < LIMIT_HTTP_BURST && c->eof && is_reading(c))
		http_conn_give_up(c); /* what is here is not a request and never will be */
}

static void receive(struct http_conn *c)
{
	char *scratch = http_server_scratch(c->server);
	size_t room = LIMIT_HTTP_READ;
	ssize_t n;

	if (c->state == HTTP_CONN_PENDING)
		room = LIMIT_HTTP_PIPELINED - http_conn_buffered(c);
	n = recv(c->fd, scratch, room, 0);
	if (n > 0) {
		if (c->in_at > c->in.len / 2) {
			buf_consume(&c->in, c->in_at);
			c->in_at = 0;
		}
		buf_add(&c->in, scratch, (size_t)n);
	} else if (n == 0) {
		c->eof = true;
		if (c->state == HTTP_CONN_PENDING)
			check_gone(c);
	} else if (errno != EAGAIN && errno != EINTR) {
		if (c->state != HTTP_CONN_PENDING) {
			http_conn_give_up(c);
			return;
		}
		c->request->gone = true;
		tell_gone(c);
	}
}

static void linger(struct http_conn *c)
{
	ssize_t n = recv(c->fd, http_server_scratch(c->server), LIMIT_HTTP_READ, 0);

	if (n > 0)
		c->lingered += (size_t)n;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ||
	    c->lingered > LIMIT_HTTP_LINGER)
		http_conn_give_up(c);
}

/* --- events --- */

static void on_io(evutil_socket_t fd, short what, void *arg)
{
	struct http_conn *c = arg;

	(void)fd;
	(void)what;
	http_conn_enter(c);
	switch (c->state) {
	case HTTP_CONN_IDLE:
	case HTTP_CONN_HEAD:
	case HTTP_CONN_BODY:
		receive(c);
		process(c);
		break;
	case HTTP_CONN_PENDING:
		if (c->watching & EV_ET)
			check_gone(c);
		else
			receive(c);
		break;
	case HTTP_CONN_WRITING:
		http_answer_flush(c);
		process(c);
		break;
	case HTTP_CONN_LINGER:
		linger(c);
		break;
	case HTTP_CONN_CLOSED:
		break;
	}
	http_conn_leave(c);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct http_conn *c = arg;

	(void)fd;
	(void)what;
	http_conn_enter(c);
	if (c->state == HTTP_CONN_HEAD || c->state == HTTP_CONN_BODY)
		http_answer_refuse(c, FAULT_REQUEST_TIMEOUT,
				   c->state == HTTP_CONN_HEAD ? "the head took too long to arrive"
							      : "the body took too long to arrive");
	else if (c->state != HTTP_CONN_PENDING)
		http_conn_give_up(c);
	http_conn_leave(c);
}

void http_conn_resume(struct http_conn *c)
{
	http_conn_enter(c);
	if (c->state == HTTP_CONN_PENDING && c->request->gone)
		tell_gone(c);
	else
		process(c);
	http_conn_leave(c);
}

/* --- life --- */

void http_conn_new(struct http_server *server, int fd, const union http_addr *addr,
		   uint64_t address)
{
	struct http_conn *c = calloc(1, sizeof(*c));

	REQUIRE(c);
	c->server = server;
	c->fd = fd;
	c->addr = *addr;
	c->address = address;
	c->trusted = http_server_trusts(server, addr);
	c->fresh = true;
	REQUIRE(evtimer_assign(&c->timer, http_server_base(server), on_deadline, c) == 0);
	http_server_add(server, c);
	http_conn_enter(c);
	http_conn_leave(c);
}

void http_conn_close(struct http_conn *c)
{
	REQUIRE(c->state != HTTP_CONN_PENDING);
	http_conn_enter(c);
	http_conn_give_up(c);
	http_conn_leave(c);
}
