/*
 * sse_scan.h - the events in a run of bytes of an event stream, for load that must be cheap.
 *
 * Not a full reader: lines end with LF, an event has one line of data, and of the data only
 * "@SEQ MADE_US " (see source_payload) is looked at.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SSE_ID_LEN    48   /* with the NUL; a longer id is taken for none */
#define SSE_FRAME_MAX 2048 /* longest frame that a viewer keeps in parts */

struct sse_frame {
	const char *id; /* borrowed from the bytes; NULL if there is none */
	size_t id_len;
	uint64_t id_seq; /* of an id GENERATION-SEQ or SEQ: its last number */
	bool is_snapshot;
	bool has_event; /* seq and made_us are set */
	uint64_t seq;
	int64_t made_us;
};

/* Fills in the first whole frame of p..end. Returns where the next begins, or NULL. */
char *sse_scan(char *p, const char *end, struct sse_frame *f);
