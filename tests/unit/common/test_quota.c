/*
 * test_quota.c - counts under a limit that processes keep together, with real processes.
 */
#include "common/quota.h"

#include <check.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"

#define PROCESSES 4
#define MAX	  10

/* What the processes of a test have in common besides the quota. */
struct board {
	_Atomic int inside, most;     /* that hold a place now, and ever did */
	_Atomic int arrived, entered; /* in this round */
	_Atomic int round;	      /* that may begin */
};

static unsigned char *memory;
static struct quota *quota; /* of process 0 */
static struct board *board;
static uint64_t key;

static void *map(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
		       -1, 0);

	ck_assert_ptr_ne(p, MAP_FAILED);
	return p;
}

static void setup(void)
{
	memory = map(quota_bytes(PROCESSES));
	board = map(sizeof(*board));
	quota = quota_new(memory, 0, PROCESSES);
	key = quota_key(quota, QUOTA_ADDRESS, str_of("192.0.2.1"));
}

static void teardown(void)
{
	quota_free(quota);
	(void)munmap(memory, quota_bytes(PROCESSES));
	(void)munmap(board, sizeof(*board));
}

static pid_t start(unsigned index, void (*fn)(struct quota *q, unsigned index))
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		fn(quota_new(memory, index, PROCESSES), index);
		_exit(0);
	}
	return pid;
}

static void finish(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

/* As shared_forget() does it. */
static void empty_area(unsigned index)
{
	size_t at, n;

	quota_area_at(index, &at, &n);
	ck_assert_int_eq(madvise(memory + at, n, MADV_REMOVE), 0);
}

/* SEC-4: at the limit and one past it */
START_TEST(so_many_get_in_and_no_more)
{
	uint64_t other = quota_key(quota, QUOTA_ADDRESS, str_of("192.0.2.2"));
	uint64_t other_kind = quota_key(quota, QUOTA_VIEWERS, str_of("192.0.2.1"));

	for (int i = 0; i < MAX; i++)
		ck_assert(quota_enter(quota, key, MAX));
	ck_assert(!quota_enter(quota, key, MAX));
	ck_assert_uint_eq(quota_count(quota, key), MAX);
	ck_assert(quota_enter(quota, other, 1));
	ck_assert(quota_enter(quota, other_kind, 1));
	quota_leave(quota, key);
	ck_assert(quota_enter(quota, key, MAX));
	ck_assert(!quota_enter(quota, key, MAX));
	ck_assert(quota_enter(quota, key, MAX + 1)); /* a limit may change */
	for (int i = 0; i < MAX + 1; i++)
		quota_leave(quota, key);
	ck_assert_uint_eq(quota_count(quota, key), 0);
	ck_assert_uint_eq(quota_count(quota, other), 1);
	quota_leave(quota, key); /* what nobody entered harms nobody */
	ck_assert_uint_eq(quota_count(quota, key), 0);
}
END_TEST

/* SEC-4: who does not know the secret can't tell which names meet */
START_TEST(keys_are_a_secret_of_those_who_share_the_memory)
{
	struct quota *same = quota_new(memory, 1, PROCESSES);
	struct quota *foreign = quota_new(NULL, 0, 1);

	ck_assert_uint_eq(quota_key(same, QUOTA_ADDRESS, str_of("192.0.2.1")), key);
	ck_assert_uint_ne(quota_key(foreign, QUOTA_ADDRESS, str_of("192.0.2.1")), key);
	ck_assert(quota_enter(foreign, key, 1));
	ck_assert(!quota_enter(foreign, key, 1));
	quota_free(same);
	quota_free(foreign);
}
END_TEST

static void note_most(int now)
{
	int most = atomic_load(&board->most);

	while (now > most && !atomic_compare_exchange_weak(&board->most, &most, now))
		;
}

/* Noted before it is done, and entering after it: `inside` is never too high. */
static void leave_one(struct quota *q)
{
	atomic_fetch_sub(&board->inside, 1);
	quota_leave(q, key);
}

static void come_and_go(struct quota *q, unsigned index)
{
	int held = 0;

	srandom(index + 1);
	for (int i = 0; i < 100000; i++) {
		if (held && random() % 2) {
			leave_one(q);
			held--;
		} else if (quota_enter(q, key, MAX)) {
			note_most(atomic_fetch_add(&board->inside, 1) + 1);
			held++;
		}
	}
	while (held--)
		leave_one(q);
}

/* SEC-4, PRC-6 */
START_TEST(never_more_than_max_are_in_whoever_let_them_in)
{
	pid_t pids[PROCESSES];

	for (unsigned i = 0; i < PROCESSES; i++)
		pids[i] = start(i, come_and_go);
	for (unsigned i = 0; i < PROCESSES; i++)
		finish(pids[i]);
	ck_assert_int_eq(atomic_load(&board->most), MAX);
	ck_assert_uint_eq(quota_count(quota, key), 0);
}
END_TEST

#define ROUNDS 2000

static void wait_for_round(int round)
{
	while (atomic_load(&board->round) < round)
		(void)sched_yield();
}

static void rush(struct quota *q, unsigned index)
{
	for (int round = 1; round <= ROUNDS; round++) {
		int held = 0;

		wait_for_round(2 * round - 1);
		while (quota_enter(q, key, MAX))
			held++;
		atomic_fetch_add(&board->entered, held);
		atomic_fetch_add(&board->arrived, 1);
		wait_for_round(2 * round);
		while (held--)
			quota_leave(q, key);
		atomic_fetch_add(&board->arrived, 1);
	}
}

static void run_round(int round)
{
	int64_t until = clock_mono_ms() + 30000;

	atomic_store(&board->arrived, 0);
	atomic_store(&board->round, round);
	while (atomic_load(&board->arrived) < PROCESSES) {
		ck_assert_int_lt(clock_mono_ms(), until);
		(void)sched_yield();
	}
}

/* SEC-4, PRC-6: nobody is refused for somebody who is refused as well */
START_TEST(all_places_are_taken_when_several_come_at_once)
{
	pid_t pids[PROCESSES];

	for (unsigned i = 0; i < PROCESSES; i++)
		pids[i] = start(i, rush);
	for (int round = 1; round <= ROUNDS; round++) {
		atomic_store(&board->entered, 0);
		run_round(2 * round - 1);
		ck_assert_int_eq(atomic_load(&board->entered), MAX);
		run_round(2 * round);
	}
	for (unsigned i = 0; i < PROCESSES; i++)
		finish(pids[i]);
	ck_assert_uint_eq(quota_count(quota, key), 0);
}
END_TEST

static void until_killed(struct quota *q, unsigned index)
{
	for (;;) {
		int held = 0;

		while (quota_enter(q, key, MAX))
			held++;
		atomic_fetch_add(&board->round, 1);
		while (held--)
			quota_leave(q, key);
	}
}

/* SEC-4, PRC-6, DUR-7: at whatever instruction it was */
START_TEST(what_a_killed_process_held_is_free_again)
{
	uint64_t mine = quota_key(quota, QUOTA_VIEWERS, str_of("ann"));

	ck_assert(quota_enter(quota, mine, 1));
	for (int i = 0; i < 200; i++) {
		int seen = atomic_load(&board->round);
		pid_t pid = start(1 + (unsigned)i % 3, until_killed);

		while (atomic_load(&board->round) == seen)
			(void)sched_yield();
		for (volatile int spin = 0; spin < i * 50; spin++)
			;
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		empty_area(1 + (unsigned)i % 3);
		ck_assert_uint_eq(quota_count(quota, key), 0);
		for (int n = 0; n < MAX; n++)
			ck_assert(quota_enter(quota, key, MAX));
		ck_assert(!quota_enter(quota, key, MAX));
		for (int n = 0; n < MAX; n++)
			quota_leave(quota, key);
	}
	ck_assert_uint_eq(quota_count(quota, mine), 1); /* others' are not touched */
}
END_TEST

/* SEC-4, PRC-5: the first word of an area says what its process is on its way into */
START_TEST(who_is_stopped_on_its_way_in_has_a_place_until_it_is_dead)
{
	_Atomic uint64_t *wants;
	int64_t began;
	size_t at, n;

	for (unsigned i = 1; i < PROCESSES; i += 2) { /* with and without going before us */
		struct quota *q = i == 1 ? quota : quota_new(memory, 2, PROCESSES);

		quota_area_at(i == 1 ? 3 : 1, &at, &n);
		wants = (_Atomic uint64_t *)(memory + at);
		atomic_store(wants, key);
		ck_assert(quota_enter(q, key, 2)); /* room for both */
		began = clock_mono_ms();
		ck_assert(!quota_enter(q, key, 2));
		ck_assert_int_lt(clock_mono_ms() - began, 5000);
		empty_area(i == 1 ? 3 : 1);
		ck_assert(quota_enter(q, key, 2));
		quota_leave(q, key);
		quota_leave(q, key);
		if (q != quota)
			quota_free(q);
	}
}
END_TEST

/* SEC-4, PRC-5: with two names for each connection a server may have by default nobody meets it */
START_TEST(a_name_whose_bucket_is_full_is_refused_and_the_others_are_not)
{
	uint64_t *keys = calloc(LIMIT_QUOTA_NAMES, sizeof(*keys));
	char name[16];
	int n;

	ck_assert_ptr_nonnull(keys);
	for (n = 0; n < LIMIT_QUOTA_NAMES; n++) {
		(void)snprintf(name, sizeof(name), "n%d", n);
		keys[n] = quota_key(quota, QUOTA_VIEWERS, str_of(name));
		if (!quota_enter(quota, keys[n], 100))
			break;
	}
	ck_assert_int_gt(n, 2 * LIMIT_HTTP_CONNECTIONS);
	ck_assert_int_lt(n, LIMIT_QUOTA_NAMES);
	ck_assert_uint_eq(quota_count(quota, keys[n]), 0);
	for (int i = 0; i < n; i += 1000)
		ck_assert(quota_enter(quota, keys[i], 2)); /* who is counted already */
	ck_assert(quota_enter(quota, key, 1));		   /* another bucket, as good as surely */
	for (int i = 0; i < n; i++)
		quota_leave(quota, keys[i]);
	ck_assert(quota_enter(quota, keys[n], 1));
	free(keys);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("quota");
	TCase *t = tcase_create("quota");
	SRunner *r;
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	suite_add_tcase(s, t);
	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, so_many_get_in_and_no_more);
	tcase_add_test(t, keys_are_a_secret_of_those_who_share_the_memory);
	tcase_add_test(t, never_more_than_max_are_in_whoever_let_them_in);
	tcase_add_test(t, all_places_are_taken_when_several_come_at_once);
	tcase_add_test(t, what_a_killed_process_held_is_free_again);
	tcase_add_test(t, who_is_stopped_on_its_way_in_has_a_place_until_it_is_dead);
	tcase_add_test(t, a_name_whose_bucket_is_full_is_refused_and_the_others_are_not);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
