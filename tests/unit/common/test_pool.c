/*
 * test_pool.c - a pool of workers, with real processes (fake_worker.c) and short times.
 */
#include "common/pool.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/spawn.h"

#define DEADLINE_MS 10000

struct world {
	struct event_base *base;
	struct event *sigchld;
	struct pool *pool;
	int listen_fds[2];
	char index[SPAWN_INDEX_SIZE];
	char *argv[4];
	struct spawn_how how;
	int changed, stopped, hopeless, hopeless_status;
};

static const struct pool_times short_times = {.respawn_min = 10,
					      .respawn_max = 200,
					      .healthy = 60000,
					      .hang = 400,
					      .abort = 100,
					      .stop = 300};

static int on_start(void *arg, unsigned index, pid_t *ret_pid, int *ret_control)
{
	struct world *w = arg;

	return spawn_process(&w->how, index, &w->listen_fds[index], 1, ret_pid, ret_control);
}

static void on_changed(void *arg)
{
	((struct world *)arg)->changed++;
}

static void on_stopped(void *arg)
{
	((struct world *)arg)->stopped++;
}

static void on_hopeless(void *arg, int status)
{
	((struct world *)arg)->hopeless++;
	((struct world *)arg)->hopeless_status = status;
}

static void on_sigchld(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	pool_reap(((struct world *)arg)->pool);
}

static void setup(struct world *w, const char *how, unsigned n, const struct pool_times *times)
{
	static const struct pool_ops ops = {on_start, on_changed, on_stopped, on_hopeless};

	memset(w, 0, sizeof(*w));
	w->base = event_base_new();
	w->sigchld = evsignal_new(w->base, SIGCHLD, on_sigchld, w);
	ck_assert_int_eq(event_add(w->sigchld, NULL), 0);
	for (int i = 0; i < 2; i++)
		w->listen_fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	w->argv[0] = "fake_worker";
	w->argv[1] = (char *)how;
	w->argv[2] = w->index;
	ck_assert_ptr_nonnull(getenv("FAKE_WORKER"));
	w->how = (struct spawn_how){getenv("FAKE_WORKER"), w->argv, w->index};
	w->pool = pool_new(w->base, "worker", times, n, &ops, w);
}

static void teardown(struct world *w)
{
	pool_free(w->pool);
	event_free(w->sigchld);
	event_base_free(w->base);
	for (int i = 0; i < 2; i++)
		(void)close(w->listen_fds[i]);
}

/* Runs the loop until the condition holds; fails at the deadline. */
#define WAIT(w, cond)                                                                   \
	do {                                                                            \
		int64_t deadline_ = clock_mono_ms() + DEADLINE_MS;                      \
		while (!(cond)) {                                                       \
			ck_assert_msg(clock_mono_ms() < deadline_, "never: %s", #cond); \
			(void)event_base_loop((w)->base, EVLOOP_ONCE);                  \
		}                                                                       \
	} while (0)

/* PRC-1 */
START_TEST(the_table_of_states_holds_each_arc_and_no_other)
{
	static const char *const arcs[LINK_STATE_N] = {[LINK_BACKOFF] = "STARTING DEAD ",
						       [LINK_STARTING] =
							       "BACKOFF READY HUNG STOPPING ",
						       [LINK_READY] = "BACKOFF HUNG STOPPING ",
						       [LINK_HUNG] = "BACKOFF STOPPING ",
						       [LINK_STOPPING] = "DEAD ",
						       [LINK_DEAD] = ""};

	for (enum link_state from = 0; from < LINK_STATE_N; from++) {
		char got[128] = "";

		for (enum link_state to = 0; to < LINK_STATE_N; to++) {
			if (link_may(from, to))
				strcat(strcat(got, link_state_name(to)), " ");
		}
		ck_assert_str_eq(got, arcs[from]);
	}
}
END_TEST

/* PRC-1 */
START_TEST(workers_become_ready_and_end_in_order_when_the_pool_stops)
{
	struct world w;

	setup(&w, "good", 2, &short_times);
	WAIT(&w, pool_ready(w.pool) == 2);
	ck_assert_int_ne(pool_pid(w.pool, 0), pool_pid(w.pool, 1));
	WAIT(&w, pool_jobs(w.pool) == 2 * 12); /* each beat of fake_worker tells of 12 */
	pool_stop(w.pool);
	ck_assert_int_eq(pool_state(w.pool, 0), LINK_STOPPING);
	ck_assert_int_eq(w.stopped, 0);
	WAIT(&w, w.stopped);
	ck_assert_int_eq(pool_state(w.pool, 0), LINK_DEAD);
	ck_assert_int_eq(pool_pid(w.pool, 1), 0);
	ck_assert_int_eq(w.stopped, 1);
	teardown(&w);
}
END_TEST

/* PRC-1: what the worker is started with */
START_TEST(a_worker_starts_with_two_sockets_and_nothing_else_of_the_supervisor)
{
	struct world w;

	ck_assert_int_eq(setenv("NOTIFY_SOCKET", "@nowhere", 1), 0);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)dup2(STDERR_FILENO, 77); /* not close-on-exec */
	setup(&w, "clean", 1, &short_times);
	WAIT(&w, pool_ready(w.pool) == 1);
	teardown(&w);
}
END_TEST

/* PRC-1 */
START_TEST(a_killed_worker_is_replaced_and_the_other_stays)
{
	struct world w;
	pid_t first, other;

	setup(&w, "good", 2, &short_times);
	WAIT(&w, pool_ready(w.pool) == 2);
	first = pool_pid(w.pool, 0);
	other = pool_pid(w.pool, 1);
	(void)kill(first, SIGKILL);
	WAIT(&w, pool_pid(w.pool, 0) != first && pool_ready(w.pool) == 2);
	ck_assert_int_eq(pool_pid(w.pool, 1), other);
	teardown(&w);
}
END_TEST

/* PRC-1: back-off grows with each death and starts anew once a worker was healthy */
START_TEST(deaths_in_a_row_are_spaced_further_and_further)
{
	struct world w;
	int64_t begin = clock_mono_ms();

	setup(&w, "die", 1, &short_times);
	/* ready and lost 6 times: five waits of at least 3/4 of 10, 20, 40, 80, 160 */
	WAIT(&w, w.changed >= 12);
	ck_assert_int_ge(clock_mono_ms() - begin, 230);
	teardown(&w);
}
END_TEST

START_TEST(a_worker_that_was_healthy_is_replaced_at_once)
{
	struct pool_times times = short_times;
	struct world w;
	int64_t begin;

	times.healthy = 0;
	times.respawn_min = 1;
	times.respawn_max = 60000;
	setup(&w, "die", 1, &times);
	begin = clock_mono_ms();
	WAIT(&w, w.changed >= 40); /* 20 deaths; without the new start: 2^20 ms */
	ck_assert_int_lt(clock_mono_ms() - begin, DEADLINE_MS);
	teardown(&w);
}
END_TEST

/* PRC-1: "hung" in each way */
START_TEST(a_silent_worker_is_killed_and_replaced)
{
	static const char *const hows[] = {"silent", "deaf", "never"};
	struct world w;
	pid_t first;

	setup(&w, hows[_i], 1, &short_times);
	WAIT(&w, pool_pid(w.pool, 0) > 0);
	first = pool_pid(w.pool, 0);
	WAIT(&w, pool_state(w.pool, 0) == LINK_HUNG);
	WAIT(&w, pool_pid(w.pool, 0) > 0 && pool_pid(w.pool, 0) != first);
	teardown(&w);
}
END_TEST

/* OPS-6: one that migrates a large log before it is ready may be silent for longer. */
START_TEST(a_worker_that_starts_has_its_own_time)
{
	struct pool_times times = short_times;
	struct world w;
	int64_t begin;
	pid_t first;

	times.start = 2500;
	setup(&w, "never", 1, &times);
	WAIT(&w, pool_pid(w.pool, 0) > 0);
	begin = clock_mono_ms();
	first = pool_pid(w.pool, 0);
	WAIT(&w, pool_pid(w.pool, 0) > 0 && pool_pid(w.pool, 0) != first);
	ck_assert_int_ge(clock_mono_ms() - begin, 2000);
	teardown(&w);
}
END_TEST

START_TEST(a_stopped_process_counts_as_silent)
{
	struct world w;
	pid_t first;

	setup(&w, "good", 1, &short_times);
	WAIT(&w, pool_ready(w.pool) == 1);
	first = pool_pid(w.pool, 0);
	(void)kill(first, SIGSTOP);
	WAIT(&w, pool_pid(w.pool, 0) != first && pool_ready(w.pool) == 1);
	teardown(&w);
}
END_TEST

START_TEST(a_supervisor_that_was_asleep_itself_kills_nobody)
{
	struct world w;
	pid_t first;
	struct timespec nap = {1, 0}; /* longer than `hang`: the loop does not run meanwhile */
	int64_t end;

	setup(&w, "good", 1, &short_times);
	WAIT(&w, pool_ready(w.pool) == 1);
	first = pool_pid(w.pool, 0);
	(void)kill(first, SIGSTOP); /* the machine slept: both did */
	(void)nanosleep(&nap, NULL);
	(void)kill(first, SIGCONT);
	end = clock_mono_ms() + 300;
	WAIT(&w, clock_mono_ms() > end);
	ck_assert_int_eq(pool_pid(w.pool, 0), first);
	ck_assert_int_eq(pool_state(w.pool, 0), LINK_READY);
	teardown(&w);
}
END_TEST

/* PRC-1, OPS-6: a config or a database that the worker can't work with */
START_TEST(exit_status_78_is_told_once_and_the_worker_is_not_started_again)
{
	struct world w;

	setup(&w, "config", 2, &short_times);
	WAIT(&w, w.hopeless && pool_state(w.pool, 0) == LINK_BACKOFF &&
			 pool_state(w.pool, 1) == LINK_BACKOFF && w.changed == 2);
	ck_assert_int_eq(w.hopeless, 1);
	ck_assert_int_eq(w.hopeless_status, 78);
	pool_stop(w.pool);
	ck_assert_int_eq(w.stopped, 1);
	teardown(&w);
}
END_TEST

START_TEST(a_worker_deaf_to_sigterm_is_killed_after_the_stop_time)
{
	struct world w;
	int64_t begin;

	setup(&w, "deaf", 1, &short_times);
	WAIT(&w, pool_ready(w.pool) == 1);
	begin = clock_mono_ms();
	pool_stop(w.pool);
	WAIT(&w, w.stopped);
	ck_assert_int_ge(clock_mono_ms() - begin, short_times.stop - 10);
	teardown(&w);
}
END_TEST

START_TEST(a_second_stop_does_not_wait)
{
	struct pool_times times = short_times;
	struct world w;

	times.stop = 60000;
	times.hang = 60000;
	setup(&w, "deaf", 2, &times);
	WAIT(&w, pool_ready(w.pool) == 2);
	pool_stop(w.pool);
	pool_stop(w.pool);
	WAIT(&w, w.stopped);
	ck_assert_int_eq(w.stopped, 1);
	teardown(&w);
}
END_TEST

START_TEST(a_program_that_cannot_be_executed_is_tried_again_not_fatal)
{
	struct world w;

	ck_assert_int_eq(setenv("FAKE_WORKER", "/nowhere/fake_worker", 1), 0);
	setup(&w, "good", 1, &short_times);
	WAIT(&w, w.changed >= 3);
	ck_assert_int_eq(w.hopeless, 0);
	pool_stop(w.pool);
	WAIT(&w, w.stopped);
	teardown(&w);
}
END_TEST

/* RUN-1: SIGHUP */
START_TEST(a_signal_reaches_ready_workers_and_waits_for_those_that_start)
{
	struct world w;
	pid_t first;

	setup(&w, "good", 1, &short_times);
	WAIT(&w, pool_pid(w.pool, 0) > 0);
	first = pool_pid(w.pool, 0);
	ck_assert_int_eq(pool_state(w.pool, 0), LINK_STARTING);
	pool_signal(w.pool, SIGHUP); /* sent now it would end a worker that has no handler yet */
	WAIT(&w, pool_pid(w.pool, 0) != first);
	ck_assert_int_eq(w.changed, 2); /* it was ready, and then lost (42) */
	teardown(&w);
}
END_TEST

START_TEST(a_pool_that_is_freed_leaves_no_process_behind)
{
	struct world w;
	pid_t pid;

	setup(&w, "deaf", 1, &short_times);
	WAIT(&w, pool_ready(w.pool) == 1);
	pid = pool_pid(w.pool, 0);
	teardown(&w);
	ck_assert_int_eq(kill(pid, 0), -1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pool");
	TCase *t = tcase_create("pool");
	SRunner *r = srunner_create(s);
	int failed;

	log_max = LOG_LEVEL_ERR - 1;
	tcase_set_timeout(t, 30);
	tcase_add_test(t, the_table_of_states_holds_each_arc_and_no_other);
	tcase_add_test(t, workers_become_ready_and_end_in_order_when_the_pool_stops);
	tcase_add_test(t, a_worker_starts_with_two_sockets_and_nothing_else_of_the_supervisor);
	tcase_add_test(t, a_killed_worker_is_replaced_and_the_other_stays);
	tcase_add_test(t, deaths_in_a_row_are_spaced_further_and_further);
	tcase_add_test(t, a_worker_that_was_healthy_is_replaced_at_once);
	tcase_add_loop_test(t, a_silent_worker_is_killed_and_replaced, 0, 3);
	tcase_add_test(t, a_worker_that_starts_has_its_own_time);
	tcase_add_test(t, a_stopped_process_counts_as_silent);
	tcase_add_test(t, a_supervisor_that_was_asleep_itself_kills_nobody);
	tcase_add_test(t, exit_status_78_is_told_once_and_the_worker_is_not_started_again);
	tcase_add_test(t, a_worker_deaf_to_sigterm_is_killed_after_the_stop_time);
	tcase_add_test(t, a_second_stop_does_not_wait);
	tcase_add_test(t, a_program_that_cannot_be_executed_is_tried_again_not_fatal);
	tcase_add_test(t, a_signal_reaches_ready_workers_and_waits_for_those_that_start);
	tcase_add_test(t, a_pool_that_is_freed_leaves_no_process_behind);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
