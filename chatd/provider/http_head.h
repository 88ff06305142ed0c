/*
 * http_head.h - status and header lines of a provider's answer. Pure.
 */
#pragma once

#include <stdbool.h>

#include "common/buf.h"

struct http_head {
	int status;	  /* 0: no status line yet */
	struct buf lines; /* "Name: value\n" each, as received */
};

/* Embedded in its owner; zero-initialised is empty. */
void http_head_fini(struct http_head *h);
void http_head_set(struct http_head *h, int status); /* empties it */
/* Takes one line of the head, line end or not. A status line starts over (1xx answers). */
void http_head_add(struct http_head *h, const char *p, size_t n);
/* The first header of that name (lower case), without blanks around it; cut to size. False: none.
 */
bool http_head_get(const struct http_head *h, const char *name, char *out, size_t size);
