/*
 * signing.h - makes the tokens that issuers make, good and bad.
 */
#pragma once

#include "common/buf.h"
#include "streamerd/jwt.h"

/* Ed25519 key pair of a seed of 32 times `byte`; HS256 secret of 32 times `byte`. */
struct signer {
	unsigned char secret[64], pub[32];
};
void signer_init(struct signer *s, unsigned char byte);

/* Appends base64url without padding. */
void signing_base64(struct buf *b, const void *p, size_t n);
/* Appends the token of these two JSON texts. */
void signing_token(struct buf *b, const struct signer *s, enum jwt_kind kind, const char *header,
		   const char *claims);
/* Appends the JWK of the signer; kid may be NULL. */
void signing_jwk(struct buf *b, const struct signer *s, enum jwt_kind kind, const char *kid);
