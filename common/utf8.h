/*
 * utf8.h - UTF-8, one character at a time. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

/* The length of the character at p, of which n > 0 bytes are there; 0 if it is none: no overlong
 * form, no half of a surrogate pair, nothing beyond U+10FFFF. */
size_t utf8_length(const char *p, size_t n);
/* Are the n bytes characters, all of them? */
bool utf8_is_whole(const char *p, size_t n);
/* Appends n bytes, with U+FFFD in the place of each that belongs to no character. */
void utf8_add(struct buf *b, const char *p, size_t n);
