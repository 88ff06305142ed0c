/*
 * channel.c - one connection of the bus. See channel.h.
 *
 *	GREETING --hello--> UP --fault, EOF, limit--> DOWN
 *
 * Reading: bytes gather in `in`; whole frames are decoded where they lie and handed up. Writing:
 * frames gather in `out`, the flush event writes them together. A channel that is freed inside its
 * own callback is only marked; the frame on the stack frees it when it comes back.
 *
 * A side that answers must not take requests faster than the peer takes answers: a few bytes ask
 * for megabytes. So a worker's channel pauses, as often as it has to:
 *
 *	reading --- LIMIT_BUS_HIGH unsent, or LIMIT_BUS_BURST taken in this pass ---> PAUSED
 *	   ^                                                                             |
 *	   +--- `again`, in a later pass, once no more than LIMIT_BUS_LOW are unsent ----+
 *
 * Paused, nothing is read; what was read stays in `in`. The burst is for answers that come only
 * after the commit, when the queue was still empty while their requests were taken. streamerd's
 * side never pauses: it answers nothing, and if both sides waited to be read first, neither would
 * ever read again.
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

static const char no_watch[] = "the kernel has no room to watch it";

struct channel {
	int fd; /* owned */
	enum state state;
	enum msg_sender self;
	struct channel_allow allow;
	const struct channel_ops *ops; /* borrowed */
	void *arg;
	struct event *read_ev, *write_ev, *hello_ev, *again_ev; /* owned */
	struct buf in, out;
	size_t out_pos;	    /* bytes of out that are sent */
	const char *doomed; /* why it goes down at the next pass, found while sending */
	int paused;	    /* read_ev is not added; again_ev or flush() goes on */
	int in_callback;
	int freed;
};

static void really_free(struct channel *c)
{
	event_free(c->read_ev);
	event_free(c->write_ev);
	event_free(c->hello_ev);
	event_free(c->again_ev);
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
	(void)event_del(c->again_ev);
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

/* In the next pass: nothing that takes messages may run inside flush(), whoever called that. */
static void parse_again(struct channel *c)
{
	static const struct timeval now = {0, 0};

	(void)event_add(c->again_ev, &now);
}

/* Has this side taken as many requests as it may for now? */
static int must_pause(const struct channel *c, int taken)
{
	return c->self == FROM_WORKER &&
	       (channel_queued(c) > LIMIT_BUS_HIGH || taken >= LIMIT_BUS_BURST);
}

static void pause_reading(struct channel *c)
{
	c->paused = 1;
	(void)event_del(c->read_ev);
	if (channel_queued(c) <= LIMIT_BUS_LOW)
		parse_again(c);
}

static void parse(struct channel *c)
{
	enum msg_sender peer = c->self == FROM_WORKER ? FROM_STREAMERD : FROM_WORKER;
	size_t pos = 0;
	const char *why = NULL;
	int taken = 0;

	c->in_callback++;
	while (!why && !must_pause(c, taken) && !c->freed && c->state != DOWN &&
	       c->in.len - pos >= 4) {
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
		taken++;
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
	if (must_pause(c, taken))
		pause_reading(c);
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

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct channel *c = arg;

	c->paused = 0;
	if (event_add(c->read_ev, NULL) < 0)
		go_down(c, no_watch);
	else
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
			if (event_add(c->write_ev, NULL) < 0) {
				go_down(c, no_watch);
				return;
			}
			if (c->paused && channel_queued(c) <= LIMIT_BUS_LOW)
				parse_again(c);
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
	if (c->paused)
		parse_again(c);
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
	if (uid == getuid() || uid == 0 || uid == c->allow.user)
		return NULL;
	if (c->allow.group != (gid_t)-1 && sock_peer_in_group(c->fd, c->allow.group))
		return NULL;
	return "peer of a foreign uid";
}

struct channel *channel_new(struct event_base *base, int fd, enum msg_sender self,
			    const struct msg_hello *hello, struct channel_allow allow,
			    const struct channel_ops *ops, void *arg)
{
	struct channel *c = calloc(1, sizeof(*c));
	struct timeval hello_time = {LIMIT_HELLO_MS / 1000, 0};
	struct msg m = {.type = MSG_HELLO, .hello = *hello};

	REQUIRE(c);
	c->fd = fd;
	c->self = self;
	c->allow = allow;
	c->ops = ops;
	c->arg = arg;
	c->read_ev = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->write_ev = event_new(base, fd, EV_WRITE, on_writable, c);
	c->hello_ev = evtimer_new(base, on_no_hello, c);
	c->again_ev = evtimer_new(base, on_again, c);
	REQUIRE(c->read_ev && c->write_ev && c->hello_ev && c->again_ev);
	(void)event_add(c->hello_ev, &hello_time);
	c->doomed = event_add(c->read_ev, NULL) < 0 ? no_watch : check_peer(c);
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
	if (msg_encode(&c->out, m) < 0) {
		/* our own bug, but one that a user's data can set off: it costs the channel alone
		 */
		log_error("channel.send", "message=%s error=\"over the limit\"", msg_name(m->type));
		c->doomed = "message over the limit";
		event_active(c->write_ev, EV_WRITE, 0);
		return;
	}
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
