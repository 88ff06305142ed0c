/*
 * chat_event.h - the events of a session, and their form for viewers.
 *
 * What the log stores and the bus carries is the payload: a JSON object with the members of that
 * event alone. What a viewer is sent is the payload with the common members put in front, as one
 * SSE frame. The frame follows from the row alone, so every viewer of an event gets the same
 * bytes, today and from the log in a year.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

/* number (stored in the log), NAME, event name, 1 if it ends a turn when it is not an error */
#define CHAT_EVENTS(E)                            \
	E(1, RESPONSE_START, "response_start")    \
	E(2, RESPONSE_CHUNK, "response_chunk")    \
	E(3, REASONING_CHUNK, "reasoning_chunk")  \
	E(4, TOOL_START, "tool_start")            \
	E(5, TOOL_INPUT, "tool_input")            \
	E(6, TOOL_PROGRESS, "tool_progress")      \
	E(7, TOOL_END, "tool_end")                \
	E(8, PROMPT_PENDING, "prompt_pending")    \
	E(9, PROMPT_RESOLVED, "prompt_resolved")  \
	E(10, RESPONSE_END, "response_end")       \
	E(11, ABORTED, "aborted")                 \
	E(12, ERROR, "error")                     \
	E(13, TURN_QUEUED, "turn_queued")         \
	E(14, TURN_RESUMED, "turn_resumed")       \
	E(15, SESSION_CLEARED, "session_cleared") \
	E(16, WARNING, "warning")

enum chat_event_type {
	CHAT_EVENT_SNAPSHOT = 0, /* never stored: built from the log */
#define E(num, name, text) CHAT_EVENT_##name = num,
	CHAT_EVENTS(E)
#undef E
		CHAT_EVENT_N
};

struct chat_event {
	struct str session_id; /* empty in a notice that is about no session: null for viewers */
	struct str turn_id;    /* empty where there is none: null for viewers */
	uint64_t generation;
	uint64_t seq; /* 0: a notice, not stored; null and without an id for viewers */
	int64_t ts;   /* Unix time in ms */
	enum chat_event_type type;
	struct str payload; /* a JSON object: "{...}" */
};

const char *chat_event_name(unsigned type); /* NULL if unknown */
int chat_event_type_of(const char *name);   /* -1 if unknown */

/* Appends the JSON object that a viewer reads: common members, then the payload's. */
void chat_event_add_json(struct buf *b, const struct chat_event *e);
/* Is it one that makes a session of interest to somebody who looks at all of them? */
bool chat_event_is_beginning(enum chat_event_type type);
/* Appends the SSE frame: id, event, one data line, blank line. */
void chat_event_add_frame(struct buf *b, const struct chat_event *e);

/* Parses "<generation>-<seq>" (1 to 20 digits each, nothing else). 1 if it is one. */
int chat_event_parse_id(struct str s, uint64_t *ret_generation, uint64_t *ret_seq);
