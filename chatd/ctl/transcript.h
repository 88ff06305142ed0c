/*
 * transcript.h - events and stored answers, written for a person at a terminal.
 */
#pragma once

#include <stdbool.h>

#include "common/json.h"
#include "proto/chat_event.h"

struct transcript {
	bool at_line_start; /* nothing stands on the current line */
	bool reasoning;	    /* show it */
	enum chat_event_type last;
};

void transcript_init(struct transcript *t, bool reasoning);
/* One event as it comes: text as text, everything else as a line in brackets. */
void transcript_event(struct transcript *t, const struct chat_event *e, const json_t *payload);
/* One row of v_messages, content and extra parsed. */
void transcript_message(const json_t *row);
/* One row of v_open_prompts, request parsed: what is asked, and how to answer it. */
void transcript_prompt(const json_t *row);
