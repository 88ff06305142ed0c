/*
 * rig.c - a real server on loopback and raw clients. See rig.h.
 */
#include "tests/unit/http/rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/quota.h"
#include "common/sock.h"

static void on_gone(void *arg)
{
	((struct rig *)arg)->gone++;
}

static void hold(struct rig *r, struct http_request *req)
{
	ck_assert_uint_lt(r->n_held, RIG_HELD);
	r->held[r->n_held++] = req;
}

static void on_request(void *arg, struct http_request *req)
{
	struct rig *r = arg;
	auto_buf struct buf body = BUF_INIT;
	struct str path = http_path(req);

	r->requests++;
	if (str_eq(path, "/hold")) {
		hold(r, req);
	} else if (str_eq(path, "/gone")) {
		hold(r, req);
		http_on_gone(req, on_gone, r);
	} else if (str_eq(path, "/take")) {
		r->taken = http_take(req, &r->taken_http10);
	} else if (str_eq(path, "/drop")) {
		http_drop(req);
	} else if (str_eq(path, "/big")) {
		buf_reserve(&body, RIG_BIG);
		memset(body.data, 'b', RIG_BIG);
		http_reply(req, 200, "", (struct str){body.data, RIG_BIG});
	} else if (str_eq(path, "/204") || str_eq(path, "/304")) {
		http_reply(req, str_eq(path, "/204") ? 204 : 304, "", str_of("never seen"));
	} else {
		buf_addf(&body, "%s %.*s %.*s", http_method_name(req), (int)path.n, path.p,
			 (int)http_body(req).n, http_body(req).p);
		http_reply(req, 200, "Content-Type: text/plain\r\n",
			   (struct str){body.data, body.len});
	}
}

static void on_refuse(void *arg, enum fault fault, const char *detail, struct buf *body)
{
	(void)arg;
	buf_addf(body, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}", fault_code(fault),
		 detail);
}

static void on_answered(void *arg, const struct http_request *req, int status, size_t body_bytes)
{
	struct rig *r = arg;
	struct str path = http_path(req);

	(void)body_bytes;
	r->answered++;
	r->last_status = status;
	(void)snprintf(r->last_line, sizeof(r->last_line), "%s %.*s", http_method_name(req),
		       (int)(path.n < 200 ? path.n : 200), path.p);
}

struct http_conf rig_conf(void)
{
	return (struct http_conf){.max_body = 1000,
				  .max_connections = 100,
				  .max_per_address = 1000,
				  .max_sockets = 1000,
				  .head_ms = 60000,
				  .body_ms = 60000,
				  .idle_ms = 60000,
				  .write_ms = 60000};
}

static bool on_yields(void *arg)
{
	struct rig *r = arg;

	r->asked += r->yields;
	return r->yields;
}

void rig_start(struct rig *r, struct http_conf conf)
{
	static const struct http_ops ops = {on_request, on_refuse, on_answered, on_yields};

	memset(r, 0, sizeof(*r));
	r->taken = -1;
	r->base = event_base_new();
	ck_assert_ptr_nonnull(r->base);
	if (!conf.quota)
		conf.quota = r->quota = quota_new(NULL, 0, 1);
	r->server = http_server_new(r->base, &conf, &ops, r);
}

void rig_listen_tcp(struct rig *r)
{
	int fd = sock_listen_tcp("127.0.0.1:0", 64, 0);
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	(void)snprintf(r->addr, sizeof(r->addr), "127.0.0.1:%d", ntohs(sa.sin_port));
	http_server_listen(r->server, fd);
}

void rig_listen_unix(struct rig *r)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	(void)snprintf(r->addr, sizeof(r->addr), "%s/rig-%d.sock", dir ? dir : "/tmp", getpid());
	fd = sock_listen_unix(r->addr, 0600, 64);
	ck_assert_int_ge(fd, 0);
	http_server_listen(r->server, fd);
}

void rig_stop(struct rig *r)
{
	http_server_free(r->server);
	quota_free(r->quota);
	event_base_free(r->base);
	if (r->addr[0] == '/')
		(void)unlink(r->addr);
	libevent_global_shutdown();
}

void rig_answer_held(struct rig *r)
{
	struct http_request *req = r->held[0];

	ck_assert_uint_gt(r->n_held, 0);
	memmove(r->held, r->held + 1, --r->n_held * sizeof(r->held[0]));
	http_reply(req, 200, "", str_of("late"));
}

void rig_pass(struct rig *r)
{
	struct timeval tv = {0, 1000};

	(void)event_base_loopexit(r->base, &tv);
	ck_assert_int_ge(event_base_loop(r->base, EVLOOP_ONCE), 0);
}

int rig_connect(struct rig *r)
{
	return rig_connect_from(r, "127.0.0.1");
}

int rig_connect_from(struct rig *r, const char *ip)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	int fd;

	if (r->addr[0] == '/') {
		fd = sock_connect_unix(r->addr);
	} else {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ck_assert_int_eq(inet_pton(AF_INET, ip, &in.sin_addr), 1);
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		in.sin_port = htons((uint16_t)atoi(strchr(r->addr, ':') + 1));
		ck_assert_int_eq(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
		ck_assert_int_eq(sock_nonblock(fd), 0);
	}
	ck_assert_int_ge(fd, 0);
	return fd;
}

void rig_send(struct rig *r, int fd, const char *p, size_t n)
{
	int64_t until = clock_mono_ms() + 20000;

	while (n) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN)
			return; /* the server has had enough; what it said is read next */
		ck_assert(clock_mono_ms() < until);
		if (sent > 0) {
			p += sent;
			n -= (size_t)sent;
		}
		rig_pass(r);
	}
}

void rig_sends(struct rig *r, int fd, const char *text)
{
	rig_send(r, fd, text, strlen(text));
}

int rig_read(int fd, struct buf *in)
{
	char chunk[65536];
	ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);

	if (n > 0)
		buf_add(in, chunk, (size_t)n);
	if (n == 0)
		return 1;
	return n < 0 && errno != EAGAIN ? 2 : 0;
}

void rig_expect(struct rig *r, int fd, struct buf *in, const char *text)
{
	int64_t until = clock_mono_ms() + 20000;

	while (!rig_count(in, text)) {
		ck_assert_msg(clock_mono_ms() < until, "waited in vain for \"%s\", got \"%s\"",
			      text, buf_str(in));
		if (rig_read(fd, in))
			ck_assert_msg(rig_count(in, text), "closed without \"%s\", got \"%s\"",
				      text, buf_str(in));
		rig_pass(r);
	}
}

void rig_expect_eof(struct rig *r, int fd, struct buf *in)
{
	RIG_WAIT(r, rig_read(fd, in));
}

int rig_count(const struct buf *in, const char *text)
{
	const char *p = in->data;
	size_t left = in->len;
	size_t n = strlen(text);
	int count = 0;
	const char *hit;

	while (left && (hit = memmem(p, left, text, n))) {
		count++;
		left -= (size_t)(hit - p) + n;
		p = hit + n;
	}
	return count;
}
