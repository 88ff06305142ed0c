/*
 * json.h - what we do to JSON, on top of jansson.
 *
 * Reading: jansson, strict, from outside bytes. Writing documents: jansson. Writing the small
 * objects of the event path: json_add_*, straight into a buf.
 */
#pragma once

#include <jansson.h>

#include "common/buf.h"

/* Appends s as a JSON string with quotes. Bytes must be valid UTF-8 (all of ours come from
 * jansson). */
void json_add_string(struct buf *b, const char *s, size_t n);
/* Appends v compactly (no spaces, UTF-8 as it is, keys in insertion order). */
void json_add_value(struct buf *b, const json_t *v);
/*
 * For the start of a daemon: from now on a lack of memory inside jansson ends the process, as it
 * does in buf. Otherwise a good document would be told to be a broken one.
 */
void json_require_memory(void);

/* Compact text of v, malloc'ed. */
char *json_text(const json_t *v);
/* The first n bytes of s that are whole UTF-8 characters: returns a length <= n. */
size_t json_utf8_prefix(const char *s, size_t n);

/* Parses exactly one value. NULL on error; ret_error (may be NULL) then holds a message. */
json_t *json_read(const char *p, size_t n, char *ret_error, size_t error_size);

/* What e says, and where, as UTF-8 whatever the bytes were. */
void json_error_words(const json_error_t *e, char *ret, size_t size);

/* How deep v is nested: 0 for a scalar, 1 for a flat array. */
int json_depth(const json_t *v);
/* json_read() of what is nested no deeper than LIMIT_JSON_DEPTH; else NULL. */
json_t *json_read_flat(const char *p, size_t n);

/* Lookups that tolerate a NULL or non-object o and a wrong type. Borrowed. */
const char *json_get_str(const json_t *o, const char *key); /* NULL if absent */
int json_get_int(const json_t *o, const char *key,
		 long long *ret);		    /* 1 if an integer (or whole real) */
json_t *json_get(const json_t *o, const char *key); /* NULL if absent or null */
struct str json_str(const json_t *v);		    /* of a string, else empty. Borrowed */

static inline void json_auto_decref(json_t **v)
{
	json_decref(*v);
}
#define auto_json __attribute__((cleanup(json_auto_decref)))
