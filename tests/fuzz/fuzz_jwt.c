/*
 * fuzz_jwt.c - any bytes as a token; as header and claims of one that is truly signed; as a set of
 * keys. What was not signed is never good, and an owner's name is one.
 */
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/require.h"
#include "streamerd/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char hs256[] = "{\"alg\":\"HS256\"}";
static char *audience[] = {"chat"};
static const struct names audiences = {audience, 1};
static const struct jwt_rules rules = {NULL, &audiences, 30};

static void add_base64(struct buf *b, const void *p, size_t n)
{
	size_t room = sodium_base64_ENCODED_LEN(n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);

	buf_reserve(b, room);
	(void)sodium_bin2base64(b->data + b->len, room, p, n,
				sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	b->len += room - 1;
}

static void check_owner(const char *owner)
{
	size_t n = strlen(owner);

	REQUIRE(n >= 1 && n <= LIMIT_OWNER);
	for (size_t i = 0; i < n; i++)
		REQUIRE(owner[i] > 0x20 && owner[i] < 0x7f && owner[i] != '"' && owner[i] != '\\');
}

/* Signed over whatever header and claims: the signature is good, the rest may not be. */
static void signed_one(const struct jwt_keys *keys, struct str header, struct str claims)
{
	crypto_auth_hmacsha256_state state;
	unsigned char mac[32];
	auto_buf struct buf b = BUF_INIT;
	char owner[LIMIT_OWNER + 1] = "";

	add_base64(&b, header.p, header.n);
	buf_addc(&b, '.');
	add_base64(&b, claims.p, claims.n);
	(void)crypto_auth_hmacsha256_init(&state, keys->v[0].bytes, keys->v[0].n);
	(void)crypto_auth_hmacsha256_update(&state, (unsigned char *)b.data, b.len);
	(void)crypto_auth_hmacsha256_final(&state, mac);
	buf_addc(&b, '.');
	add_base64(&b, mac, sizeof(mac));
	if (!jwt_check(keys, &rules, (struct str){b.data, b.len}, 1700000000, owner))
		check_owner(owner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char secret[32] = {1};
	struct jwt_key key = {JWT_HS256, NULL, secret, sizeof(secret)};
	struct jwt_keys keys = {.v = {key}, .n = 1}, read;
	struct str all = {(const char *)data, size};
	auto_json json_t *set = json_read(all.p, all.n, NULL, 0);
	char owner[LIMIT_OWNER + 1];

	REQUIRE(sodium_init() >= 0);
	REQUIRE(jwt_check(&keys, &rules, all, 1700000000, owner)); /* nobody signed it */
	signed_one(&keys, str_of(hs256), all);
	signed_one(&keys, all, str_of("{\"sub\":\"ann\",\"exp\":1700000100,\"aud\":\"chat\"}"));
	if (!jwt_keys_read(set, &read)) {
		REQUIRE(read.n >= 1 && read.n <= LIMIT_JWT_KEYS);
		REQUIRE(jwt_check(&read, &rules, all, 1700000000, owner));
		jwt_keys_fini(&read);
	}
	return 0;
}
