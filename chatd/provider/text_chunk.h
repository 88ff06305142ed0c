/*
 * text_chunk.h - what nearly every chunk of an answer is: a piece of text and nothing else. Pure.
 *
 * Such a chunk is read without making a document of it, at a tenth of the cost. Whatever has more
 * in it, or is written in an unusual way, is not taken, and means what the document says.
 */
#pragma once

#include <stdbool.h>

#include "common/buf.h"

/* Texts are borrowed from the chunk, or from room; absent and null are n = 0. */
struct text_chunk {
	struct str content;
	struct str reasoning_content, reasoning; /* openai: two names that servers use */
};

struct text_block_chunk {
	int64_t index;
	bool is_thinking;
	struct str text;
};

/*
 * An object with one choice of index 0 whose delta holds strings. False if it isn't that, or says
 * anything else that matters: a finish_reason, usage, calls, an error. room: empty, the caller's.
 */
bool text_chunk_openai(struct str chunk, struct buf *room, struct text_chunk *ret);
/* A content_block_delta with a text_delta or a thinking_delta. */
bool text_chunk_anthropic(struct str chunk, struct buf *room, struct text_block_chunk *ret);
