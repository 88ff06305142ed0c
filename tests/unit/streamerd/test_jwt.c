/*
 * test_jwt.c - tokens of other issuers: what is believed, and by which key.
 */
#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "tests/unit/streamerd/signing.h"

#define NOW    1700000000
#define LEEWAY 30
#define EDDSA  "{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}"
#define HS256  "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define GOOD   "{\"sub\":\"ann\",\"exp\":1700000100}"

static struct signer ann, other, third;
static struct jwt_keys keys;
static char *audience[] = {"chat", "https://chat.example.org"};
static const struct names audiences = {audience, 2}, no_audience = {NULL, 0};
static struct jwt_rules rules = {NULL, &no_audience, LEEWAY};
static char owner[LIMIT_OWNER + 1];

/* ann's EdDSA key has no name, other's HS256 and EdDSA keys are "h" and "e". */
static void setup(void)
{
	auto_buf struct buf text = BUF_INIT;
	auto_json json_t *set = NULL;
	const char *why;

	signer_init(&ann, 1);
	signer_init(&other, 2);
	signer_init(&third, 3);
	buf_adds(&text, "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"},");
	signing_jwk(&text, &ann, JWT_EDDSA, NULL);
	buf_addc(&text, ',');
	signing_jwk(&text, &other, JWT_HS256, "h");
	buf_addc(&text, ',');
	signing_jwk(&text, &other, JWT_EDDSA, "e");
	buf_adds(&text, "]}");
	set = json_read(text.data, text.len, NULL, 0);
	why = jwt_keys_read(set, &keys);
	ck_assert_msg(!why, "%s", why ? why : "");
	ck_assert_uint_eq(keys.n, 3);
	rules = (struct jwt_rules){NULL, &no_audience, LEEWAY};
	(void)strcpy(owner, "nobody");
}

static void teardown(void)
{
	jwt_keys_fini(&keys);
}

static const char *check(const struct signer *s, enum jwt_kind kind, const char *header,
			 const char *claims)
{
	auto_buf struct buf token = BUF_INIT;

	signing_token(&token, s, kind, header, claims);
	return jwt_check(&keys, &rules, (struct str){token.data, token.len}, NOW, owner);
}

static void assert_good(const char *why)
{
	ck_assert_msg(!why, "%s", why ? why : "");
	ck_assert_str_eq(owner, "ann");
}

static void assert_bad(const char *why, const char *word)
{
	ck_assert_msg(why && strstr(why, word), "%s, not %s", why ? why : "good", word);
	ck_assert_str_eq(owner, "nobody");
}

/* SEC-2: header, who signs, how; the word of the refusal, NULL: good. */
static const struct {
	const char *header;
	int signer;
	enum jwt_kind kind;
	const char *word;
} headers[] = {
	{EDDSA, 0, JWT_EDDSA, NULL},
	{"{\"alg\":\"EdDSA\"}", 0, JWT_EDDSA, NULL},
	{HS256, 1, JWT_HS256, NULL},
	{EDDSA, 1, JWT_EDDSA, NULL}, /* no kid: any key of the kind may be meant */
	{"{\"alg\":\"EdDSA\",\"kid\":\"e\"}", 1, JWT_EDDSA, NULL},
	{"{\"alg\":\"HS256\",\"kid\":\"h\"}", 1, JWT_HS256, NULL},
	{"{\"alg\":\"EdDSA\",\"kid\":\"x\"}", 0, JWT_EDDSA, NULL}, /* a key without a name */
	{"{\"alg\":\"EdDSA\",\"kid\":\"x\"}", 1, JWT_EDDSA, "not signed"},
	{"{\"alg\":\"EdDSA\",\"kid\":\"h\"}", 1, JWT_EDDSA, "not signed"},
	{"{\"alg\":\"EdDSA\",\"kid\":\"\"}", 1, JWT_EDDSA, "not signed"},
	{"{\"alg\":\"EdDSA\",\"kid\":7}", 0, JWT_EDDSA, "not a JWT"},
	{EDDSA, 2, JWT_EDDSA, "not signed"},
	{HS256, 2, JWT_HS256, "not signed"},
	{HS256, 0, JWT_HS256, "not signed"},
	{HS256, 0, JWT_EDDSA, "not signed"}, /* the key's kind decides, not the header */
	{EDDSA, 1, JWT_HS256, "not signed"},
	{"{\"alg\":\"none\"}", 0, JWT_EDDSA, "neither"},
	{"{\"alg\":\"None\"}", 0, JWT_EDDSA, "neither"},
	{"{\"alg\":\"\"}", 0, JWT_EDDSA, "neither"},
	{"{\"alg\":\"eddsa\"}", 0, JWT_EDDSA, "neither"},
	{"{\"alg\":\"HS512\"}", 1, JWT_HS256, "neither"},
	{"{\"alg\":\"RS256\"}", 0, JWT_EDDSA, "neither"},
	{"{\"alg\":[\"EdDSA\"]}", 0, JWT_EDDSA, "neither"},
	{"{}", 0, JWT_EDDSA, "neither"},
	{"{\"alg\":\"EdDSA\",\"alg\":\"EdDSA\"}", 0, JWT_EDDSA, "not a JWT"},
	{"{\"alg\":\"EdDSA\",\"crit\":[\"exp\"]}", 0, JWT_EDDSA, "not a JWT"},
	{"{\"alg\":\"EdDSA\",\"b64\":false,\"crit\":[\"b64\"]}", 0, JWT_EDDSA, "not a JWT"},
	{"[\"EdDSA\"]", 0, JWT_EDDSA, "not a JWT"},
	{"EdDSA", 0, JWT_EDDSA, "not a JWT"},
	{"{\"alg\":\"EdDSA\\u0000\"}", 0, JWT_EDDSA, "not a JWT"},
	{"{\"alg\":\"EdDSA\"} ", 0, JWT_EDDSA, NULL},
	{"{\"alg\":\"EdDSA\"}x", 0, JWT_EDDSA, "not a JWT"},
};

START_TEST(the_key_has_the_algorithm_and_the_header_chooses_among_keys)
{
	const struct signer *s = headers[_i].signer == 0   ? &ann
				 : headers[_i].signer == 1 ? &other
							   : &third;
	const char *why = check(s, headers[_i].kind, headers[_i].header, GOOD);

	if (headers[_i].word)
		assert_bad(why, headers[_i].word);
	else
		assert_good(why);
}
END_TEST

/* SEC-2: an Ed25519 public key is no HMAC secret, however often that was believed elsewhere. */
START_TEST(a_public_key_signs_nothing)
{
	struct signer public_as_secret = ann;

	memcpy(public_as_secret.secret, ann.pub, 32);
	assert_bad(check(&public_as_secret, JWT_HS256, HS256, GOOD), "not signed");
}
END_TEST

/* SEC-2: claims, the word of the refusal. 1 s is within the leeway's end, 0 s is not. */
static const struct {
	const char *claims, *word;
} claims[] = {
	{GOOD, NULL},
	{"{\"sub\":\"ann\",\"exp\":1700000001}", NULL},
	{"{\"sub\":\"ann\",\"exp\":1699999971}", NULL},
	{"{\"sub\":\"ann\",\"exp\":1699999970}", "expired"},
	{"{\"sub\":\"ann\",\"exp\":1699999970.5}", NULL},
	{"{\"sub\":\"ann\",\"exp\":0}", "expired"},
	{"{\"sub\":\"ann\",\"exp\":-1e300}", "expired"},
	{"{\"sub\":\"ann\",\"exp\":1e300}", NULL},
	{"{\"sub\":\"ann\",\"exp\":99999999999999999999}", "not a JWT"},
	{"{\"sub\":\"ann\",\"exp\":\"1700000100\"}", "no exp"},
	{"{\"sub\":\"ann\",\"exp\":null}", "no exp"},
	{"{\"sub\":\"ann\",\"exp\":true}", "no exp"},
	{"{\"sub\":\"ann\"}", "no exp"},
	{"{\"sub\":\"ann\",\"exp\":1,\"exp\":1700000100}", "not a JWT"},
	{"{\"sub\":\"ann\",\"exp\":1700000100,\"nbf\":1700000030}", NULL},
	{"{\"sub\":\"ann\",\"exp\":1700000100,\"nbf\":1700000031}", "not good yet"},
	{"{\"sub\":\"ann\",\"exp\":1700000100,\"nbf\":\"0\"}", "not a JWT"},
	{"{\"sub\":\"ann\",\"exp\":1700000100,\"iat\":1,\"x\":{\"y\":[1]}}", NULL},
	{"{\"sub\":\"ann\",\"exp\":1700000100,\"aud\":\"chat\"}", "audience"},
	{"{\"sub\":\"ann\",\"exp\":1700000100,\"aud\":[]}", "audience"},
	{"{\"exp\":1700000100}", "sub"},
	{"{\"sub\":\"\",\"exp\":1700000100}", "sub"},
	{"{\"sub\":null,\"exp\":1700000100}", "sub"},
	{"{\"sub\":7,\"exp\":1700000100}", "sub"},
	{"{\"sub\":[\"ann\"],\"exp\":1700000100}", "sub"},
	{"{\"sub\":\"an n\",\"exp\":1700000100}", "sub"},
	{"{\"sub\":\"ann\\n\",\"exp\":1700000100}", "sub"},
	{"{\"sub\":\"ann\\\"\",\"exp\":1700000100}", "sub"},
	{"{\"sub\":\"a\\\\n\",\"exp\":1700000100}", "sub"},
	{"{\"sub\":\"\\u00e4nn\",\"exp\":1700000100}", "sub"},
	{"{\"sub\":\"ann\\u0000bob\",\"exp\":1700000100}", "not a JWT"},
	{"{\"sub\":\"\xff\",\"exp\":1700000100}", "not a JWT"},
	{"{\"sub\":\"ann\",\"exp\":NaN}", "not a JWT"},
	{"[]", "not a JWT"},
	{"null", "not a JWT"},
	{"{", "not a JWT"},
};

START_TEST(the_claims_must_hold_now)
{
	const char *why = check(&ann, JWT_EDDSA, EDDSA, claims[_i].claims);

	if (claims[_i].word)
		assert_bad(why, claims[_i].word);
	else
		assert_good(why);
}
END_TEST

/* SEC-2 */
static const struct {
	const char *claims, *word;
} parties[] = {
	{"\"iss\":\"https://id.example.org\",\"aud\":\"chat\"", NULL},
	{"\"iss\":\"https://id.example.org\",\"aud\":[\"x\",\"https://chat.example.org\"]", NULL},
	{"\"iss\":\"https://id.example.org/\",\"aud\":\"chat\"", "issuer"},
	{"\"iss\":[\"https://id.example.org\"],\"aud\":\"chat\"", "issuer"},
	{"\"iss\":null,\"aud\":\"chat\"", "issuer"},
	{"\"aud\":\"chat\"", "issuer"},
	{"\"iss\":\"https://id.example.org\"", "audience"},
	{"\"iss\":\"https://id.example.org\",\"aud\":\"Chat\"", "audience"},
	{"\"iss\":\"https://id.example.org\",\"aud\":\"chat,x\"", "audience"},
	{"\"iss\":\"https://id.example.org\",\"aud\":[[\"chat\"],7,null]", "audience"},
	{"\"iss\":\"https://id.example.org\",\"aud\":{\"chat\":1}", "audience"},
};

START_TEST(issuer_and_audience_are_compared_if_configured)
{
	char text[300];
	const char *why;

	rules.issuer = "https://id.example.org";
	rules.audiences = &audiences;
	(void)snprintf(text, sizeof(text), "{\"sub\":\"ann\",\"exp\":1700000100,%s}",
		       parties[_i].claims);
	why = check(&ann, JWT_EDDSA, EDDSA, text);
	if (parties[_i].word)
		assert_bad(why, parties[_i].word);
	else
		assert_good(why);
}
END_TEST

static const char *check_text(const struct buf *b)
{
	return jwt_check(&keys, &rules, (struct str){b->data, b->len}, NOW, owner);
}

/* SEC-2: no byte of a token can be another; no spelling but one. */
START_TEST(a_token_that_was_changed_anywhere_is_refused)
{
	static const char others[] = {'A', 'B', 'z', '9', '-', '_', '.', '=', '+', '/', ' ', 0};
	auto_buf struct buf token = BUF_INIT;

	signing_token(&token, &ann, JWT_EDDSA, EDDSA, GOOD);
	for (size_t i = 0; i < token.len; i++) {
		char was = token.data[i];

		for (size_t k = 0; k < sizeof(others); k++) {
			token.data[i] = others[k] ? others[k] : (char)(was ^ 1);
			if (token.data[i] != was)
				ck_assert_msg(check_text(&token), "byte %zu may be %d", i,
					      token.data[i]);
		}
		token.data[i] = (char)(was | 0x80);
		ck_assert_msg(check_text(&token), "byte %zu may have bit 7", i);
		token.data[i] = '\0';
		ck_assert_msg(check_text(&token), "byte %zu may be NUL", i);
		token.data[i] = was;
	}
	for (size_t n = 0; n < token.len; n++) {
		struct str part = {token.data, n};

		ck_assert(jwt_check(&keys, &rules, part, NOW, owner));
	}
	ck_assert_str_eq(owner, "nobody");
	assert_good(check_text(&token));
	(void)strcpy(owner, "nobody");
	buf_addc(&token, '=');
	assert_bad(check_text(&token), "not a JWT");
	token.len--;
	buf_addc(&token, '.');
	assert_bad(check_text(&token), "not a JWT");
}
END_TEST

/* SEC-2, SEC-4 */
static const char *const no_tokens[] = {"",	".",	       "..",	"...",
					"a.b",	"a.b.c.d",     ".b.c",	"a..c",
					"a.b.", "e30.e30.e30", "e30..", "\xff.\xff.\xff"};

START_TEST(what_is_no_token_is_refused)
{
	auto_buf struct buf b = BUF_INIT;

	buf_adds(&b, no_tokens[_i]);
	ck_assert(check_text(&b));
	ck_assert_str_eq(owner, "nobody");
}
END_TEST

/* SEC-4: at the limit and one past it. */
START_TEST(a_token_has_8_kib_at_most)
{
	auto_buf struct buf text = BUF_INIT;
	int at = 0;

	for (int pad = 5950; pad < 6100; pad++) {
		auto_buf struct buf token = BUF_INIT;

		buf_clear(&text);
		buf_addf(&text, "{\"sub\":\"ann\",\"exp\":1700000100,\"pad\":\"%*s\"}", pad, "");
		signing_token(&token, &ann, JWT_EDDSA, EDDSA, buf_str(&text));
		if (token.len <= LIMIT_TOKEN)
			assert_good(check_text(&token));
		else
			ck_assert(check_text(&token));
		at += token.len == LIMIT_TOKEN;
	}
	ck_assert_int_ge(at, 1);
}
END_TEST

/* SEC-4: at the limit and one past it. */
START_TEST(a_subject_has_128_characters_at_most)
{
	for (int n = LIMIT_OWNER; n <= LIMIT_OWNER + 1; n++) {
		char name[LIMIT_OWNER + 2] = "", text[LIMIT_OWNER + 60];
		const char *why;

		memset(name, 'a', (size_t)n);
		(void)snprintf(text, sizeof(text), "{\"sub\":\"%s\",\"exp\":1700000100}", name);
		why = check(&ann, JWT_EDDSA, EDDSA, text);
		ck_assert_int_eq(why == NULL, n == LIMIT_OWNER);
		ck_assert_uint_eq(strlen(owner), LIMIT_OWNER);
	}
}
END_TEST

#define X32 "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"
#define X31 "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ"

/* RUN-1, SEC-2: a JWK set, and a word of what is wrong; NULL: one key. */
static const struct {
	const char *set, *word;
} sets[] = {
	{"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X32 "\"}]}", NULL},
	{"{\"keys\":[{\"kty\":\"oct\",\"k\":\"" X32 "\"}]}", NULL},
	{"{\"keys\":[{\"kty\":\"oct\",\"k\":\"" X32 "\",\"alg\":\"HS512\"},"
	 "{\"kty\":\"oct\",\"k\":\"" X32 "\",\"use\":\"enc\"},"
	 "{\"kty\":\"EC\"},{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" X32 "\"},"
	 "{\"kty\":\"oct\",\"k\":\"" X32 "\",\"use\":\"sig\",\"alg\":\"HS256\"}]}",
	 NULL},
	{"{\"keys\":[]}", "no key"},
	{"{\"keys\":[{\"kty\":\"RSA\"}]}", "no key"},
	{"{\"keys\":{}}", "JWK set"},
	{"[]", "JWK set"},
	{"{\"kty\":\"oct\",\"k\":\"" X32 "\"}", "JWK set"},
	{"{\"keys\":[{\"kty\":\"oct\"}]}", "without its bytes"},
	{"{\"keys\":[{\"kty\":\"oct\",\"k\":\"" X32 "=\"}]}", "without its bytes"},
	{"{\"keys\":[{\"kty\":\"oct\",\"k\":\"" X31 "\"}]}", "32 bytes"},
	{"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X31 "\"}]}", "32 bytes"},
	{"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X32 "\",\"d\":\"" X32 "\"}]}",
	 "private"},
};

START_TEST(a_set_of_keys_is_read_or_refused)
{
	auto_json json_t *set = json_read(sets[_i].set, strlen(sets[_i].set), NULL, 0);
	struct jwt_keys k;
	const char *why;

	ck_assert_ptr_nonnull(set);
	why = jwt_keys_read(set, &k);
	if (sets[_i].word)
		ck_assert_msg(why && strstr(why, sets[_i].word) && k.n == 0, "%s", why);
	else
		ck_assert_msg(!why && k.n == 1, "%s", why ? why : "");
	jwt_keys_fini(&k);
}
END_TEST

/* SEC-4: at the limit and one past it. */
START_TEST(a_set_has_16_keys_at_most)
{
	for (size_t n = LIMIT_JWT_KEYS; n <= LIMIT_JWT_KEYS + 1; n++) {
		auto_json json_t *set = json_pack("{s:[]}", "keys");
		struct jwt_keys k;

		for (size_t i = 0; i < n; i++)
			(void)json_array_append_new(
				json_object_get(set, "keys"),
				json_pack("{s:s, s:s}", "kty", "oct", "k", X32));
		ck_assert_int_eq(jwt_keys_read(set, &k) == NULL, n == LIMIT_JWT_KEYS);
		ck_assert_uint_eq(k.n, n == LIMIT_JWT_KEYS ? n : 0);
		jwt_keys_fini(&k);
	}
}
END_TEST

/* SEC-2: the example of RFC 8037, A.4: its key, and its signature over "Example of Ed25519
 * signing".
 */
START_TEST(the_signature_of_rfc_8037_verifies)
{
	static const char set_text[] = "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
				       "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
	static const char token[] =
		"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
		"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_"
		"MuM0KAg";
	auto_json json_t *set = json_read(set_text, strlen(set_text), NULL, 0);
	struct jwt_keys k;
	const char *why;

	ck_assert_ptr_null(jwt_keys_read(set, &k));
	why = jwt_check(&k, &rules, str_of(token), NOW, owner);
	assert_bad(why, "not a JWT"); /* its payload is no JSON, but that is all that is wrong */
	jwt_keys_fini(&k);
	why = jwt_check(&keys, &rules, str_of(token), NOW, owner);
	assert_bad(why, "not signed");
}
END_TEST

#define N(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
	Suite *s = suite_create("jwt");
	TCase *t = tcase_create("jwt");
	SRunner *r;
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, the_key_has_the_algorithm_and_the_header_chooses_among_keys, 0,
			    N(headers));
	tcase_add_test(t, a_public_key_signs_nothing);
	tcase_add_loop_test(t, the_claims_must_hold_now, 0, N(claims));
	tcase_add_loop_test(t, issuer_and_audience_are_compared_if_configured, 0, N(parties));
	tcase_add_test(t, a_token_that_was_changed_anywhere_is_refused);
	tcase_add_loop_test(t, what_is_no_token_is_refused, 0, N(no_tokens));
	tcase_add_test(t, a_token_has_8_kib_at_most);
	tcase_add_test(t, a_subject_has_128_characters_at_most);
	tcase_add_loop_test(t, a_set_of_keys_is_read_or_refused, 0, N(sets));
	tcase_add_test(t, a_set_has_16_keys_at_most);
	tcase_add_test(t, the_signature_of_rfc_8037_verifies);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
