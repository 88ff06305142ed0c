/*
 * test_demo_tool.c - the dice of the demo provider.
 */
#include "chatd/tool/demo_tool.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/common/run_case.h"

/* PRV-3: a tool that needs no process */
START_TEST(dice_show_from_one_to_their_sides)
{
	for (int i = 0; i < 200; i++) {
		bool is_error;
		char *text = demo_tool_run(str_of("{\"sides\": 3, \"count\": 2}"), &is_error);
		char *next;
		long a = strtol(text, &next, 10), b = strtol(next + 2, &next, 10);

		ck_assert(!is_error && a >= 1 && a <= 3 && b >= 1 && b <= 3);
		ck_assert_int_eq(strncmp(next, " (sum ", 6), 0);
		ck_assert_int_eq(strtol(next + 6, NULL, 10), a + b);
		free(text);
		text = demo_tool_run(str_of("{}"), &is_error);
		a = strtol(text, &next, 10);
		ck_assert(!is_error && a >= 1 && a <= 6 && !*next);
		free(text);
	}
}
END_TEST

/* FAF-5 */
START_TEST(what_can_not_be_rolled_is_an_error_that_says_why)
{
	static const struct {
		const char *arguments, *why;
	} t[] = {
		{"{\"sides\": 1}", "/sides: must be at least 2"},
		{"{\"sides\": 1001}", "/sides: must be at most 1000"},
		{"{\"count\": 0}", "/count: must be at least 1"},
		{"{\"count\": 21}", "/count: must be at most 20"},
		{"{\"colour\": 1}", "\"colour\" is not known"},
		{"{\"sides\":", "not valid JSON: unexpected token near end of file (byte 9)"},
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(*t); i++) {
		bool is_error;
		char *text = demo_tool_run(str_of(t[i].arguments), &is_error);

		ck_assert(is_error);
		ck_assert_str_eq(text, t[i].why);
		free(text);
	}
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("demo_tool");

	tcase_add_test(t, dice_show_from_one_to_their_sides);
	tcase_add_test(t, what_can_not_be_rolled_is_an_error_that_says_why);
	return run_case("demo_tool", t);
}
