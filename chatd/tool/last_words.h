/*
 * last_words.h - what a server wrote on its stderr last, for the reason why it is down. Pure.
 */
#pragma once

#include <stddef.h>

#include "common/limits.h"

/* Embedded; zero-initialised is empty. */
struct last_words {
	char line[LIMIT_TOOL_WHY + 1]; /* that is being written */
	size_t len;
	char last[LIMIT_TOOL_WHY + 1];	/* the last whole line that isn't blank */
	char error[LIMIT_TOOL_WHY + 1]; /* the last one that speaks of an error ... */
	unsigned since_error;		/* ... and how many came after it */
};

/*
 * Takes bytes as they come; whatever isn't printable ASCII becomes a blank, lines are cut. Calls
 * line for each whole line.
 */
void last_words_add(struct last_words *w, const char *p, size_t n,
		    void (*line)(void *arg, const char *text), void *arg);
/* The most telling of the last lines, "" if there is none. Borrowed. */
const char *last_words(const struct last_words *w);
