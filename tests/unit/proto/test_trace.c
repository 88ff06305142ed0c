/*
 * test_trace.c - what counts as a traceparent.
 */
#include "proto/trace.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define GOOD "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static const struct {
	const char *text;
	bool valid;
} cases[] = {
	{GOOD, true},
	{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", true},
	{"", false},
	{"00", false},
	{"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false}, /* a later version */
	{"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
	{"00-00000000000000000000000000000000-b7ad6b7169203331-01", false},
	{"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false},
	{"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false},
	{"00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01", false},
	{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1", false},
	{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-011", false},
	{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 ", false},
	{"00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
	{"00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01", false},
	{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01", false},
	{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920\r\n31-01", false},
};

/* OPS-5, SEC-5: only what has exactly this form goes any further. */
START_TEST(only_the_exact_form_is_taken)
{
	char out[TRACE_LEN];

	trace_take(str_of(cases[_i].text), out);
	ck_assert_str_eq(out, cases[_i].valid ? cases[_i].text : "");
	ck_assert_str_eq(trace_id(out), cases[_i].valid ? cases[_i].text + 3 : "-");
}
END_TEST

/* A header that is absent has no bytes to point to. */
START_TEST(an_absent_one_is_none)
{
	char out[TRACE_LEN] = "x";

	trace_take((struct str){NULL, 0}, out);
	ck_assert_str_eq(out, "");
	trace_take((struct str){GOOD "\0", sizeof(GOOD)}, out); /* its NUL is one byte too many */
	ck_assert_str_eq(out, "");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("trace");
	TCase *tc = tcase_create("trace");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, only_the_exact_form_is_taken, 0,
			    (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(tc, an_absent_one_is_none);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
