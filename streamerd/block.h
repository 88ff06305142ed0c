/*
 * block.h - a run of encoded SSE frames, shared by all viewers that send from it.
 *
 * A block holds the frames of consecutive events: the first follows the event named by
 * (before_generation, before_seq). It only ever grows at its end; whoever sends from it keeps a
 * reference and a byte offset, never a pointer into data (growing moves it).
 *
 * A block with n == 0 and len > 0 holds one frame that is not an event of its own: a snapshot,
 * which covers everything up to and including `before`.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/chat_event.h"

struct block {
	unsigned refs;
	uint32_t n; /* frames */
	uint32_t off_cap;
	size_t len, cap; /* bytes used, allocated */
	uint64_t before_generation, before_seq;
	uint64_t last_generation; /* of the last frame; before_generation if there is none */
	uint32_t *off;		  /* owned: where each frame starts */
	char *data;		  /* owned */
	uint64_t *account; /* borrowed: bytes are taken off it when the block is freed; or NULL */
};

struct block *block_new(uint64_t before_generation, uint64_t before_seq); /* one reference */
struct block *block_ref(struct block *b);
struct block *
block_unref(struct block *b); /* frees with the last one; NULL is fine; returns NULL */

/* Appends an encoded frame of the event (generation, block_last_seq() + 1). */
void block_add(struct block *b, uint64_t generation, struct str frame);
/* Appends bytes that are no event of their own. */
void block_add_raw(struct block *b, struct str bytes);
/* Adds what the block holds to *account, and takes it off again when it is freed. */
void block_charge(struct block *b, uint64_t *account);

uint64_t block_last_seq(const struct block *b);
/* 1 if the event after seq is in the block. */
int block_has_after(const struct block *b, uint64_t seq);
/* Where the frame after seq starts; block_has_after() must hold. */
size_t block_offset_after(const struct block *b, uint64_t seq);
/* The generation of event seq, which is `before` or one of the frames. */
uint64_t block_generation(const struct block *b, uint64_t seq);
/* How many whole frames end in (from, to]. */
uint32_t block_frames_between(const struct block *b, size_t from, size_t to);
/* 1 if off stands between two frames, or at either end. */
int block_is_between(const struct block *b, size_t off);
/* Where to stop that begins at off and wants about max bytes of whole frames: at least one's. */
size_t block_cut(const struct block *b, size_t off, size_t max);
/*
 * What a reader at byte off has: everything up to *ret_seq whole, and *ret_part bytes of the next.
 */
void block_position(const struct block *b, size_t off, uint64_t *ret_generation, uint64_t *ret_seq,
		    size_t *ret_part);
