/*
 * test_id.c - identifiers that can't be guessed.
 */
#include "common/id.h"

#include <string.h>

#include "common/limits.h"
#include "tests/unit/common/run_case.h"

START_TEST(ids_have_their_prefix_and_26_letters_and_do_not_repeat)
{
	static char ids[1000][ID_LEN];

	for (int i = 0; i < 1000; i++) {
		id_new("sess", ids[i]);
		ck_assert_int_eq(strncmp(ids[i], "sess_", 5), 0);
		ck_assert_uint_eq(strlen(ids[i]), 5 + 26);
		ck_assert_uint_eq(strspn(ids[i] + 5, "0123456789abcdefghjkmnpqrstvwxyz"), 26);
		ck_assert(id_is_plausible(ids[i], strlen(ids[i])));
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(ids[i], ids[j]);
	}
}
END_TEST

START_TEST(every_letter_comes_up)
{
	char seen[256] = {0};
	char id[ID_LEN];

	for (int i = 0; i < 200; i++) {
		id_new("x", id);
		for (const char *p = id + 2; *p; p++)
			seen[(unsigned char)*p] = 1;
	}
	for (const char *p = "0123456789abcdefghjkmnpqrstvwxyz"; *p; p++)
		ck_assert_msg(seen[(unsigned char)*p], "never: %c", *p);
}
END_TEST

START_TEST(only_short_plain_words_are_looked_up)
{
	static const char *const bad[] = {"", "a b", "a/b", "a.b", "a\n", "\xc3\xa9", "a'b", "%41"};
	char longest[LIMIT_ID + 2];

	memset(longest, 'a', sizeof(longest));
	ck_assert(id_is_plausible(longest, LIMIT_ID));
	ck_assert(!id_is_plausible(longest, LIMIT_ID + 1));
	ck_assert(id_is_plausible("aZ09_-", 6));
	ck_assert(!id_is_plausible("a\0b", 3));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(!id_is_plausible(bad[i], strlen(bad[i])), "%s", bad[i]);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("id");

	tcase_add_test(t, ids_have_their_prefix_and_26_letters_and_do_not_repeat);
	tcase_add_test(t, every_letter_comes_up);
	tcase_add_test(t, only_short_plain_words_are_looked_up);
	return run_case("id", t);
}
