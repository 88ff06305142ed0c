/*
 * viewer.c - one SSE connection: a socket and a cursor into a feed. See viewer.h.
 *
 *	          feed has more                socket full
 *	AT END  ----------------->  SENDING  --------------->  BLOCKED
 *	   ^                         |  ^  |                      |
 *	   +---- all of it sent -----+  |  |      writable        |
 *	                                |  +<---------------------+
 *	   the tail has moved on        v
 *	                             WAITING for a replay page or a snapshot (the feed wakes it)
 *
 * Every state but BLOCKED is derived: a viewer that is not blocked is pushed whenever its feed is
 * settled, and finds out where it stands. A blocked one is on a list of its own and not even looked
 * at until its socket takes more or LIMIT_VIEWER_STALL_MS have passed: slow peers cost the others
 * nothing.
 *
 * Frames follow from the stored row alone, so half a frame that was sent from the tail is
 * continued with the bytes of the same frame built from the log.
 */
#include "streamerd/viewer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/require.h"
#include "streamerd/socket_set.h"
#include "streamerd/sse.h"
#include "streamerd/stats.h"

static void set_blocked(struct viewer *v, bool blocked)
{
	struct feed *f = v->feed;

	if (v->blocked == blocked)
		return;
	TAILQ_REMOVE(v->blocked ? &f->blocked : &f->viewers, v, link);
	v->blocked = blocked;
	TAILQ_INSERT_TAIL(blocked ? &f->blocked : &f->viewers, v, link);
	v->progress = (uint32_t)clock_mono_ms();
	socket_set_want_write(hub_sockets(f->hub), v->fd, v, blocked);
}

static void count_end(enum viewer_end why)
{
	switch (why) {
	case VIEWER_LEFT:
		stats->ended_left++;
		break;
	case VIEWER_IDLE:
		stats->ended_idle++;
		break;
	case VIEWER_CLEARED:
		stats->ended_cleared++;
		break;
	case VIEWER_STALLED:
		stats->ended_stalled++;
		break;
	case VIEWER_LAGGED:
		stats->ended_lagged++;
		break;
	case VIEWER_SHUTDOWN:
		stats->ended_shutdown++;
		break;
	}
}

void viewer_close(int fd, enum viewer_end why, const char *session_id)
{
	static struct log_limit lines;
	char waste[4096];

	count_end(why);
	if ((why == VIEWER_STALLED || why == VIEWER_LAGGED) && log_allowed(&lines, 20))
		log_info("viewer.dropped", "session=%s why=%s", session_id,
			 why == VIEWER_STALLED ? "stalled" : "lagged");
	/* unread input would make close() reset the connection and lose what is still on its way */
	while (recv(fd, waste, sizeof(waste), MSG_DONTWAIT) > 0 && why != VIEWER_LEFT)
		;
	(void)shutdown(fd, SHUT_WR);
	(void)close(fd);
}

void viewer_end(struct viewer *v, enum viewer_end why)
{
	struct feed *f = v->feed;

	socket_set_remove(hub_sockets(f->hub), v->fd, v);
	viewer_close(v->fd, why, f->session_id.p);
	(void)block_unref(v->block);
	TAILQ_REMOVE(v->blocked ? &f->blocked : &f->viewers, v, link);
	hub_viewer_ended(f->hub, v);
	hub_mark(f->hub, f);
	free(v);
}

void viewer_detach(struct viewer *v)
{
	size_t part;

	block_position(v->block, v->off, &v->generation, &v->seq, &part);
	v->part = (uint32_t)part;
	v->block = block_unref(v->block);
}

/* The result of send(): bytes, 0 if the socket is full, -1 if it is broken. */
static ssize_t sent(struct viewer *v, ssize_t n)
{
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	stats->writes++;
	stats->bytes_out += (uint64_t)n;
	if (v->blocked)
		v->progress = (uint32_t)clock_mono_ms();
	return n;
}

/* The rest of a heartbeat of which the socket took only a part. 1 done, 0 full, -1 broken. */
static int send_comment(struct viewer *v)
{
	ssize_t n = sent(v, send(v->fd, &SSE_HEARTBEAT[SSE_HEARTBEAT_LEN - v->comment_left],
				 v->comment_left, MSG_NOSIGNAL | MSG_DONTWAIT));

	if (n < 0)
		return -1;
	v->comment_left = (uint8_t)(v->comment_left - n);
	return v->comment_left == 0;
}

/* The rest of the block. 1 all sent, 0 full, -1 broken. */
static int send_block(struct viewer *v)
{
	struct block *b = v->block;
	ssize_t n;

	if (v->off == b->len)
		return 1;
	n = sent(v, send(v->fd, b->data + v->off, b->len - v->off, MSG_NOSIGNAL | MSG_DONTWAIT));
	if (n < 0)
		return -1;
	stats->deliveries += block_frames_between(b, v->off, v->off + (size_t)n);
	v->off += (uint32_t)n;
	return v->off == b->len;
}

enum found { FOUND, NOTHING_YET, ENDED };

/* Without a block: finds the one to go on with. */
static enum found find_block(struct viewer *v)
{
	struct feed *f = v->feed;
	struct feed_place at;

	if (!v->reason) {
		switch (feed_locate(f, v->generation, v->seq, &at)) {
		case FEED_AT_END:
		case FEED_FOUND:
			if (v->part > at.block->len - at.off)
				break; /* the log holds another event than was begun */
			v->block = block_ref(at.block);
			v->off = (uint32_t)at.off + v->part;
			v->part = 0;
			return FOUND;
		case FEED_WAIT:
			return NOTHING_YET;
		case FEED_REFUSED:
			v->reason = (uint8_t)at.reason;
			break;
		}
		if (v->part) { /* half an event that can't be completed */
			viewer_end(v, VIEWER_LAGGED);
			return ENDED;
		}
	}
	v->block = feed_snapshot(f, (enum sse_reason)v->reason);
	if (!v->block)
		return NOTHING_YET;
	v->off = 0;
	v->since = v->block->before_seq;
	v->reason = SSE_NO_REASON;
	return FOUND;
}

void viewer_push(struct viewer *v)
{
	struct feed *f = v->feed;

	for (;;) {
		int r = 1;

		if (v->comment_left)
			r = send_comment(v);
		if (r > 0 && !v->block) {
			enum found found = find_block(v);

			if (found == ENDED)
				return;
			if (found == NOTHING_YET)
				break;
		}
		if (r > 0)
			r = send_block(v);
		if (r < 0) {
			viewer_end(v, VIEWER_LEFT);
			return;
		}
		if (r == 0) {
			set_blocked(v, true);
			return;
		}
		if (v->block == tail_last(&f->tail)) {
			if (feed_was_cleared(f, v->since)) {
				viewer_end(v, VIEWER_CLEARED);
				return;
			}
			if (v->until_idle && feed_is_idle(f, v->came_at)) {
				viewer_end(v, VIEWER_IDLE);
				return;
			}
			break;
		}
		v->seq = block_last_seq(v->block);
		v->generation = v->block->last_generation;
		v->block = block_unref(v->block);
	}
	set_blocked(v, false);
}

/* Is everything that was begun also complete, so that a comment may stand here? */
static bool is_between_frames(const struct viewer *v)
{
	if (v->comment_left)
		return false;
	return v->block ? v->off == v->block->len : v->part == 0;
}

bool viewer_takes_notice(const struct viewer *v)
{
	return !v->blocked && is_between_frames(v);
}

void viewer_notice(struct viewer *v, struct str frame)
{
	ssize_t n;

	if (!viewer_takes_notice(v))
		return;
	n = sent(v, send(v->fd, frame.p, frame.n, MSG_NOSIGNAL | MSG_DONTWAIT));
	/* a part of it can't be completed later: nobody keeps it */
	if (n < 0 || (n > 0 && (size_t)n < frame.n))
		viewer_end(v, n < 0 ? VIEWER_LEFT : VIEWER_LAGGED);
}

void viewer_heartbeat(struct viewer *v, int64_t now)
{
	ssize_t n;

	if (v->blocked) {
		if ((uint32_t)now - v->progress >= LIMIT_VIEWER_STALL_MS)
			viewer_end(v, VIEWER_STALLED);
		return;
	}
	if (!is_between_frames(v))
		return;
	n = sent(v, send(v->fd, SSE_HEARTBEAT, SSE_HEARTBEAT_LEN, MSG_NOSIGNAL | MSG_DONTWAIT));
	if (n < 0) {
		viewer_end(v, VIEWER_LEFT);
		return;
	}
	stats->heartbeats++;
	if (n == SSE_HEARTBEAT_LEN)
		return;
	v->comment_left = (uint8_t)(n ? SSE_HEARTBEAT_LEN - n : 0);
	set_blocked(v, true);
}

void viewer_on_socket(void *viewer, bool can_read, bool can_write)
{
	struct viewer *v = viewer;
	char waste[4096];

	if (can_read) {
		/* a viewer has nothing to say: 0 is its leaving, anything else is thrown away */
		ssize_t n = recv(v->fd, waste, sizeof(waste), MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			viewer_end(v, VIEWER_LEFT);
			return;
		}
	}
	if (can_write)
		viewer_push(v);
}

/*
 * A peer that vanished without a word is noticed by what it does not acknowledge, and one that
 * reads nothing by a buffer that is soon full: from then on no event looks at it.
 */
void viewer_prepare_socket(int fd)
{
	unsigned ms = LIMIT_VIEWER_STALL_MS;
	int one = 1, room = LIMIT_VIEWER_SOCKET;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	/* neither applies to Unix sockets, and the stream works without them */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

void viewer_start(struct feed *f, int fd, struct str head, const struct viewer_start *start)
{
	static struct log_limit lines;
	struct viewer *v = calloc(1, sizeof(*v));
	struct iovec iov[2] = {{(void *)(uintptr_t)head.p, head.n}, {NULL, 0}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 1};
	ssize_t n;
	int r;

	REQUIRE(v);
	v->feed = f;
	v->fd = fd;
	v->owner = start->owner;
	v->until_idle = start->until_idle;
	v->came_at = start->came_at;
	v->block = start->block;
	v->off = (uint32_t)start->off;
	v->generation = start->generation;
	v->seq = v->since = start->seq;
	TAILQ_INSERT_TAIL(&f->viewers, v, link);
	hub_viewer_began(f->hub, v);
	viewer_prepare_socket(fd);
	r = socket_set_add(hub_sockets(f->hub), fd, v);
	if (r < 0) {
		if (log_allowed(&lines, 1))
			log_error("viewer.unwatched", "errno=%d", -r);
		viewer_end(v, VIEWER_LEFT); /* its leaving would not be noticed: it comes back */
		return;
	}
	if (v->block && v->off < v->block->len) { /* an empty block has no data yet */
		iov[1] = (struct iovec){v->block->data + v->off, v->block->len - v->off};
		m.msg_iovlen = 2;
	}
	n = sent(v, sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT));
	/* a fresh socket without room for a few hundred bytes: not worth a state of its own */
	if (n < (ssize_t)head.n) {
		viewer_end(v, VIEWER_LEFT);
		return;
	}
	if (m.msg_iovlen == 2) {
		size_t more = (size_t)n - head.n;

		stats->deliveries += block_frames_between(v->block, v->off, v->off + more);
		v->off += (uint32_t)more;
	}
	viewer_push(v);
}
