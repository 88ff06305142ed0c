/*
 * http_answer.c - the end of a request: an answer, a hand-over or nothing. See http.h.
 *
 * Head and body go to the socket in one call and uncopied; only what it does not take is kept, in
 * the connection, which then is WRITING until it has gone. After an answer that closes, our side
 * of the socket is shut and the connection LINGERs: see http_conn.c for why.
 *
 * The handler's three ways to end a request may be called inside its callback (the connection is
 * `busy` then, and the outer method finishes what is to be done) or at any later time (then this is
 * the outermost method). In both cases the request is freed before they return.
 *
 * Answers that wait for their clients to read them are bounded for the process: beyond
 * LIMIT_HTTP_UNSENT the one that would be kept is cut off with its connection.
 *
 * A connection goes on after an answer unless the client or its version did not want it, the server
 * is draining, the request was refused, or the client can send nothing more.
 */
#include "streamerd/http/http_answer.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/require.h"
#include "streamerd/http/http_reply.h"
#include "streamerd/http/http_server.h"

/* Everything that was to be sent has been. */
static void answer_sent(struct http_conn *c)
{
	buf_fini(&c->out);
	c->out_at = 0;
	http_server_keeps(c->server, c, 0);
	if (!c->close) {
		http_conn_set_state(c, HTTP_CONN_IDLE);
		return;
	}
	buf_fini(&c->in);
	c->in_at = 0;
	if (c->eof || shutdown(c->fd, SHUT_WR) < 0)
		http_conn_give_up(c);
	else
		http_conn_set_state(c, HTTP_CONN_LINGER);
}

/* The rest of an answer, as far as the socket takes it. */
void http_answer_flush(struct http_conn *c)
{
	ssize_t n = send(c->fd, c->out.data + c->out_at, c->out.len - c->out_at, MSG_NOSIGNAL);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			http_conn_give_up(c);
		return;
	}
	c->out_at += (size_t)n;
	c->progress += (size_t)n;
	if (c->progress >= LIMIT_HTTP_WRITE_STEP) {
		c->progress = 0;
		c->timed = false; /* the deadline starts anew */
	}
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

void http_answer(struct http_conn *c, int status, const char *headers, struct str body, bool close)
{
	const struct http_request *r = c->request;
	enum http_after after = r->head.minor ? HTTP_AFTER_KEEP : HTTP_AFTER_KEEP_OLD;
	auto_buf struct buf head = BUF_INIT;
	size_t length = body.n;

	c->close = close || !r->head.keep_alive || http_server_is_draining(c->server) ||
		   (c->eof && !http_conn_buffered(c));
	if (c->close)
		after = HTTP_AFTER_CLOSE;
	if (r->head.method == HTTP_HEAD || !http_status_has_body(status))
		body.n = 0;
	http_reply_head(&head, status, headers, length, after, clock_wall_ms() / 1000);
	if (r->gone || send_answer(c, (struct str){head.data, head.len}, body) < 0) {
		http_conn_give_up(c);
		return;
	}
	http_conn_end_request(c, status, body.n);
	if (!c->out.len)
		answer_sent(c);
	else if (http_server_keeps(c->server, c, c->out.len))
		http_conn_set_state(c, HTTP_CONN_WRITING);
	else
		http_conn_give_up(c);
}

void http_answer_refuse(struct http_conn *c, enum fault fault, const char *detail)
{
	auto_buf struct buf body = BUF_INIT;

	http_server_refuse(c->server, fault, detail, &body);
	http_answer(c, fault_status(fault), HTTP_REFUSAL_HEADERS, (struct str){body.data, body.len},
		    true);
}

void http_reply(struct http_request *r, int status, const char *headers, struct str body)
{
	struct http_conn *c = r->conn;
	bool outermost = !c->busy;

	REQUIRE(c->state == HTTP_CONN_PENDING && c->request == r);
	if (outermost)
		http_conn_enter(c);
	http_answer(c, status, headers, body, false);
	if (outermost)
		http_conn_leave(c);
}

void http_drop(struct http_request *r)
{
	struct http_conn *c = r->conn;
	bool outermost = !c->busy;

	REQUIRE(c->state == HTTP_CONN_PENDING && c->request == r);
	if (outermost)
		http_conn_enter(c);
	http_conn_give_up(c);
	if (outermost)
		http_conn_leave(c);
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
	http_server_took(c->server, c, fd);
	http_request_free(r);
	c->request = NULL;
	if (c->busy) {
		http_conn_give_up(c);
		return fd;
	}
	http_conn_enter(c);
	http_conn_give_up(c);
	http_conn_leave(c);
	return fd;
}
