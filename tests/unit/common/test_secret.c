/*
 * test_secret.c - reading a key.
 */
#include "common/secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/common/run_case.h"

static char dir[] = "/tmp/test_secret.XXXXXX";
static char path[64];

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/key", dir);
}

static void teardown(void)
{
	(void)unlink(path);
	(void)rmdir(dir);
}

static void put(const char *bytes, size_t n)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
	ck_assert_int_eq(fclose(f), 0);
}

static void expect(const char *file, const char *want)
{
	char *s = secret_read(file);

	ck_assert_ptr_nonnull(s);
	ck_assert_str_eq(s, want);
	secret_free(s);
}

/* PRV-6 */
START_TEST(the_first_line_is_the_key_without_its_end)
{
	static const char *const texts[] = {"sk-1", "sk-1\n", "sk-1\r\n", "sk-1\nmore\n"};

	for (size_t i = 0; i < 4; i++) {
		put(texts[i], strlen(texts[i]));
		expect(path, "sk-1");
	}
}
END_TEST

/* PRV-6: systemd's LoadCredential= */
START_TEST(a_relative_name_is_a_credential)
{
	put("k", 1);
	ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
	expect("key", "k");
	expect(path, "k");
}
END_TEST

/* SEC-2: what a reload can't see is known as such */
START_TEST(a_credential_is_known_by_its_folder)
{
	char beside[128];

	ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	ck_assert(!secret_is_credential("key"));
	ck_assert(!secret_is_credential(path));
	ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
	ck_assert(secret_is_credential("key"));
	ck_assert(secret_is_credential(path));
	(void)snprintf(beside, sizeof(beside), "%s-other/key", dir);
	ck_assert(!secret_is_credential(beside));
	ck_assert(!secret_is_credential("/etc/key"));
}
END_TEST

START_TEST(what_is_no_key_says_why)
{
	ck_assert_ptr_null(secret_read(path));
	ck_assert_int_eq(errno, ENOENT);
	put("", 0);
	ck_assert_ptr_null(secret_read(path));
	ck_assert_int_eq(errno, ENODATA);
	put("\nsecond", 7);
	ck_assert_ptr_null(secret_read(path));
	ck_assert_int_eq(errno, ENODATA);
	ck_assert_ptr_null(secret_read(dir));
	ck_assert_int_eq(errno, EISDIR);
}
END_TEST

START_TEST(a_file_of_8_kib_is_read_and_one_byte_more_is_not)
{
	static char big[8193];
	char *s;

	memset(big, 'k', sizeof(big));
	put(big, 8192);
	s = secret_read(path);
	ck_assert_ptr_nonnull(s);
	ck_assert_uint_eq(strlen(s), 8192);
	secret_free(s);
	put(big, 8193);
	ck_assert_ptr_null(secret_read(path));
	ck_assert_int_eq(errno, EMSGSIZE);
	secret_free(NULL);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("secret");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_first_line_is_the_key_without_its_end);
	tcase_add_test(t, a_relative_name_is_a_credential);
	tcase_add_test(t, a_credential_is_known_by_its_folder);
	tcase_add_test(t, what_is_no_key_says_why);
	tcase_add_test(t, a_file_of_8_kib_is_read_and_one_byte_more_is_not);
	return run_case("secret", t);
}
