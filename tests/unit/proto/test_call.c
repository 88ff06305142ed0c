/*
 * test_call.c - requests in flight: each ends exactly once.
 */
#include <check.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/limits.h"
#include "proto/call.h"
#include "tests/unit/common/run_case.h"

/* The clock of the code under test (linked with --wrap): real time, and each look adds a step. */
static int64_t skipped_ms, step_ms;
int64_t __real_clock_mono_ms(void);
int64_t __wrap_clock_mono_ms(void);

int64_t __wrap_clock_mono_ms(void)
{
	int64_t now = __real_clock_mono_ms() + skipped_ms;

	skipped_ms += step_ms;
	return now;
}

struct outcome {
	int answered, failed;
};

static void on_done(void *arg, const struct msg *answer, enum fault why)
{
	struct outcome *o = arg;

	if (answer)
		o->answered++;
	else
		o->failed++;
	ck_assert_int_eq(why, answer ? FAULT_NONE : FAULT_WORKER_UNAVAILABLE);
}

START_TEST(a_call_ends_with_its_answer_and_later_answers_are_ignored)
{
	struct event_base *base = event_base_new();
	struct calls *c = calls_new(base);
	struct msg m = {.type = MSG_REPLY};
	struct outcome a = {0}, b = {0};
	uint64_t first = call_start(c, MSG_STATUS, on_done, &a);
	uint64_t second = call_start(c, MSG_STATUS, on_done, &b);

	ck_assert_uint_ne(first, second);
	ck_assert_uint_eq(calls_open(c), 2);
	ck_assert_int_eq(call_answer(c, second, &m), 1);
	ck_assert_int_eq(call_answer(c, second, &m), 0);
	ck_assert_int_eq(call_answer(c, 0, &m), 0);
	ck_assert_int_eq(call_answer(c, 999, &m), 0);
	ck_assert(b.answered == 1 && a.answered == 0);
	call_forget(c, first);
	call_forget(c, first);
	ck_assert_int_eq(call_answer(c, first, &m), 0);
	calls_free(c);
	ck_assert(a.answered == 0 && a.failed == 0);
	event_base_free(base);
}
END_TEST

/* FAF-2: a request that no worker answers is a 503, at a known time */
START_TEST(a_call_ends_at_its_deadline_and_the_next_goes_on)
{
	struct event_base *base = event_base_new();
	struct calls *c = calls_new(base);
	struct outcome a = {0}, b = {0};

	/* between setting the deadline and setting the timer, nearly all of the time passes */
	step_ms = LIMIT_CALL_MS - 10;
	(void)call_start(c, MSG_STATUS, on_done, &a);
	skipped_ms -= step_ms; /* one look at the clock too many */
	step_ms = 0;
	(void)call_start(c, MSG_STATUS, on_done, &b);
	(void)event_base_loop(base, EVLOOP_ONCE);
	while (a.failed == 0) /* the timer may be a moment early, and is set again */
		(void)event_base_loop(base, EVLOOP_ONCE);
	ck_assert_int_eq(b.failed, 0);
	ck_assert_uint_eq(calls_open(c), 1);
	calls_free(c);
	event_base_free(base);
}
END_TEST

START_TEST(all_calls_end_when_the_channel_goes_down)
{
	struct event_base *base = event_base_new();
	struct calls *c = calls_new(base);
	struct outcome o[10] = {{0}};

	for (int i = 0; i < 10; i++)
		(void)call_start(c, MSG_STATUS, on_done, &o[i]);
	calls_fail(c);
	for (int i = 0; i < 10; i++)
		ck_assert(o[i].failed == 1 && o[i].answered == 0);
	calls_free(c);
	event_base_free(base);
}
END_TEST

/* PRC-5 */
START_TEST(there_is_a_limit_of_open_calls)
{
	struct event_base *base = event_base_new();
	struct calls *c = calls_new(base);
	struct outcome o = {0};

	for (int i = 0; i < LIMIT_CALLS; i++)
		ck_assert_uint_ne(call_start(c, MSG_STATUS, on_done, &o), 0);
	ck_assert_uint_eq(call_start(c, MSG_STATUS, on_done, &o), 0);
	ck_assert_uint_eq(calls_open(c), LIMIT_CALLS);
	calls_free(c);
	ck_assert_int_eq(o.failed, LIMIT_CALLS);
	event_base_free(base);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("call");

	tcase_add_test(t, a_call_ends_with_its_answer_and_later_answers_are_ignored);
	tcase_add_test(t, a_call_ends_at_its_deadline_and_the_next_goes_on);
	tcase_add_test(t, all_calls_end_when_the_channel_goes_down);
	tcase_add_test(t, there_is_a_limit_of_open_calls);
	return run_case("call", t);
}
