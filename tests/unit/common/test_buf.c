/*
 * test_buf.c - a growable byte buffer.
 */
#include "common/buf.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/common/run_case.h"

START_TEST(bytes_come_out_as_they_went_in_whatever_the_growth)
{
	auto_buf struct buf b = BUF_INIT;

	for (int i = 0; i < 5000; i++)
		buf_addc(&b, (char)(i & 255));
	ck_assert_uint_eq(b.len, 5000);
	for (int i = 0; i < 5000; i++)
		ck_assert_int_eq(b.data[i], (char)(i & 255));
}
END_TEST

START_TEST(an_empty_buffer_is_usable_and_nothing_needs_no_memory)
{
	auto_buf struct buf b = BUF_INIT;

	buf_add(&b, NULL, 0);
	ck_assert_ptr_null(b.data);
	ck_assert_str_eq(buf_str(&b), "");
	ck_assert_uint_eq(b.len, 0);
	buf_fini(&b);
	buf_adds(&b, "again");
	ck_assert_str_eq(buf_str(&b), "again");
}
END_TEST

START_TEST(formatted_text_of_any_length_is_whole)
{
	auto_buf struct buf b = BUF_INIT;

	buf_addf(&b, "%s-%d", "x", 7);
	buf_addf(&b, "%1000d", 1);
	ck_assert_uint_eq(b.len, 3 + 1000);
	ck_assert_int_eq(b.data[b.len - 1], '1');
}
END_TEST

START_TEST(numbers_are_written_in_decimal)
{
	static const uint64_t numbers[] = {0, 1, 9, 10, 99, 100, UINT32_MAX, UINT64_MAX};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		auto_buf struct buf b = BUF_INIT;
		char want[32];

		buf_addu(&b, numbers[i]);
		(void)snprintf(want, sizeof(want), "%" PRIu64, numbers[i]);
		ck_assert_str_eq(buf_str(&b), want);
	}
}
END_TEST

START_TEST(consumed_bytes_leave_the_front)
{
	auto_buf struct buf b = BUF_INIT;

	buf_adds(&b, "abcdef");
	buf_consume(&b, 2);
	ck_assert_str_eq(buf_str(&b), "cdef");
	buf_consume(&b, 4);
	ck_assert_uint_eq(b.len, 0);
}
END_TEST

START_TEST(consuming_more_than_there_is_aborts)
{
	auto_buf struct buf b = BUF_INIT;

	buf_adds(&b, "ab");
	buf_consume(&b, 3);
}
END_TEST

START_TEST(stolen_bytes_belong_to_the_taker_and_the_buffer_is_empty)
{
	struct buf b = BUF_INIT;
	size_t n;
	char *p;

	buf_add(&b, "a\0b", 3);
	p = buf_steal(&b, &n);
	ck_assert_uint_eq(n, 3);
	ck_assert_mem_eq(p, "a\0b", 4);
	ck_assert_ptr_null(b.data);
	free(p);
	p = buf_steal(&b, NULL); /* of nothing: still a string */
	ck_assert_str_eq(p, "");
	free(p);
}
END_TEST

START_TEST(a_text_is_put_where_it_fits_with_its_end)
{
	char to[4] = "zzz";

	str_put(to, sizeof(to), "abc");
	ck_assert_str_eq(to, "abc");
	str_put(to, sizeof(to), "");
	ck_assert_str_eq(to, "");
	ck_assert_int_eq(to[1], 'b');
}
END_TEST

START_TEST(a_text_that_does_not_fit_aborts)
{
	char to[4];

	str_put(to, sizeof(to), "abcd");
}
END_TEST

START_TEST(a_run_of_bytes_equals_only_the_same_text)
{
	char *copy = str_dup((struct str){"abc", 2});

	ck_assert(str_eq(str_of("abc"), "abc"));
	ck_assert(!str_eq(str_of("abc"), "ab"));
	ck_assert(!str_eq(str_of("ab"), "abc"));
	ck_assert(str_eq(str_of(NULL), ""));
	ck_assert_str_eq(copy, "ab");
	free(copy);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("buf");

	tcase_add_test(t, bytes_come_out_as_they_went_in_whatever_the_growth);
	tcase_add_test(t, an_empty_buffer_is_usable_and_nothing_needs_no_memory);
	tcase_add_test(t, formatted_text_of_any_length_is_whole);
	tcase_add_test(t, numbers_are_written_in_decimal);
	tcase_add_test(t, consumed_bytes_leave_the_front);
	tcase_add_test_raise_signal(t, consuming_more_than_there_is_aborts, SIGABRT);
	tcase_add_test(t, stolen_bytes_belong_to_the_taker_and_the_buffer_is_empty);
	tcase_add_test(t, a_text_is_put_where_it_fits_with_its_end);
	tcase_add_test_raise_signal(t, a_text_that_does_not_fit_aborts, SIGABRT);
	tcase_add_test(t, a_run_of_bytes_equals_only_the_same_text);
	return run_case("buf", t);
}
