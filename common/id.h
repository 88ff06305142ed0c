/*
 * id.h - identifiers that can't be guessed.
 *
 * "<prefix>_<26 letters>": 130 random bits in lower-case base 32 (no i, l, o, u). Knowing one id
 * tells nothing about another; order comes from rows and seqs, never from ids.
 */
#pragma once

#include <stddef.h>

#define ID_LEN 32 /* room for the longest prefix, the letters and the NUL */

void id_new(const char *prefix, char out[ID_LEN]); /* prefix of up to 4 letters */
int id_is_plausible(const char *p, size_t n); /* 1 if n bytes are 1..LIMIT_ID of [A-Za-z0-9_-] */
