/*
 * test_backend.c - the links to the workers: how many there are, who is asked, what a loss means.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "proto/shard.h"
#include "streamerd/backend.h"
#include "tests/unit/common/run_case.h"
#include "tests/unit/streamerd/scripted_worker.h"

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

/* The lines that were logged (--wrap as well), of one event name each. */
static struct {
	int down, unreachable, unanswered;
	char last[256];
} lines;
void __wrap_log_write(enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

void __wrap_log_write(enum log_level level, const char *event, const char *fmt, ...)
{
	va_list ap;

	lines.down += strcmp(event, "bus.down") == 0;
	lines.unreachable += strcmp(event, "bus.unreachable") == 0;
	lines.unanswered += strcmp(event, "bus.unanswered") == 0;
	va_start(ap, fmt);
	(void)vsnprintf(lines.last, sizeof(lines.last), fmt, ap);
	va_end(ap);
}

struct bus {
	struct event_base *base;
	char dir[64];
	struct backend *backend;
	struct scripted_worker *workers[4];
	int ups, downs;
	int answers, failures; /* of calls */
};

static void on_up(void *arg, unsigned worker)
{
	((struct bus *)arg)->ups++;
}

static void on_down(void *arg, unsigned worker)
{
	((struct bus *)arg)->downs++;
}

static void on_event(void *arg, const struct msg_event *e)
{
}

static const struct backend_ops ops = {on_up, on_down, on_event, NULL};

static void bus_open(struct bus *b)
{
	memset(b, 0, sizeof(*b));
	log_max = LOG_LEVEL_WARNING;
	memset(&lines, 0, sizeof(lines));
	b->base = event_base_new();
	(void)snprintf(b->dir, sizeof(b->dir), "/tmp/streamerd-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(b->dir));
	b->backend = backend_new(b->base, b->dir, (uid_t)-1, &ops, b);
}

static void bus_close(struct bus *b)
{
	backend_free(b->backend);
	for (int i = 0; i < 4; i++) {
		if (b->workers[i])
			scripted_worker_free(b->workers[i]);
	}
	(void)rmdir(b->dir);
	event_base_free(b->base);
}

static void start(struct bus *b, unsigned worker, unsigned workers)
{
	b->workers[worker] = scripted_worker_new(b->base, b->dir, worker, workers);
}

static void until(struct bus *b, const int *value, int wanted)
{
	struct timespec from, now;

	(void)clock_gettime(CLOCK_MONOTONIC, &from);
	do {
		if (*value >= wanted)
			return;
		(void)event_base_loop(b->base, EVLOOP_ONCE);
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - from.tv_sec < 5);
	ck_abort_msg("not within 5 s: %d of %d", *value, wanted);
}

static void on_answer(void *arg, const struct msg *answer, enum fault why)
{
	struct bus *b = arg;

	if (answer) {
		b->answers++;
		return;
	}
	ck_assert_int_eq(why, FAULT_WORKER_UNAVAILABLE);
	b->failures++;
}

static uint64_t ask(struct bus *b, unsigned worker)
{
	struct msg m = {.type = MSG_STATUS};

	return backend_call(b->backend, worker, &m, on_answer, b);
}

/* PRC-3 */
START_TEST(the_first_hello_says_how_many_workers_there_are)
{
	struct bus b;

	bus_open(&b);
	ck_assert_int_eq(backend_worker_of(b.backend, str_of("ses_1")), -1);
	ck_assert_int_eq(backend_pick(b.backend), -1);
	ck_assert_uint_eq(ask(&b, 0), 0);
	start(&b, 0, 3);
	until(&b, &b.ups, 1);
	ck_assert_uint_eq(backend_workers(b.backend), 3);
	ck_assert_int_eq(backend_worker_of(b.backend, str_of("ses_1")),
			 (int)shard_of(str_of("ses_1"), 3));
	ck_assert_int_eq(backend_pick(b.backend), 0); /* the only one that is up */
	ck_assert_int_eq(backend_pick(b.backend), 0);
	ck_assert_uint_eq(ask(&b, 2), 0);
	ck_assert_uint_eq(ask(&b, LIMIT_WORKERS), 0);
	start(&b, 1, 3);
	start(&b, 2, 3);
	until(&b, &b.ups, 3);
	ck_assert_int_ne(backend_pick(b.backend), backend_pick(b.backend)); /* each in turn */
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_ne(ask(&b, i), 0);
	until(&b, &b.answers, 3);
	bus_close(&b);
}
END_TEST

START_TEST(a_call_ends_once_also_when_its_worker_goes_away)
{
	struct bus b;
	uint64_t forgotten;

	bus_open(&b);
	start(&b, 0, 1);
	until(&b, &b.ups, 1);
	scripted_worker_mute(b.workers[0], true);
	for (int i = 0; i < 5; i++)
		ck_assert_uint_ne(ask(&b, 0), 0);
	forgotten = ask(&b, 0);
	backend_forget(b.backend, 0, forgotten);
	scripted_worker_cut(b.workers[0], true);
	until(&b, &b.downs, 1);
	ck_assert_int_eq(b.failures, 5);
	ck_assert_int_eq(b.answers, 0);
	scripted_worker_mute(b.workers[0], false);
	until(&b, &b.ups, 2); /* it comes back by itself */
	ck_assert_uint_ne(ask(&b, 0), 0);
	until(&b, &b.answers, 1);
	ck_assert_int_eq(b.failures, 5);
	ck_assert_uint_ne(ask(&b, 0), 0);
	bus_close(&b);
	ck_assert_int_eq(b.failures, 6);
}
END_TEST

START_TEST(links_fit_themselves_to_another_number_of_workers)
{
	struct bus b;

	bus_open(&b);
	for (unsigned i = 0; i < 3; i++)
		start(&b, i, 3);
	until(&b, &b.ups, 3);
	for (int i = 0; i < 3; i++) {
		scripted_worker_free(b.workers[i]);
		b.workers[i] = NULL;
	}
	until(&b, &b.downs, 3);
	for (unsigned i = 0; i < 2; i++)
		start(&b, i, 2);
	until(&b, &b.ups, 5);
	ck_assert_uint_eq(backend_workers(b.backend), 2);
	ck_assert(backend_is_up(b.backend, 0) && backend_is_up(b.backend, 1));
	bus_close(&b);
}
END_TEST

/* FAF-6 */
START_TEST(why_a_worker_cannot_be_reached_is_told_when_it_changes_and_once_a_minute)
{
	struct bus b;
	char path[100];
	int fd;

	bus_open(&b);
	until(&b, &lines.unreachable, 1);
	ck_assert_ptr_nonnull(strstr(lines.last, strerror(ENOENT)));
	for (int i = 0; i < 5; i++) /* the same again */
		(void)event_base_loop(b.base, EVLOOP_ONCE);
	ck_assert_int_eq(lines.unreachable, 1);
	(void)snprintf(path, sizeof(path), "%s/worker-0.sock", b.dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600); /* nobody listens there */
	ck_assert_int_ge(fd, 0);
	until(&b, &lines.unreachable, 2);
	ck_assert_ptr_nonnull(strstr(lines.last, strerror(ECONNREFUSED)));
	skipped_ms += LIMIT_BUS_REPEAT_MS;
	until(&b, &lines.unreachable, 3);
	(void)close(fd);
	(void)unlink(path);
	start(&b, 0, 1);
	until(&b, &b.ups, 1);
	ck_assert_int_eq(lines.down, 0);
	scripted_worker_cut(b.workers[0], true);
	until(&b, &b.ups, 2);
	ck_assert_int_eq(lines.down, 1);
	scripted_worker_cut(b.workers[0], true); /* it was up in between: told again */
	until(&b, &b.ups, 3);
	ck_assert_int_eq(lines.down, 2);
	bus_close(&b);
}
END_TEST

/* FAF-6 */
START_TEST(a_call_that_a_worker_leaves_unanswered_is_told_and_a_lost_one_is_not)
{
	struct bus b;

	bus_open(&b);
	start(&b, 0, 1);
	until(&b, &b.ups, 1);
	scripted_worker_mute(b.workers[0], true);
	step_ms = LIMIT_CALL_MS - 10; /* almost all of the time is over when the timer is set */
	ck_assert_uint_ne(ask(&b, 0), 0);
	until(&b, &b.failures, 1);
	step_ms = 0;
	ck_assert_int_eq(lines.unanswered, 1);
	ck_assert_str_eq(lines.last, "worker=0 message=status after_ms=10000");
	ck_assert_uint_ne(ask(&b, 0), 0);
	scripted_worker_cut(b.workers[0], false);
	until(&b, &b.failures, 2);
	ck_assert_int_eq(lines.unanswered, 1);
	bus_close(&b);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("backend");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, the_first_hello_says_how_many_workers_there_are);
	tcase_add_test(t, a_call_ends_once_also_when_its_worker_goes_away);
	tcase_add_test(t, links_fit_themselves_to_another_number_of_workers);
	tcase_add_test(t, why_a_worker_cannot_be_reached_is_told_when_it_changes_and_once_a_minute);
	tcase_add_test(t, a_call_that_a_worker_leaves_unanswered_is_told_and_a_lost_one_is_not);
	return run_case("backend", t);
}
