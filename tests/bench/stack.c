/*
 * stack.c - a real chatd and a real streamerd, for benchmarks. See stack.h.
 */
#include "tests/bench/stack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chatd/store/event_log.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/require.h"
#include "tests/bench/bench.h"
#include "tests/bench/cpu_time.h"

#define READY_MS 20000

static void write_file(const struct stack *s, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void write_file(const struct stack *s, const char *name, const char *fmt, ...)
{
	char path[256];
	va_list ap;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	f = fopen(path, "we");
	REQUIRE(f);
	va_start(ap, fmt);
	(void)vfprintf(f, fmt, ap);
	va_end(ap);
	REQUIRE(fclose(f) == 0);
}

static int free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	REQUIRE(getsockname(fd, (struct sockaddr *)&a, &n) == 0);
	(void)close(fd);
	return ntohs(a.sin_port);
}

static pid_t spawn(const struct stack *s, const char *variable, const char *name)
{
	const char *program = getenv(variable);
	char conf[256], log[256];
	pid_t pid;

	if (!program) {
		(void)fprintf(stderr, "%s is not set\n", variable);
		exit(2);
	}
	(void)snprintf(conf, sizeof(conf), "%s/%s.conf", s->dir, name);
	(void)snprintf(log, sizeof(log), "%s/%s.log", s->dir, name);
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

		(void)dup2(fd, 2);
		(void)execl(program, program, "-c", conf, (char *)NULL);
		_exit(127);
	}
	return pid;
}

static void give_up(const struct stack *s, const char *why)
{
	char cmd[512];

	(void)fprintf(stderr, "%s\n", why);
	(void)snprintf(cmd, sizeof(cmd), "tail -n 20 %s/*.log >&2", s->dir);
	(void)!system(cmd);
	(void)kill(s->streamerd, SIGKILL);
	(void)kill(s->chatd, SIGKILL);
	exit(1);
}

static int try_connect(const struct stack *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	REQUIRE(fd >= 0);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static bool is_ready(const struct stack *s)
{
	char body[4096];
	int fd = try_connect(s), status;

	if (fd < 0)
		return false;
	status = stack_request(fd, "GET", "/readyz", NULL, body, sizeof(body));
	(void)close(fd);
	return status == 200;
}

void stack_start(struct stack *s, const char *top, int upstream_port, int workers)
{
	int64_t until = clock_mono_ms() + READY_MS;
	char main_provider[256] = "", count[16] = "auto";

	(void)snprintf(s->dir, sizeof(s->dir), "%s/stack.XXXXXX", top);
	REQUIRE(mkdtemp(s->dir));
	s->port = free_port();
	if (workers > 0)
		(void)snprintf(count, sizeof(count), "%d", workers);
	if (upstream_port)
		(void)snprintf(main_provider, sizeof(main_provider),
			       "[provider main]\ntype = openai\nmodel = m\n"
			       "base_url = http://127.0.0.1:%d/v1\n",
			       upstream_port);
	write_file(s, "chatd.conf",
		   "[general]\nlog_level = warning\n[log]\npath = %s/events.db\n[bus]\ndir = %s\n"
		   "[workers]\ncount = %s\ndrain_timeout = 0\nmax_turns_per_owner = "
		   "20000\n[defaults]\nprovider = %s\n"
		   "%s[provider demo]\ntype = demo\nrate = 0\n",
		   s->dir, s->dir, count, upstream_port ? "main" : "demo", main_provider);
	write_file(s, "streamerd.conf",
		   "[general]\nlog_level = warning\n[http]\nlisten = 127.0.0.1:%d\n"
		   "max_connections_per_address = 20000\n[bus]\ndir = %s\n",
		   s->port, s->dir);
	s->chatd = spawn(s, "CHATD", "chatd");
	s->streamerd = spawn(s, "STREAMERD", "streamerd");
	while (!is_ready(s)) {
		if (clock_mono_ms() > until || waitpid(s->chatd, NULL, WNOHANG) > 0 ||
		    waitpid(s->streamerd, NULL, WNOHANG) > 0)
			give_up(s, "the daemons did not become ready");
		(void)poll(NULL, 0, 20);
	}
}

void stack_stop(struct stack *s)
{
	char cmd[256];
	int status;

	(void)kill(s->streamerd, SIGTERM);
	REQUIRE(waitpid(s->streamerd, &status, 0) == s->streamerd);
	(void)kill(s->chatd, SIGTERM);
	REQUIRE(waitpid(s->chatd, &status, 0) == s->chatd);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf '%s'", s->dir);
	REQUIRE(system(cmd) == 0);
}

int stack_connect(const struct stack *s)
{
	int fd = try_connect(s);

	if (fd < 0)
		give_up(s, "streamerd does not accept connections");
	return fd;
}

static void write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t did = write(fd, p, n);

		REQUIRE(did > 0 || errno == EINTR);
		if (did > 0) {
			p += did;
			n -= (size_t)did;
		}
	}
}

int stack_request(int fd, const char *method, const char *target, const char *json, char *body,
		  size_t size)
{
	char head[1024];
	size_t have = 0, length = 0;
	char *end = NULL;
	const char *field;

	(void)snprintf(head, sizeof(head),
		       "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
		       "Content-Length: %zu\r\n\r\n%s",
		       method, target, json ? strlen(json) : 0, json ? json : "");
	write_all(fd, head, strlen(head));
	while (!end || have < (size_t)(end + 4 - body) + length) {
		ssize_t n = read(fd, body + have, size - 1 - have);

		if (n <= 0)
			return -1;
		have += (size_t)n;
		body[have] = '\0';
		end = strstr(body, "\r\n\r\n");
		field = end ? strcasestr(body, "content-length:") : NULL;
		length = field && field < end ? strtoul(field + 15, NULL, 10) : 0;
	}
	have = strtoul(body + 9, NULL, 10);
	memmove(body, end + 4, length + 1);
	return (int)have;
}

void stack_member(const char *json, const char *name, char *out, size_t size)
{
	auto_json json_t *v = json_read(json, strlen(json), NULL, 0);
	const char *text = json_get_str(v, name);

	REQUIRE(text);
	(void)snprintf(out, size, "%s", text);
}

/* Of a process and all that came of it. */
static double cpu_of_tree(pid_t pid)
{
	double sum = cpu_time_of(pid);
	char path[64];
	int child;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &child) == 1)
		sum += cpu_of_tree(child);
	if (f)
		(void)fclose(f);
	return sum;
}

double stack_cpu(const struct stack *s)
{
	return cpu_of_tree(s->chatd) + cpu_of_tree(s->streamerd);
}

static void on_committed(void *arg, struct log_session *s, const struct chat_event *e)
{
}

static void on_stale(void *arg, struct log_session *s, uint64_t generation)
{
	REQUIRE(!"stale");
}

static void on_stalled(void *arg, const char *why)
{
	REQUIRE(!"stalled");
}

double stack_commit_us(const struct stack *s)
{
	static const struct event_log_ops ops = {on_committed, on_stale, on_stalled};
	static int runs;
	struct event_base *base = event_base_new();
	struct log_session session = {.id = "ses_probe"};
	struct samples us = {0};
	struct event_log *l;
	char path[256];
	const char *why;
	double p50;

	(void)snprintf(path, sizeof(path), "%s/probe%d.db", s->dir, runs++);
	REQUIRE(event_log_open(base, path, true, &ops, NULL, &l, &why) == 0);
	event_log_write(l, SQL_SESSION_INSERT, &session, NULL, 1, "tttttti", "local", "t", "demo",
			"m", NULL, NULL, (int64_t)1);
	event_log_commit(l);
	for (uint64_t seq = 1; seq <= 300; seq++) {
		int64_t start = clock_mono_us();

		event_log_event(l, &session, NULL, 1, seq, CHAT_EVENT_RESPONSE_CHUNK,
				strdup("{\"content\":\"1234567890123456 \"}"), 31);
		event_log_commit(l);
		samples_add(&us, (double)(clock_mono_us() - start));
	}
	event_log_free(l);
	event_base_free(base);
	p50 = samples_quantile(&us, 0.5);
	samples_fini(&us);
	return p50;
}
