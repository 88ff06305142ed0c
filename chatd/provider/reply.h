/*
 * reply.h - the body of a 200, from bytes to an answer. Pure.
 *
 *	while (n > 0 && reply_feed(r, &p, &n))
 *		tell the deltas of r->answer; stop if it is over
 *	at the end of the body: reply_end(r), then answer_result()
 */
#pragma once

#include "chatd/provider/anthropic_stream.h"
#include "chatd/provider/openai_stream.h"

enum dialect { DIALECT_OPENAI, DIALECT_ANTHROPIC };

enum reply_form { REPLY_UNKNOWN, REPLY_STREAM, REPLY_DOCUMENT, REPLY_HTML };

struct reply {
	enum dialect dialect;
	enum reply_form form;
	struct answer answer;
	struct sse_reader reader;
	struct buf document; /* a body that is JSON, not a stream */
	union {
		struct openai_stream openai;
		struct anthropic_stream anthropic;
	} stream;
};

/* Embedded in its owner, which must not move it. */
void reply_init(struct reply *r, enum dialect dialect);
void reply_fini(struct reply *r);
/*
 * Takes bytes up to the end of one event. True: an event was mapped, look at r->answer before
 * the next call. False: all bytes are taken.
 */
bool reply_feed(struct reply *r, const char **p, size_t *n);
/* The body is over. More deltas may have come. Call it once. */
void reply_end(struct reply *r);
