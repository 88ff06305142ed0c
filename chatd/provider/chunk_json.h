/*
 * chunk_json.h - JSON out of a provider's stream. Pure.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

/*
 * Strict first. What then fails is tried once more with lone surrogate escapes and bytes that are
 * not UTF-8 replaced by U+FFFD and integers beyond 64 bits taken as reals. NULL if it is still no
 * JSON. Strings may hold U+0000: use json_string_length().
 */
json_t *chunk_json_read(const char *p, size_t n);
/* 1 if n bytes are one whole JSON value. */
int chunk_json_is_whole(const char *p, size_t n);
