/*
 * dice.h - random numbers that a seed repeats (splitmix64).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct dice {
	uint64_t state; /* the seed, at first */
};

static inline uint64_t dice_roll(struct dice *d)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* 0 … n - 1 */
static inline int dice_below(struct dice *d, int n)
{
	return (int)(dice_roll(d) % (uint64_t)n);
}

/* True in `percent` of 100 rolls. */
static inline bool dice_is(struct dice *d, int percent)
{
	return dice_below(d, 100) < percent;
}
