/*
 * channel.c - one connection of the bus. See channel.h.
 *
 *	GREETING --hello--> UP --fault, EOF, limit--> DOWN
 *
 * Reading: bytes gather in `in`; whole frames are decoded where they lie and handed up. Writing:
 * frames gather in `out`, the flush event writes them together. A channel that is freed inside its
 * own callback is only marked; the frame on the stack frees it when it comes back.
 */
#include "proto/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/log.h"
#include "common/require.h"
#include "common/sock.h"

enum state { GREETING, UP, DOWN };

struct channel {
	int fd; /* owned */
	enum state state;
	enum msg_sender self;
	uid_t allowed_uid;
	const struct channel_ops *ops; /* borrowed */
	void *arg;
	struct event *read_ev, *write_ev, *hello_ev; /* owned */
	struct buf in, out;
	size_t out_pos;	    /* bytes of out that are sent */
	const char *doomed; /* why it goes down at the next pass, found while sending */
	int in_callback;
	int freed;
};

static void really_free(struct channel *c)
{
	event_free(c->read_ev);
	event_free(c->write_ev);
	event_free(c->hello_ev);
	if (c->fd >= 0)
		(void)close(c->fd);
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
}

void channel_free(struct channel *c)
{
	if (!c)
		return;
	if (c->in_callback) {
		c->freed = 1;
		return;
	}
	really_free(c);
}

/* Calls back; returns 0 if the channel was freed meanwhile (and now is gone). */
static int leave(struct channel *c)
{
	c->in_callback--;
	if (c->in_callback == 0 && c->freed) {
		really_free(c);
		return 0;
	}
	return 1;
}

static void go_down(struct channel *c, const char *why)
{
	if (c->state == DOWN)
		return;
	c->state = DOWN;
	(void)event_del(c->read_ev);
	(void)event_del(c->write_ev);
	(void)event_del(c->hello_ev);
	(void)close(c->fd);
	c->fd = -1;
	log_debug("channel.down", "why=\"%s\"", why);
	c->in_callback++;
	c->ops->down(c->arg, why);
	(void)leave(c);
}

/* One decoded message. Returns NULL, or why the channel must go down. */
static const char *take(struct channel *c, const struct msg *m)
{
	if (c->state == GREETING) {
		if (m->type != MSG_HELLO)
			return "first message was not hello";
		if (m->hello.version != PROTO_VERSION)
			return "other protocol version";
		if (c->self == FROM_STREAMERD &&
		    (m->hello.workers == 0 || m->hello.worker >= m->hello.workers ||
		     m->hello.workers > LIMIT_WORKERS))
			return "hello with impossible numbers";
		c->state = UP;
		(void)event_del(c->hello_ev);
		c->ops->up(c->arg, &m->hello);
		return NULL;
	}
	if (m->type == MSG_HELLO)
		return "second hello";
	log_debug("channel.in", "message=%s", msg_name(m->type));
	c->ops->message(c->arg, m);
	return NULL;
}

static void parse(struct channel *c)
{
	enum msg_sender peer = c->self == FROM_WORKER ? FROM_STREAMERD : FROM_WORKER;
	size_t pos = 0;
	const char *why = NULL;

	c->in_callback++;
	while (!why && !c->freed && c->state != DOWN && c->in.len - pos >= 4) {
		const unsigned char *h = (const unsigned char *)c->in.data + pos;
		size_t n = (size_t)h[0] << 24 | (size_t)h[1] << 16 | (size_t)h[2] << 8 | h[3];
		struct msg m;
		int outcome;

		if (n == 0 || n > LIMIT_FRAME) {
			why = "frame of impossible size";
			break;
		}
		if (c->in.len - pos - 4 < n)
			break;
		outcome = msg_decode((const char *)h + 4, n, peer, &m);
		why = outcome == MSG_OK ? take(c, &m) : msg_outcome_text(outcome);
		pos += 4 + n;
	}
	if (!leave(c))
		return;
	if (why) {
		go_down(c, why);
		return;
	}
	if (c->state == DOWN)
		return;
	buf_consume(&c->in, pos);
	if (c->in.len == 0 && c->in.cap > 256 * 1024)
		buf_fini(&c->in);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct channel *c = arg;
	ssize_t n;

	buf_reserve(&c->in, 64 * 1024);
	n = read(c->fd, c->in.data + c->in.len, c->in.cap - c->in.len - 1);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		go_down(c, n == 0 ? "peer closed" : "read failed");
		return;
	}
	c->in.len += (size_t)n;
	parse(c);
}

static void flush(struct channel *c)
{
	while (c->out_pos < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->out_pos, c->out.len - c->out_pos,
				 MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) {
			if (c->out_pos > 1024 * 1024) {
				buf_consume(&c->out, c->out_pos);
				c->out_pos = 0;
			}
			(void)event_add(c->write_ev, NULL);
			return;
		}
		if (n < 0) {
			go_down(c, "write failed");
			return;
		}
		c->out_pos += (size_t)n;
	}
	c->out_pos = 0;
	if (c->out.cap > 256 * 1024)
		buf_fini(&c->out);
	else
		buf_clear(&c->out);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct channel *c = arg;

	if (c->doomed)
		go_down(c, c->doomed);
	else
		flush(c);
}

static void on_no_hello(evutil_socket_t fd, short what, void *arg)
{
	go_down(arg, "no hello in time");
}

static const char *check_peer(struct channel *c)
{
	uid_t uid;

	if (sock_peer_uid(c->fd, &uid) < 0)
		return "peer's credentials can't be read";
	if (uid != getuid() && uid != 0 && uid != c->allowed_uid)
		return "peer of a foreign uid";
	return NULL;
}

struct channel *channel_new(struct event_base *base, int fd, enum msg_sender self,
			    const struct msg_hello *hello, uid_t allowed_uid,
			    const struct channel_ops *ops, void *arg)
{
	struct channel *c = calloc(1, sizeof(*c));
	struct timeval hello_time = {LIMIT_HELLO_MS / 1000, 0};
	struct msg m = {.type = MSG_HELLO, .hello = *hello};

	REQUIRE(c);
	c->fd = fd;
	c->self = self;
	c->allowed_uid = allowed_uid;
	c->ops = ops;
	c->arg = arg;
	c->read_ev = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->write_ev = event_new(base, fd, EV_WRITE, on_writable, c);
	c->hello_ev = evtimer_new(base, on_no_hello, c);
	REQUIRE(c->read_ev && c->write_ev && c->hello_ev);
	(void)event_add(c->read_ev, NULL);
	(void)event_add(c->hello_ev, &hello_time);
	c->doomed = check_peer(c);
	channel_send(c, &m);
	return c;
}

void channel_send(struct channel *c, const struct msg *m)
{
	if (c->state == DOWN)
		return;
	if (c->out.len == c->out_pos || c->doomed)
		event_active(c->write_ev, EV_WRITE, 0);
	if (c->doomed)
		return;
	msg_encode(&c->out, m);
	log_debug("channel.out", "message=%s", msg_name(m->type));
	if (c->out.len - c->out_pos > LIMIT_BUS_QUEUE) {
		c->doomed = "peer does not read";
		event_active(c->write_ev, EV_WRITE, 0);
	}
}

size_t channel_queued(const struct channel *c)
{
	return c->out.len - c->out_pos;
}

int channel_is_up(const struct channel *c)
{
	return c->state == UP;
}
