/*
 * demo_script.h - what the demo provider says to a question. Pure: the same question, the same
 * script, but for the ids of calls.
 *
 * Where a turn stands follows from the question alone: the tool results behind the last message of
 * the user, and the tools that are offered. So the show goes on where it was after a restart, and
 * on another worker.
 */
#pragma once

#include "chatd/provider/provider.h"

#define DEMO_MAX_STEPS 4

enum demo_step_kind {
	DEMO_REASONING,
	DEMO_TEXT,
	DEMO_FILL, /* the text, `chunks` times */
	DEMO_FAIL, /* a provider error ends the answer */
	DEMO_CALL  /* a call of `tool` ends it */
};

struct demo_step {
	enum demo_step_kind kind;
	struct buf text;  /* what to say; CALL: the arguments */
	size_t chunks;	  /* FILL */
	const char *tool; /* CALL: the model's name for it. Static */
};

struct demo_script {
	struct buf message; /* the user's last one */
	struct demo_step steps[DEMO_MAX_STEPS];
	size_t n;
};

/* Fills an empty (zeroed) script. */
void demo_script_write(struct demo_script *s, const struct question *q);
void demo_script_fini(struct demo_script *s);
