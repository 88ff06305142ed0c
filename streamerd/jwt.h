/*
 * jwt.h - JSON Web Tokens that others issue: is one good, and whose is it. Pure.
 *
 * Compact form only, signed with HS256 or EdDSA (Ed25519), by a key of the operator's file. A key
 * has one algorithm, and a token must name that one: its header chooses among keys and nothing
 * else. What names a place to fetch a key from (jku, x5u, jwk) is not looked at; a header with
 * "crit" is refused, as RFC 7515 wants of who doesn't know what it lists.
 *
 * Demanded of the claims: `exp`, because a token that is good for ever can't be taken back, and
 * `sub`, the owner. `nbf` counts if it is there. `aud` must name one of ours: without a list of
 * ours a token with an audience is somebody else's. `iss` is compared if one was configured.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/limits.h"
#include "streamerd/options.h"

enum jwt_kind { JWT_HS256, JWT_EDDSA };

struct jwt_key {
	enum jwt_kind kind;
	char *kid;	      /* owned; NULL: it has no name and may be meant by any token */
	unsigned char *bytes; /* owned: the secret, or the public key */
	size_t n;
};

struct jwt_keys {
	struct jwt_key v[LIMIT_JWT_KEYS];
	size_t n;
};

struct jwt_rules {
	const char *issuer; /* borrowed; NULL: any */
	const struct names *audiences;
	int64_t leeway_s; /* by which the issuer's clock may differ from ours */
};

/*
 * Reads a JWK set (RFC 7517), {"keys": […]}: kty "oct" for HS256, kty "OKP" with crv "Ed25519" for
 * EdDSA. Keys of another kind or use are left out. NULL if fine, else why not (static text); then
 * *ret is empty. To be ended with jwt_keys_fini().
 */
const char *jwt_keys_read(const json_t *set, struct jwt_keys *ret);
void jwt_keys_fini(struct jwt_keys *keys); /* wipes */

/*
 * NULL if the token is good, with its subject in owner; else why not (static text, for the client).
 * now_s: Unix time.
 */
const char *jwt_check(const struct jwt_keys *keys, const struct jwt_rules *rules, struct str token,
		      int64_t now_s, char owner[LIMIT_OWNER + 1]);
