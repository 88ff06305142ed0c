/*
 * quota.c - counts under a limit that several processes keep together. See quota.h.
 *
 *	memory: | secret | area of process 0 | area of process 1 | ...
 *	area:   | wants  | bucket 0: 16 words | bucket 1 | ...
 *	word:   | tag of a name, 40 bits | how many, 24 bits |		0: free
 *
 * A key is a tag and the number of a bucket. A name's word may stand anywhere in its bucket, in
 * each area; it stays where it is while it counts somebody. So the number of a name is the sum of
 * one word of each area, each of which one process writes, by single stores.
 *
 * Entering: say which key is wanted; then look who else wants it, then add up who is in; if all of
 * them are fewer than max, count; want nothing any more. Of several who enter at once, the last to
 * have said so finds every other one either wanting or counted, for it looks at wants first and
 * a process counts before it ceases to want. So max is never passed. But two who want the last
 * place may each see the other, and neither would get it: then who has a lower index keeps on
 * wanting and looks again, and the others step back until it is done. PATIENCE bounds that, for a
 * process may be stopped just there.
 *
 * All of this is sequentially consistent; the proof needs a store to be seen before a later load.
 *
 * Other processes could write to our area, if one of them were taken over: then numbers are wrong,
 * and nothing else is.
 */
#include "common/quota.h"

#include <sched.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/agree.h"
#include "common/limits.h"
#include "common/require.h"

#define PAGE	 4096
#define PATIENCE 1000 /* looks at a process that is on its way in: well over any that runs */
#define WAYS	 16   /* names in a bucket: two lines of a cache */
#define BUCKETS	 (LIMIT_QUOTA_NAMES / WAYS)
#define COUNT	 0xffffffU /* bits of a word, and of a key: no tag */

#define SECRET_WORDS (crypto_shorthash_KEYBYTES / sizeof(uint64_t))

struct bucket {
	_Atomic uint64_t words[WAYS];
};

struct area {
	_Alignas(PAGE) _Atomic uint64_t wants; /* a key, or 0 */
	_Alignas(PAGE) struct bucket buckets[BUCKETS];
};

struct memory {
	_Alignas(PAGE) _Atomic uint64_t secret[SECRET_WORDS]; /* none is 0 */
	struct area areas[];
};

struct quota {
	struct memory *memory; /* borrowed, or owned */
	bool is_own;
	unsigned index, processes;
	unsigned char secret[crypto_shorthash_KEYBYTES];
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "shared between processes");
_Static_assert((BUCKETS & (BUCKETS - 1)) == 0 && BUCKETS <= COUNT / 2, "a bucket's number fits");
_Static_assert(sizeof(uint64_t) == crypto_shorthash_BYTES, "a hash is a key");

size_t quota_bytes(unsigned processes)
{
	return sizeof(struct memory) + processes * sizeof(struct area);
}

void quota_area_at(unsigned index, size_t *ret_offset, size_t *ret_length)
{
	*ret_offset = sizeof(struct memory) + index * sizeof(struct area);
	*ret_length = sizeof(struct area);
}

struct quota *quota_new(void *memory, unsigned index, unsigned processes)
{
	struct quota *q = calloc(1, sizeof(*q));

	REQUIRE(q && index < processes && processes <= LIMIT_PROCESSES);
	q->is_own = !memory;
	if (!memory)
		memory = mmap(NULL, quota_bytes(processes), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	REQUIRE(memory != MAP_FAILED);
	q->memory = memory;
	q->index = index;
	q->processes = processes;
	agree_on_secret(q->memory->secret, SECRET_WORDS, q->secret);
	return q;
}

void quota_free(struct quota *q)
{
	if (!q)
		return;
	if (q->is_own)
		(void)munmap(q->memory, quota_bytes(q->processes));
	free(q);
}

uint64_t quota_key(const struct quota *q, enum quota_kind kind, struct str name)
{
	unsigned char secret[crypto_shorthash_KEYBYTES];
	unsigned char hash[crypto_shorthash_BYTES];
	uint64_t key;

	memcpy(secret, q->secret, sizeof(secret));
	secret[0] ^= (unsigned char)kind; /* another function for each kind */
	(void)crypto_shorthash(hash, (const unsigned char *)name.p, name.n, secret);
	memcpy(&key, hash, sizeof(key));
	/* the bits between tag and bucket say nothing; one of them makes sure that it is not 0 */
	return (key & ~(uint64_t)COUNT) | (key & (BUCKETS - 1)) | BUCKETS;
}

/* --- an area --- */

static struct bucket *bucket_of(struct area *a, uint64_t key)
{
	return &a->buckets[key & (BUCKETS - 1)];
}

static bool is_of(uint64_t word, uint64_t key)
{
	return word && ((word ^ key) & ~(uint64_t)COUNT) == 0;
}

static uint64_t count_in(struct area *a, uint64_t key)
{
	struct bucket *b = bucket_of(a, key);

	for (int i = 0; i < WAYS; i++) {
		uint64_t word = atomic_load(&b->words[i]);

		if (is_of(word, key))
			return word & COUNT;
	}
	return 0;
}

/* The word of key in our own area, or a free one; NULL: there is none. */
static _Atomic uint64_t *own_word(struct quota *q, uint64_t key)
{
	struct bucket *b = bucket_of(&q->memory->areas[q->index], key);
	_Atomic uint64_t *empty = NULL;

	for (int i = 0; i < WAYS; i++) {
		uint64_t word = atomic_load_explicit(&b->words[i], memory_order_relaxed);

		if (is_of(word, key))
			return &b->words[i];
		if (!word && !empty)
			empty = &b->words[i];
	}
	return empty;
}

uint64_t quota_count(const struct quota *q, uint64_t key)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < q->processes; i++)
		n += count_in(&q->memory->areas[i], key);
	return n;
}

/* --- entering --- */

static bool wants(const struct quota *q, unsigned index, uint64_t key)
{
	return atomic_load(&q->memory->areas[index].wants) == key;
}

static void want(struct quota *q, uint64_t key)
{
	atomic_store(&q->memory->areas[q->index].wants, key);
}

/* Others that are on their way in; *ret_before: one of them goes before us. */
static unsigned count_rivals(const struct quota *q, uint64_t key, bool *ret_before)
{
	unsigned n = 0;

	*ret_before = false;
	for (unsigned i = 0; i < q->processes; i++) {
		if (i == q->index || !wants(q, i, key))
			continue;
		n++;
		*ret_before |= i < q->index;
	}
	return n;
}

/* With our wish known: is there a place for us? */
static bool may_enter(struct quota *q, uint64_t key, unsigned max)
{
	for (int looks = 0; looks < PATIENCE; looks++) {
		bool before;
		unsigned rivals = count_rivals(q, key, &before);
		uint64_t in = quota_count(q, key);

		if (in + rivals < max)
			return true;
		if (in >= max)
			return false;
		if (before) { /* and they must not wait for us */
			want(q, 0);
			while (before && ++looks < PATIENCE) {
				(void)sched_yield();
				(void)count_rivals(q, key, &before);
			}
			want(q, key);
		} else {
			(void)sched_yield();
		}
	}
	return false;
}

bool quota_enter(struct quota *q, uint64_t key, unsigned max)
{
	_Atomic uint64_t *own = own_word(q, key);
	uint64_t word;
	bool enters;

	if (!own)
		return false;
	word = atomic_load_explicit(own, memory_order_relaxed);
	want(q, key);
	enters = (word & COUNT) < COUNT && may_enter(q, key, max);
	if (enters)
		atomic_store(own, word ? word + 1 : (key & ~(uint64_t)COUNT) | 1);
	want(q, 0);
	return enters;
}

void quota_leave(struct quota *q, uint64_t key)
{
	_Atomic uint64_t *own = own_word(q, key);
	uint64_t word = own ? atomic_load_explicit(own, memory_order_relaxed) : 0;

	if (is_of(word, key) && (word & COUNT)) /* others can write there: they are not to end us */
		atomic_store(own, (word & COUNT) == 1 ? 0 : word - 1);
}
