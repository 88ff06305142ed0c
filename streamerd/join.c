/*
 * join.c - an HTTP request that wants to become a viewer and can't yet. See join.h.
 *
 *	WAITING --accept--> a viewer
 *	   |-----refuse---> an HTTP error (404, 503): possible because no head has been sent yet
 *	   |-----nothing--> 204
 *	   `-----cancel---> nothing
 *
 * The answer's head goes out only when the first event can go out behind it, so whatever can fail
 * is still an HTTP status.
 */
#include "streamerd/join.h"

#include <stdlib.h>

#include "common/require.h"
#include "proto/chat_event.h"
#include "streamerd/feed.h"
#include "streamerd/stats.h"
#include "streamerd/viewer.h"

struct join *join_new(struct feed *f, uint64_t owner, const struct join_request *r)
{
	struct join *j = calloc(1, sizeof(*j));

	REQUIRE(j);
	j->feed = f;
	j->owner = owner;
	j->ops = r->ops;
	j->arg = r->arg;
	j->came_at = f->asks;
	j->until_idle = r->until_idle;
	j->has_cursor = r->has_cursor;
	if (r->has_cursor && !chat_event_parse_id(r->cursor, &j->generation, &j->seq)) {
		j->has_cursor = false;
		j->reason = SSE_UNKNOWN;
	}
	TAILQ_INSERT_TAIL(&f->joins, j, link);
	stats->joins++;
	return j;
}

/* Everything but the owner's count, which may go on to the viewer. */
static void dissolve(struct join *j)
{
	TAILQ_REMOVE(&j->feed->joins, j, link);
	free(j);
}

void join_cancel(struct join *j)
{
	struct hub *h = j->feed->hub;

	hub_owner_release(h, j->owner);
	hub_mark(h, j->feed);
	dissolve(j);
}

void join_refuse(struct join *j, enum fault fault)
{
	const struct join_ops *ops = j->ops;
	void *arg = j->arg;

	join_cancel(j);
	ops->refuse(arg, fault);
}

void join_nothing(struct join *j)
{
	const struct join_ops *ops = j->ops;
	void *arg = j->arg;

	join_cancel(j);
	ops->nothing(arg);
}

void join_accept(struct join *j, struct block *first, size_t off, uint64_t generation, uint64_t seq)
{
	auto_buf struct buf head = BUF_INIT;
	struct viewer_start start = {.owner = j->owner,
				     .until_idle = j->until_idle,
				     .came_at = j->came_at,
				     .block = first,
				     .off = off,
				     .generation = generation,
				     .seq = seq};
	struct feed *f = j->feed;
	int fd = j->ops->accept(j->arg, &head);

	if (fd < 0) {
		(void)block_unref(first);
		join_cancel(j);
		return;
	}
	dissolve(j);
	viewer_start(f, fd, (struct str){head.data, head.len}, &start);
}
