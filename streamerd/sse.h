/*
 * sse.h - the bytes of an event stream that are not events. Pure.
 */
#pragma once

#include "common/buf.h"
#include "proto/messages.h"
#include "streamerd/block.h"

/* Why a viewer is given a snapshot instead of what follows its cursor. */
enum sse_reason { SSE_NO_REASON, SSE_TOO_OLD, SSE_UNKNOWN, SSE_AHEAD, SSE_OTHER_HISTORY };

enum sse_reason sse_reason_of(struct str text); /* SSE_UNKNOWN for any other text */

/* Appends the response head and the first line. extra: complete header lines (CORS), or "". */
void sse_add_head(struct buf *b, const char *extra);

/* A block with the snapshot frame of what a worker sent. One reference, the caller's. */
struct block *sse_snapshot(struct str session_id, const struct msg_snapshot *s);
/* The same frame with the reason put into its JSON. One reference, the caller's. */
struct block *sse_snapshot_because(const struct block *snapshot, enum sse_reason reason);
/* 1 if the payload of a snapshot says that no turn runs. */
int sse_snapshot_is_idle(struct str payload);
/* 1 if the event ends a turn (API-5). */
int sse_is_terminal(unsigned type, struct str payload);

/* A comment line, sent so that neither side takes the connection for dead. */
#define SSE_HEARTBEAT	  ":\n\n"
#define SSE_HEARTBEAT_LEN 3
