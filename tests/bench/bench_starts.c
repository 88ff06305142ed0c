/*
 * bench_starts.c - turns started per second.
 *
 *	bench_starts [-s SECONDS] [-w WORKERS] [-d DIR] [-o FILE.json]		CHATD= STREAMERD=
 *
 * N clients, a kept connection each, post a message that begins a new session, wait for the 202
 * and post the next. The demo provider answers with ten bytes at once, so whole turns run: each is
 * two messages, a turn and its events on disk. Nobody watches.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/require.h"
#include "tests/bench/bench.h"
#include "tests/bench/bench_options.h"
#include "tests/bench/stack.h"

#define BODY "{\"content\":\"demo: chunks=1 size=10\"}"

static const char *top = ".";
static int seconds = 5;
static int workers; /* 0: auto */

struct client {
	int fd;
	int64_t asked_us;
	size_t have;
	char answer[8192];
};

static char request[512];
static int request_n;
static struct samples wait_us;
static unsigned long refused;

static void ask(struct client *c)
{
	c->have = 0;
	c->asked_us = clock_mono_us();
	REQUIRE(write(c->fd, request, (size_t)request_n) == request_n);
}

/* True once the answer is whole; it is counted. */
static bool is_answered(struct client *c)
{
	ssize_t n = read(c->fd, c->answer + c->have, sizeof(c->answer) - 1 - c->have);
	const char *end, *length;

	REQUIRE(n > 0);
	c->have += (size_t)n;
	c->answer[c->have] = '\0';
	end = strstr(c->answer, "\r\n\r\n");
	length = strcasestr(c->answer, "content-length:");
	if (!end || !length ||
	    c->have < (size_t)(end + 4 - c->answer) + strtoul(length + 15, NULL, 10))
		return false;
	if (strncmp(c->answer + 9, "202", 3) == 0)
		samples_add(&wait_us, (double)(clock_mono_us() - c->asked_us));
	else
		refused++;
	return true;
}

static json_t *run_level(int n_clients)
{
	struct client *clients = calloc((size_t)n_clients, sizeof(*clients));
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event got[64];
	struct stack s;
	int64_t until;
	double commit, per_second, p50, p99;

	REQUIRE(clients && epoll >= 0);
	stack_start(&s, top, 0, workers);
	commit = stack_commit_us(&s);
	refused = 0;
	until = clock_mono_us() + seconds * 1000000LL;
	for (int i = 0; i < n_clients; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = &clients[i]};

		clients[i].fd = stack_connect(&s);
		REQUIRE(epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &e) == 0);
		ask(&clients[i]);
	}
	while (clock_mono_us() < until) {
		int n = epoll_wait(epoll, got, 64, 10);

		for (int i = 0; i < n; i++) {
			if (is_answered(got[i].data.ptr))
				ask(got[i].data.ptr);
		}
	}
	for (int i = 0; i < n_clients; i++)
		(void)close(clients[i].fd);
	(void)close(epoll);
	free(clients);
	stack_stop(&s);
	per_second = (double)wait_us.n / seconds;
	p50 = samples_quantile(&wait_us, 0.5);
	p99 = samples_quantile(&wait_us, 0.99);
	samples_fini(&wait_us);
	(void)printf("%5d clients: %.0f turns/s, 202 after p50 %.2f p99 %.2f ms, %lu refused; one "
		     "commit %.2f ms\n",
		     n_clients, per_second, p50 / 1000, p99 / 1000, refused, commit / 1000);
	return json_pack("{s:i, s:f, s:f, s:f, s:I, s:f}", "clients", n_clients, "turns_per_second",
			 per_second, "p50_us", p50, "p99_us", p99, "refused", (json_int_t)refused,
			 "commit_p50_us", commit);
}

int main(int argc, char **argv)
{
	static const int levels[] = {1, 16, 128};
	json_t *runs = json_array(), *all;
	const char *out = NULL;
	const struct bench_option options[] = {
		{'s', "SECONDS", &seconds, NULL},
		{'w', "WORKERS", &workers, NULL},
		{'d', "DIR", NULL, &top},
		{'o', "FILE.json", NULL, &out},
	};

	bench_options(argc, argv, options, sizeof(options) / sizeof(options[0]));
	(void)log_set_level("warning");
	request_n = snprintf(request, sizeof(request),
			     "POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
			     "application/json\r\nContent-Length: %zu\r\n\r\n%s",
			     strlen(BODY), BODY);
	(void)printf("turns started per second, new session each, %d s\n", seconds);
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		(void)json_array_append_new(runs, run_level(levels[i]));
	all = json_pack("{s:o, s:i, s:i, s:o}", "machine", bench_machine(top), "seconds", seconds,
			"workers", workers, "runs", runs);
	bench_write(out, all);
	json_decref(all);
	return 0;
}
