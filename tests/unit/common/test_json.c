/*
 * test_json.c - what we do to JSON.
 */
#include "common/json.h"

#include <string.h>

#include "tests/unit/common/run_case.h"

START_TEST(a_string_written_is_the_string_read_back)
{
	/* every ASCII byte, and characters of 2, 3 and 4 bytes */
	auto_buf struct buf b = BUF_INIT;
	auto_json json_t *v = NULL;
	char all[128 + 16];
	size_t n = 0;

	for (int c = 0; c < 128; c++)
		all[n++] = (char)c;
	memcpy(all + n, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9);
	n += 9;
	json_add_string(&b, all, n);
	ck_assert_ptr_null(memchr(b.data, '\n', b.len)); /* one line: SSE framing counts on it */
	ck_assert_ptr_null(memchr(b.data, '\r', b.len));
	v = json_read(b.data, b.len, NULL, 0);
	ck_assert_ptr_nonnull(v);
	ck_assert_uint_eq(json_string_length(v), n);
	ck_assert_mem_eq(json_string_value(v), all, n);
}
END_TEST

START_TEST(an_empty_string_is_two_quotes)
{
	auto_buf struct buf b = BUF_INIT;

	json_add_string(&b, "", 0);
	ck_assert_str_eq(buf_str(&b), "\"\"");
}
END_TEST

START_TEST(a_value_is_written_compactly_and_in_order)
{
	auto_json json_t *v =
		json_pack("{s:i, s:[s, n, b], s:s}", "z", 1, "a", "x", 1, "u", "\xc3\xa9");
	char *s = json_text(v);

	ck_assert_str_eq(s, "{\"z\":1,\"a\":[\"x\",null,true],\"u\":\"\xc3\xa9\"}");
	free(s);
}
END_TEST

static const struct {
	const char *s;
	size_t n, want;
} cuts[] = {
	{"", 0, 0},
	{"abc", 3, 3},
	{"abc", 2, 2},
	{"\xc3\xa9", 2, 2},
	{"\xc3\xa9", 1, 0},
	{"a\xc3\xa9", 2, 1},
	{"\xe2\x82\xac", 3, 3},
	{"\xe2\x82\xac", 2, 0},
	{"\xe2\x82\xac", 1, 0},
	{"x\xe2\x82\xac", 3, 1},
	{"\xf0\x9f\x98\x80", 4, 4},
	{"\xf0\x9f\x98\x80", 3, 0},
	{"\xf0\x9f\x98\x80", 2, 0},
	{"\xf0\x9f\x98\x80", 1, 0},
	{"ab\xf0\x9f\x98\x80", 5, 2},
	{"\xf0\x9f\x98\x80\xf0\x9f\x98\x80", 8, 8},
	{"\xf0\x9f\x98\x80\xf0\x9f\x98\x80", 7, 4},
	{"\xc3\xa9\xc3\xa9\xc3\xa9", 5, 4},
};

START_TEST(a_prefix_never_cuts_a_character)
{
	ck_assert_uint_eq(json_utf8_prefix(cuts[_i].s, cuts[_i].n), cuts[_i].want);
}
END_TEST

START_TEST(a_prefix_of_bytes_that_are_no_text_stays_within_them)
{
	static const char *const junk[] = {"\x80", "\x80\x80\x80", "\x80\x80\x80\x80\x80", "\xff",
					   "a\xff\x80"};

	for (size_t i = 0; i < sizeof(junk) / sizeof(*junk); i++)
		ck_assert_uint_le(json_utf8_prefix(junk[i], strlen(junk[i])), strlen(junk[i]));
}
END_TEST

static const char *const bad_texts[] = {"",	    "{",	"{\"a\":1}x",	 "[1,]",
					"\"\xff\"", "\"\xc3\"", "nul",		 "{\"a\"}",
					"1 2",	    "'a'",	"\"\n\"",	 "\"\\ud800\"",
					"01",	    "1e999",	"\"\\\xc3\xa4\""};

START_TEST(what_is_not_exactly_one_json_value_is_refused_with_a_message)
{
	auto_json json_t *text = NULL;
	char why[200] = "";

	ck_assert_ptr_null(json_read(bad_texts[_i], strlen(bad_texts[_i]), why, sizeof(why)));
	ck_assert_str_ne(why, "");
	text = json_string(why); /* it may be shown: whole characters */
	ck_assert_ptr_nonnull(text);
	ck_assert_ptr_null(json_read(bad_texts[_i], strlen(bad_texts[_i]), NULL, 0));
}
END_TEST

START_TEST(nesting_has_an_end)
{
	auto_buf struct buf b = BUF_INIT;

	for (int i = 0; i < 100000; i++)
		buf_addc(&b, '[');
	ck_assert_ptr_null(json_read(b.data, b.len, NULL, 0));
}
END_TEST

START_TEST(look_ups_tolerate_what_is_not_there)
{
	auto_json json_t *v = json_pack("{s:s, s:i, s:f, s:f, s:n}", "s", "x", "i", 7, "whole", 3.0,
					"part", 3.5, "null");
	long long n = -1;

	ck_assert_str_eq(json_get_str(v, "s"), "x");
	ck_assert_ptr_null(json_get_str(v, "i"));
	ck_assert_ptr_null(json_get_str(NULL, "s"));
	ck_assert_int_eq(json_get_int(v, "part", &n), 0);
	ck_assert_int_eq(json_get_int(v, "s", &n), 0);
	ck_assert_int_eq(n, -1); /* untouched where there is none */
	ck_assert_int_eq(json_get_int(v, "i", &n), 1);
	ck_assert_int_eq(n, 7);
	ck_assert_int_eq(json_get_int(v, "whole", &n), 1);
	ck_assert_int_eq(n, 3);
	ck_assert_ptr_null(json_get(v, "null"));
	ck_assert_ptr_nonnull(json_get(v, "i"));
	ck_assert_ptr_null(json_get(NULL, "i"));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("json");

	tcase_add_test(t, a_string_written_is_the_string_read_back);
	tcase_add_test(t, an_empty_string_is_two_quotes);
	tcase_add_test(t, a_value_is_written_compactly_and_in_order);
	tcase_add_loop_test(t, a_prefix_never_cuts_a_character, 0, sizeof(cuts) / sizeof(*cuts));
	tcase_add_test(t, a_prefix_of_bytes_that_are_no_text_stays_within_them);
	tcase_add_loop_test(t, what_is_not_exactly_one_json_value_is_refused_with_a_message, 0,
			    sizeof(bad_texts) / sizeof(*bad_texts));
	tcase_add_test(t, nesting_has_an_end);
	tcase_add_test(t, look_ups_tolerate_what_is_not_there);
	return run_case("json", t);
}
