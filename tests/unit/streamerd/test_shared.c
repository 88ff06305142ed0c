/*
 * test_shared.c - what serving processes have in common, with real processes.
 */
#include "streamerd/shared.h"

#include <check.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/quota.h"

/* Runs fn as process `index` of 3 that have fd; it must succeed. */
static void in_process(int fd, unsigned index, void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (shared_attach(fd, index, 3) < 0)
			_exit(1);
		fn();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static void serve(void)
{
	stats->joins += 2;
	stats->viewers = 5 + shared_index();
	stats->connections = 1;
}

static void serve_much(void)
{
	serve();
	stats->viewers = 100;
}

static void nothing(void)
{
}

/* OPS-5, PRC-6 */
START_TEST(any_process_tells_the_sums_of_all)
{
	struct stats sum;
	int fd = shared_new();

	ck_assert_int_ge(fd, 0);
	in_process(fd, 0, serve);
	in_process(fd, 1, serve_much);
	ck_assert_int_eq(shared_attach(fd, 2, 3), 0);
	serve();
	shared_sum(&sum);
	ck_assert_uint_eq(sum.joins, 6);
	ck_assert_uint_eq(sum.viewers, 5 + 100 + 7);
	ck_assert_uint_eq(shared_processes(), 3);
	ck_assert_uint_eq(shared_index(), 2);
	ck_assert_uint_eq(shared_least_load(), 6);
	(void)close(fd);
}
END_TEST

/* OPS-5: counters never go back, what a dead process held is gone */
START_TEST(a_process_that_takes_anothers_place_counts_on_and_holds_nothing)
{
	struct stats sum;
	int fd = shared_new();

	in_process(fd, 1, serve);
	in_process(fd, 1, nothing);
	ck_assert_int_eq(shared_attach(fd, 0, 3), 0);
	shared_sum(&sum);
	ck_assert_uint_eq(sum.joins, 2);
	ck_assert_uint_eq(sum.viewers, 0);
	ck_assert_uint_eq(sum.connections, 0);
	(void)close(fd);
}
END_TEST

static uint64_t counted;

static void hold_two(void)
{
	for (int i = 0; i < 2; i++) {
		if (!quota_enter(shared_quota(), counted, 2))
			_exit(1);
	}
}

/* SEC-4, PRC-6: by whoever sees it die, or at the latest by who takes its place */
START_TEST(a_dead_process_holds_nothing_of_the_quota)
{
	int fd = shared_new();

	ck_assert_int_eq(shared_attach(fd, 0, 3), 0);
	counted = quota_key(shared_quota(), QUOTA_ADDRESS, str_of("a"));
	in_process(fd, 1, hold_two);
	ck_assert(!quota_enter(shared_quota(), counted, 2));
	ck_assert_int_eq(shared_forget(fd, 2), 0); /* another one */
	ck_assert(!quota_enter(shared_quota(), counted, 2));
	ck_assert_int_eq(shared_forget(fd, 1), 0);
	ck_assert_uint_eq(quota_count(shared_quota(), counted), 0);
	in_process(fd, 1, hold_two);
	in_process(fd, 1, nothing);
	ck_assert_uint_eq(quota_count(shared_quota(), counted), 0);
	ck_assert(quota_enter(shared_quota(), counted, 2));
	ck_assert_int_lt(shared_forget(-1, 1), 0);
	(void)close(fd);
}
END_TEST

static void take(void)
{
	_Atomic uint32_t *first = shared_tickets();
	uint32_t expected = 7;

	if (!atomic_compare_exchange_strong(first, &expected, 8))
		_exit(1);
}

/* PRC-6 */
START_TEST(what_one_process_takes_from_the_tickets_is_gone_for_the_others)
{
	_Atomic uint32_t *first;
	unsigned char *bytes;
	int fd = shared_new();

	ck_assert_int_eq(shared_attach(fd, 0, 3), 0);
	first = shared_tickets();
	bytes = shared_tickets();
	for (size_t i = 0; i < LIMIT_SHARED_TICKETS; i++)
		ck_assert_uint_eq(bytes[i], 0);
	memset(bytes, 1, LIMIT_SHARED_TICKETS); /* all of it is there */
	atomic_store(first, 7);
	in_process(fd, 2, take);
	ck_assert_uint_eq(atomic_load(first), 8);
	ck_assert_int_eq(ftruncate(fd, 0), -1); /* or an access could fault */
	ck_assert_int_eq(errno, EPERM);
	(void)close(fd);
}
END_TEST

START_TEST(alone_it_works_on_memory_of_its_own)
{
	struct stats sum;

	stats->joins++;
	shared_sum(&sum);
	ck_assert_uint_eq(sum.joins, stats->joins);
	ck_assert_uint_eq(shared_processes(), 1);
	ck_assert_ptr_nonnull(shared_tickets());
	ck_assert(quota_enter(shared_quota(), 1, 1));
	ck_assert(!quota_enter(shared_quota(), 1, 1));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shared");
	TCase *tc = tcase_create("shared");
	SRunner *r;

	suite_add_tcase(s, tc);
	tcase_add_test(tc, any_process_tells_the_sums_of_all);
	tcase_add_test(tc, a_process_that_takes_anothers_place_counts_on_and_holds_nothing);
	tcase_add_test(tc, a_dead_process_holds_nothing_of_the_quota);
	tcase_add_test(tc, what_one_process_takes_from_the_tickets_is_gone_for_the_others);
	tcase_add_test(tc, alone_it_works_on_memory_of_its_own);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	return srunner_ntests_failed(r) ? 1 : (srunner_free(r), 0);
}
