/*
 * hostile.h - the raw requests of tests/golden/http/hostile.txt, which explains their form.
 */
#pragma once

#include "common/buf.h"

#define HOSTILE_MAX_BODY 1024

struct hostile {
	char name[96];
	int status;   /* of the first answer */
	int requests; /* that reach the handler */
	struct buf bytes;
};

/* Reads the whole file ($HOSTILE_TXT); ends the test program if it can't be read. */
struct hostile *hostile_load(size_t *ret_n);
void hostile_free(struct hostile *all, size_t n);
