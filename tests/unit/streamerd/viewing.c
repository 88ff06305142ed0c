/*
 * viewing.c - a hub with its backend, a scripted worker, and viewers on socket pairs. See
 * viewing.h.
 */
#include "tests/unit/streamerd/viewing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "streamerd/bundle.h"
#include "streamerd/join.h"
#include "streamerd/sse.h"
#include "streamerd/stats.h"

static void on_up(void *arg, unsigned worker)
{
	struct viewing *v = arg;

	v->ups++;
	hub_on_up(v->hub, worker);
}

static void on_down(void *arg, unsigned worker)
{
	struct viewing *v = arg;

	v->downs++;
	hub_on_down(v->hub, worker);
}

static void on_event(void *arg, const struct msg_event *e)
{
	hub_on_event(((struct viewing *)arg)->hub, e);
}

static void on_activity(void *arg, const struct msg_activity *a)
{
	hub_on_activity(((struct viewing *)arg)->hub, a);
}

static const struct backend_ops backend_ops = {on_up, on_down, on_event, on_activity};

static void on_ended(void *arg, int fd)
{
	((struct viewing *)arg)->ended++;
}

static bool is_up(void *arg)
{
	return backend_is_up(((struct viewing *)arg)->backend, 0);
}

struct viewing *viewing_new(void)
{
	struct viewing *v = calloc(1, sizeof(*v));

	ck_assert_ptr_nonnull(v);
	log_max = LOG_LEVEL_ERR;
	v->base = event_base_new();
	(void)snprintf(v->dir, sizeof(v->dir), "/tmp/streamerd-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(v->dir));
	v->worker = scripted_worker_new(v->base, v->dir, 0, 1);
	v->session = scripted_session_new(v->worker, OWNER, SID);
	v->hub = hub_new(v->base, on_ended, v);
	v->backend = backend_new(v->base, v->dir, (uid_t)-1, &backend_ops, v);
	hub_set_backend(v->hub, v->backend);
	viewing_until(v, is_up, v, "the worker is up");
	return v;
}

void viewing_free(struct viewing *v)
{
	hub_free(v->hub);
	backend_free(v->backend);
	scripted_worker_free(v->worker);
	(void)rmdir(v->dir);
	event_base_free(v->base);
	ck_assert_uint_eq(stats->viewers, 0);
	ck_assert_uint_eq(stats->feeds, 0);
	ck_assert_uint_eq(stats->page_bytes, 0);
	free(v);
}

static int on_accept(void *arg, struct buf *head)
{
	struct client *c = arg;
	int fds[2];

	c->join = NULL;
	c->bundle = NULL;
	ck_assert_int_eq(c->state, CLIENT_WAITING);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	if (c->small_buffer) {
		(void)setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &c->small_buffer, sizeof(int));
		(void)setsockopt(fds[0], SOL_SOCKET, SO_RCVBUF, &c->small_buffer, sizeof(int));
	}
	c->fd = fds[0];
	c->state = CLIENT_OPEN;
	sse_add_head(head, "");
	return fds[1];
}

static void on_refuse(void *arg, enum fault fault)
{
	struct client *c = arg;

	c->join = NULL;
	c->bundle = NULL;
	c->state = CLIENT_REFUSED;
	c->fault = fault;
}

static void on_nothing(void *arg)
{
	struct client *c = arg;

	c->join = NULL;
	c->state = CLIENT_NOTHING;
}

static const struct join_ops join_ops = {on_accept, on_refuse, on_nothing};

static void reset(struct viewing *v, struct client *c)
{
	int small = c->small_buffer;

	memset(c, 0, sizeof(*c));
	c->small_buffer = small;
	c->v = v;
	c->fd = -1;
	c->state = CLIENT_WAITING;
}

static void join(struct viewing *v, struct client *c, struct join_request *r)
{
	reset(v, c);
	r->ops = &join_ops;
	r->arg = c;
	c->fault = hub_join(v->hub, r, &c->join);
	if (c->fault != FAULT_NONE)
		c->state = CLIENT_REFUSED;
}

void client_join(struct viewing *v, struct client *c, const char *cursor, bool until_idle)
{
	struct join_request r = {.owner = str_of(OWNER),
				 .session_id = str_of(SID),
				 .has_cursor = cursor != NULL,
				 .cursor = str_of(cursor),
				 .until_idle = until_idle};

	join(v, c, &r);
}

static void join_bundle(struct viewing *v, struct client *c, const char *owner,
			const char *sessions, const char *cursors, const char *since,
			const char *changes)
{
	struct stream_query q;
	struct bundle_request r = {.owner = str_of(owner), .query = &q, .ops = &join_ops, .arg = c};
	struct str none = {NULL, 0};
	const char *why;

	reset(v, c);
	ck_assert_ptr_null(stream_query_parse(sessions ? str_of(sessions) : none, str_of(cursors),
					      since ? str_of(since) : none,
					      changes ? str_of(changes) : none, &q, &why));
	c->fault = bundle_join(v->hub, &r, &c->bundle);
	if (c->fault != FAULT_NONE)
		c->state = CLIENT_REFUSED;
	stream_query_fini(&q);
}

void client_join_several(struct viewing *v, struct client *c, const char *owner,
			 const char *sessions, const char *cursors, const char *since)
{
	join_bundle(v, c, owner, sessions, cursors, since, NULL);
}

void client_join_changes(struct viewing *v, struct client *c, const char *owner,
			 const char *sessions)
{
	join_bundle(v, c, owner, sessions, "", NULL, "1");
}

void client_join_other(struct viewing *v, struct client *c, const char *owner, const char *id)
{
	struct join_request r = {.owner = str_of(owner), .session_id = str_of(id)};

	join(v, c, &r);
}

void client_leave(struct client *c)
{
	if (c->join)
		join_cancel(c->join);
	if (c->bundle)
		bundle_cancel(c->bundle);
	if (c->fd >= 0)
		(void)close(c->fd);
	c->join = NULL;
	c->bundle = NULL;
	c->fd = -1;
	buf_fini(&c->in);
	buf_fini(&c->raw);
}

/* One group of lines, blank line included. */
static void take_group(struct client *c, const char *p, size_t n)
{
	const char *end;

	if (*p == ':') {
		c->comments++;
		return;
	}
	if (strncmp(p, "retry: ", 7) == 0)
		return;
	if (strncmp(p, "event: ", 7) == 0) {
		c->notices++;
		(void)snprintf(c->notice, sizeof(c->notice), "%.*s", (int)n, p);
		return;
	}
	ck_assert_msg(strncmp(p, "id: ", 4) == 0, "a frame begins with %.20s", p);
	end = memchr(p, '\n', n);
	(void)snprintf(c->last_id, sizeof(c->last_id), "%.*s", (int)(end - p - 4), p + 4);
	if (strncmp(end, "\nevent: snapshot\n", 17) == 0)
		c->snapshots++;
	c->events++;
	buf_add(&c->in, p, n);
}

static void take_bytes(struct client *c)
{
	const char *end;
	size_t pos = 0;

	(void)buf_str(&c->raw);
	if (!c->head_seen) {
		end = strstr(c->raw.data, "\r\n\r\n");
		if (!end)
			return;
		ck_assert_ptr_nonnull(strstr(c->raw.data, "HTTP/1.1 200 OK\r\n"));
		buf_consume(&c->raw, (size_t)(end + 4 - c->raw.data));
		(void)buf_str(&c->raw);
		c->head_seen = true;
	}
	while ((end = memmem(c->raw.data + pos, c->raw.len - pos, "\n\n", 2))) {
		size_t n = (size_t)(end + 2 - (c->raw.data + pos));

		take_group(c, c->raw.data + pos, n);
		pos += n;
	}
	buf_consume(&c->raw, pos);
}

void client_read(struct client *c)
{
	ssize_t n = 1;

	while (c->fd >= 0 && n > 0) {
		buf_reserve(&c->raw, 65536);
		n = read(c->fd, c->raw.data + c->raw.len, 65536);
		if (n > 0) {
			c->raw.len += (size_t)n;
			take_bytes(c);
		} else if (n == 0 || errno != EAGAIN) {
			ck_assert_uint_eq(c->raw.len, 0); /* it ends between two events */
			(void)close(c->fd);
			c->fd = -1;
			c->state = CLIENT_ENDED;
		}
	}
}

void client_expect_frames(struct client *c, const struct scripted_session *s, uint64_t after)
{
	auto_buf struct buf want = BUF_INIT;

	scripted_session_frames(s, after, &want);
	ck_assert_uint_eq(c->in.len, want.len);
	ck_assert(c->in.len == 0 || memcmp(c->in.data, want.data, want.len) == 0);
}

void client_expect_snapshot_then_rest(struct client *c, const struct scripted_session *s,
				      const char *reason)
{
	unsigned long long generation, seq;
	char text[64] = "";
	const char *end, *found;
	auto_buf struct buf want = BUF_INIT;
	size_t n;

	ck_assert_int_eq(c->snapshots, 1);
	(void)buf_str(&c->in);
	ck_assert_int_eq(sscanf(c->in.data, "id: %llu-%llu\nevent: snapshot\n", &generation, &seq),
			 2);
	end = strstr(c->in.data, "\n\n") + 2;
	n = (size_t)(end - c->in.data);
	if (reason)
		(void)snprintf(text, sizeof(text), ",\"reason\":\"%s\"}\n\n", reason);
	found = strstr(c->in.data, ",\"reason\":");
	if (reason)
		ck_assert_msg(found && strncmp(found, text, strlen(text)) == 0, "%.*s", (int)n,
			      c->in.data);
	else
		ck_assert(!found || found > end);
	scripted_session_frames(s, seq, &want);
	ck_assert_uint_eq(c->in.len - n, want.len);
	ck_assert(want.len == 0 || memcmp(end, want.data, want.len) == 0);
}

void viewing_spin(struct viewing *v)
{
	for (int i = 0; i < 20; i++)
		(void)event_base_loop(v->base, EVLOOP_NONBLOCK);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
}

void viewing_until(struct viewing *v, bool (*cond)(void *arg), void *arg, const char *what)
{
	struct timespec start, now;
	struct timeval tick = {0, 2000};
	struct event *wake = event_new(v->base, -1, EV_PERSIST, on_wake, NULL);

	(void)event_add(wake, &tick);
	(void)clock_gettime(CLOCK_MONOTONIC, &start); /* the tested clock may have been moved */
	do {
		if (cond(arg)) {
			event_free(wake);
			return;
		}
		(void)event_base_loop(v->base, EVLOOP_ONCE);
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < 5);
	ck_abort_msg("not within 5 s: %s", what);
}

struct wanted {
	struct client *c;
	enum client_state state;
	char id[64];
};

static bool has_state(void *arg)
{
	struct wanted *w = arg;

	client_read(w->c);
	return w->c->state == w->state;
}

void viewing_until_state(struct client *c, enum client_state state)
{
	struct wanted w = {.c = c, .state = state};

	viewing_until(c->v, has_state, &w, "the client's state");
}

static bool has_last(void *arg)
{
	struct wanted *w = arg;
	const char *dash;

	client_read(w->c);
	dash = strchr(w->c->last_id, '-');
	return dash && strcmp(dash + 1, w->id) == 0;
}

void viewing_until_caught_up(struct client *c, const struct scripted_session *s)
{
	struct wanted w = {.c = c};

	(void)snprintf(w.id, sizeof(w.id), "%llu", (unsigned long long)scripted_session_seq(s));
	viewing_until(c->v, has_last, &w, "the client has the last event");
}

bool viewing_is_linked(void *arg)
{
	struct viewing *v = arg;

	return scripted_worker_links(v->worker) == 1 && backend_is_up(v->backend, 0);
}

bool viewing_is_cut(void *arg)
{
	return !backend_is_up(((struct viewing *)arg)->backend, 0);
}
