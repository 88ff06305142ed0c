/*
 * hist.h - a histogram of times in µs, for millions of them: relative error below 2 %.
 */
#pragma once

#include <stdint.h>

#define HIST_STEPS 64 /* buckets in each power of two */

struct hist {
	uint64_t n;
	int64_t max;
	uint32_t count[40 * HIST_STEPS];
};

void hist_clear(struct hist *h);
void hist_add(struct hist *h, int64_t us);	      /* below 0 counts as 0 */
double hist_quantile(const struct hist *h, double q); /* q of 0..1; 0 if empty */
