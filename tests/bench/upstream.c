/*
 * upstream.c - a scripted OpenAI-style provider in a process of its own. See upstream.h.
 *
 * One epoll loop with a tick of 1 ms. A stream is due every 1/rate s; many streams are spread over
 * that time, as real ones are. What a socket
 * doesn't take at once is dropped with its stream: a benchmark in which chatd doesn't read for that
 * long has failed anyway, and shows it by the missing viewers' samples.
 */
#include "tests/bench/upstream.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/require.h"

#define MAX_FDS 4096

struct upstream_shared {
	atomic_int streams;
	atomic_ulong sent;
	atomic_bool ending, holding;
};

struct stream {
	bool is_open, is_streaming;
	size_t have; /* bytes of the request in head */
	char head[8192];
	int64_t due_us;
};

static struct stream streams[MAX_FDS];
static int max_fd;
static struct upstream_shared *shared;

static const char answer_head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
				  "Connection: close\r\n\r\n";
static const char answer_end[] =
	"data: "
	"{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":"
	"{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

static void drop(int fd)
{
	if (streams[fd].is_streaming)
		shared->streams--;
	streams[fd].is_open = streams[fd].is_streaming = false;
	(void)close(fd);
}

static void send_or_drop(int fd, const char *p, size_t n)
{
	if (send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n)
		drop(fd);
}

static bool is_whole(const struct stream *s)
{
	const char *end = strstr(s->head, "\r\n\r\n");
	const char *length = strcasestr(s->head, "content-length:");

	return end && length &&
	       s->have >= (size_t)(end + 4 - s->head) + strtoul(length + 15, NULL, 10);
}

static void on_readable(int fd)
{
	struct stream *s = &streams[fd];
	ssize_t n = read(fd, s->head + s->have, sizeof(s->head) - 1 - s->have);

	if (n <= 0) {
		drop(fd);
		return;
	}
	s->have += (size_t)n;
	s->head[s->have] = '\0';
	if (s->is_streaming || !is_whole(s))
		return;
	s->is_streaming = true;
	s->due_us = clock_mono_us();
	shared->streams++;
	send_or_drop(fd, answer_head, sizeof(answer_head) - 1);
}

static void on_accept(int epoll, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

	if (fd < 0)
		return;
	REQUIRE(fd < MAX_FDS);
	memset(&streams[fd], 0, sizeof(streams[fd]));
	streams[fd].is_open = true;
	max_fd = fd > max_fd ? fd : max_fd;
	REQUIRE(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == 0);
}

static void send_delta(int fd)
{
	char frame[256];
	int n = snprintf(
		frame, sizeof(frame),
		"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{"
		"\"index\":0,\"delta\":{\"content\":\"%lld \"},\"finish_reason\":null}]}\n\n",
		(long long)clock_mono_us());

	send_or_drop(fd, frame, (size_t)n);
	shared->sent++;
}

static void tick(int64_t gap_us)
{
	int64_t now = clock_mono_us();

	for (int fd = 0; fd <= max_fd; fd++) {
		struct stream *s = &streams[fd];

		if (!s->is_streaming)
			continue;
		if (shared->ending) {
			send_or_drop(fd, answer_end, sizeof(answer_end) - 1);
			if (s->is_open)
				drop(fd);
			continue;
		}
		if (shared->holding) { /* once let go, they are spread over the gap */
			s->due_us = now + gap_us * (fd * 619 % 1000) / 1000;
			continue;
		}
		if (now < s->due_us)
			continue;
		s->due_us += gap_us;
		if (s->due_us < now) /* late: no burst to make up for it */
			s->due_us = now + gap_us;
		send_delta(fd);
	}
}

static void serve(int listener, int events_per_second)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, got[64];
	int64_t gap_us = 1000000 / events_per_second;
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	REQUIRE(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e) == 0);
	for (;;) {
		int n = epoll_wait(epoll, got, 64, 1);

		for (int i = 0; i < n; i++) {
			if (got[i].data.fd == listener)
				on_accept(epoll, listener);
			else
				on_readable(got[i].data.fd);
		}
		tick(gap_us);
	}
}

void upstream_start(struct upstream *u, int events_per_second)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t n = sizeof(a);
	pid_t parent;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	REQUIRE(listen(fd, 4096) == 0 && getsockname(fd, (struct sockaddr *)&a, &n) == 0);
	u->port = ntohs(a.sin_port);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	REQUIRE(shared != MAP_FAILED);
	u->shared = shared;
	parent = getpid();
	u->pid = fork();
	REQUIRE(u->pid >= 0);
	if (u->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent) /* it ended before we asked */
			_exit(1);
		serve(fd, events_per_second);
	}
	(void)close(fd);
}

int upstream_streams(const struct upstream *u)
{
	return u->shared->streams;
}

unsigned long upstream_sent(const struct upstream *u)
{
	return u->shared->sent;
}

void upstream_end_streams(struct upstream *u)
{
	u->shared->ending = true;
}

void upstream_hold(struct upstream *u)
{
	u->shared->ending = false;
	u->shared->holding = true;
}

void upstream_go_on(struct upstream *u)
{
	u->shared->holding = false;
}

void upstream_stop(struct upstream *u)
{
	(void)kill(u->pid, SIGKILL);
	(void)waitpid(u->pid, NULL, 0);
	(void)munmap(u->shared, sizeof(*u->shared));
}
