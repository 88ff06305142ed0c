/*
 * catchup.c - replay pages. See catchup.h.
 *
 *	FETCHING --replayed--> READY     used by whoever stands in it; the newest few are kept
 *	    |-----refused----> REFUSED   seen by all who wait in this pass, then dropped
 *	    `-----no answer--> dropped; viewers ask again
 *
 * Memory: a page lives as long as a viewer sends from it, or as it is one of the feed's newest
 * LIMIT_REPLAY_PAGES. When all pages together exceed LIMIT_REPLAY_MEMORY none is fetched; viewers
 * wait, and the stall limit frees what slow ones hold. Pages never go beyond the tail's end: what
 * comes after it comes live.
 */
#include "streamerd/catchup.h"

#include <stdlib.h>
#include <string.h>

#include "common/id.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/require.h"
#include "proto/replay.h"
#include "streamerd/backend.h"
#include "streamerd/feed.h"
#include "streamerd/stats.h"

enum page_state { FETCHING, READY, REFUSED };

struct page {
	TAILQ_ENTRY(page) link;
	struct feed *feed; /* borrowed */
	enum page_state state;
	uint64_t generation, seq; /* what it follows */
	uint64_t req;		  /* the open call while fetching */
	struct block *block;	  /* owned reference once READY */
	enum sse_reason reason;	  /* once REFUSED */
};

void catchup_init(struct catchup *c, struct feed *f)
{
	c->feed = f;
	TAILQ_INIT(&c->pages);
}

static void page_free(struct page *p)
{
	struct feed *f = p->feed;

	TAILQ_REMOVE(&f->catchup.pages, p, link);
	if (p->req)
		backend_forget(hub_backend(f->hub), f->worker, p->req);
	(void)block_unref(p->block);
	free(p);
}

static void free_those(struct catchup *c, enum page_state state)
{
	struct page *p, *next;

	for (p = TAILQ_FIRST(&c->pages); p; p = next) {
		next = TAILQ_NEXT(p, link);
		if (p->state == state)
			page_free(p);
	}
}

void catchup_forget(struct catchup *c)
{
	free_those(c, FETCHING);
}

void catchup_fini(struct catchup *c)
{
	struct page *p;

	while ((p = TAILQ_FIRST(&c->pages)))
		page_free(p);
}

/* Can this record be passed on as the one after seq? */
static int is_next(const struct chat_event *e, uint64_t seq)
{
	struct str s = e->payload;

	return e->seq == seq + 1 &&
	       (e->turn_id.n == 0 || id_is_plausible(e->turn_id.p, e->turn_id.n)) && s.n >= 2 &&
	       s.p[0] == '{' && s.p[s.n - 1] == '}' && !memchr(s.p, '\n', s.n) &&
	       !memchr(s.p, '\r', s.n);
}

/* The block of a page's records; NULL if they are not what was asked for. */
static struct block *read_page(struct feed *f, const struct page *p, struct str records)
{
	struct block *b = block_new(p->generation, p->seq);
	uint64_t end = tail_last_seq(&f->tail);
	auto_buf struct buf frame = BUF_INIT;
	struct chat_event e;
	size_t pos = 0;
	int r;

	while ((r = replay_next(records, &pos, &e)) > 0 && is_next(&e, block_last_seq(b)) &&
	       e.seq <= end) {
		e.session_id = f->session_id;
		buf_clear(&frame);
		chat_event_add_frame(&frame, &e);
		block_add(b, e.generation, (struct str){frame.data, frame.len});
		if (e.type == CHAT_EVENT_SESSION_CLEARED)
			f->cleared_seq = e.seq;
	}
	if (r < 0 || b->n == 0)
		return block_unref(b);
	return b;
}

static void refuse(struct page *p, enum sse_reason reason)
{
	p->state = REFUSED;
	p->reason = reason;
}

static void take_page(struct feed *f, struct page *p, const struct msg_replayed *m)
{
	uint64_t end = tail_last_seq(&f->tail);

	stats->pages_in++;
	if (m->fault != FAULT_NONE) {
		refuse(p, sse_reason_of(m->reason));
		return;
	}
	p->block = read_page(f, p, m->events);
	if (p->block) {
		p->state = READY;
		block_charge(p->block, &stats->page_bytes);
	} else if (p->seq > end) {
		refuse(p, SSE_AHEAD);
	} else if (p->seq == end && m->events.n == 0) {
		page_free(p); /* the tail's end moved here meanwhile: look again */
	} else {
		log_error("feed.answer", "session=%s what=replay after=%llu", f->session_id.p,
			  (unsigned long long)p->seq);
		refuse(p, SSE_UNKNOWN);
	}
}

static void on_replayed(void *arg, const struct msg *answer, enum fault why)
{
	struct page *p = arg;
	struct feed *f = p->feed;

	p->req = 0;
	hub_mark(f->hub, f);
	if (answer && answer->type == MSG_REPLAYED)
		why = (enum fault)answer->replayed.fault;
	else if (answer)
		why = answer->type == MSG_REPLY ? (enum fault)answer->reply.fault : FAULT_INTERNAL;
	if (answer && answer->type == MSG_REPLAYED &&
	    (why == FAULT_NONE || why == FAULT_BAD_FIELD)) {
		take_page(f, p, &answer->replayed);
		return;
	}
	f->join_fault = why;
	if (why == FAULT_SESSION_NOT_FOUND)
		f->is_gone = true;
	else
		feed_rest(f);
	page_free(p);
}

static void fetch(struct catchup *c, uint64_t generation, uint64_t seq)
{
	struct feed *f = c->feed;
	struct msg m = {.type = MSG_REPLAY,
			.replay = {.owner = f->owner,
				   .session_id = f->session_id,
				   .generation = generation,
				   .seq = seq}};
	struct page *p;

	if (f->state != FEED_LIVE || feed_is_resting(f))
		return; /* asked again later */
	if (stats->page_bytes > LIMIT_REPLAY_MEMORY) {
		hub_retry(f->hub);
		return;
	}
	p = calloc(1, sizeof(*p));
	REQUIRE(p);
	p->feed = f;
	p->generation = generation;
	p->seq = seq;
	TAILQ_INSERT_HEAD(&c->pages, p, link);
	p->req = backend_call(hub_backend(f->hub), f->worker, &m, on_replayed, p);
	if (!p->req) {
		page_free(p);
		feed_rest(f);
	}
}

int catchup_locate(struct catchup *c, uint64_t generation, uint64_t seq, struct feed_place *ret)
{
	struct page *p;

	TAILQ_FOREACH (p, &c->pages, link) {
		if (p->state == READY && block_has_after(p->block, seq)) {
			if (block_generation(p->block, seq) != generation) {
				ret->reason = SSE_OTHER_HISTORY;
				return FEED_REFUSED;
			}
			ret->block = p->block;
			ret->off = block_offset_after(p->block, seq);
			return FEED_FOUND;
		}
		if (p->state != READY && p->generation == generation && p->seq == seq) {
			ret->reason = p->reason;
			return p->state == REFUSED ? FEED_REFUSED : FEED_WAIT;
		}
	}
	fetch(c, generation, seq);
	return FEED_WAIT;
}

void catchup_settled(struct catchup *c)
{
	struct page *p, *next;
	int kept = 0;

	for (p = TAILQ_FIRST(&c->pages); p; p = next) {
		next = TAILQ_NEXT(p, link);
		if (p->state == REFUSED || (p->state == READY && ++kept > LIMIT_REPLAY_PAGES))
			page_free(p);
	}
}
