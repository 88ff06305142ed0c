/*
 * test_http_gone.c - connections: how clients leave, and sockets that are taken or dropped.
 */
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/http/rig.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static struct rig rig;

static void start_tcp(void)
{
	rig_start(&rig, rig_conf());
	rig_listen_tcp(&rig);
}

static void stop(void)
{
	rig_stop(&rig);
}

static void close_all(int fd)
{
	(void)close(fd);
	RIG_WAIT(&rig, http_server_connections(rig.server) == 0);
}

START_TEST(half_a_request_of_a_client_that_left_reaches_nobody)
{
	static const char *const texts[] = {
		"GET", "GET / HTTP/1.1\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int fd = rig_connect(&rig);

		rig_sends(&rig, fd, texts[i]);
		RIG_WAIT(&rig, http_server_connections(rig.server) == 1);
		close_all(fd);
		ck_assert_int_eq(rig.requests, 0);
		ck_assert_int_eq(rig.answered, (int)i + 1);
		ck_assert_int_eq(rig.last_status, 0);
	}
}
END_TEST

START_TEST(half_a_close_behind_a_request_still_gets_the_answer)
{
	auto_buf struct buf in = BUF_INIT;
	int fd = rig_connect(&rig);

	rig_sends(&rig, fd, GET("/gone") GET("/next"));
	(void)shutdown(fd, SHUT_WR);
	RIG_WAIT(&rig, rig.n_held == 1);
	for (int i = 0; i < 20; i++)
		rig_pass(&rig);
	ck_assert_int_eq(rig.gone, 0);
	rig_answer_held(&rig);
	rig_expect_eof(&rig, fd, &in);
	ck_assert_int_eq(rig_count(&in, "HTTP/1.1 200 "), 2);
	ck_assert_int_eq(rig_count(&in, "GET /next "), 1);
	close_all(fd);
}
END_TEST

/* The socket stays readable after EOF: the loop must sleep all the same. */
START_TEST(half_a_close_does_not_make_the_loop_spin)
{
	int passes = 0;
	int64_t until;
	int fd = rig_connect(&rig);

	rig_sends(&rig, fd, GET("/gone"));
	(void)shutdown(fd, SHUT_WR);
	RIG_WAIT(&rig, rig.n_held == 1);
	until = clock_mono_ms() + 100;
	while (clock_mono_ms() < until) {
		rig_pass(&rig); /* sleeps 1 ms if nothing happens */
		passes++;
	}
	ck_assert_int_lt(passes, 130);
	rig_answer_held(&rig);
	close_all(fd);
}
END_TEST

static void reset(int fd)
{
	struct linger now = {1, 0};

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	(void)close(fd);
}

START_TEST(a_reset_while_a_request_is_pending_is_told_once)
{
	int fd = rig_connect(&rig);

	rig_sends(&rig, fd, GET("/gone"));
	RIG_WAIT(&rig, rig.n_held == 1);
	reset(fd);
	RIG_WAIT(&rig, rig.gone == 1);
	ck_assert(http_is_gone(rig.held[0]));
	ck_assert_uint_eq(http_server_connections(rig.server), 1);
	rig_answer_held(&rig);
	ck_assert_int_eq(rig.last_status, 0);
	RIG_WAIT(&rig, http_server_connections(rig.server) == 0);
	ck_assert_int_eq(rig.gone, 1);
}
END_TEST

START_TEST(a_reset_after_half_a_close_is_noticed)
{
	int fd = rig_connect(&rig);

	rig_sends(&rig, fd, GET("/gone"));
	(void)shutdown(fd, SHUT_WR);
	RIG_WAIT(&rig, rig.n_held == 1);
	for (int i = 0; i < 20; i++)
		rig_pass(&rig);
	ck_assert_int_eq(rig.gone, 0);
	reset(fd);
	RIG_WAIT(&rig, rig.gone == 1);
	http_drop(rig.held[0]);
	RIG_WAIT(&rig, http_server_connections(rig.server) == 0);
}
END_TEST

static void count_gone(void *arg)
{
	(*(int *)arg)++;
}

START_TEST(a_close_of_a_unix_socket_is_noticed_even_before_it_is_asked_for)
{
	int calls = 0;
	int fd;

	rig_start(&rig, rig_conf());
	rig_listen_unix(&rig);
	fd = rig_connect(&rig);
	rig_sends(&rig, fd, GET("/hold"));
	RIG_WAIT(&rig, rig.n_held == 1);
	(void)close(fd);
	RIG_WAIT(&rig, http_is_gone(rig.held[0]));
	http_on_gone(rig.held[0], count_gone, &calls);
	ck_assert_int_eq(calls, 0); /* never inside the setter */
	RIG_WAIT(&rig, calls == 1);
	ck_assert_int_eq(http_take(rig.held[0], NULL), -1);
	ck_assert_int_eq(rig.last_status, 0);
	ck_assert_uint_eq(http_server_connections(rig.server), 0);
	rig_stop(&rig);
}
END_TEST

/* What the layer still owes the request must go with it. */
START_TEST(a_request_may_end_before_its_gone_callback_has_come)
{
	int calls = 0;
	int fd;

	rig_start(&rig, rig_conf());
	rig_listen_unix(&rig);
	fd = rig_connect(&rig);
	rig_sends(&rig, fd, GET("/hold"));
	RIG_WAIT(&rig, rig.n_held == 1);
	(void)close(fd);
	RIG_WAIT(&rig, http_is_gone(rig.held[0]));
	http_on_gone(rig.held[0], count_gone, &calls);
	http_drop(rig.held[0]);
	ck_assert_uint_eq(http_server_connections(rig.server), 0);
	for (int i = 0; i < 5; i++)
		rig_pass(&rig);
	ck_assert_int_eq(calls, 0);
	rig_stop(&rig);
}
END_TEST

START_TEST(a_taken_socket_belongs_to_its_taker)
{
	auto_buf struct buf in = BUF_INIT;
	int fd = rig_connect(&rig);

	rig_sends(&rig, fd, GET("/take") GET("/behind"));
	RIG_WAIT(&rig, rig.taken >= 0);
	ck_assert_int_eq(rig.taken_http10, 0);
	ck_assert_uint_eq(http_server_connections(rig.server), 0);
	ck_assert_int_eq(send(rig.taken, "mine", 4, MSG_NOSIGNAL), 4);
	rig_expect(&rig, fd, &in, "mine");
	(void)close(rig.taken);
	rig_expect_eof(&rig, fd, &in);
	ck_assert_int_eq(rig.requests, 1);
	ck_assert_uint_eq(in.len, 4);
	(void)close(fd);
}
END_TEST

START_TEST(a_socket_may_be_taken_later_and_by_http_1_0)
{
	int http10 = 0;
	int taken;
	int fd = rig_connect(&rig);

	rig_sends(&rig, fd, "GET /hold HTTP/1.0\r\n\r\n");
	RIG_WAIT(&rig, rig.n_held == 1);
	taken = http_take(rig.held[0], &http10);
	ck_assert_int_ge(taken, 0);
	ck_assert_int_eq(http10, 1);
	ck_assert_uint_eq(http_server_connections(rig.server), 0);
	(void)close(taken);
	(void)close(fd);
}
END_TEST

START_TEST(a_dropped_request_closes_without_an_answer)
{
	auto_buf struct buf in = BUF_INIT;
	int fd = rig_connect(&rig);

	rig_sends(&rig, fd, GET("/drop"));
	rig_expect_eof(&rig, fd, &in);
	ck_assert_uint_eq(in.len, 0);
	ck_assert_int_eq(rig.last_status, 0);
	ck_assert_uint_eq(http_server_connections(rig.server), 0);
	(void)close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_gone");
	TCase *own = tcase_create("own conf");
	TCase *tcp = tcase_create("tcp");
	SRunner *runner;
	int failed;

	tcase_set_timeout(own, 60);
	tcase_add_test(own, a_close_of_a_unix_socket_is_noticed_even_before_it_is_asked_for);
	tcase_add_test(own, a_request_may_end_before_its_gone_callback_has_come);
	suite_add_tcase(suite, own);
	tcase_set_timeout(tcp, 60);
	tcase_add_checked_fixture(tcp, start_tcp, stop);
	tcase_add_test(tcp, half_a_request_of_a_client_that_left_reaches_nobody);
	tcase_add_test(tcp, half_a_close_behind_a_request_still_gets_the_answer);
	tcase_add_test(tcp, half_a_close_does_not_make_the_loop_spin);
	tcase_add_test(tcp, a_reset_while_a_request_is_pending_is_told_once);
	tcase_add_test(tcp, a_reset_after_half_a_close_is_noticed);
	tcase_add_test(tcp, a_taken_socket_belongs_to_its_taker);
	tcase_add_test(tcp, a_socket_may_be_taken_later_and_by_http_1_0);
	tcase_add_test(tcp, a_dropped_request_closes_without_an_answer);
	suite_add_tcase(suite, tcp);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
