/*
 * test_http_conn.c - connections: what raw clients send, in pieces, too slowly, too much, and how
 * they leave.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/limits.h"
#include "tests/unit/http/hostile.h"
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

START_TEST(a_connection_serves_one_request_after_the_other)
{
	int fd = rig_connect(&rig);

	for (int i = 0; i < 5; i++) {
		auto_buf struct buf in = BUF_INIT;

		rig_sends(&rig, fd, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
		rig_expect(&rig, fd, &in, "POST /x body");
		ck_assert_int_eq(rig_count(&in, "HTTP/1.1 200 OK\r\nDate: "), 1);
		ck_assert_int_eq(rig_count(&in, "Content-Length: 12\r\n"), 1);
		ck_assert_int_eq(rig_count(&in, "Connection:"), 0);
	}
	ck_assert_int_eq(rig.requests, 5);
	ck_assert_uint_eq(http_server_connections(rig.server), 1);
	close_all(fd);
}
END_TEST

/* SEC-4, SEC-5: over a socket, with the connection's end. */
START_TEST(each_hostile_request_gets_its_status_and_ends_its_connection)
{
	struct http_conf conf = rig_conf();
	struct hostile *all;
	size_t n;

	conf.max_body = HOSTILE_MAX_BODY;
	conf.head_ms = conf.body_ms = 300; /* for those that never become whole */
	rig_start(&rig, conf);
	rig_listen_tcp(&rig);
	all = hostile_load(&n);
	for (size_t i = 0; i < n; i++) {
		auto_buf struct buf in = BUF_INIT;
		int fd = rig_connect(&rig);
		char status[20];

		(void)snprintf(status, sizeof(status), "HTTP/1.1 %d ", all[i].status);
		rig.requests = 0;
		rig_send(&rig, fd, all[i].bytes.data, all[i].bytes.len);
		if (all[i].status < 400)
			(void)shutdown(fd, SHUT_WR); /* so that the server closes, too */
		rig_expect_eof(&rig, fd, &in);
		ck_assert_msg(strncmp(buf_str(&in), status, strlen(status)) == 0,
			      "%s: not %d: %.60s", all[i].name, all[i].status, buf_str(&in));
		ck_assert_msg(rig.requests == all[i].requests, "%s: %d requests", all[i].name,
			      rig.requests);
		if (all[i].status >= 400) {
			ck_assert_msg(rig_count(&in, "\r\nDate: ") == 1, "%s: answers",
				      all[i].name);
			ck_assert_msg(rig_count(&in, "Connection: close\r\n") == 1, "%s: no close",
				      all[i].name);
			ck_assert_msg(rig_count(&in, "{\"error\":{\"code\":\"") == 1, "%s: no body",
				      all[i].name);
		} else {
			ck_assert_msg(rig_count(&in, status) == rig.requests, "%s: answers",
				      all[i].name);
		}
		close_all(fd);
	}
	hostile_free(all, n);
	rig_stop(&rig);
}
END_TEST

START_TEST(a_request_may_come_byte_by_byte)
{
	static const char text[] = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
	auto_buf struct buf in = BUF_INIT;
	int fd = rig_connect(&rig);

	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		ck_assert_int_eq(rig.requests, 0);
		rig_send(&rig, fd, text + i, 1);
	}
	rig_expect(&rig, fd, &in, "POST /x body");
	close_all(fd);
}
END_TEST

START_TEST(requests_sent_ahead_wait_for_their_turn)
{
	auto_buf struct buf in = BUF_INIT;
	int fd = rig_connect(&rig);

	rig_sends(&rig, fd, GET("/hold") GET("/hold") GET("/last"));
	RIG_WAIT(&rig, rig.n_held == 1);
	for (int i = 0; i < 5; i++)
		rig_pass(&rig);
	ck_assert_int_eq(rig.requests, 1);
	rig_answer_held(&rig);
	ck_assert_int_eq(rig.requests, 1); /* not out of http_reply() */
	RIG_WAIT(&rig, rig.n_held == 1);
	ck_assert_int_eq(rig.requests, 2);
	rig_answer_held(&rig);
	rig_expect(&rig, fd, &in, "GET /last ");
	ck_assert_int_eq(rig_count(&in, "HTTP/1.1 200"), 3);
	close_all(fd);
}
END_TEST

/* PRC-5, SEC-4: over a Unix socket, where the kernel keeps little itself. */
START_TEST(bytes_behind_a_pending_request_are_bounded_and_not_lost)
{
	size_t sent = 0;
	size_t served;
	auto_buf struct buf in = BUF_INIT;
	auto_buf struct buf all = BUF_INIT;
	int64_t until;
	int fd;

	rig_start(&rig, rig_conf());
	rig_listen_unix(&rig);
	fd = rig_connect(&rig);
	buf_adds(&all, GET("/hold"));
	while (all.len < 4 * 1024 * 1024)
		buf_adds(&all, GET("/n"));
	until = clock_mono_ms() + 300;
	while (clock_mono_ms() < until) {
		ssize_t n = send(fd, all.data + sent, all.len - sent, MSG_NOSIGNAL);

		if (n > 0)
			sent += (size_t)n;
		rig_pass(&rig);
	}
	ck_assert_uint_lt(sent, 1024 * 1024);
	ck_assert_uint_gt(sent, LIMIT_HTTP_PIPELINED);
	ck_assert_int_eq(rig.requests, 1);
	rig_answer_held(&rig);
	/* up to the end of a whole request, while the answers are read */
	while ((sent - strlen(GET("/hold"))) % strlen(GET("/n"))) {
		sent += send(fd, all.data + sent, 1, MSG_NOSIGNAL) == 1;
		ck_assert_int_eq(rig_read(fd, &in), 0);
		rig_pass(&rig);
	}
	served = (sent - strlen(GET("/hold"))) / strlen(GET("/n"));
	RIG_WAIT(&rig, (rig_read(fd, &in), rig_count(&in, "GET /n ") == (int)served));
	ck_assert_int_eq(rig.requests, (int)served + 1);
	close_all(fd);
	rig_stop(&rig);
}
END_TEST

/* SEC-4 */
START_TEST(a_slow_head_is_refused_at_its_deadline_however_it_drips)
{
	struct http_conf conf = rig_conf();
	auto_buf struct buf in = BUF_INIT;
	int64_t begun = clock_mono_ms();
	int fd;

	conf.head_ms = 200;
	rig_start(&rig, conf);
	rig_listen_tcp(&rig);
	fd = rig_connect(&rig);
	rig_sends(&rig, fd, "GET / HTTP/1.1\r\nX: ");
	while (rig_read(fd, &in) == 0 && !in.len) {
		ck_assert_int_lt(clock_mono_ms() - begun, 20000);
		rig_sends(&rig, fd, "x");
		rig_pass(&rig); /* nothing to do: 1 ms a byte */
	}
	ck_assert_int_ge(clock_mono_ms() - begun, 190);
	rig_expect(&rig, fd, &in, "HTTP/1.1 408 ");
	rig_expect(&rig, fd, &in, "request_timeout");
	close_all(fd);
	rig_stop(&rig);
}
END_TEST

/* SEC-4 */
START_TEST(a_slow_body_is_refused_at_its_deadline_however_it_drips)
{
	struct http_conf conf = rig_conf();
	auto_buf struct buf in = BUF_INIT;
	int64_t begun = clock_mono_ms();
	int fd;

	conf.body_ms = 200;
	conf.max_body = 1000000;
	rig_start(&rig, conf);
	rig_listen_tcp(&rig);
	fd = rig_connect(&rig);
	rig_sends(&rig, fd, "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n");
	while (rig_read(fd, &in) == 0 && !in.len) {
		ck_assert_int_lt(clock_mono_ms() - begun, 20000);
		rig_sends(&rig, fd, "x");
		rig_pass(&rig); /* nothing to do: 1 ms a byte */
	}
	ck_assert_int_ge(clock_mono_ms() - begun, 190);
	rig_expect(&rig, fd, &in, "HTTP/1.1 408 ");
	ck_assert_int_eq(rig.last_status, 408);
	ck_assert_str_eq(rig.last_line, "POST /p");
	ck_assert_int_eq(rig.requests, 0);
	close_all(fd);
	rig_stop(&rig);
}
END_TEST

/* SEC-4 */
START_TEST(a_connection_that_says_nothing_is_closed_without_an_answer)
{
	struct http_conf conf = rig_conf();
	auto_buf struct buf in = BUF_INIT;
	int fd;

	conf.head_ms = 100;
	rig_start(&rig, conf);
	rig_listen_tcp(&rig);
	fd = rig_connect(&rig);
	rig_expect_eof(&rig, fd, &in);
	ck_assert_uint_eq(in.len, 0);
	ck_assert_int_eq(rig.answered, 0);
	close_all(fd);
	rig_stop(&rig);
}
END_TEST

/* SEC-4 */
START_TEST(an_idle_connection_is_closed_after_its_time)
{
	struct http_conf conf = rig_conf();
	auto_buf struct buf in = BUF_INIT;
	int fd;

	conf.idle_ms = 100;
	rig_start(&rig, conf);
	rig_listen_tcp(&rig);
	fd = rig_connect(&rig);
	rig_sends(&rig, fd, GET("/"));
	rig_expect_eof(&rig, fd, &in);
	ck_assert_int_eq(rig_count(&in, "HTTP/1.1 "), 1);
	close_all(fd);
	rig_stop(&rig);
}
END_TEST

/* The handler's time is its own: no deadline of the layer ends a pending request. */
START_TEST(a_pending_request_has_no_deadline)
{
	struct http_conf conf = rig_conf();
	auto_buf struct buf in = BUF_INIT;
	int64_t until;
	int fd;

	conf.head_ms = conf.body_ms = conf.idle_ms = conf.write_ms = 20;
	rig_start(&rig, conf);
	rig_listen_tcp(&rig);
	fd = rig_connect(&rig);
	rig_sends(&rig, fd, GET("/hold"));
	RIG_WAIT(&rig, rig.n_held == 1);
	until = clock_mono_ms() + 100;
	while (clock_mono_ms() < until)
		rig_pass(&rig);
	rig_answer_held(&rig);
	rig_expect(&rig, fd, &in, "late");
	close_all(fd);
	rig_stop(&rig);
}
END_TEST

/* SEC-4 */
START_TEST(a_reader_that_takes_nothing_is_cut_off)
{
	struct http_conf conf = rig_conf();
	int fd;

	conf.write_ms = 100;
	rig_start(&rig, conf);
	rig_listen_tcp(&rig);
	fd = rig_connect(&rig);
	rig_sends(&rig, fd, GET("/big"));
	RIG_WAIT(&rig, rig.answered == 1);
	ck_assert_uint_eq(http_server_connections(rig.server), 1);
	RIG_WAIT(&rig, http_server_connections(rig.server) == 0);
	(void)close(fd);
	rig_stop(&rig);
}
END_TEST

START_TEST(a_large_answer_arrives_whole_and_the_connection_goes_on)
{
	auto_buf struct buf in = BUF_INIT;
	int fd = rig_connect(&rig);

	rig_sends(&rig, fd, GET("/big") GET("/after"));
	rig_expect(&rig, fd, &in, "GET /after ");
	ck_assert_uint_gt(in.len, RIG_BIG);
	ck_assert_int_eq(rig_count(&in, "bbbbbbbb"), RIG_BIG / 8);
	close_all(fd);
}
END_TEST

/* API-2, SEC-4 */
START_TEST(a_client_still_sending_a_body_too_large_sees_the_413)
{
	auto_buf struct buf in = BUF_INIT;
	auto_buf struct buf body = BUF_INIT;
	int how = 0;
	int fd = rig_connect(&rig);

	buf_reserve(&body, 900000);
	memset(body.data, 'x', 900000);
	rig_sends(&rig, fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n");
	rig_send(&rig, fd, body.data, 900000);
	rig_expect(&rig, fd, &in, "too_large");
	ck_assert_int_eq(rig_count(&in, "HTTP/1.1 413 "), 1);
	(void)shutdown(fd, SHUT_WR);
	RIG_WAIT(&rig, (how = rig_read(fd, &in)) != 0);
	ck_assert_int_eq(how, 1); /* no reset: that could have overtaken the answer */
	ck_assert_int_eq(rig.requests, 0);
	close_all(fd);
}
END_TEST

/* SEC-4 */
START_TEST(a_client_that_never_stops_sending_after_a_refusal_is_cut)
{
	auto_buf struct buf junk = BUF_INIT;
	int fd = rig_connect(&rig);

	buf_reserve(&junk, 65536);
	memset(junk.data, 'x', 65536);
	rig_sends(&rig, fd, "BAD\r\n");
	RIG_WAIT(&rig, (send(fd, junk.data, 65536, MSG_NOSIGNAL),
			http_server_connections(rig.server) == 0));
	(void)close(fd);
}
END_TEST

START_TEST(a_100_continue_comes_before_the_body_and_only_if_it_is_wanted)
{
	auto_buf struct buf in = BUF_INIT;
	auto_buf struct buf late = BUF_INIT;
	int fd = rig_connect(&rig);

	rig_sends(
		&rig, fd,
		"POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
	rig_expect(&rig, fd, &in, "HTTP/1.1 100 Continue\r\n\r\n");
	ck_assert_int_eq(rig_count(&in, "HTTP/1.1 "), 1);
	rig_sends(&rig, fd, "body");
	rig_expect(&rig, fd, &in, "POST /x body");
	rig_sends(&rig, fd,
		  "POST /y HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: "
		  "2000\r\n\r\n");
	rig_expect_eof(&rig, fd, &late);
	ck_assert_int_eq(rig_count(&late, "HTTP/1.1 413 "), 1);
	ck_assert_int_eq(rig_count(&late, "100 Continue"), 0);
	close_all(fd);
}
END_TEST

START_TEST(answers_without_a_body_have_none)
{
	static const struct {
		const char *request;
		const char *status;
		int length; /* Content-Length lines */
	} rows[] = {
		{"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 ", 1},
		{GET("/204"), "HTTP/1.1 204 ", 0},
		{GET("/304"), "HTTP/1.1 304 ", 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_buf struct buf in = BUF_INIT;
		int fd = rig_connect(&rig);

		rig_sends(&rig, fd, rows[i].request);
		(void)shutdown(fd, SHUT_WR);
		rig_expect_eof(&rig, fd, &in);
		ck_assert_int_eq(rig_count(&in, rows[i].status), 1);
		ck_assert_int_eq(rig_count(&in, "Content-Length: "), rows[i].length);
		ck_assert_mem_eq(in.data + in.len - 4, "\r\n\r\n", 4);
		close_all(fd);
	}
}
END_TEST

START_TEST(http_1_0_is_told_how_the_connection_goes_on)
{
	auto_buf struct buf in = BUF_INIT;
	int fd = rig_connect(&rig);

	rig_sends(&rig, fd, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	rig_expect(&rig, fd, &in, "GET / ");
	ck_assert_int_eq(rig_count(&in, "Connection: keep-alive\r\n"), 1);
	rig_sends(&rig, fd, "GET / HTTP/1.0\r\n\r\n");
	rig_expect_eof(&rig, fd, &in);
	ck_assert_int_eq(rig_count(&in, "Connection: close\r\n"), 1);
	close_all(fd);
}
END_TEST

START_TEST(a_handler_can_read_all_of_a_request)
{
	static const char text[] =
		"PUT /a%20b?x=1+2&y HTTP/1.1\r\nHost: h:1\r\nX-A: 1\r\nx-a: 2\r\n"
		"Content-Length: 3\r\n\r\nabc";
	const struct http_request *r;
	int fd = rig_connect(&rig);

	/* the rest is sent while the request is held: what is borrowed must not move */
	rig_sends(&rig, fd, GET("/hold"));
	RIG_WAIT(&rig, rig.n_held == 1);
	r = rig.held[0];
	ck_assert_int_eq(http_method(r), HTTP_GET);
	ck_assert(str_eq(http_path(r), "/hold"));
	ck_assert(str_eq(http_header(r, "hOST"), "a"));
	for (int i = 0; i < 100; i++)
		rig_sends(&rig, fd, text);
	ck_assert(str_eq(http_path(r), "/hold"));
	ck_assert(str_eq(http_header(r, "host"), "a"));
	ck_assert_int_eq(http_header_count(r, "X-A"), 0);
	ck_assert_ptr_null(http_header(r, "X-A").p);
	ck_assert_ptr_null(http_query(r, "x").p);
	ck_assert_uint_eq(http_body(r).n, 0);
	ck_assert_int_eq(strncmp(http_peer(r), "127.0.0.1:", 10), 0);
	http_set_note(rig.held[0], "note");
	ck_assert_str_eq(http_note(r), "note");
	rig_answer_held(&rig);
	RIG_WAIT(&rig, rig.answered == 101);
	ck_assert_str_eq(rig.last_line, "PUT /a b");
	close_all(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_conn");
	TCase *own = tcase_create("own conf");
	TCase *tcp = tcase_create("tcp");
	SRunner *runner;
	int failed;

	tcase_set_timeout(own, 120);
	tcase_add_test(own, each_hostile_request_gets_its_status_and_ends_its_connection);
	tcase_add_test(own, bytes_behind_a_pending_request_are_bounded_and_not_lost);
	tcase_add_test(own, a_slow_head_is_refused_at_its_deadline_however_it_drips);
	tcase_add_test(own, a_slow_body_is_refused_at_its_deadline_however_it_drips);
	tcase_add_test(own, a_connection_that_says_nothing_is_closed_without_an_answer);
	tcase_add_test(own, an_idle_connection_is_closed_after_its_time);
	tcase_add_test(own, a_pending_request_has_no_deadline);
	tcase_add_test(own, a_reader_that_takes_nothing_is_cut_off);
	suite_add_tcase(suite, own);
	tcase_set_timeout(tcp, 60);
	tcase_add_checked_fixture(tcp, start_tcp, stop);
	tcase_add_test(tcp, a_connection_serves_one_request_after_the_other);
	tcase_add_test(tcp, a_request_may_come_byte_by_byte);
	tcase_add_test(tcp, requests_sent_ahead_wait_for_their_turn);
	tcase_add_test(tcp, a_large_answer_arrives_whole_and_the_connection_goes_on);
	tcase_add_test(tcp, a_client_still_sending_a_body_too_large_sees_the_413);
	tcase_add_test(tcp, a_client_that_never_stops_sending_after_a_refusal_is_cut);
	tcase_add_test(tcp, a_100_continue_comes_before_the_body_and_only_if_it_is_wanted);
	tcase_add_test(tcp, answers_without_a_body_have_none);
	tcase_add_test(tcp, http_1_0_is_told_how_the_connection_goes_on);
	tcase_add_test(tcp, a_handler_can_read_all_of_a_request);
	suite_add_tcase(suite, tcp);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
