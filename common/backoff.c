/*
 * backoff.c - how long to wait before the next try. See backoff.h.
 */
#include "common/backoff.h"

#include <sys/random.h>

int64_t backoff_ms(unsigned attempt, int64_t min_ms, int64_t max_ms, uint32_t rnd)
{
	int64_t ms = min_ms;

	for (unsigned i = 0; i < attempt && ms < max_ms; i++)
		ms *= 2;
	if (ms > max_ms)
		ms = max_ms;
	return ms - ms * (rnd % 256) / 1024;
}

uint32_t backoff_random(void)
{
	uint32_t r = 0;

	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != (ssize_t)sizeof(r))
		return 0; /* no jitter is better than no answer */
	return r;
}
