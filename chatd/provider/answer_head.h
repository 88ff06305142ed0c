/*
 * answer_head.h - status and header lines of a provider's answer. Pure.
 */
#pragma once

#include <stdbool.h>

#include "common/buf.h"

struct answer_head {
	int status;	  /* 0: no status line yet */
	struct buf lines; /* "Name: value\n" each, as received */
};

/* Embedded in its owner; zero-initialised is empty. */
void answer_head_fini(struct answer_head *h);
void answer_head_set(struct answer_head *h, int status); /* empties it */
/* Takes one line of the head, line end or not. A status line starts over (1xx answers). */
void answer_head_add(struct answer_head *h, const char *p, size_t n);
/* The first header of that name (lower case), without blanks around it; cut to size. False: none.
 */
bool answer_head_get(const struct answer_head *h, const char *name, char *out, size_t size);
