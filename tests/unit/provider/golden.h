/*
 * golden.h - the recorded cases under tests/golden/providers.
 */
#pragma once

#include <jansson.h>

#include "common/buf.h"

struct golden {
	char name[256]; /* "openai/text_unicode" */
	struct buf body;
	json_t *expect;
};

/* Calls fn for each case whose body ends in suffix (".sse", ".body"); returns how many. */
int golden_each(const char *suffix, void (*fn)(const struct golden *g, void *arg), void *arg);
