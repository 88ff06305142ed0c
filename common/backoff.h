/*
 * backoff.h - how long to wait before the next try. Pure.
 */
#pragma once

#include <stdint.h>

/*
 * min * 2^attempt, at most max, less up to a quarter of jitter. attempt starts at 0. rnd is any
 * random number; the caller supplies it so that tests can.
 */
int64_t backoff_ms(unsigned attempt, int64_t min_ms, int64_t max_ms, uint32_t rnd);

uint32_t backoff_random(void); /* a random number for the above */
