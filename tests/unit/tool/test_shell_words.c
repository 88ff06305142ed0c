/*
 * test_shell_words.c - a line split as a shell would.
 */
#include "chatd/tool/shell_words.h"

#include "tests/unit/common/run_case.h"

/* TOL-1: a command is never given to a shell */
static const struct {
	const char *line;
	const char *words[6];
} good[] = {
	{"", {NULL}},
	{"  \t ", {NULL}},
	{"npx -y  server /srv", {"npx", "-y", "server", "/srv"}},
	{"a 'b c' \"d e\"f", {"a", "b c", "d ef"}},
	{"'a\\b' \"a\\b\\\"c\\\\\" a\\ b", {"a\\b", "a\\b\"c\\", "a b"}},
	{"'' \"\"", {"", ""}},
	{"$HOME *.c ~ `id` ; | > &", {"$HOME", "*.c", "~", "`id`", ";", "|"}},
};

START_TEST(quotes_and_backslashes_mean_what_they_mean_in_a_shell)
{
	char **words;

	ck_assert_ptr_null(shell_words_split(good[_i].line, &words));
	for (int i = 0; i < 6 && good[_i].words[i]; i++)
		ck_assert_str_eq(words[i], good[_i].words[i]);
	if (_i < 6)
		for (int i = 0; i == 0 || words[i - 1]; i++)
			ck_assert(!words[i] == !good[_i].words[i]);
	shell_words_free(words);
}
END_TEST

START_TEST(what_has_no_end_is_refused)
{
	static const char *const bad[] = {"a 'b", "a \"b", "a\\", "\"a\\\""};
	char **words;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_ptr_nonnull(shell_words_split(bad[i], &words));
	shell_words_free(NULL);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("shell_words");

	tcase_add_loop_test(t, quotes_and_backslashes_mean_what_they_mean_in_a_shell, 0,
			    (int)(sizeof(good) / sizeof(*good)));
	tcase_add_test(t, what_has_no_end_is_refused);
	return run_case("shell_words", t);
}
