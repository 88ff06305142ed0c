/*
 * base64url.c - the base64 of tokens and tickets. See base64url.h.
 *
 * libsodium's decoder is in constant time and exact about padding and spare bits, but the version
 * at hand (1.0.18) takes some bytes above 0x7f for characters of the alphabet; those are kept from
 * it.
 */
#include "streamerd/base64url.h"

#include <sodium.h>

static bool is_of_alphabet(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

bool base64url_decode(struct str text, unsigned char *out, size_t room, size_t *ret_n)
{
	for (size_t i = 0; i < text.n; i++) {
		if (!is_of_alphabet(text.p[i]))
			return false;
	}
	return sodium_base642bin(out, room, text.p, text.n, NULL, ret_n, NULL,
				 sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0;
}
