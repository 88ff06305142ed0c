/*
 * bundle_send.c - what a bundle writes to its socket. See bundle.h.
 *
 * Members that may have something take turns: each is written up to LIMIT_BUNDLE_SLICE of whole
 * frames, then it is the next one's turn, and as many as fit go out in one write. So a session that
 * catches up from the log delays another by a slice, and one that waits for a page by nothing.
 *
 * Where a write ends inside a frame that member is `current`, and nothing else is written before
 * that frame is whole: not another member's, no heartbeat, no notice. If its block leaves the tail
 * meanwhile the rest comes from the log, as for a viewer.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/require.h"
#include "streamerd/bundle.h"
#include "streamerd/sse.h"
#include "streamerd/stats.h"
#include "streamerd/viewer.h"

#define PIECES 64 /* members in one write */

struct pieces {
	struct iovec iov[PIECES + 1];
	struct member *of[PIECES + 1]; /* NULL: the rest of a heartbeat */
	size_t n;
	bool is_lost;
};

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct bundle *b = arg;
	char waste[4096];

	if (what & EV_READ) {
		/* a viewer has nothing to say: 0 is its leaving, anything else is thrown away */
		ssize_t n = recv(fd, waste, sizeof(waste), MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			bundle_end(b, VIEWER_LEFT);
			return;
		}
	}
	if (what & EV_WRITE)
		bundle_push(b);
}

static void listen_for(struct bundle *b, short what)
{
	if (event_initialized(&b->ev))
		(void)event_del(&b->ev);
	(void)event_assign(&b->ev, hub_base(b->hub), b->fd, (short)(what | EV_PERSIST), on_socket,
			   b);
	(void)event_add(&b->ev, NULL);
}

static void set_blocked(struct bundle *b, bool blocked)
{
	if (b->is_blocked == blocked)
		return;
	b->is_blocked = blocked;
	listen_for(b, blocked ? EV_READ | EV_WRITE : EV_READ);
}

static void add(struct pieces *p, struct member *m)
{
	size_t end = block_cut(m->block, m->off, LIMIT_BUNDLE_SLICE);

	p->iov[p->n] = (struct iovec){m->block->data + m->off, end - m->off};
	p->of[p->n++] = m;
}

/* What is to be written next, in this order. */
static void gather(struct bundle *b, struct pieces *p)
{
	struct member *m, *next;

	p->n = 0;
	p->is_lost = false;
	if (b->comment_left) {
		const char *rest = &SSE_HEARTBEAT[SSE_HEARTBEAT_LEN - b->comment_left];

		p->iov[0] = (struct iovec){(void *)(uintptr_t)rest, b->comment_left};
		p->of[p->n++] = NULL;
	}
	if (b->current) {
		enum member_look look = member_look(b->current);

		p->is_lost = look != MEMBER_BYTES && look != MEMBER_WAITS;
		if (look != MEMBER_BYTES)
			return;
		add(p, b->current);
	}
	for (m = TAILQ_FIRST(&b->ready); m && p->n < PIECES; m = next) {
		enum member_look look = m == b->current ? MEMBER_WAITS : member_look(m);

		/* looking may have queued others up behind: only now is the next one known */
		next = TAILQ_NEXT(m, turn);
		switch (look) {
		case MEMBER_BYTES:
			add(p, m);
			break;
		case MEMBER_AT_END:
		case MEMBER_WAITS:
			member_queue(m, TURN_NONE);
			break;
		case MEMBER_STARVES:
			member_queue(m, TURN_STARVED);
			break;
		case MEMBER_OVER:
			member_free(m);
			break;
		case MEMBER_LOST:
			p->is_lost = true;
			return;
		}
	}
}

/* n bytes of the pieces went out. Was it all? */
static bool account(struct bundle *b, const struct pieces *p, size_t n)
{
	for (size_t i = 0; i < p->n; i++) {
		size_t len = p->iov[i].iov_len;
		size_t took = n < len ? n : len;
		struct member *m = p->of[i];

		n -= took;
		if (!m) {
			b->comment_left = (uint8_t)(b->comment_left - took);
		} else {
			stats->deliveries += block_frames_between(m->block, m->off, m->off + took);
			m->off += (uint32_t)took;
			member_queue(m, TURN_READY); /* at the end */
			if (b->current == m || took < len)
				b->current = block_is_between(m->block, m->off) ? NULL : m;
		}
		if (took < len)
			return false;
	}
	return true;
}

/* The result of a write: bytes, 0 if the socket is full, -1 if it is broken. */
static ssize_t sent(struct bundle *b, ssize_t n)
{
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	stats->writes++;
	stats->bytes_out += (uint64_t)n;
	b->progress = clock_mono_ms();
	return n;
}

/* An unnumbered frame: 1 it was sent, 0 the socket is full, -1 the bundle has ended. */
static int say(struct bundle *b, struct str frame)
{
	ssize_t n = sent(b, send(b->fd, frame.p, frame.n, MSG_NOSIGNAL | MSG_DONTWAIT));

	if (n == (ssize_t)frame.n)
		return 1;
	if (n == 0)
		return 0;
	/* a part of it can't be completed later: nobody keeps it */
	bundle_end(b, n < 0 ? VIEWER_LEFT : VIEWER_LAGGED);
	return -1;
}

/* Behind all that there is: whoever reads a list on it then finds no less than it has been sent. */
static void say_changes(struct bundle *b)
{
	struct chat_event e = {.ts = clock_wall_ms(),
			       .type = CHAT_EVENT_WARNING, /* like one: in no log */
			       .payload = str_of("{}")};
	auto_buf struct buf frame = BUF_INIT;
	int said;

	buf_adds(&frame, "event: sessions_changed\ndata: ");
	chat_event_add_json(&frame, &e);
	buf_adds(&frame, "\n\n");
	said = say(b, (struct str){frame.data, frame.len});
	if (said > 0)
		b->owes_changes = false;
	else if (said == 0)
		set_blocked(b, true);
}

void bundle_push(struct bundle *b)
{
	struct pieces p;

	for (;;) {
		struct msghdr msg = {.msg_iov = p.iov};
		ssize_t n;

		gather(b, &p);
		if (p.is_lost) {
			bundle_end(b, VIEWER_LAGGED);
			return;
		}
		if (p.n == 0)
			break;
		msg.msg_iovlen = p.n;
		n = sent(b, sendmsg(b->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT));
		if (n < 0) {
			bundle_end(b, VIEWER_LEFT);
			return;
		}
		if (!account(b, &p, (size_t)n)) {
			set_blocked(b, true);
			return;
		}
	}
	if (!b->watched && TAILQ_EMPTY(&b->members)) {
		bundle_end(b, VIEWER_CLEARED);
		return;
	}
	set_blocked(b, false);
	if (b->owes_changes && bundle_takes_notice(b))
		say_changes(b);
}

bool bundle_takes_notice(const struct bundle *b)
{
	return b->is_accepted && !b->is_blocked && !b->current && !b->comment_left;
}

bool bundle_notice(struct bundle *b, struct str frame)
{
	return bundle_takes_notice(b) && say(b, frame) > 0;
}

void bundle_heartbeat(struct bundle *b, int64_t now)
{
	ssize_t n;

	if (b->is_blocked || b->current) {
		if (now - b->progress >= LIMIT_VIEWER_STALL_MS)
			bundle_end(b, VIEWER_STALLED);
		return;
	}
	if (b->comment_left)
		return;
	n = sent(b, send(b->fd, SSE_HEARTBEAT, SSE_HEARTBEAT_LEN, MSG_NOSIGNAL | MSG_DONTWAIT));
	if (n < 0) {
		bundle_end(b, VIEWER_LEFT);
		return;
	}
	stats->heartbeats++;
	if (n == SSE_HEARTBEAT_LEN)
		return;
	b->comment_left = (uint8_t)(n ? SSE_HEARTBEAT_LEN - n : 0);
	set_blocked(b, true);
}

void bundle_begin(struct bundle *b, struct str head)
{
	ssize_t n;

	b->progress = clock_mono_ms();
	viewer_prepare_socket(b->fd);
	listen_for(b, EV_READ);
	n = sent(b, send(b->fd, head.p, head.n, MSG_NOSIGNAL | MSG_DONTWAIT));
	/* a fresh socket without room for a few hundred bytes: not worth a state of its own */
	if (n < (ssize_t)head.n) {
		bundle_end(b, VIEWER_LEFT);
		return;
	}
	bundle_push(b);
}
