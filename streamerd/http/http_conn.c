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
 * state, and not moved by bytes that come in. (WRITING is the exception: there it is a limit on
 * standing still.) A request that arrives in one piece and is answered at once costs one timer.
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
 * and the struct is freed by the outermost one, in leave(). Handlers are called from the event
 * loop only, never out of their own call of http_reply() or http_on_gone(): what is left to do then
 * is put on the server's deferred list.
 */
#include "streamerd/http/http_conn.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/require.h"
#include "streamerd/http/http_reply.h"
#include "streamerd/http/http_server.h"

/* --- state, events, deadlines --- */

static size_t buffered(const struct http_conn *c)
{
	return c->in.len - c->in_at;
}

static bool is_reading(const struct http_conn *c)
{
	return c->state == HTTP_CONN_IDLE || c->state == HTTP_CONN_HEAD ||
	       c->state == HTTP_CONN_BODY;
}

static void set_state(struct http_conn *c, enum http_conn_state state)
{
	c->state = state;
	c->timed = false;
	http_server_set_idle(c->server, c, state == HTTP_CONN_IDLE && !c->fresh);
}

static void end_request(struct http_conn *c, int status, size_t body_bytes)
{
	http_server_answered(c->server, c->request, status, body_bytes);
	http_request_free(c->request);
	c->request = NULL;
	c->fresh = false;
}

/* The socket is given up: closed here, or taken (c->fd is -1 then). */
static void give_up(struct http_conn *c)
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
		end_request(c, 0, 0);
	set_state(c, HTTP_CONN_CLOSED);
	http_server_remove(c->server, c);
}

static short wanted(const struct http_conn *c)
{
	bool full = buffered(c) >= LIMIT_HTTP_PIPELINED;
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

static void enter(struct http_conn *c)
{
	REQUIRE(!c->busy);
	c->busy = true;
}

static void leave(struct http_conn *c)
{
	if (c->state == HTTP_CONN_IDLE && (buffered(c) || c->eof))
		http_server_defer(c->server, c);
	if (c->state != HTTP_CONN_CLOSED && watch(c) < 0 && c->state != HTTP_CONN_PENDING)
		give_up(c);
	c->busy = false;
	if (c->state == HTTP_CONN_CLOSED) {
		buf_fini(&c->in);
		buf_fini(&c->out);
		free(c);
		return;
	}
	set_deadline(c);
}

/* --- answering --- */

/* Everything that was to be sent has been. */
static void answer_sent(struct http_conn *c)
{
	buf_fini(&c->out);
	c->out_at = 0;
	if (!c->close) {
		set_state(c, HTTP_CONN_IDLE);
		return;
	}
	buf_fini(&c->in);
	c->in_at = 0;
	if (c->eof || shutdown(c->fd, SHUT_WR) < 0)
		give_up(c);
	else
		set_state(c, HTTP_CONN_LINGER);
}

/* The rest of an answer, as far as the socket takes it. */
static void flush(struct http_conn *c)
{
	ssize_t n = send(c->fd, c->out.data + c->out_at, c->out.len - c->out_at, MSG_NOSIGNAL);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			give_up(c);
		return;
	}
	c->out_at += (size_t)n;
	c->timed = false; /* progress: the deadline starts anew */
	if (c->out_at == c->out.len)
		answer_sent(c);
}

/* Sends head and body, and keeps what does not fit into the socket. -1 if the peer has gone. */
static int send_answer(struct http_conn *c, struct str head, struct str body)
{
	struct iovec iov[] = {{(void *)(uintptr_t)head.p, head.n},
			      {(void *)(uintptr_t)body.p, body.n}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = body.n ? 2 : 1};
	ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
	size_t sent = n < 0 ? 0 : (size_t)n;
	size_t of_head = sent < head.n ? sent : head.n;

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -1;
	buf_add(&c->out, head.p + of_head, head.n - of_head);
	sent -= of_head;
	if (sent < body.n)
		buf_add(&c->out, body.p + sent, body.n - sent);
	return 0;
}

static void answer(struct http_conn *c, int status, const char *headers, struct str body,
		   bool close)
{
	const struct http_request *r = c->request;
	enum http_after after = r->head.minor ? HTTP_AFTER_KEEP : HTTP_AFTER_KEEP_OLD;
	auto_buf struct buf head = BUF_INIT;
	size_t length = body.n;

	c->close = close || !r->head.keep_alive || http_server_is_draining(c->server) ||
		   (c->eof && !buffered(c));
	if (c->close)
		after = HTTP_AFTER_CLOSE;
	if (r->head.method == HTTP_HEAD || !http_status_has_body(status))
		body.n = 0;
	http_reply_head(&head, status, headers, length, after, clock_wall_ms() / 1000);
	if (r->gone || send_answer(c, (struct str){head.data, head.len}, body) < 0) {
		give_up(c);
		return;
	}
	end_request(c, status, body.n);
	if (c->out.len)
		set_state(c, HTTP_CONN_WRITING);
	else
		answer_sent(c);
}

static void refuse(struct http_conn *c, enum fault fault, const char *detail)
{
	auto_buf struct buf body = BUF_INIT;

	http_server_refuse(c->server, fault, detail, &body);
	answer(c, fault_status(fault), "Content-Type: application/json\r\n",
	       (struct str){body.data, body.len}, true);
}

void http_reply(struct http_request *r, int status, const char *headers, struct str body)
{
	struct http_conn *c = r->conn;
	bool outermost = !c->busy;

	REQUIRE(c->state == HTTP_CONN_PENDING && c->request == r);
	if (outermost)
		enter(c);
	answer(c, status, headers, body, false);
	if (outermost)
		leave(c);
}

void http_drop(struct http_request *r)
{
	struct http_conn *c = r->conn;
	bool outermost = !c->busy;

	REQUIRE(c->state == HTTP_CONN_PENDING && c->request == r);
	if (outermost)
		enter(c);
	give_up(c);
	if (outermost)
		leave(c);
}

int http_take(struct http_request *r, int *ret_http10)
{
	struct http_conn *c = r->conn;
	int fd = c->fd;

	if (r->gone) {
		http_drop(r);
		return -1;
	}
	REQUIRE(c->state == HTTP_CONN_PENDING && c->request == r);
	if (ret_http10)
		*ret_http10 = r->head.minor == 0;
	if (c->watching)
		(void)event_del(&c->io); /* while the descriptor is still ours */
	c->watching = 0;
	c->fd = -1;
	http_request_free(r);
	c->request = NULL;
	if (c->busy) {
		give_up(c);
		return fd;
	}
	enter(c);
	give_up(c);
	leave(c);
	return fd;
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
	if (!buffered(c))
		return false;
	c->request = http_request_new(c);
	set_state(c, HTTP_CONN_HEAD);
	return true;
}

/* 25 bytes into an empty socket: if they don't fit, something is wrong with the peer. */
static void send_continue(struct http_conn *c)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (send(c->fd, text, sizeof(text) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(text) - 1)
		give_up(c);
}

static bool read_head(struct http_conn *c)
{
	struct http_request *r = c->request;
	const char *p = c->in.data + c->in_at;
	const char *why;
	size_t used = 0;

	switch (http_head_parse(&r->head, p, buffered(c), &used)) {
	case HTTP_HEAD_MORE:
		return false;
	case HTTP_HEAD_REFUSED:
		refuse(c, r->head.fault, r->head.detail);
		return true;
	case HTTP_HEAD_WHOLE:
		break;
	}
	why = http_request_set_head(r, p, used);
	if (why) {
		refuse(c, FAULT_BAD_REQUEST, why);
	} else if (r->head.length > http_server_conf(c->server)->max_body) {
		refuse(c, FAULT_TOO_LARGE, "the body is over the limit");
	} else {
		set_state(c, HTTP_CONN_BODY);
		if (r->head.expect_continue && r->head.length && buffered(c) == used)
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
	if (!buffered(c)) {
		buf_fini(&c->in);
		c->in_at = 0;
	}
}

static bool read_body(struct http_conn *c)
{
	struct http_request *r = c->request;
	size_t whole = r->head_bytes + (size_t)r->head.length;

	if (buffered(c) < whole)
		return false;
	hand_over(c, whole);
	set_state(c, HTTP_CONN_PENDING);
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
		give_up(c); /* what is here is not a request and never will be */
}

static void receive(struct http_conn *c)
{
	char *scratch = http_server_scratch(c->server);
	size_t room = LIMIT_HTTP_READ;
	ssize_t n;

	if (c->state == HTTP_CONN_PENDING)
		room = LIMIT_HTTP_PIPELINED - buffered(c);
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
			give_up(c);
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
		give_up(c);
}

/* --- events --- */

static void on_io(evutil_socket_t fd, short what, void *arg)
{
	struct http_conn *c = arg;

	(void)fd;
	(void)what;
	enter(c);
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
		flush(c);
		process(c);
		break;
	case HTTP_CONN_LINGER:
		linger(c);
		break;
	case HTTP_CONN_CLOSED:
		break;
	}
	leave(c);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct http_conn *c = arg;

	(void)fd;
	(void)what;
	enter(c);
	if (c->state == HTTP_CONN_HEAD || c->state == HTTP_CONN_BODY)
		refuse(c, FAULT_REQUEST_TIMEOUT,
		       c->state == HTTP_CONN_HEAD ? "the head took too long to arrive"
						  : "the body took too long to arrive");
	else if (c->state != HTTP_CONN_PENDING)
		give_up(c);
	leave(c);
}

void http_conn_resume(struct http_conn *c)
{
	enter(c);
	if (c->state == HTTP_CONN_PENDING && c->request->gone)
		tell_gone(c);
	else
		process(c);
	leave(c);
}

/* --- life --- */

void http_conn_new(struct http_server *server, int fd, const union http_addr *addr)
{
	struct http_conn *c = calloc(1, sizeof(*c));

	REQUIRE(c);
	c->server = server;
	c->fd = fd;
	c->addr = *addr;
	c->fresh = true;
	REQUIRE(evtimer_assign(&c->timer, http_server_base(server), on_deadline, c) == 0);
	http_server_add(server, c);
	enter(c);
	leave(c);
}

void http_conn_close(struct http_conn *c)
{
	REQUIRE(c->state != HTTP_CONN_PENDING);
	enter(c);
	give_up(c);
	leave(c);
}

void http_conn_peer(const struct http_conn *c, char out[HTTP_PEER_LEN])
{
	char ip[INET6_ADDRSTRLEN];

	if (c->addr.sa.sa_family == AF_INET &&
	    inet_ntop(AF_INET, &c->addr.in.sin_addr, ip, sizeof(ip)))
		(void)snprintf(out, HTTP_PEER_LEN, "%s:%d", ip, ntohs(c->addr.in.sin_port));
	else if (c->addr.sa.sa_family == AF_INET6 &&
		 inet_ntop(AF_INET6, &c->addr.in6.sin6_addr, ip, sizeof(ip)))
		(void)snprintf(out, HTTP_PEER_LEN, "[%s]:%d", ip, ntohs(c->addr.in6.sin6_port));
	else
		(void)snprintf(out, HTTP_PEER_LEN, "unix");
}
