/*
 * shard.c - which worker owns a session. See shard.h. FNV-1a: short keys, no secret needed, since
 * session ids are ours and random.
 */
#include "proto/shard.h"

#include <stdint.h>

#include "common/require.h"

unsigned shard_of(struct str session_id, unsigned workers)
{
	uint64_t h = 14695981039346656037u;

	REQUIRE(workers > 0);
	for (size_t i = 0; i < session_id.n; i++) {
		h ^= (unsigned char)session_id.p[i];
		h *= 1099511628211u;
	}
	return (unsigned)((h ^ (h >> 32)) % workers);
}
