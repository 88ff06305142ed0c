/*
 * test_http_chaos.c - many clients that do anything in any order, and a handler that does, too:
 * each request ends exactly once, and in the end nothing is left. Worth most under the sanitizers.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/http/rig.h"

#define CLIENTS 24
#define STEPS	20000

static struct rig rig;
static int fd[CLIENTS];
static int taken;

static const char *const pieces[] = {
	"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /gone HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /gone HTTP/1.0\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /gone HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\n",
	"Host: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n0123456789",
	"0123456789",
	"GET /drop HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /take HTTP/1.1\r\nHost: a\r\n\r\nmore",
	"GET /big HTTP/1.1\r\nHost: a\r\n\r\n",
	"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\nExpect: 100-continue\r\n\r\n",
	"bad\r\n",
	"G",
};

static void leave(int i, int hard)
{
	struct linger now = {1, 0};

	if (hard)
		(void)setsockopt(fd[i], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	(void)close(fd[i]);
	fd[i] = -1;
}

static void client_step(int i, unsigned what)
{
	const char *piece = pieces[(size_t)rand() % (sizeof(pieces) / sizeof(pieces[0]))];
	auto_buf struct buf in = BUF_INIT;

	if (fd[i] < 0)
		fd[i] = rig_connect(&rig);
	else if (what < 50)
		(void)send(fd[i], piece, strlen(piece), MSG_NOSIGNAL | MSG_DONTWAIT);
	else if (what < 55)
		(void)shutdown(fd[i], SHUT_WR);
	else if (what < 65)
		leave(i, what & 1);
	else if (what < 90 && rig_read(fd[i], &in))
		leave(i, 0);
}

/* Something with a request that is held, or with the socket of one. */
static void handler_step(unsigned what)
{
	size_t i = rig.n_held ? (size_t)rand() % rig.n_held : 0;
	struct http_request *r = rig.held[i];
	int took;

	if (rig.taken >= 0) {
		(void)close(rig.taken);
		http_server_taken_ended(rig.server, rig.taken);
		rig.taken = -1;
		taken++;
	}
	if (!rig.n_held || (what > 30 && rig.n_held < CLIENTS))
		return;
	rig.held[i] = rig.held[--rig.n_held];
	if (what % 4 == 0) {
		http_drop(r);
	} else if (what % 4 == 1) {
		took = http_take(r, NULL);
		if (took >= 0) {
			(void)close(took);
			http_server_taken_ended(rig.server, took);
			taken++;
		}
	} else {
		http_reply(r, 200, "", str_of("late"));
	}
}

static void run(int local)
{
	struct http_conf conf = rig_conf();
	int ended;

	conf.max_connections = CLIENTS - 4;
	conf.head_ms = 30;
	conf.body_ms = 30;
	conf.idle_ms = 20;
	conf.write_ms = 40;
	rig_start(&rig, conf);
	taken = 0;
	if (local)
		rig_listen_unix(&rig);
	else
		rig_listen_tcp(&rig);
	for (int i = 0; i < CLIENTS; i++)
		fd[i] = -1;
	for (int step = 0; step < STEPS; step++) {
		client_step(rand() % CLIENTS, (unsigned)rand() % 100);
		handler_step((unsigned)rand() % 100);
		ck_assert_uint_le(http_server_connections(rig.server), CLIENTS - 4);
		(void)event_base_loop(rig.base, EVLOOP_NONBLOCK);
	}
	for (int i = 0; i < CLIENTS; i++) {
		if (fd[i] >= 0)
			leave(i, 0);
	}
	while (rig.n_held)
		handler_step(0);
	http_server_drain(rig.server);
	/* those sent ahead come up one by one */
	RIG_WAIT(&rig, (handler_step(0), http_server_connections(rig.server) == 0));
	ended = rig.answered + taken;
	ck_assert_int_ge(ended, rig.requests);
	ck_assert_int_gt(rig.requests, 500);
	rig_stop(&rig);
}

/* SEC-4, PRC-5 */
START_TEST(whatever_clients_do_over_tcp_every_connection_ends)
{
	srand(1);
	run(0);
}
END_TEST

/* SEC-4, PRC-5 */
START_TEST(whatever_clients_do_over_a_unix_socket_every_connection_ends)
{
	srand(2);
	run(1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_chaos");
	TCase *tc = tcase_create("http_chaos");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, whatever_clients_do_over_tcp_every_connection_ends);
	tcase_add_test(tc, whatever_clients_do_over_a_unix_socket_every_connection_ends);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
