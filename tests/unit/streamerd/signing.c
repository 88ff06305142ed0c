/*
 * signing.c - makes the tokens that issuers make. See signing.h.
 */
#include "tests/unit/streamerd/signing.h"

#include <sodium.h>
#include <string.h>

#include "common/require.h"

void signer_init(struct signer *s, unsigned char byte)
{
	unsigned char seed[32];

	memset(seed, byte, sizeof(seed));
	REQUIRE(crypto_sign_seed_keypair(s->pub, s->secret, seed) == 0);
}

void signing_base64(struct buf *b, const void *p, size_t n)
{
	size_t room = sodium_base64_ENCODED_LEN(n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);

	buf_reserve(b, room);
	(void)sodium_bin2base64(b->data + b->len, room, p, n,
				sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	b->len += room - 1;
}

void signing_token(struct buf *b, const struct signer *s, enum jwt_kind kind, const char *header,
		   const char *claims)
{
	auto_buf struct buf message = BUF_INIT;
	crypto_auth_hmacsha256_state state;
	unsigned char sig[64];

	signing_base64(&message, header, strlen(header));
	buf_addc(&message, '.');
	signing_base64(&message, claims, strlen(claims));
	if (kind == JWT_EDDSA) {
		(void)crypto_sign_detached(sig, NULL, (const unsigned char *)message.data,
					   message.len, s->secret);
	} else {
		(void)crypto_auth_hmacsha256_init(&state, s->secret, 32);
		(void)crypto_auth_hmacsha256_update(&state, (const unsigned char *)message.data,
						    message.len);
		(void)crypto_auth_hmacsha256_final(&state, sig);
	}
	buf_add(b, message.data, message.len);
	buf_addc(b, '.');
	signing_base64(b, sig, kind == JWT_EDDSA ? 64 : 32);
}

void signing_jwk(struct buf *b, const struct signer *s, enum jwt_kind kind, const char *kid)
{
	buf_adds(b, kind == JWT_EDDSA ? "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\""
				      : "{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"");
	signing_base64(b, kind == JWT_EDDSA ? s->pub : s->secret, 32);
	buf_addc(b, '"');
	if (kid)
		buf_addf(b, ",\"kid\":\"%s\"", kid);
	buf_addc(b, '}');
}
