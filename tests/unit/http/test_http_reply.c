/*
 * test_http_reply.c - response heads, byte for byte.
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "proto/fault.h"
#include "streamerd/http/http.h"
#include "streamerd/http/http_reply.h"

START_TEST(a_date_is_written_as_http_has_it)
{
	static const struct {
		int64_t wall_s;
		const char *text;
	} rows[] = {
		{0, "Thu, 01 Jan 1970 00:00:00 GMT"},
		{784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
		{784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
		{951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
		{4102444799, "Thu, 31 Dec 2099 23:59:59 GMT"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char out[HTTP_DATE_LEN + 1];

		http_date(rows[i].wall_s, out);
		ck_assert_str_eq(out, rows[i].text);
	}
}
END_TEST

START_TEST(a_head_says_what_follows_and_how_the_connection_goes_on)
{
#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
	static const struct {
		int status;
		const char *headers;
		size_t body_bytes;
		enum http_after after;
		const char *text;
	} rows[] = {
		{200, "", 0, HTTP_AFTER_KEEP,
		 "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 0\r\n\r\n"},
		{202, "A: 1\r\nB: 2\r\n", 17, HTTP_AFTER_KEEP,
		 "HTTP/1.1 202 Accepted\r\n" DATE "Content-Length: 17\r\nA: 1\r\nB: 2\r\n\r\n"},
		{404, "", 1234567, HTTP_AFTER_CLOSE,
		 "HTTP/1.1 404 Not Found\r\n" DATE
		 "Content-Length: 1234567\r\nConnection: close\r\n\r\n"},
		{204, "", 9, HTTP_AFTER_KEEP_OLD,
		 "HTTP/1.1 204 No Content\r\n" DATE "Connection: keep-alive\r\n\r\n"},
		{304, "", 9, HTTP_AFTER_KEEP, "HTTP/1.1 304 Not Modified\r\n" DATE "\r\n"},
		{599, "", 0, HTTP_AFTER_KEEP,
		 "HTTP/1.1 599 Unknown\r\n" DATE "Content-Length: 0\r\n\r\n"},
	};
#undef DATE

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_buf struct buf out = BUF_INIT;

		http_reply_head(&out, rows[i].status, rows[i].headers, rows[i].body_bytes,
				rows[i].after, 784111777);
		ck_assert_str_eq(buf_str(&out), rows[i].text);
	}
}
END_TEST

/* API-1 */
START_TEST(each_status_of_the_fault_table_has_its_reason)
{
#define F(num, name, code, status, text) status,
	static const int statuses[] = {FAULTS(F)};
#undef F

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		ck_assert_msg(strcmp(http_reason(statuses[i]), "Unknown") != 0, "%d", statuses[i]);
}
END_TEST

/* SEC-5: a header line that does not end would swallow the next one. */
START_TEST(header_lines_without_their_end_are_our_bug)
{
	auto_buf struct buf out = BUF_INIT;

	http_reply_head(&out, 200, "A: 1", 0, HTTP_AFTER_KEEP, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_reply");
	TCase *tc = tcase_create("http_reply");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, a_date_is_written_as_http_has_it);
	tcase_add_test(tc, a_head_says_what_follows_and_how_the_connection_goes_on);
	tcase_add_test(tc, each_status_of_the_fault_table_has_its_reason);
	tcase_add_test_raise_signal(tc, header_lines_without_their_end_are_our_bug, SIGABRT);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
