/*
 * test_http_server.c - listeners: room for connections, want of descriptors, draining.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/log.h"
#include "common/quota.h"
#include "streamerd/http/http_peer.h"
#include "tests/unit/http/rig.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static struct rig rig;

static void start(int max_connections)
{
	struct http_conf conf = rig_conf();

	conf.max_connections = max_connections;
	rig_start(&rig, conf);
	rig_listen_tcp(&rig);
}

static void turn(int ms)
{
	int64_t until = clock_mono_ms() + ms;

	while (clock_mono_ms() < until)
		rig_pass(&rig);
}

/* SEC-4 */
START_TEST(beyond_max_connections_a_client_waits_until_one_ends)
{
	auto_buf struct buf in = BUF_INIT;
	int fd[3];

	start(2);
	for (int i = 0; i < 3; i++) {
		fd[i] = rig_connect(&rig);
		rig_sends(&rig, fd[i], GET("/hold"));
	}
	RIG_WAIT(&rig, rig.n_held == 2);
	turn(30);
	ck_assert_int_eq(rig.requests, 2);
	ck_assert_uint_eq(http_server_connections(rig.server), 2);
	ck_assert_uint_eq(http_server_times_full(rig.server), 1);
	http_drop(rig.held[0]);
	RIG_WAIT(&rig, rig.requests == 3);
	http_drop(rig.held[1]);
	http_drop(rig.held[2]);
	rig_expect_eof(&rig, fd[2], &in);
	for (int i = 0; i < 3; i++)
		(void)close(fd[i]);
	rig_stop(&rig);
}
END_TEST

/* SEC-4 */
START_TEST(at_max_connections_the_longest_idle_one_makes_room)
{
	struct buf in[3] = {BUF_INIT, BUF_INIT, BUF_INIT};
	int fd[3];

	start(2);
	for (int i = 0; i < 3; i++) {
		fd[i] = rig_connect(&rig);
		rig_sends(&rig, fd[i], GET("/"));
		rig_expect(&rig, fd[i], &in[i], "GET / ");
	}
	ck_assert_uint_eq(http_server_connections(rig.server), 2);
	rig_expect_eof(&rig, fd[0], &in[0]);
	ck_assert_int_eq(rig_read(fd[1], &in[1]), 0);
	for (int i = 0; i < 3; i++) {
		(void)close(fd[i]);
		buf_fini(&in[i]);
	}
	rig_stop(&rig);
}
END_TEST

/* SEC-4 */
START_TEST(sockets_handed_over_count_against_max_connections)
{
	int fd[3], taken[2];

	start(2);
	for (int i = 0; i < 2; i++) {
		fd[i] = rig_connect(&rig);
		rig.taken = -1;
		rig_sends(&rig, fd[i], GET("/take"));
		RIG_WAIT(&rig, rig.taken >= 0);
		taken[i] = rig.taken;
	}
	ck_assert_uint_eq(http_server_connections(rig.server), 0);
	fd[2] = rig_connect(&rig);
	rig_sends(&rig, fd[2], GET("/"));
	turn(30);
	ck_assert_int_eq(rig.requests, 2);
	for (int i = 0; i < 2; i++) {
		(void)close(taken[i]);
		http_server_taken_ended(rig.server, taken[i]);
		RIG_WAIT(&rig, rig.requests == 3);
	}
	for (int i = 0; i < 3; i++)
		(void)close(fd[i]);
	rig_stop(&rig);
}
END_TEST

/* PRC-6, SEC-4: a quota of two processes, of which the other is this test. */
static struct quota *start_shared(int max, unsigned char **ret_memory, struct quota *quotas[2])
{
	struct http_conf conf = rig_conf();
	void *memory = mmap(NULL, quota_bytes(2), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ck_assert_ptr_ne(memory, MAP_FAILED);
	for (unsigned i = 0; i < 2; i++)
		quotas[i] = quota_new(memory, i, 2);
	log_max = LOG_LEVEL_ERR;
	conf.quota = quotas[0];
	conf.max_connections = max;
	rig_start(&rig, conf);
	rig_listen_tcp(&rig);
	*ret_memory = memory;
	return quotas[1];
}

static void stop_shared(unsigned char *memory, struct quota *quotas[2])
{
	rig_stop(&rig);
	for (int i = 0; i < 2; i++)
		quota_free(quotas[i]);
	(void)munmap(memory, quota_bytes(2));
}

/* SEC-4, PRC-6 */
START_TEST(connections_of_other_processes_count_and_one_that_ends_there_makes_room_here)
{
	auto_buf struct buf in = BUF_INIT;
	struct quota *quotas[2];
	unsigned char *memory;
	struct quota *others = start_shared(3, &memory, quotas);
	uint64_t all = quota_key(others, QUOTA_CONNECTIONS, str_of(""));
	int fd[2];

	ck_assert(quota_enter(others, all, 3));
	ck_assert(quota_enter(others, all, 3));
	for (int i = 0; i < 2; i++) {
		fd[i] = rig_connect(&rig);
		rig_sends(&rig, fd[i], GET("/hold"));
	}
	RIG_WAIT(&rig, rig.n_held == 1);
	turn(3 * LIMIT_HTTP_FULL_MS);
	ck_assert_int_eq(rig.requests, 1);
	ck_assert_uint_eq(http_server_times_full(rig.server), 1);
	quota_leave(others, all);
	RIG_WAIT(&rig, rig.n_held == 2);
	rig_answer_held(&rig);
	rig_answer_held(&rig);
	rig_expect(&rig, fd[1], &in, "late");
	for (int i = 0; i < 2; i++)
		(void)close(fd[i]);
	RIG_WAIT(&rig, quota_count(others, all) == 1);
	stop_shared(memory, quotas);
}
END_TEST

/* SEC-4, PRC-6: room that was made here, and another process was there first */
START_TEST(who_was_accepted_and_has_no_place_after_all_is_told)
{
	auto_buf struct buf idle_in = BUF_INIT, in = BUF_INIT;
	struct quota *quotas[2];
	unsigned char *memory;
	struct quota *others = start_shared(2, &memory, quotas);
	uint64_t all = quota_key(others, QUOTA_CONNECTIONS, str_of(""));
	int fd[2];

	fd[0] = rig_connect(&rig);
	rig_sends(&rig, fd[0], GET("/"));
	rig_expect(&rig, fd[0], &idle_in, "GET / ");
	for (int i = 0; i < 2; i++)
		ck_assert(quota_enter(others, all, 3));
	fd[1] = rig_connect(&rig);
	rig_expect_eof(&rig, fd[1], &in);
	ck_assert_msg(strncmp(buf_str(&in), "HTTP/1.1 503 ", 13) == 0, "%s", buf_str(&in));
	ck_assert_int_eq(rig_count(&in, "\"overloaded\""), 1);
	ck_assert_int_eq(rig_count(&in, "Retry-After: 1\r\n"), 1);
	rig_expect_eof(&rig, fd[0], &idle_in);
	ck_assert_uint_eq(quota_count(others, all), 2);
	quota_leave(others, all);
	(void)close(fd[1]);
	buf_clear(&in);
	fd[1] = rig_connect(&rig);
	rig_sends(&rig, fd[1], GET("/"));
	rig_expect(&rig, fd[1], &in, "GET / ");
	for (int i = 0; i < 2; i++)
		(void)close(fd[i]);
	stop_shared(memory, quotas);
}
END_TEST

/* SEC-4: what this process has descriptors for, whatever all together may have */
START_TEST(beyond_its_own_sockets_a_server_leaves_clients_to_others)
{
	struct http_conf conf = rig_conf();
	int fd[2];

	log_max = LOG_LEVEL_ERR;
	conf.max_sockets = 1;
	rig_start(&rig, conf);
	rig_listen_tcp(&rig);
	for (int i = 0; i < 2; i++) {
		fd[i] = rig_connect(&rig);
		rig_sends(&rig, fd[i], GET("/hold"));
	}
	RIG_WAIT(&rig, rig.n_held == 1);
	turn(30);
	ck_assert_int_eq(rig.requests, 1);
	http_drop(rig.held[0]);
	RIG_WAIT(&rig, rig.requests == 2);
	http_drop(rig.held[1]);
	for (int i = 0; i < 2; i++)
		(void)close(fd[i]);
	rig_stop(&rig);
}
END_TEST

static void start_crowded(int max, const struct http_net *proxies, size_t n)
{
	struct http_conf conf = rig_conf();

	log_max = LOG_LEVEL_ERR;
	conf.max_per_address = max;
	conf.proxies = proxies;
	conf.n_proxies = n;
	rig_start(&rig, conf);
	rig_listen_tcp(&rig);
}

/* SEC-4: at the limit and one past it, held, handed over or idle. */
START_TEST(beyond_its_share_an_address_is_turned_away_and_others_are_not)
{
	struct buf in[3] = {BUF_INIT, BUF_INIT, BUF_INIT};
	int fd[5], taken;

	start_crowded(3, NULL, 0);
	fd[0] = rig_connect_from(&rig, "127.0.0.2");
	rig_sends(&rig, fd[0], GET("/take"));
	RIG_WAIT(&rig, rig.taken >= 0);
	taken = rig.taken;
	fd[1] = rig_connect_from(&rig, "127.0.0.2");
	rig_sends(&rig, fd[1], GET("/hold"));
	fd[2] = rig_connect_from(&rig, "127.0.0.2");
	rig_sends(&rig, fd[2], GET("/"));
	rig_expect(&rig, fd[2], &in[0], "GET / ");
	fd[3] = rig_connect_from(&rig, "127.0.0.2");
	rig_expect_eof(&rig, fd[3], &in[1]);
	ck_assert_msg(strncmp(buf_str(&in[1]), "HTTP/1.1 429 ", 13) == 0, "%s", buf_str(&in[1]));
	ck_assert_int_eq(rig_count(&in[1], "Retry-After: 1\r\n"), 1);
	ck_assert_int_eq(rig_count(&in[1], "Connection: close\r\n"), 1);
	ck_assert_int_eq(rig_count(&in[1], "\"too_many\""), 1);
	ck_assert_uint_eq(http_server_times_crowded(rig.server), 1);
	fd[4] = rig_connect_from(&rig, "127.0.0.3");
	rig_sends(&rig, fd[4], GET("/"));
	rig_expect(&rig, fd[4], &in[2], "GET / ");
	(void)close(fd[4]);
	/* one ends, one may come: first of those handed over, then of the layer's own */
	(void)close(taken);
	http_server_taken_ended(rig.server, taken);
	for (int i = 0; i < 2; i++) {
		(void)close(fd[3]);
		buf_clear(&in[2]);
		fd[3] = rig_connect_from(&rig, "127.0.0.2");
		rig_sends(&rig, fd[3], GET("/"));
		rig_expect(&rig, fd[3], &in[2], "GET / ");
		if (i == 0)
			(void)close(fd[2]);
		RIG_WAIT(&rig, http_server_connections(rig.server) == 2);
	}
	http_drop(rig.held[0]);
	(void)close(fd[0]);
	(void)close(fd[1]);
	(void)close(fd[3]);
	for (int i = 0; i < 3; i++)
		buf_fini(&in[i]);
	rig_stop(&rig);
}
END_TEST

/* SEC-4 */
START_TEST(a_trusted_proxy_has_no_share_and_says_who_is_behind_it)
{
	struct http_net proxy;
	int fd[3];

	ck_assert(http_net_parse("127.0.0.2", &proxy));
	start_crowded(1, &proxy, 1);
	for (int i = 0; i < 3; i++) {
		fd[i] = rig_connect_from(&rig, i < 2 ? "127.0.0.2" : "127.0.0.3");
		rig_sends(&rig, fd[i],
			  "GET /hold HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\n"
			  "x-forwarded-for: 8.8.8.8, 192.0.2.7:80\r\n\r\n");
		RIG_WAIT(&rig, rig.n_held == (size_t)i + 1);
	}
	ck_assert_str_eq(http_peer(rig.held[0]), "192.0.2.7");
	ck_assert_str_eq(http_peer(rig.held[1]), "192.0.2.7");
	ck_assert_msg(strncmp(http_peer(rig.held[2]), "127.0.0.3:", 10) == 0, "%s",
		      http_peer(rig.held[2])); /* who is no proxy is not believed */
	while (rig.n_held)
		rig_answer_held(&rig);
	rig_sends(&rig, fd[0], "GET /hold HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: x\r\n\r\n");
	RIG_WAIT(&rig, rig.n_held == 1);
	ck_assert_msg(strncmp(http_peer(rig.held[0]), "127.0.0.2:", 10) == 0, "%s",
		      http_peer(rig.held[0]));
	rig_answer_held(&rig);
	for (int i = 0; i < 3; i++)
		(void)close(fd[i]);
	rig_stop(&rig);
}
END_TEST

/* SEC-4: peers of a Unix socket have no address. */
START_TEST(a_unix_socket_has_no_share)
{
	int fd[3];

	start_crowded(1, NULL, 0);
	rig_listen_unix(&rig);
	for (int i = 0; i < 3; i++) {
		fd[i] = rig_connect(&rig);
		rig_sends(&rig, fd[i], GET("/hold"));
		RIG_WAIT(&rig, rig.n_held == (size_t)i + 1);
	}
	while (rig.n_held)
		rig_answer_held(&rig);
	for (int i = 0; i < 3; i++)
		(void)close(fd[i]);
	rig_stop(&rig);
}
END_TEST

/* SEC-4: who reads a byte now and then holds its answer no longer than who reads nothing. */
START_TEST(a_reader_that_takes_an_answer_by_the_byte_is_closed)
{
	struct http_conf conf = rig_conf();
	int64_t began = clock_mono_ms();
	int fd;

	conf.write_ms = 400;
	rig_start(&rig, conf);
	rig_listen_tcp(&rig);
	fd = rig_connect(&rig);
	rig_sends(&rig, fd, GET("/big"));
	RIG_WAIT(&rig, rig.answered == 1);
	while (http_server_connections(rig.server)) {
		char some[16];

		(void)recv(fd, some, sizeof(some), 0);
		rig_pass(&rig);
		ck_assert_msg(clock_mono_ms() < began + 20000, "it is still open");
	}
	ck_assert_int_ge(clock_mono_ms() - began, 390);
	(void)close(fd);
	rig_stop(&rig);
}
END_TEST

/* SEC-4: at the limit all wait for their readers, beyond it the newest is cut off. */
START_TEST(answers_that_nobody_reads_are_bounded_for_all_together)
{
	auto_buf struct buf in = BUF_INIT;
	size_t n = 0;
	int fd[40];

	log_max = LOG_LEVEL_ERR;
	rig_start(&rig, rig_conf());
	rig_listen_tcp(&rig);
	while (http_server_times_unread(rig.server) == 0) {
		ck_assert_uint_lt(n, 40);
		fd[n] = rig_connect(&rig);
		rig_sends(&rig, fd[n++], GET("/big"));
		RIG_WAIT(&rig, rig.answered == (int)n);
	}
	/* of each the socket took a part, the rest was kept */
	ck_assert_uint_gt(n, LIMIT_HTTP_UNSENT / RIG_BIG);
	ck_assert_uint_eq(http_server_connections(rig.server), n - 1);
	while (in.len < RIG_BIG) {
		ck_assert_int_eq(rig_read(fd[0], &in), 0);
		rig_pass(&rig);
	}
	RIG_WAIT(&rig, in.len > RIG_BIG && (rig_read(fd[0], &in) == 0));
	(void)close(fd[n - 1]);
	fd[n - 1] = rig_connect(&rig); /* there is room again */
	rig_sends(&rig, fd[n - 1], GET("/big"));
	RIG_WAIT(&rig, rig.answered == (int)n + 1);
	ck_assert_uint_eq(http_server_times_unread(rig.server), 1);
	while (n)
		(void)close(fd[--n]);
	rig_stop(&rig);
}
END_TEST

/* SEC-4, PRC-2: a listener that stays readable must neither spin nor flood the log. */
START_TEST(without_descriptors_the_listener_rests_and_comes_back)
{
	struct rlimit limit;
	struct rlimit none;
	int passes = 0;
	int64_t until;
	int late;
	int fd;

	log_max = LOG_LEVEL_ERR;
	start(100);
	fd = rig_connect(&rig);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = (rlim_t)fd + 1;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	until = clock_mono_ms() + 350;
	while (clock_mono_ms() < until) {
		struct timeval tv = {0, 50000};

		(void)event_base_loopexit(rig.base, &tv);
		ck_assert_int_ge(event_base_loop(rig.base, EVLOOP_ONCE), 0);
		passes++;
	}
	ck_assert_int_lt(passes, 30);
	ck_assert_uint_eq(http_server_connections(rig.server), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	late = rig_connect(&rig);
	rig_sends(&rig, late, GET("/"));
	RIG_WAIT(&rig, rig.requests == 1);
	(void)close(fd);
	(void)close(late);
	rig_stop(&rig);
}
END_TEST

START_TEST(one_server_listens_at_several_places)
{
	auto_buf struct buf in = BUF_INIT;
	int tcp;
	int local;

	start(100);
	tcp = rig_connect(&rig);
	rig_listen_unix(&rig);
	local = rig_connect(&rig);
	rig_sends(&rig, tcp, GET("/tcp"));
	rig_sends(&rig, local, GET("/hold"));
	rig_expect(&rig, tcp, &in, "GET /tcp ");
	RIG_WAIT(&rig, rig.n_held == 1);
	ck_assert_str_eq(http_peer(rig.held[0]), "unix");
	rig_answer_held(&rig);
	rig_expect(&rig, local, &in, "late");
	(void)close(tcp);
	(void)close(local);
	rig_stop(&rig);
}
END_TEST

START_TEST(draining_ends_idle_connections_and_answers_the_others)
{
	auto_buf struct buf idle_in = BUF_INIT;
	auto_buf struct buf held_in = BUF_INIT;
	auto_buf struct buf sent_in = BUF_INIT;
	int idle;
	int held;
	int sent;

	start(100);
	idle = rig_connect(&rig);
	held = rig_connect(&rig);
	sent = rig_connect(&rig);
	rig_sends(&rig, idle, GET("/"));
	rig_expect(&rig, idle, &idle_in, "GET / ");
	rig_sends(&rig, held, GET("/hold"));
	RIG_WAIT(&rig, rig.n_held == 1 && http_server_connections(rig.server) == 3);
	/* has reached the socket, not yet the server */
	ck_assert_int_gt(send(sent, GET("/sent"), strlen(GET("/sent")), MSG_NOSIGNAL), 0);
	http_server_drain(rig.server);
	http_server_drain(rig.server); /* twice is fine */
	rig_expect_eof(&rig, idle, &idle_in);
	rig_expect_eof(&rig, sent, &sent_in);
	ck_assert_int_eq(rig_count(&sent_in, "Connection: close\r\n"), 1);
	ck_assert_int_eq(rig_count(&sent_in, "GET /sent "), 1);
	rig_answer_held(&rig);
	rig_expect_eof(&rig, held, &held_in);
	ck_assert_int_eq(rig_count(&held_in, "Connection: close\r\n"), 1);
	(void)close(idle);
	(void)close(held);
	(void)close(sent);
	RIG_WAIT(&rig, http_server_connections(rig.server) == 0);
	rig_stop(&rig);
}
END_TEST

/* DUR-8: the client sees no difference between a process that goes and one that stays */
START_TEST(who_connected_just_before_we_go_down_is_still_answered)
{
	auto_buf struct buf in = BUF_INIT;
	auto_buf struct buf silent_in = BUF_INIT;
	int fd, silent;

	start(100);
	fd = rig_connect(&rig);
	silent = rig_connect(&rig);
	RIG_WAIT(&rig, http_server_connections(rig.server) == 2);
	http_server_drain(rig.server);
	turn(20);
	rig_sends(&rig, fd, GET("/late"));
	rig_expect_eof(&rig, fd, &in);
	ck_assert_int_eq(rig_count(&in, "GET /late "), 1);
	rig_expect_eof(&rig, silent, &silent_in); /* long before write_ms */
	(void)close(fd);
	(void)close(silent);
	RIG_WAIT(&rig, http_server_connections(rig.server) == 0);
	rig_stop(&rig);
}
END_TEST

/* PRC-6 */
START_TEST(a_connection_is_left_to_others_for_a_moment_and_then_taken)
{
	auto_buf struct buf in = BUF_INIT;
	uint64_t connections = 99, times_full = 99;
	struct http_conf conf = rig_conf();
	int64_t begin;
	int fd;

	conf.connections = &connections;
	conf.times_full = &times_full;
	rig_start(&rig, conf);
	rig_listen_tcp(&rig);
	rig.yields = true;
	begin = clock_mono_ms();
	fd = rig_connect(&rig);
	rig_sends(&rig, fd, GET("/"));
	rig_expect(&rig, fd, &in, "GET / ");
	ck_assert_int_ge(clock_mono_ms() - begin, LIMIT_HTTP_YIELD_MS - 1);
	ck_assert_int_ge(rig.asked, 1);
	ck_assert_uint_eq(connections, 1); /* kept up to date for the others */
	ck_assert_uint_eq(times_full, 99);
	(void)close(fd);
	RIG_WAIT(&rig, connections == 0);
	rig_stop(&rig);
}
END_TEST

START_TEST(draining_ends_for_clients_that_never_finish)
{
	auto_buf struct buf in = BUF_INIT;
	struct http_conf conf = rig_conf();
	int fd;

	conf.write_ms = 50;
	rig_start(&rig, conf);
	rig_listen_tcp(&rig);
	fd = rig_connect(&rig);
	rig_sends(&rig, fd, "GET / HTTP");
	RIG_WAIT(&rig, http_server_connections(rig.server) == 1);
	turn(10); /* the bytes have been read */
	http_server_drain(rig.server);
	ck_assert_uint_eq(http_server_connections(rig.server), 1);
	RIG_WAIT(&rig, http_server_connections(rig.server) == 0);
	rig_expect_eof(&rig, fd, &in);
	(void)close(fd);
	rig_stop(&rig);
}
END_TEST

START_TEST(freeing_the_server_ends_connections_in_every_state)
{
	static const char *const texts[] = {
		"",	     GET("/"),
		"GET / HT",  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx",
		GET("/big"), "BAD\r\n"};
	int fd[sizeof(texts) / sizeof(texts[0])];
	size_t n = sizeof(texts) / sizeof(texts[0]);

	start(100);
	for (size_t i = 0; i < n; i++) {
		fd[i] = rig_connect(&rig);
		rig_sends(&rig, fd[i], texts[i]);
	}
	RIG_WAIT(&rig, rig.answered == 3);
	ck_assert_uint_eq(http_server_connections(rig.server), n);
	rig_stop(&rig);
	for (size_t i = 0; i < n; i++)
		(void)close(fd[i]);
}
END_TEST

/* SEC-4: a burst of clients, all served, in one loop. */
START_TEST(many_clients_at_once_are_all_served)
{
	static int fd[300];
	auto_buf struct buf in = BUF_INIT;

	start(1000);
	for (int i = 0; i < 300; i++) {
		fd[i] = rig_connect(&rig);
		rig_sends(&rig, fd[i], GET("/"));
	}
	for (int i = 0; i < 300; i++) {
		buf_clear(&in);
		rig_expect(&rig, fd[i], &in, "GET / ");
	}
	ck_assert_uint_eq(http_server_connections(rig.server), 300);
	for (int i = 0; i < 300; i++)
		(void)close(fd[i]);
	RIG_WAIT(&rig, http_server_connections(rig.server) == 0);
	rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_server");
	TCase *tc = tcase_create("http_server");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, beyond_max_connections_a_client_waits_until_one_ends);
	tcase_add_test(tc, at_max_connections_the_longest_idle_one_makes_room);
	tcase_add_test(tc, sockets_handed_over_count_against_max_connections);
	tcase_add_test(
		tc, connections_of_other_processes_count_and_one_that_ends_there_makes_room_here);
	tcase_add_test(tc, who_was_accepted_and_has_no_place_after_all_is_told);
	tcase_add_test(tc, beyond_its_own_sockets_a_server_leaves_clients_to_others);
	tcase_add_test(tc, beyond_its_share_an_address_is_turned_away_and_others_are_not);
	tcase_add_test(tc, a_trusted_proxy_has_no_share_and_says_who_is_behind_it);
	tcase_add_test(tc, a_unix_socket_has_no_share);
	tcase_add_test(tc, a_reader_that_takes_an_answer_by_the_byte_is_closed);
	tcase_add_test(tc, answers_that_nobody_reads_are_bounded_for_all_together);
	tcase_add_test(tc, without_descriptors_the_listener_rests_and_comes_back);
	tcase_add_test(tc, one_server_listens_at_several_places);
	tcase_add_test(tc, draining_ends_idle_connections_and_answers_the_others);
	tcase_add_test(tc, who_connected_just_before_we_go_down_is_still_answered);
	tcase_add_test(tc, a_connection_is_left_to_others_for_a_moment_and_then_taken);
	tcase_add_test(tc, draining_ends_for_clients_that_never_finish);
	tcase_add_test(tc, freeing_the_server_ends_connections_in_every_state);
	tcase_add_test(tc, many_clients_at_once_are_all_served);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
