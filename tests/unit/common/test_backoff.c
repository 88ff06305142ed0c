/*
 * test_backoff.c - how long to wait before the next try.
 */
#include "common/backoff.h"

#include "tests/unit/common/run_case.h"

START_TEST(waits_double_up_to_the_maximum)
{
	static const int64_t want[] = {100, 200, 400, 800, 1000, 1000};

	for (unsigned i = 0; i < 6; i++)
		ck_assert_int_eq(backoff_ms(i, 100, 1000, 0), want[i]);
	ck_assert_int_eq(backoff_ms(UINT32_MAX, 100, 1000, 0), 1000);
	ck_assert_int_eq(backoff_ms(0, 5000, 1000, 0), 1000);
}
END_TEST

START_TEST(jitter_takes_off_up_to_a_quarter)
{
	int64_t least = 1000;

	for (uint32_t rnd = 0; rnd < 1000; rnd++) {
		int64_t ms = backoff_ms(9, 100, 1000, rnd);

		ck_assert_int_le(ms, 1000);
		ck_assert_int_gt(ms, 750);
		least = ms < least ? ms : least;
	}
	ck_assert_int_lt(least, 760);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("backoff");

	tcase_add_test(t, waits_double_up_to_the_maximum);
	tcase_add_test(t, jitter_takes_off_up_to_a_quarter);
	return run_case("backoff", t);
}
