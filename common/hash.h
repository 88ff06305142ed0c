/*
 * hash.h - uthash, with our way of running out of memory.
 */
#pragma once

#include "common/require.h"

/* memory of a size of our own choosing that can't be had ends the process, and says so */
#define uthash_fatal(message) REQUIRE(!(message))

#include <uthash.h>

/*
 * Static analysis is of our code, not of uthash's: inlined, a look-up alone is 150 statements, and
 * of a table that an element is removed from, the analyzer believes that it might still lead to
 * that element. To it they are calls of which it knows nothing but their arguments and their
 * result.
 */
#ifdef __clang_analyzer__
void *hash_found(const void *head, const void *key, size_t n);
void *hash_with(void *head, const void *key, size_t n, void *element);
void *hash_without(void *head, void *element);

#undef HASH_FIND
#undef HASH_ADD
#undef HASH_ADD_KEYPTR
#undef HASH_DELETE
#define HASH_FIND(hh, head, key, n, ret)       ((ret) = hash_found(head, key, n))
#define HASH_ADD(hh, head, field, n, add)      ((head) = hash_with(head, &(add)->field, n, add))
#define HASH_ADD_KEYPTR(hh, head, key, n, add) ((head) = hash_with(head, key, n, add))
#define HASH_DELETE(hh, head, del)	       ((head) = hash_without(head, del))
#endif
