/*
 * hist.c - a histogram of times in µs. See hist.h.
 *
 * Below HIST_STEPS a bucket is one µs; above, each power of two has HIST_STEPS of the same width.
 */
#include "tests/bench/hist.h"

#include <string.h>

#define SHIFT 6 /* log2 of HIST_STEPS */

void hist_clear(struct hist *h)
{
	memset(h, 0, sizeof(*h));
}

static unsigned bucket_of(uint64_t v)
{
	unsigned power;

	if (v < HIST_STEPS)
		return (unsigned)v;
	power = 63 - (unsigned)__builtin_clzll(v) - SHIFT;
	return (power + 1) * HIST_STEPS + (unsigned)(v >> power) - HIST_STEPS;
}

static double middle_of(unsigned bucket)
{
	unsigned power = bucket / HIST_STEPS;

	if (power == 0)
		return bucket;
	return ((double)(bucket % HIST_STEPS + HIST_STEPS) + 0.5) * (double)(1ULL << (power - 1));
}

void hist_add(struct hist *h, int64_t us)
{
	unsigned b = us > 0 ? bucket_of((uint64_t)us) : 0;

	if (b >= sizeof(h->count) / sizeof(h->count[0]))
		b = sizeof(h->count) / sizeof(h->count[0]) - 1;
	h->count[b]++;
	h->n++;
	if (us > h->max)
		h->max = us;
}

double hist_quantile(const struct hist *h, double q)
{
	uint64_t rank = (uint64_t)(q * (double)h->n), seen = 0;

	if (h->n == 0)
		return 0;
	if (rank >= h->n)
		return (double)h->max;
	for (unsigned b = 0; b < sizeof(h->count) / sizeof(h->count[0]); b++) {
		seen += h->count[b];
		if (seen > rank)
			return middle_of(b) < (double)h->max ? middle_of(b) : (double)h->max;
	}
	return (double)h->max;
}
