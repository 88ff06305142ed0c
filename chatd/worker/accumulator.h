/*
 * accumulator.h - what the events of a turn add up to.
 *
 * The one place where events become state: the snapshot of a running turn, the stored answer of a
 * finished one and what is rebuilt after a crash all come from here, so they can't disagree. Pure:
 * no clock, no log.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "proto/chat_event.h"

struct accumulator {
	struct buf content, reasoning; /* UTF-8, not escaped */
	json_t *tools;		       /* array of tool invocations, in the order of their start */
	json_t *prompts;	       /* array of open prompts */
	json_t *usage;		       /* object or NULL */
	json_t *error;		       /* {"code","message"} or NULL */
	char *stop_reason, *refusal;   /* NULL if none */
};

void accumulator_init(struct accumulator *a);
void accumulator_fini(struct accumulator *a);
void accumulator_reset(struct accumulator *a); /* as of the start of a turn */

/* Applies one event. Payloads of unknown shape change nothing. */
void accumulator_apply(struct accumulator *a, enum chat_event_type type, const json_t *payload);
/* The same for a chunk of text without going through JSON. */
void accumulator_add_text(struct accumulator *a, enum chat_event_type type, const char *p,
			  size_t n);

/* Unicode characters of the text so far: `at` of a tool_start, where in the text a call stands. */
int64_t accumulator_characters(const struct accumulator *a);

/* Members of a stored answer beside its content: {reasoning?, tool_invocations?, refusal?, usage?,
 * error?}. */
json_t *accumulator_extra(const struct accumulator *a);
/* Takes over a stored answer (content and the above). */
void accumulator_load(struct accumulator *a, const json_t *answer, const char *stop_reason);

/* Appends ,"content":…,"reasoning":…,"tool_invocations":…, … ,"error":… : the snapshot's part.
 * error: shown if the turn has none of its own; may be NULL. */
void accumulator_add_snapshot(struct buf *b, const struct accumulator *a, const json_t *error);
/* The payload of turn_resumed: {"content","reasoning","tool_invocations","pending_prompts"}. */
json_t *accumulator_resumed(const struct accumulator *a); /* new reference */
