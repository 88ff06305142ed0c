/*
 * test_child.c - how a tool server's process starts and ends.
 */
#include "chatd/tool/child.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/limits.h"
#include "tests/unit/common/run_case.h"

static struct {
	struct event_base *base;
	struct child *child;
	struct buf out, err;
	bool is_deaf, is_gone, free_on_output;
	int status;
} rig;

static void on_output(void *arg, const char *p, size_t n)
{
	(void)arg;
	buf_add(&rig.out, p, n);
	if (rig.free_on_output) {
		child_free(rig.child);
		rig.child = NULL;
	}
}

static void on_errors(void *arg, const char *p, size_t n)
{
	(void)arg;
	buf_add(&rig.err, p, n);
}

static void on_deaf(void *arg)
{
	(void)arg;
	rig.is_deaf = true;
}

static void on_gone(void *arg, int status)
{
	(void)arg;
	ck_assert(!rig.is_gone);
	rig.is_gone = true;
	rig.status = status;
}

static const struct child_ops ops = {
	.output = on_output, .errors = on_errors, .deaf = on_deaf, .gone = on_gone};

static int start_one(const char *program, const char *script)
{
	char *argv[] = {(char *)(uintptr_t)program, "-c", (char *)(uintptr_t)script, NULL};
	char *env[] = {"PATH=/usr/bin:/bin", "A=b", NULL};
	const struct child_how how = {.argv = argv, .env = env, .cwd = "/"};

	return child_start(rig.base, &how, &ops, NULL, &rig.child);
}

static int start(const char *program, const char *script)
{
	(void)signal(SIGPIPE, SIG_IGN);
	rig.base = event_base_new();
	return start_one(program, script);
}

static void until(const bool *what)
{
	int64_t deadline = clock_mono_ms() + 10000;

	while (!*what) {
		const struct timeval tv = {0, 5000};

		ck_assert_int_lt(clock_mono_ms(), deadline);
		ck_assert_int_eq(event_base_loopexit(rig.base, &tv), 0);
		(void)event_base_dispatch(rig.base);
	}
}

static void end(void)
{
	child_free(rig.child);
	buf_fini(&rig.out);
	buf_fini(&rig.err);
	event_base_free(rig.base);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}

START_TEST(what_a_child_wrote_before_it_ended_is_all_there)
{
	ck_assert_int_eq(start("sh", "echo $A >&2; head -c 300000 /dev/zero; exit 7"), 0);
	until(&rig.is_gone);
	ck_assert_uint_eq(rig.out.len, 300000);
	ck_assert_str_eq(buf_str(&rig.err), "b\n");
	ck_assert_str_eq(child_how_it_ended(rig.status), "ended with status 7");
	ck_assert(!rig.is_deaf);
	end();
}
END_TEST

START_TEST(a_program_that_can_not_be_run_is_told_at_once)
{
	ck_assert_int_eq(start("no-such-program", ""), -ENOENT);
	end();
	ck_assert_int_eq(start("/etc/passwd", ""), -EACCES);
	end();
}
END_TEST

START_TEST(bytes_reach_a_child_however_many_and_its_stdin_ends_behind_them)
{
	static char bytes[100000];

	memset(bytes, 'x', sizeof(bytes));
	ck_assert_int_eq(start("sh", "cat"), 0);
	for (int i = 0; i < 10; i++)
		child_write(rig.child, bytes, sizeof(bytes));
	ck_assert_uint_eq(child_queued(rig.child), 10 * sizeof(bytes));
	child_stop(rig.child); /* in order: what is queued goes first */
	until(&rig.is_gone);
	ck_assert_uint_eq(rig.out.len, 10 * sizeof(bytes));
	ck_assert_str_eq(child_how_it_ended(rig.status), "ended with status 0");
	end();
}
END_TEST

/* TOL-1: an orderly end */
START_TEST(a_child_is_stopped_by_eof_then_term_then_kill)
{
	static const struct {
		const char *script, *how;
		int64_t least_ms;
	} t[] = {
		{"cat", "ended with status 0", 0},
		{"exec sleep 60", "was ended by signal 15 (Terminated)", LIMIT_TOOL_EOF_MS},
		{"trap '' TERM; while :; do sleep 0.01; done", "was ended by signal 9 (Killed)",
		 LIMIT_TOOL_EOF_MS + LIMIT_TOOL_TERM_MS},
	};
	int64_t from;

	ck_assert_int_eq(start("sh", t[_i].script), 0);
	from = clock_mono_ms();
	while (clock_mono_ms() - from < 50)
		(void)event_base_loop(rig.base, EVLOOP_NONBLOCK); /* for the trap to be set */
	from = clock_mono_ms();
	child_stop(rig.child);
	until(&rig.is_gone);
	ck_assert_str_eq(child_how_it_ended(rig.status), t[_i].how);
	ck_assert_int_ge(clock_mono_ms() - from, t[_i].least_ms - 1);
	end();
}
END_TEST

START_TEST(a_child_that_closes_its_stdout_is_deaf_only_if_it_goes_on)
{
	ck_assert_int_eq(start("sh", "exec >&-; exec sleep 60"), 0);
	until(&rig.is_deaf);
	ck_assert(!rig.is_gone);
	end(); /* which kills it */
}
END_TEST

START_TEST(a_child_can_be_freed_in_its_own_callback)
{
	rig.free_on_output = true;
	ck_assert_int_eq(start("sh", "echo x; echo y >&2; sleep 60"), 0);
	while (rig.child) {
		const struct timeval tv = {0, 5000};

		ck_assert_int_eq(event_base_loopexit(rig.base, &tv), 0);
		(void)event_base_dispatch(rig.base);
	}
	ck_assert(!rig.is_gone);
	end();
}
END_TEST

START_TEST(several_are_stopped_together_and_in_bounded_time)
{
	struct child *all[3] = {NULL, NULL, NULL};
	int64_t from;

	ck_assert_int_eq(start("sh", "trap '' TERM; while :; do sleep 0.01; done"), 0);
	all[0] = rig.child;
	ck_assert_int_eq(start_one("sh", "cat"), 0);
	all[2] = rig.child;
	from = clock_mono_ms();
	child_stop_all(all, 3);
	ck_assert_int_lt(clock_mono_ms() - from, LIMIT_TOOL_EOF_MS + LIMIT_TOOL_TERM_MS + 1000);
	ck_assert(!rig.is_gone); /* no callbacks */
	child_free(all[0]);
	end();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("child");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, what_a_child_wrote_before_it_ended_is_all_there);
	tcase_add_test(t, a_program_that_can_not_be_run_is_told_at_once);
	tcase_add_test(t, bytes_reach_a_child_however_many_and_its_stdin_ends_behind_them);
	tcase_add_loop_test(t, a_child_is_stopped_by_eof_then_term_then_kill, 0, 3);
	tcase_add_test(t, a_child_that_closes_its_stdout_is_deaf_only_if_it_goes_on);
	tcase_add_test(t, a_child_can_be_freed_in_its_own_callback);
	tcase_add_test(t, several_are_stopped_together_and_in_bounded_time);
	return run_case("child", t);
}
