/*
 * agree.h - a random secret that processes have in common, without one of them having to be first.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * words: n of them, in memory that the processes share, 0 before anyone came. Whoever comes is
 * given the same n * 8 bytes, none of the words 0.
 */
void agree_on_secret(_Atomic uint64_t *words, size_t n, void *ret_secret);
