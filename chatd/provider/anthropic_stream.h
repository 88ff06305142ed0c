/*
 * anthropic_stream.h - events of /v1/messages, mapped to an answer. Pure.
 */
#pragma once

#include "chatd/provider/answer.h"
#include "chatd/provider/sse_reader.h"

/* A content block that may still grow. */
struct anthropic_block {
	int64_t index;
	json_t *object;	      /* owned: as it came, plus what was added to it */
	const char *text_key; /* the member that text gathers for, or NULL; static */
	struct buf text;
	struct buf input; /* partial_json, concatenated */
	int call;	  /* number of the call in the answer, -1 if it is none of ours */
	bool stopped;
};

struct anthropic_stream {
	struct answer *answer; /* borrowed */
	struct anthropic_block *blocks;
	size_t n_blocks, cap_blocks;
	bool done;	      /* message_stop was seen */
	struct buf unescaped; /* text of the event at hand */
};

/* Embedded in its owner. The answer must outlive it. */
void anthropic_stream_init(struct anthropic_stream *s, struct answer *answer);
void anthropic_stream_fini(struct anthropic_stream *s);
/* One SSE event. What goes wrong is put into answer->problem; answer->over says when to stop. */
void anthropic_stream_event(struct anthropic_stream *s, const struct sse_event *ev);
/* The body was one JSON document instead of a stream. */
void anthropic_stream_document(struct anthropic_stream *s, const json_t *o);
/*
 * The end of the answer. Sets answer->echo: the array of content blocks as they must go back.
 * There `input` is a string, the raw text of the JSON object that the model wrote, because its
 * bytes are never re-serialised; anthropic.c puts it into a request as it is.
 */
void anthropic_stream_end(struct anthropic_stream *s);
