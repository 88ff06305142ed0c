/*
 * test_socket_set.c - sockets of an epoll set of their own: who is told what, and who no more.
 */
#include "streamerd/socket_set.h"

#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/common/run_case.h"

#define N (SOCKET_SET_BATCH + 20)

struct peer {
	int ours, theirs;
	int reads, writes;
};

static struct event_base *base;
static struct socket_set set;
static struct peer peers[N];
static struct peer *victim; /* removed by whoever comes before it */

static void on_ready(void *arg, bool can_read, bool can_write)
{
	struct peer *p = arg;

	p->reads += can_read;
	p->writes += can_write;
	if (victim && victim != p)
		socket_set_remove(&set, victim->ours, victim);
}

static void set_up(int n)
{
	base = event_base_new();
	socket_set_init(&set, base, on_ready);
	victim = NULL;
	memset(peers, 0, sizeof(peers));
	for (int i = 0; i < n; i++) {
		int fds[2];

		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
		peers[i].ours = fds[0];
		peers[i].theirs = fds[1];
		ck_assert_int_eq(socket_set_add(&set, fds[0], &peers[i]), 0);
	}
}

static void tear_down(int n)
{
	for (int i = 0; i < n; i++) {
		(void)close(peers[i].ours);
		(void)close(peers[i].theirs);
	}
	socket_set_fini(&set);
	event_base_free(base);
}

static void loop(void)
{
	ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK), 0);
}

/* PRC-5 */
START_TEST(a_socket_is_heard_when_it_can_be_read_and_written_only_if_that_is_wanted)
{
	set_up(2);
	loop();
	ck_assert_int_eq(peers[0].reads + peers[0].writes, 0);
	ck_assert_int_eq(write(peers[0].theirs, "x", 1), 1);
	loop();
	ck_assert_int_eq(peers[0].reads, 1);
	ck_assert_int_eq(peers[0].writes, 0);
	ck_assert_int_eq(peers[1].reads, 0);
	loop(); /* it is still there */
	ck_assert_int_eq(peers[0].reads, 2);
	socket_set_want_write(&set, peers[1].ours, &peers[1], true);
	loop();
	ck_assert_int_eq(peers[1].reads, 0);
	ck_assert_int_eq(peers[1].writes, 1);
	socket_set_want_write(&set, peers[1].ours, &peers[1], false);
	loop();
	ck_assert_int_eq(peers[1].writes, 1);
	(void)close(peers[1].theirs);
	peers[1].theirs = -1;
	loop();
	ck_assert_int_eq(peers[1].reads, 1); /* the peer has gone */
	tear_down(2);
}
END_TEST

/* PRC-5: a batch is what one of the loop's turns takes, and the next has the others */
START_TEST(all_are_heard_though_more_are_ready_than_a_batch_holds)
{
	set_up(N);
	for (int i = 0; i < N; i++)
		(void)shutdown(peers[i].theirs, SHUT_WR);
	for (int k = 0; k < 4; k++)
		loop();
	for (int i = 0; i < N; i++)
		ck_assert_int_gt(peers[i].reads, 0);
	tear_down(N);
}
END_TEST

/* SDC-4: who was ended by another's callback is freed memory by then */
START_TEST(who_was_removed_in_the_same_batch_is_not_heard)
{
	set_up(3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(write(peers[i].theirs, "x", 1), 1);
	victim = &peers[_i];
	loop();
	loop();
	/* it is heard at most as the first */
	ck_assert_int_le(victim->reads, _i == 0);
	for (int i = 0; i < 3; i++) {
		if (i != _i)
			ck_assert_int_eq(peers[i].reads, 2);
	}
	tear_down(3);
}
END_TEST

/* PRC-5: the caller is told, and removing it is harmless */
START_TEST(a_socket_that_cant_be_watched_is_an_error)
{
	set_up(1);
	ck_assert_int_eq(socket_set_add(&set, -1, &peers[0]), -EBADF);
	socket_set_remove(&set, -1, &peers[0]);
	tear_down(1);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("socket_set");

	tcase_add_test(t, a_socket_is_heard_when_it_can_be_read_and_written_only_if_that_is_wanted);
	tcase_add_test(t, all_are_heard_though_more_are_ready_than_a_batch_holds);
	tcase_add_loop_test(t, who_was_removed_in_the_same_batch_is_not_heard, 0, 3);
	tcase_add_test(t, a_socket_that_cant_be_watched_is_an_error);
	return run_case("socket_set", t);
}
