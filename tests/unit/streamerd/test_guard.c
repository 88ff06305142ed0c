/*
 * test_guard.c - which Host and Origin are served.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "streamerd/guard.h"

static char *listens[] = {(char[]){"127.0.0.1:8080"}, (char[]){"10.1.2.3:80"},
			  (char[]){"unix:/run/x.sock"}};
static char *hosts[] = {(char[]){"chat.example.org"}, (char[]){"other.example.org:8443"}};
static char *origins[] = {(char[]){"https://app.example.org"}};
static const struct options options = {
	.listen = {listens, 3},
	.allowed_hosts = {hosts, 2},
	.allowed_origins = {origins, 1},
};

/* SEC-1, SEC-3 */
static const struct {
	const char *host, *origin;
	enum fault fault;
} cases[] = {
	{"127.0.0.1:8080", NULL, FAULT_NONE},
	{"127.0.0.1", NULL, FAULT_NONE},
	{"127.255.0.9:1", NULL, FAULT_NONE},
	{"localhost", NULL, FAULT_NONE},
	{"LocalHost:99", NULL, FAULT_NONE},
	{"[::1]", NULL, FAULT_NONE},
	{"[::1]:8080", NULL, FAULT_NONE},
	{"10.1.2.3", NULL, FAULT_NONE},
	{"10.1.2.3:443", NULL, FAULT_NONE},
	{"chat.example.org", NULL, FAULT_NONE},
	{"Chat.Example.Org:443", NULL, FAULT_NONE},
	{"other.example.org:8443", NULL, FAULT_NONE},
	{NULL, NULL, FAULT_FOREIGN_HOST},
	{"", NULL, FAULT_FOREIGN_HOST},
	{":80", NULL, FAULT_FOREIGN_HOST},
	{"other.example.org", NULL, FAULT_FOREIGN_HOST},
	{"evil.example", NULL, FAULT_FOREIGN_HOST},
	{"127.0.0.1.evil.example", NULL, FAULT_FOREIGN_HOST},
	{"127.evil", NULL, FAULT_FOREIGN_HOST},
	{"localhost.evil.example", NULL, FAULT_FOREIGN_HOST},
	{"evil.localhost", NULL, FAULT_FOREIGN_HOST},
	{"10.1.2.30", NULL, FAULT_FOREIGN_HOST},
	{"[::2]", NULL, FAULT_FOREIGN_HOST},
	{"[::1", NULL, FAULT_FOREIGN_HOST},
	{"unix", NULL, FAULT_FOREIGN_HOST},
	{"localhost:8080", "http://localhost:8080", FAULT_NONE},
	{"localhost:8080", "https://localhost:8080", FAULT_NONE},
	{"localhost", "https://app.example.org", FAULT_NONE},
	{"localhost:8080", "http://localhost", FAULT_FOREIGN_ORIGIN},
	{"localhost:8080", "http://localhost:8081", FAULT_FOREIGN_ORIGIN},
	{"localhost:8080", "http://127.0.0.1:8080", FAULT_FOREIGN_ORIGIN},
	{"localhost:8080", "http://localhost:8080.evil.example", FAULT_FOREIGN_ORIGIN},
	{"localhost", "http://evil.example", FAULT_FOREIGN_ORIGIN},
	{"localhost", "https://app.example.org.evil.example", FAULT_FOREIGN_ORIGIN},
	{"localhost", "http://app.example.org", FAULT_FOREIGN_ORIGIN},
	{"localhost", "null", FAULT_FOREIGN_ORIGIN},
	{"localhost", "", FAULT_FOREIGN_ORIGIN},
	{"evil.example", "https://app.example.org", FAULT_FOREIGN_HOST},
};

static struct str header(const char *s)
{
	return (struct str){s, s ? strlen(s) : 0};
}

START_TEST(foreign_hosts_and_origins_are_turned_away)
{
	enum fault f = guard_check(&options, header(cases[_i].host), header(cases[_i].origin));

	ck_assert_msg(f == cases[_i].fault, "Host %s, Origin %s: %s", cases[_i].host,
		      cases[_i].origin, fault_code(f));
}
END_TEST

/* SEC-3 */
START_TEST(only_a_listed_origin_may_read_answers)
{
	auto_buf struct buf b = BUF_INIT;

	guard_add_cors(&b, &options, header("http://localhost"));
	guard_add_cors(&b, &options, header(NULL));
	guard_add_cors(&b, &options, header("https://evil.example"));
	ck_assert_uint_eq(b.len, 0);
	guard_add_cors(&b, &options, header("https://app.example.org"));
	ck_assert_ptr_nonnull(
		strstr(buf_str(&b), "Access-Control-Allow-Origin: https://app.example.org\r\n"));
	ck_assert_ptr_nonnull(strstr(buf_str(&b), "Vary: Origin\r\n"));
	ck_assert_ptr_null(strstr(buf_str(&b), "Credentials"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guard");
	TCase *t = tcase_create("guard");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_loop_test(t, foreign_hosts_and_origins_are_turned_away, 0,
			    (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(t, only_a_listed_origin_may_read_answers);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
