/*
 * require.h - assertions about our own bugs.
 *
 * REQUIRE stays on in release builds: a broken invariant ends the process (the supervisor starts
 * a new one and the log says where to go on). Never use it for anything that a peer, a user, a
 * provider or the disk can cause: those are result codes.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(cond)                                                                           \
	do {                                                                                    \
		if (__builtin_expect(!(cond), 0)) {                                             \
			fprintf(stderr, "<0>%s:%d: broken invariant: %s\n", __FILE__, __LINE__, \
				#cond);                                                         \
			abort();                                                                \
		}                                                                               \
	} while (0)
