/*
 * utf8.h - UTF-8, one character at a time. Pure.
 */
#pragma once

#include <stddef.h>

/* The length of the character at p, of which n > 0 bytes are there; 0 if it is none: no overlong
 * form, no half of a surrogate pair, nothing beyond U+10FFFF. */
size_t utf8_length(const char *p, size_t n);
