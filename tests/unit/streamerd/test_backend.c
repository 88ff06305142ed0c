/*
 * test_backend.c - the links to the workers: how many there are, who is asked, what a loss means.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/log.h"
#include "proto/shard.h"
#include "streamerd/backend.h"
#include "tests/unit/common/run_case.h"
#include "tests/unit/streamerd/scripted_worker.h"

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

static const struct backend_ops ops = {on_up, on_down, on_event};

static void bus_open(struct bus *b)
{
	memset(b, 0, sizeof(*b));
	log_max = LOG_LEVEL_ERR;
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

int main(void)
{
	TCase *t = tcase_create("backend");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, the_first_hello_says_how_many_workers_there_are);
	tcase_add_test(t, a_call_ends_once_also_when_its_worker_goes_away);
	tcase_add_test(t, links_fit_themselves_to_another_number_of_workers);
	return run_case("backend", t);
}
