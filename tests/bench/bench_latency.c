/*
 * bench_latency.c - what chatd and streamerd add between the provider's byte and the viewer's.
 *
 *	bench_latency [-s SECONDS] [-w WORKERS] [-t TURNS] [-r EVENTS_PER_SECOND] [-d DIR]
 *		      [-o FILE.json]		CHATD= STREAMERD=
 *
 *	upstream process ──stamp──> chatd worker ──commit──> streamerd ──> viewers here (epoll)
 *
 * At 1, 100 and 1000 turns at once (or TURNS), 50 events/s each: every delta's text is the time at
 *which the upstream sent it, and a viewer subtracts it from the time at which it read it. Only what
 *was sent within the window counts. All processes share the machine's cores, the load's own work
 *included. Beside it: what one commit of one event costs on that disk, before and after.
 *
 * At each level the stack is new, and the streams begin once all turns run: turns that are started
 * one by one beside a thousand that stream would take minutes on a loaded machine. A level that
 *can't be held shows itself: fewer deliveries than were sent in the window.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/require.h"
#include "tests/bench/bench.h"
#include "tests/bench/bench_options.h"
#include "tests/bench/stack.h"
#include "tests/bench/upstream.h"

#define TARGET_TURNS  100
#define TARGET_ADD_US 1000.0
#define WARM_UP_MS    1000
#define STREAMS_MS    30000
#define BUFFER	      65536

static const char *top = ".";
static int seconds = 5;
static int rate = 50; /* events/s of a turn */
static int workers;   /* 0: auto */

struct viewer {
	int fd;
	size_t have;
	bool is_chunk; /* the frame that is being read is a response_chunk */
	bool skip;     /* of a line that is longer than the buffer */
	char line[BUFFER];
};

static int64_t window_from, window_to;
static struct samples latency_us;

/* Every stamp in the data line of a response_chunk: digits and a blank each. */
static void take_stamps(const char *line, int64_t now)
{
	const char *p = strstr(line, "\"content\":\"");

	if (!p)
		return;
	p += 11;
	while (*p >= '0' && *p <= '9') {
		char *end;
		int64_t sent = strtoll(p, &end, 10);

		if (*end != ' ')
			return;
		if (sent >= window_from && sent < window_to)
			samples_add(&latency_us, (double)(now - sent));
		p = end + 1;
	}
}

static void on_line(struct viewer *v, const char *line, int64_t now)
{
	if (strncmp(line, "event: ", 7) == 0)
		v->is_chunk = strcmp(line + 7, "response_chunk") == 0;
	else if (v->is_chunk && strncmp(line, "data: ", 6) == 0)
		take_stamps(line, now);
}

/* Returns false at the end of the stream. */
static bool on_readable(struct viewer *v)
{
	ssize_t n = read(v->fd, v->line + v->have, BUFFER - 1 - v->have);
	int64_t now = clock_mono_us();
	char *start = v->line, *end;

	if (n <= 0)
		return n < 0;
	v->have += (size_t)n;
	v->line[v->have] = '\0';
	while ((end = memchr(start, '\n', v->have - (size_t)(start - v->line)))) {
		*end = '\0';
		if (!v->skip)
			on_line(v, start, now);
		v->skip = false;
		start = end + 1;
	}
	v->have -= (size_t)(start - v->line);
	memmove(v->line, start, v->have);
	if (v->have == BUFFER - 1) { /* a snapshot: its end is all that matters */
		v->skip = true;
		v->have = 0;
	}
	return true;
}

static void watch(struct stack *s, struct viewer *v, const char *session, int epoll)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = v};
	char request[256];
	int n = snprintf(request, sizeof(request),
			 "GET /v1/sessions/%s/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", session);

	v->fd = stack_connect(s);
	REQUIRE(write(v->fd, request, (size_t)n) == n);
	REQUIRE(fcntl(v->fd, F_SETFL, O_NONBLOCK) == 0);
	REQUIRE(epoll_ctl(epoll, EPOLL_CTL_ADD, v->fd, &e) == 0);
}

/* Reads viewers until the time has come. */
static void read_until(int epoll, int64_t until_us)
{
	struct epoll_event got[256];

	for (;;) {
		int64_t left = until_us - clock_mono_us();
		int n;

		if (left <= 0)
			return;
		n = epoll_wait(epoll, got, 256, (int)(left / 1000) + 1);
		for (int i = 0; i < n; i++) {
			struct viewer *v = got[i].data.ptr;

			if (!on_readable(v)) {
				(void)epoll_ctl(epoll, EPOLL_CTL_DEL, v->fd, NULL);
			}
		}
	}
}

static void start_turns(struct stack *s, struct viewer *viewers, int turns, int epoll)
{
	int fd = stack_connect(s);

	for (int i = 0; i < turns; i++) {
		char body[8192], session[128];
		int status = stack_request(fd, "POST", "/v1/messages", "{\"content\":\"go\"}", body,
					   sizeof(body));

		if (status != 202) {
			(void)fprintf(stderr, "turn %d: %d %s\n", i, status, body);
			exit(1);
		}
		stack_member(body, "session_id", session, sizeof(session));
		watch(s, &viewers[i], session, epoll);
		read_until(epoll, clock_mono_us() + 1);
	}
	(void)close(fd);
}

static json_t *run_level(struct upstream *u, int turns, bool *met)
{
	struct viewer *viewers = calloc((size_t)turns, sizeof(*viewers));
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int64_t until;
	struct stack s;
	double before, after, commit, p50, p99, sent, cpu;
	size_t delivered;

	REQUIRE(viewers && epoll >= 0);
	stack_start(&s, top, u->port, workers);
	before = stack_commit_us(&s);
	upstream_hold(u);
	window_from = window_to = 0;
	start_turns(&s, viewers, turns, epoll);
	until = clock_mono_ms() + STREAMS_MS;
	while (upstream_streams(u) < turns && clock_mono_ms() < until)
		read_until(epoll, clock_mono_us() + 20000);
	upstream_go_on(u);
	read_until(epoll, clock_mono_us() + WARM_UP_MS * 1000);
	sent = (double)upstream_sent(u);
	cpu = stack_cpu(&s);
	window_from = clock_mono_us();
	window_to = window_from + seconds * 1000000LL;
	read_until(epoll, window_to);
	sent = (double)upstream_sent(u) - sent;
	cpu = (stack_cpu(&s) - cpu) / ((double)(clock_mono_us() - window_from) / 1e6);
	read_until(epoll, window_to + 1000000);
	upstream_end_streams(u);
	until = clock_mono_ms() + STREAMS_MS;
	while (upstream_streams(u) > 0 && clock_mono_ms() < until)
		read_until(epoll, clock_mono_us() + 20000);
	read_until(epoll, clock_mono_us() + 500000);
	after = stack_commit_us(&s);
	commit = (before + after) / 2;
	for (int i = 0; i < turns; i++)
		(void)close(viewers[i].fd);
	(void)close(epoll);
	free(viewers);
	stack_stop(&s);
	delivered = latency_us.n;
	p50 = samples_quantile(&latency_us, 0.5);
	p99 = samples_quantile(&latency_us, 0.99);
	samples_fini(&latency_us);
	(void)printf(
		"%5d turns: sent %.0f/s, delivered %.0f/s, added p50 %.2f p99 %.2f ms, daemons on "
		"%.2f cores; one commit %.2f ms (before %.2f, after %.2f)\n",
		turns, sent / seconds, (double)delivered / seconds, p50 / 1000, p99 / 1000, cpu,
		commit / 1000, before / 1000, after / 1000);
	if (turns == TARGET_TURNS)
		*met = p50 <= commit + TARGET_ADD_US;
	return json_pack("{s:i, s:f, s:f, s:f, s:f, s:f, s:f}", "turns", turns, "sent_per_second",
			 sent / seconds, "delivered_per_second", (double)delivered / seconds,
			 "p50_us", p50, "p99_us", p99, "cores", cpu, "commit_p50_us", commit);
}

static void raise_limit(void)
{
	struct rlimit r;

	REQUIRE(getrlimit(RLIMIT_NOFILE, &r) == 0);
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

int main(int argc, char **argv)
{
	static const int levels[] = {1, 100, 1000};
	json_t *runs = json_array(), *all;
	const char *out = NULL;
	struct upstream u;
	bool met = false;
	int only = 0;
	const struct bench_option options[] = {
		{'s', "SECONDS", &seconds, NULL}, {'w', "WORKERS", &workers, NULL},
		{'t', "TURNS", &only, NULL},	  {'r', "EVENTS_PER_SECOND", &rate, NULL},
		{'d', "DIR", NULL, &top},	  {'o', "FILE.json", NULL, &out},
	};

	bench_options(argc, argv, options, sizeof(options) / sizeof(options[0]));
	rate = rate > 0 ? rate : 1;
	(void)log_set_level("warning");
	raise_limit();
	(void)printf("added latency, provider to viewer, %d events/s a turn, %d s\n", rate,
		     seconds);
	upstream_start(&u, rate);
	for (size_t i = 0; only == 0 && i < sizeof(levels) / sizeof(levels[0]); i++)
		(void)json_array_append_new(runs, run_level(&u, levels[i], &met));
	if (only > 0)
		(void)json_array_append_new(runs, run_level(&u, only, &met));
	upstream_stop(&u);
	if (only == 0 || only == TARGET_TURNS)
		(void)printf("target (p50 at %d turns <= one commit + 1 ms): %s\n", TARGET_TURNS,
			     met ? "met" : "MISSED");
	all = json_pack("{s:o, s:i, s:i, s:i, s:b, s:o}", "machine", bench_machine(top), "seconds",
			seconds, "rate", rate, "workers", workers, "met", met, "runs", runs);
	bench_write(out, all);
	json_decref(all);
	return 0;
}
