/*
 * test_json_scan.c - JSON from left to right.
 */
#include "common/json_scan.h"

#include <string.h>

#include "common/json.h"
#include "tests/unit/common/run_case.h"

static struct json_scan scan(const char *text)
{
	struct json_scan s;

	json_scan_init(&s, text, strlen(text));
	return s;
}

START_TEST(an_object_is_walked_member_by_member)
{
	struct json_scan s = scan(" { \"a\" : -12 ,\"b\":null, \"c\":[\"x\"] , \"d\":\ttrue}\r\n");
	auto_buf struct buf room = BUF_INIT;
	bool first = true;
	struct str key;

	json_scan_open(&s, '{');
	ck_assert(json_scan_member(&s, &first, &key) && str_eq(key, "a"));
	ck_assert_int_eq(json_scan_int(&s), -12);
	ck_assert(json_scan_member(&s, &first, &key) && str_eq(key, "b"));
	ck_assert(json_scan_null(&s));
	ck_assert(json_scan_member(&s, &first, &key) && str_eq(key, "c"));
	ck_assert(!json_scan_null(&s));
	json_scan_open(&s, '[');
	ck_assert(str_eq(json_scan_string(&s, &room), "x"));
	json_scan_close(&s, ']');
	ck_assert(json_scan_member(&s, &first, &key) && str_eq(key, "d"));
	json_scan_skip(&s);
	ck_assert(!json_scan_member(&s, &first, &key));
	ck_assert(json_scan_end(&s));
	ck_assert_uint_eq(room.len, 0); /* nothing was escaped: nothing was copied */
}
END_TEST

/* PRV-5: whatever it takes, jansson gives the same text. */
START_TEST(a_string_is_what_jansson_reads)
{
	static const char *const texts[] = {
		"\"\"",
		"\"plain\"",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
		"\"\\u00e9\\u20AC\\u4f60 x\"",
		"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\\n\xc3\xa9\"",
		"\"\\u007f\x7f\"",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		auto_json json_t *v = json_read(texts[i], strlen(texts[i]), NULL, 0);
		auto_buf struct buf room = BUF_INIT;
		struct json_scan s = scan(texts[i]);
		struct str got = json_scan_string(&s, &room);

		ck_assert_ptr_nonnull(v);
		ck_assert(json_scan_end(&s));
		ck_assert_uint_eq(got.n, json_string_length(v));
		ck_assert_mem_eq(got.p, json_string_value(v), got.n);
	}
}
END_TEST

START_TEST(what_is_no_json_or_unusual_fails)
{
	static const char *const texts[] = {
		"",
		"\"",
		"\"a",
		"\"a\\",
		"\"\\",
		"\"\\u12",
		"\"\\u12g4\"",
		"\"\\x\"",
		"\"\\ud83d\"",
		"\"\\ud83d\\ude00\"",
		"\"\\u0000\"",
		"\"a\nb\"",
		"\"\xff\"",
		"\"\xed\xa0\x80\"",
		"\"\xc0\xaf\"",
		"\"\xe2\x82\"",
		"1.5",
		"1e3",
		"01",
		"-",
		"1234567890123456",
		"nul",
		"nullx",
		"tru",
		"\"a\" b",
		"'a'",
		"[1]",
		"{}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct json_scan s = scan(texts[i]);

		json_scan_skip(&s);
		ck_assert_msg(!json_scan_end(&s), "%s was taken", texts[i]);
	}
}
END_TEST

START_TEST(an_object_that_is_none_fails)
{
	static const char *const texts[] = {"{",	  "{\"a\"",	     "{\"a\":",
					    "{\"a\":1",	  "{\"a\":1,",	     "{\"a\":1,}",
					    "{,\"a\":1}", "{\"a\" 1}",	     "{\"a\":1 \"b\":2}",
					    "{a:1}",	  "{\"\\u0061\":1}", "{\"a\":1}}",
					    "[\"a\"]"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct json_scan s = scan(texts[i]);
		bool first = true;
		struct str key;

		json_scan_open(&s, '{');
		while (json_scan_member(&s, &first, &key))
			json_scan_skip(&s);
		ck_assert_msg(!json_scan_end(&s), "%s was taken", texts[i]);
	}
}
END_TEST

START_TEST(text_for_which_there_is_no_room_fails)
{
	auto_buf struct buf room = BUF_INIT;
	struct json_scan s = scan("\"a\\n\" \"b\\n\"");

	ck_assert_uint_eq(json_scan_string(&s, &room).n, 2);
	(void)json_scan_string(&s, &room); /* it would move the first one */
	ck_assert(!json_scan_end(&s));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("json_scan");

	tcase_add_test(t, an_object_is_walked_member_by_member);
	tcase_add_test(t, a_string_is_what_jansson_reads);
	tcase_add_test(t, what_is_no_json_or_unusual_fails);
	tcase_add_test(t, an_object_that_is_none_fails);
	tcase_add_test(t, text_for_which_there_is_no_room_fails);
	return run_case("json_scan", t);
}
