/*
 * agree.c - a random secret that processes have in common. See agree.h.
 *
 * Whoever finds a word 0 puts a random one there, in one atomic step. So nobody waits for anybody,
 * and one that dies in between leaves nothing half-done.
 */
#include "common/agree.h"

#include <sodium.h>
#include <stdatomic.h>
#include <string.h>

void agree_on_secret(_Atomic uint64_t *words, size_t n, void *ret_secret)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t none = 0, word = 0;

		while (!word)
			randombytes_buf(&word, sizeof(word));
		(void)atomic_compare_exchange_strong(&words[i], &none, word);
		word = atomic_load(&words[i]);
		memcpy((unsigned char *)ret_secret + i * sizeof(word), &word, sizeof(word));
		sodium_memzero(&word, sizeof(word));
	}
}
