/*
 * test_http_path.c - percent-decoding of paths and queries.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "streamerd/http/http_path.h"

/* SEC-5 */
START_TEST(a_path_is_decoded_or_refused)
{
	static const struct {
		const char *raw;
		const char *decoded; /* NULL: refused */
	} rows[] = {
		{"", "/"},
		{"/", "/"},
		{"*", "*"},
		{"/v1/sessions/s_1", "/v1/sessions/s_1"},
		{"/a/", "/a/"},
		{"/%61%62", "/ab"},
		{"/%4a%4A", "/JJ"},
		{"/%25", "/%"},
		{"/%2525", "/%25"},
		{"/a+b", "/a+b"},
		{"/%20", "/ "},
		{"/%3f%23", "/?#"},
		{"/caf%c3%a9", "/caf\xc3\xa9"},
		{"/%f0%9f%98%80", "/\xf0\x9f\x98\x80"},
		{"/%ef%bf%bf", "/\xef\xbf\xbf"},
		{"/%ee%80%80", "/\xee\x80\x80"},
		{"/%ed%9f%bf", "/\xed\x9f\xbf"},
		{"/...", "/..."},
		{"/.a", "/.a"},
		{"/a.", "/a."},
		{"/..a/b..", "/..a/b.."},
		{"a", NULL},
		{"**", NULL},
		{"/.", NULL},
		{"/..", NULL},
		{"/./", NULL},
		{"/../", NULL},
		{"/a/..", NULL},
		{"/a/../b", NULL},
		{"/%2e", NULL},
		{"/%2E%2e", NULL},
		{"/a/%2e./", NULL},
		{"//", NULL},
		{"/a//", NULL},
		{"//a", NULL},
		{"/%2f", NULL},
		{"/%2F", NULL},
		{"/%00", NULL},
		{"/%1f", NULL},
		{"/%0a", NULL},
		{"/%7f", NULL},
		{"/%", NULL},
		{"/%1", NULL},
		{"/%g1", NULL},
		{"/%1g", NULL},
		{"/%%41", NULL},
		{"/\x01", NULL},
		{"/\xc3\xa9", NULL},
		{"/%c3", NULL},
		{"/%a9", NULL},
		{"/%c3/%a9", NULL},
		{"/%c0%80", NULL},
		{"/%c1%bf", NULL},
		{"/%e0%9f%bf", NULL},
		{"/%ed%bf%bf", NULL},
		{"/%f0%8f%bf%bf", NULL},
		{"/%f4%90%80%80", NULL},
		{"/%f5%80%80%80", NULL},
		{"/%ff", NULL},
		{"/a b", NULL},
		{"/a?b", NULL},
		{"/a#b", NULL},
		{"/a\\b", NULL},
		{"/\"", NULL},
		{"/<", NULL},
		{"/>", NULL},
		{"/[", NULL},
		{"/]", NULL},
		{"/^", NULL},
		{"/`", NULL},
		{"/{", NULL},
		{"/|", NULL},
		{"/}", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_buf struct buf out = BUF_INIT;
		const char *why = http_path_decode(str_of(rows[i].raw), &out);

		ck_assert_msg(!why == !!rows[i].decoded, "%s: %s", rows[i].raw,
			      why ? why : "accepted");
		if (!why)
			ck_assert_str_eq(buf_str(&out), rows[i].decoded);
	}
}
END_TEST

/* SEC-5 */
START_TEST(a_query_gives_the_first_value_of_a_name_or_is_refused)
{
	static const struct {
		const char *raw;
		const char *name;
		const char *value; /* NULL: absent */
		int refused;
	} rows[] = {
		{"", "a", NULL, 0},
		{"a=1", "a", "1", 0},
		{"a=1", "b", NULL, 0},
		{"a=1", "", NULL, 0},
		{"a=1&b=2", "b", "2", 0},
		{"a=1&a=2", "a", "1", 0},
		{"a", "a", "", 0},
		{"a=", "a", "", 0},
		{"a&b=1", "b", "1", 0},
		{"=1", "", "1", 0},
		{"&&a=1&&", "a", "1", 0},
		{"a=b=c", "a", "b=c", 0},
		{"a=1+2", "a", "1 2", 0},
		{"a=1%2b2", "a", "1+2", 0},
		{"a=%26%3d%25", "a", "&=%", 0},
		{"%61%62=1", "ab", "1", 0},
		{"A=1", "a", NULL, 0},
		{"ab=1&a=2", "a", "2", 0},
		{"a=%0d%0a", "a", "\r\n", 0},
		{"last_event_id=3-17&until=idle", "until", "idle", 0},
		{"a=caf%C3%A9", "a", "caf\xc3\xa9", 0},
		{"a=%", "a", NULL, 1},
		{"a=%1", "a", NULL, 1},
		{"a=%xx", "a", NULL, 1},
		{"%=1", "a", NULL, 1},
		{"a=1&b=%", "a", NULL, 1},
		{"a=%00", "a", NULL, 1},
		{"%00=a", "a", NULL, 1},
		{"a=%ff", "a", NULL, 1},
		{"%c3=%a9", "a", NULL, 1},
		{"a=%ed%a0%80", "a", NULL, 1},
		{"a=\xc3\xa9", "a", "\xc3\xa9", 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_buf struct buf out = BUF_INIT;
		const char *why = http_query_decode(str_of(rows[i].raw), &out);
		struct str v;

		ck_assert_msg(!why == !rows[i].refused, "%s: %s", rows[i].raw,
			      why ? why : "accepted");
		if (why)
			continue;
		v = http_query_find((struct str){out.data, out.len}, rows[i].name);
		ck_assert_msg(!v.p == !rows[i].value, "%s: %s", rows[i].raw, rows[i].name);
		if (v.p)
			ck_assert_msg(str_eq(v, rows[i].value), "%s: %s", rows[i].raw,
				      rows[i].name);
	}
}
END_TEST

/* SEC-4 */
START_TEST(a_query_at_the_limit_is_found_through)
{
	auto_buf struct buf raw = BUF_INIT;
	auto_buf struct buf out = BUF_INIT;
	struct str v;

	for (int i = 0; i < LIMIT_HTTP_URI / 2 - 2; i++)
		buf_adds(&raw, "a&");
	buf_adds(&raw, "zz=1");
	ck_assert_uint_eq(raw.len, LIMIT_HTTP_URI);
	ck_assert_ptr_null(http_query_decode((struct str){raw.data, raw.len}, &out));
	v = http_query_find((struct str){out.data, out.len}, "zz");
	ck_assert(str_eq(v, "1"));
}
END_TEST

START_TEST(a_value_as_long_as_the_limit_stays_whole)
{
	auto_buf struct buf raw = BUF_INIT;
	auto_buf struct buf out = BUF_INIT;

	buf_adds(&raw, "a=");
	while (raw.len < LIMIT_HTTP_URI)
		buf_addc(&raw, 'x');
	ck_assert_ptr_null(http_query_decode((struct str){raw.data, raw.len}, &out));
	ck_assert_uint_eq(http_query_find((struct str){out.data, out.len}, "a").n,
			  LIMIT_HTTP_URI - 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_path");
	TCase *tc = tcase_create("http_path");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, a_path_is_decoded_or_refused);
	tcase_add_test(tc, a_query_gives_the_first_value_of_a_name_or_is_refused);
	tcase_add_test(tc, a_query_at_the_limit_is_found_through);
	tcase_add_test(tc, a_value_as_long_as_the_limit_stays_whole);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
