/*
 * jwt.c - JSON Web Tokens that others issue. See jwt.h.
 *
 * The order matters: nothing of the claims is parsed before the signature has been verified, so
 * what an unknown client can reach is base64, one small JSON object and the key look-up.
 *
 * The signatures are libsodium's, JSON is jansson's. What is left to be done here is RFC 7515's and
 * 7519's rules, in their strictest reading: one spelling of the same bytes, no name twice in an
 * object, no extension.
 */
#include "streamerd/jwt.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "streamerd/base64url.h"

static const char malformed[] = "the token is not a JWT";
static const char unsigned_by_us[] = "the token is not signed by a known key";

/* Appends what text stands for, which must be something. */
static bool decode(struct str text, struct buf *out)
{
	size_t n;

	buf_reserve(out, text.n + 1);
	if (text.n == 0 || !base64url_decode(text, (unsigned char *)out->data, text.n, &n))
		return false;
	out->len = n;
	return true;
}

static json_t *decode_object(struct str text)
{
	auto_buf struct buf raw = BUF_INIT;
	json_t *o;

	if (!decode(text, &raw))
		return NULL;
	/* a name that stands twice would mean one thing here and another elsewhere */
	o = json_loadb(raw.data, raw.len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(o))
		return o;
	json_decref(o);
	return NULL;
}

/* "a.b.c" with nothing empty. */
static bool split(struct str token, struct str part[3])
{
	for (int i = 0; i < 3; i++) {
		const char *dot = token.n ? memchr(token.p, '.', token.n) : NULL;

		if ((dot == NULL) != (i == 2))
			return false;
		part[i] = (struct str){token.p, dot ? (size_t)(dot - token.p) : token.n};
		if (part[i].n == 0)
			return false;
		if (dot)
			token = (struct str){dot + 1, token.n - part[i].n - 1};
	}
	return true;
}

/* --- the signature --- */

static bool is_signed(const struct jwt_key *key, struct str message, const struct buf *sig)
{
	const unsigned char *m = (const unsigned char *)message.p;
	unsigned char mac[crypto_auth_hmacsha256_BYTES];
	crypto_auth_hmacsha256_state state;
	bool good;

	if (key->kind == JWT_EDDSA)
		return sig->len == crypto_sign_BYTES &&
		       crypto_sign_verify_detached((const unsigned char *)sig->data, m, message.n,
						   key->bytes) == 0;
	(void)crypto_auth_hmacsha256_init(&state, key->bytes, key->n); /* none of these can fail */
	(void)crypto_auth_hmacsha256_update(&state, m, message.n);
	(void)crypto_auth_hmacsha256_final(&state, mac);
	good = sig->len == sizeof(mac) && sodium_memcmp(mac, sig->data, sizeof(mac)) == 0;
	sodium_memzero(mac, sizeof(mac));
	sodium_memzero(&state, sizeof(state));
	return good;
}

static bool kind_of(const char *alg, enum jwt_kind *ret)
{
	if (alg && strcmp(alg, "HS256") == 0)
		*ret = JWT_HS256;
	else if (alg && strcmp(alg, "EdDSA") == 0)
		*ret = JWT_EDDSA;
	else
		return false;
	return true;
}

/* By which key the token says it is signed, and whether it is. */
static const char *check_signature(const struct jwt_keys *keys, const json_t *header,
				   struct str message, const struct buf *sig)
{
	const json_t *kid = json_object_get(header, "kid");
	enum jwt_kind kind;

	if (json_object_get(header, "crit") || (kid && !json_is_string(kid)))
		return malformed;
	if (!kind_of(json_get_str(header, "alg"), &kind))
		return "the token's alg is neither HS256 nor EdDSA";
	for (size_t i = 0; i < keys->n; i++) {
		const struct jwt_key *key = &keys->v[i];

		if (key->kind != kind ||
		    (kid && key->kid && strcmp(key->kid, json_string_value(kid)) != 0))
			continue;
		if (is_signed(key, message, sig))
			return NULL;
	}
	return unsigned_by_us;
}

/* --- the claims --- */

static bool is_among(const json_t *value, const struct names *ours)
{
	for (size_t i = 0; json_is_string(value) && i < ours->n; i++) {
		if (strcmp(json_string_value(value), ours->v[i]) == 0)
			return true;
	}
	return false;
}

static bool is_for_us(const json_t *aud, const struct names *ours)
{
	const json_t *one;
	size_t i;

	if (!aud)
		return ours->n == 0;
	if (!json_is_array(aud))
		return is_among(aud, ours);
	json_array_foreach (aud, i, one) {
		if (is_among(one, ours))
			return true;
	}
	return false;
}

static const char *check_times(const json_t *claims, const struct jwt_rules *rules, int64_t now_s)
{
	const json_t *exp = json_object_get(claims, "exp");
	const json_t *nbf = json_object_get(claims, "nbf");

	if (!json_is_number(exp))
		return "the token has no exp";
	if (nbf && !json_is_number(nbf))
		return malformed;
	if ((double)now_s >= json_number_value(exp) + (double)rules->leeway_s)
		return "the token has expired";
	if (nbf && (double)now_s < json_number_value(nbf) - (double)rules->leeway_s)
		return "the token is not good yet";
	return NULL;
}

/* An owner's name stands in log lines and in tables: printable, without quotes and blanks. */
static const char *take_subject(const json_t *claims, char owner[LIMIT_OWNER + 1])
{
	const json_t *sub = json_object_get(claims, "sub");
	const char *s = json_string_value(sub);
	size_t n = s ? json_string_length(sub) : 0;

	if (n == 0 || n > LIMIT_OWNER)
		return "the token's sub is not a name of 1 to 128 characters";
	for (size_t i = 0; i < n; i++) {
		if (s[i] < 0x21 || s[i] > 0x7e || s[i] == '"' || s[i] == '\\')
			return "the token's sub has characters that a name can't have";
	}
	memcpy(owner, s, n + 1);
	return NULL;
}

static const char *check_claims(const json_t *claims, const struct jwt_rules *rules, int64_t now_s,
				char owner[LIMIT_OWNER + 1])
{
	const char *issuer = json_get_str(claims, "iss");
	const char *why = check_times(claims, rules, now_s);

	if (why)
		return why;
	if (rules->issuer && (!issuer || strcmp(issuer, rules->issuer) != 0))
		return "the token is of another issuer";
	if (!is_for_us(json_object_get(claims, "aud"), rules->audiences))
		return "the token is for another audience";
	return take_subject(claims, owner);
}

const char *jwt_check(const struct jwt_keys *keys, const struct jwt_rules *rules, struct str token,
		      int64_t now_s, char owner[LIMIT_OWNER + 1])
{
	auto_json json_t *header = NULL;
	auto_json json_t *claims = NULL;
	auto_buf struct buf sig = BUF_INIT;
	struct str part[3], message;
	const char *why;

	if (token.n > LIMIT_TOKEN || !split(token, part))
		return malformed;
	header = decode_object(part[0]);
	if (!header || !decode(part[2], &sig))
		return malformed;
	message = (struct str){token.p, part[0].n + 1 + part[1].n};
	why = check_signature(keys, header, message, &sig);
	if (why)
		return why;
	claims = decode_object(part[1]);
	return claims ? check_claims(claims, rules, now_s, owner) : malformed;
}

/* --- keys --- */

/* Adds it if it is one for us; *why if it is wrong. */
static void add_key(const json_t *jwk, struct jwt_keys *keys, const char **why)
{
	const char *kty = json_get_str(jwk, "kty"), *crv = json_get_str(jwk, "crv");
	const char *use = json_get_str(jwk, "use"), *alg = json_get_str(jwk, "alg");
	const char *kid = json_get_str(jwk, "kid"), *text;
	enum jwt_kind kind = kty && strcmp(kty, "oct") == 0 ? JWT_HS256 : JWT_EDDSA;
	auto_buf struct buf raw = BUF_INIT;
	struct jwt_key *key = &keys->v[keys->n];
	enum jwt_kind said;

	if (kind == JWT_EDDSA &&
	    (!kty || strcmp(kty, "OKP") != 0 || !crv || strcmp(crv, "Ed25519") != 0))
		return;
	if ((use && strcmp(use, "sig") != 0) || (alg && (!kind_of(alg, &said) || said != kind)))
		return;
	if (keys->n == LIMIT_JWT_KEYS) {
		*why = "has more than 16 keys";
		return;
	}
	text = json_get_str(jwk, kind == JWT_HS256 ? "k" : "x");
	if (json_object_get(jwk, "d"))
		*why = "has a private key: only the public half belongs here";
	else if (!text || !decode(str_of(text), &raw))
		*why = "has a key without its bytes (k or x) in base64url";
	else if (kind == JWT_HS256 && raw.len < crypto_auth_hmacsha256_BYTES)
		*why = "has an HS256 key of under 32 bytes: it could be guessed from a token";
	else if (kind == JWT_EDDSA && raw.len != crypto_sign_PUBLICKEYBYTES)
		*why = "has an Ed25519 key that is not of 32 bytes";
	if (*why) {
		sodium_memzero(raw.data, raw.cap);
		return;
	}
	key->kind = kind;
	key->kid = kid ? str_dup(str_of(kid)) : NULL;
	key->bytes = (unsigned char *)buf_steal(&raw, &key->n);
	keys->n++;
}

const char *jwt_keys_read(const json_t *set, struct jwt_keys *ret)
{
	const json_t *all = json_object_get(set, "keys"), *jwk;
	const char *why = NULL;
	size_t i;

	*ret = (struct jwt_keys){.n = 0};
	if (!json_is_array(all))
		return "is not a JWK set, {\"keys\": [...]}";
	json_array_foreach (all, i, jwk) {
		add_key(jwk, ret, &why);
		if (why)
			break;
	}
	if (!why && ret->n == 0)
		why = "has no key for HS256 or EdDSA";
	if (why)
		jwt_keys_fini(ret);
	return why;
}

void jwt_keys_fini(struct jwt_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++) {
		sodium_memzero(keys->v[i].bytes, keys->v[i].n);
		free(keys->v[i].bytes);
		free(keys->v[i].kid);
	}
	*keys = (struct jwt_keys){.n = 0};
}
