/*
 * base64url.h - the base64 of tokens and tickets (RFC 4648, 5), read strictly. Pure.
 */
#pragma once

#include <stdbool.h>

#include "common/buf.h"

/*
 * Decodes text into out[room]. False if it has anything but the 64 characters, padding, spare bits
 * that are not 0, or more than fits: so bytes have one spelling.
 */
bool base64url_decode(struct str text, unsigned char *out, size_t room, size_t *ret_n);
