/*
 * tail.c - the newest events of a session, as frames, in memory. See tail.h.
 *
 * The last block takes frames until it is full, then the next begins; when there is no room for
 * another, the oldest goes. There is always a last block, if only an empty one, so that a viewer
 * that has everything can stand at its end and be woken without a look-up.
 */
#include "streamerd/tail.h"

#include <string.h>

#include "common/require.h"

void tail_fini(struct tail *t)
{
	for (unsigned i = 0; i < t->n; i++)
		t->blocks[i] = block_unref(t->blocks[i]);
	t->n = 0;
}

void tail_reset(struct tail *t, uint64_t generation, uint64_t seq)
{
	tail_fini(t);
	t->blocks[t->n++] = block_new(generation, seq);
}

struct block *tail_last(const struct tail *t)
{
	REQUIRE(t->n > 0);
	return t->blocks[t->n - 1];
}

uint64_t tail_first_seq(const struct tail *t)
{
	REQUIRE(t->n > 0);
	return t->blocks[0]->before_seq;
}

uint64_t tail_last_seq(const struct tail *t)
{
	return block_last_seq(tail_last(t));
}

uint64_t tail_last_generation(const struct tail *t)
{
	return tail_last(t)->last_generation;
}

struct block *tail_add(struct tail *t, uint64_t generation, struct str frame)
{
	struct block *last = tail_last(t);
	struct block *gone = NULL;

	if (last->n > 0 && last->len + frame.n > LIMIT_TAIL_BLOCK) {
		if (t->n == LIMIT_TAIL_BLOCKS) {
			gone = t->blocks[0];
			t->n--;
			for (size_t i = 0; i < t->n; i++)
				t->blocks[i] = t->blocks[i + 1];
		}
		last = block_new(last->last_generation, block_last_seq(last));
		t->blocks[t->n++] = last;
	}
	block_add(last, generation, frame);
	return gone;
}

struct block *tail_find_after(const struct tail *t, uint64_t seq)
{
	/* newest first: that is where almost everybody is */
	for (unsigned i = t->n; i-- > 0;) {
		if (block_has_after(t->blocks[i], seq))
			return t->blocks[i];
	}
	return NULL;
}
