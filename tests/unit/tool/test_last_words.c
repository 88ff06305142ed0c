/*
 * test_last_words.c - what is kept of a server's stderr.
 */
#include "chatd/tool/last_words.h"

#include <string.h>

#include "tests/unit/common/run_case.h"

static void count(void *arg, const char *text)
{
	ck_assert_uint_gt(strlen(text), 0);
	(*(int *)arg)++;
}

static const struct {
	const char *text, *want;
	int lines;
} t[] = {
	{"", "", 0},
	{"no end", "", 0},
	{"a\nb\n", "b", 2},
	{"a\n\n  \r\n", "a", 1},
	{"  a \t\x1b[31m\xff \n", "a   [31m", 1},
	{"Error: x\n  at y\n\nNode.js v20\n", "Error: x", 3},
	{"error: x\nTypeError: y\n", "TypeError: y", 2},
};

START_TEST(the_most_telling_line_is_kept_in_printable_ascii)
{
	size_t len = strlen(t[_i].text);

	for (size_t piece = 1; piece <= len + 1; piece++) {
		struct last_words w = {0};
		int lines = 0;

		for (size_t i = 0; i < len; i += piece)
			last_words_add(&w, t[_i].text + i, piece < len - i ? piece : len - i, count,
				       &lines);
		ck_assert_str_eq(last_words(&w), t[_i].want);
		ck_assert_int_eq(lines, t[_i].lines);
	}
}
END_TEST

START_TEST(long_lines_are_cut_and_old_errors_forgotten)
{
	struct last_words w = {0};
	int lines = 0;

	last_words_add(&w, "Error: old\n", 11, count, &lines);
	for (int i = 0; i < 1000; i++)
		last_words_add(&w, "x", 1, count, &lines);
	for (int i = 0; i < 41; i++)
		last_words_add(&w, "\nlater\n", 7, count, &lines);
	ck_assert_str_eq(last_words(&w), "later");
	ck_assert_uint_eq(strlen(w.error), 10);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("last_words");

	tcase_add_loop_test(tc, the_most_telling_line_is_kept_in_printable_ascii, 0,
			    (int)(sizeof(t) / sizeof(*t)));
	tcase_add_test(tc, long_lines_are_cut_and_old_errors_forgotten);
	return run_case("last_words", tc);
}
