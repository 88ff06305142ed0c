/*
 * openai_stream.h - chunks of /chat/completions, mapped to an answer. Pure.
 */
#pragma once

#include "chatd/provider/answer.h"
#include "chatd/provider/sse_reader.h"

struct openai_stream {
	struct answer *answer; /* borrowed */
	bool done;	       /* [DONE] was seen */
	bool usage_is_top;     /* usage came from the chunk itself, not from x_groq */
	json_t *details;       /* reasoning_details so far; owned, or NULL */
	const char
		*tail_key; /* the member of the last detail whose text is still gathered in ... */
	struct buf tail;   /* ... here */
	struct buf reasoning_content;
	struct buf unescaped; /* text of the chunk at hand */
};

/* Embedded in its owner. The answer must outlive it. */
void openai_stream_init(struct openai_stream *s, struct answer *answer);
void openai_stream_fini(struct openai_stream *s);
/* One SSE event. What goes wrong is put into answer->problem; answer->over says when to stop. */
void openai_stream_event(struct openai_stream *s, const struct sse_event *ev);
/* The body was one JSON document instead of a stream: an error, or the whole answer. */
void openai_stream_document(struct openai_stream *s, const json_t *o);
/* The end of the answer: sets what can only be known then (echo, whole calls, truncation). */
void openai_stream_end(struct openai_stream *s);
