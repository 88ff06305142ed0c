/*
 * block.c - a run of encoded SSE frames, shared by all viewers that send from it. See block.h.
 *
 * Memory doubles from a small start: thousands of quiet sessions have one short block each. The
 * generation of a frame is not kept beside it but read from its first line ("id: 3-17"): it is
 * asked for once a join, not once an event.
 */
#include "streamerd/block.h"

#include <stdlib.h>
#include <string.h>

#include "common/require.h"

struct block *block_new(uint64_t before_generation, uint64_t before_seq)
{
	struct block *b = calloc(1, sizeof(*b));

	REQUIRE(b);
	b->refs = 1;
	b->before_generation = before_generation;
	b->last_generation = before_generation;
	b->before_seq = before_seq;
	return b;
}

struct block *block_ref(struct block *b)
{
	b->refs++;
	return b;
}

struct block *block_unref(struct block *b)
{
	if (!b || --b->refs > 0)
		return NULL;
	if (b->account)
		*b->account -= b->len;
	free(b->off);
	free(b->data);
	free(b);
	return NULL;
}

void block_add_raw(struct block *b, struct str bytes)
{
	REQUIRE(!b->account && bytes.n < UINT32_MAX / 2 && b->len < UINT32_MAX / 2);
	if (b->len + bytes.n > b->cap) {
		size_t cap = b->cap ? b->cap : 512;

		while (cap < b->len + bytes.n)
			cap *= 2;
		b->data = realloc(b->data, cap);
		REQUIRE(b->data);
		b->cap = cap;
	}
	memcpy(b->data + b->len, bytes.p, bytes.n);
	b->len += bytes.n;
}

void block_add(struct block *b, uint64_t generation, struct str frame)
{
	if (b->n == b->off_cap) {
		b->off_cap = b->off_cap ? b->off_cap * 2 : 8;
		b->off = realloc(b->off, b->off_cap * sizeof(*b->off));
		REQUIRE(b->off);
	}
	b->off[b->n++] = (uint32_t)b->len;
	b->last_generation = generation;
	block_add_raw(b, frame);
}

void block_charge(struct block *b, uint64_t *account)
{
	REQUIRE(!b->account);
	b->account = account;
	*account += b->len;
}

uint64_t block_last_seq(const struct block *b)
{
	return b->before_seq + b->n;
}

int block_has_after(const struct block *b, uint64_t seq)
{
	return seq >= b->before_seq && seq < block_last_seq(b);
}

size_t block_offset_after(const struct block *b, uint64_t seq)
{
	REQUIRE(block_has_after(b, seq));
	return b->off[seq - b->before_seq];
}

uint64_t block_generation(const struct block *b, uint64_t seq)
{
	const char *p;
	uint64_t generation = 0;

	REQUIRE(seq >= b->before_seq && seq <= block_last_seq(b));
	if (seq == b->before_seq)
		return b->before_generation;
	p = b->data + b->off[seq - b->before_seq - 1] + strlen("id: ");
	for (; *p >= '0' && *p <= '9'; p++)
		generation = generation * 10 + (uint64_t)(*p - '0');
	return generation;
}

/* The number of frames that start at or before off. */
static uint32_t started(const struct block *b, size_t off)
{
	uint32_t lo = 0, hi = b->n;

	if (hi > 0 && b->off[hi - 1] <= off)
		return hi; /* nearly always: everybody is near the end */
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (b->off[mid] <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The number of frames that are whole at off. */
static uint32_t whole(const struct block *b, size_t off)
{
	uint32_t n = started(b, off);

	return n == b->n && off == b->len ? n : n ? n - 1 : 0;
}

uint32_t block_frames_between(const struct block *b, size_t from, size_t to)
{
	return whole(b, to) - whole(b, from);
}

int block_is_between(const struct block *b, size_t off)
{
	uint32_t n = started(b, off);

	return off == 0 || off == b->len || (n && b->off[n - 1] == off);
}

size_t block_cut(const struct block *b, size_t off, size_t max)
{
	uint32_t here = started(b, off), there;

	if (b->len - off <= max || b->n == 0)
		return b->len;
	there = started(b, off + max);
	if (there > here)
		return b->off[there - 1];
	return here < b->n ? b->off[here] : b->len;
}

void block_position(const struct block *b, size_t off, uint64_t *ret_generation, uint64_t *ret_seq,
		    size_t *ret_part)
{
	uint32_t n = whole(b, off);

	REQUIRE(b->n > 0);
	*ret_seq = b->before_seq + n;
	*ret_generation = block_generation(b, *ret_seq);
	*ret_part = off - (n == b->n ? b->len : b->off[n]);
}
