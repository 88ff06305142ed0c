/*
 * test_clock.c - time as text, and the two clocks.
 */
#include "common/clock.h"

#include "tests/unit/common/run_case.h"

static const struct {
	int64_t ms;
	const char *text;
} times[] = {
	{0, "1970-01-01T00:00:00.000Z"},
	{1, "1970-01-01T00:00:00.001Z"},
	{999, "1970-01-01T00:00:00.999Z"},
	{1000, "1970-01-01T00:00:01.000Z"},
	{-1, "1969-12-31T23:59:59.999Z"},
	{-1000, "1969-12-31T23:59:59.000Z"},
	{951827696123, "2000-02-29T12:34:56.123Z"},
	{4102444800000, "2100-01-01T00:00:00.000Z"},
	{253402300799999, "9999-12-31T23:59:59.999Z"},
	{253402300800000, "0000-00-00T00:00:00.000Z"}, /* five digits of a year have no room */
};

START_TEST(time_is_written_as_iso_8601_in_utc)
{
	char out[CLOCK_ISO_LEN + 1];

	for (int twice = 0; twice < 2; twice++) { /* the second time from the cache */
		clock_iso(times[_i].ms, out);
		ck_assert_str_eq(out, times[_i].text);
	}
}
END_TEST

START_TEST(the_monotonic_clock_does_not_go_back)
{
	int64_t last = clock_mono_us();

	for (int i = 0; i < 1000; i++) {
		int64_t now = clock_mono_us();

		ck_assert_int_ge(now, last);
		last = now;
	}
	ck_assert_int_le(last / 1000, clock_mono_ms());
	ck_assert_int_gt(clock_wall_ms(), 1577836800000); /* after 2020 */
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("clock");

	tcase_add_loop_test(t, time_is_written_as_iso_8601_in_utc, 0,
			    sizeof(times) / sizeof(*times));
	tcase_add_test(t, the_monotonic_clock_does_not_go_back);
	return run_case("clock", t);
}
