/*
 * sse_reader.h - server-sent events out of bytes that arrive in any pieces. Pure.
 *
 *	while (n > 0)
 *		switch (sse_reader_feed(r, &p, &n, &ev)) {
 *		case SSE_READER_EVENT: ...   ev borrows from r until the next call
 *		case SSE_READER_MORE: ...    all bytes are taken, none of them ends an event
 *		case SSE_READER_TOO_LONG: ...
 *		}
 *
 * The caller keeps what is not taken yet, so it may stop after any event and go on later.
 */
#pragma once

#include <stdbool.h>

#include "common/buf.h"

enum sse_reader_outcome {
	SSE_READER_MORE,
	SSE_READER_EVENT,
	SSE_READER_TOO_LONG, /* a line or an event above max_event; the reader is of no use any more
			      */
};

struct sse_event {
	struct str name; /* the `event` field; empty if there was none */
	struct str data; /* the `data` lines joined with \n */
	bool is_error;	 /* the line was "error: ..." (llama-box): data is its value */
};

struct sse_reader {
	size_t max_event;
	struct buf line; /* the line that is not complete yet */
	struct buf name;
	struct buf data;
	bool has_data;
	bool after_cr;	   /* a \n that comes now belongs to the line end already seen */
	bool told;	   /* name and data were handed out: clear them before going on */
	unsigned char bom; /* bytes of a byte order mark seen; BOM_DONE: no longer at the start */
};

/* Embedded in its owner. max_event limits a line and the data of one event, in bytes. */
void sse_reader_init(struct sse_reader *r, size_t max_event);
void sse_reader_fini(struct sse_reader *r);

/* Takes bytes from *p, *n up to the end of the next event. */
enum sse_reader_outcome sse_reader_feed(struct sse_reader *r, const char **p, size_t *n,
					struct sse_event *ret_event);
/*
 * The stream is over. SSE_READER_EVENT if an event without its blank line was left: the standard
 * drops it, a caller may take it if its data is whole. Call again until SSE_READER_MORE.
 */
enum sse_reader_outcome sse_reader_end(struct sse_reader *r, struct sse_event *ret_event);
