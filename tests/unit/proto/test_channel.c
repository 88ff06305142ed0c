/*
 * test_channel.c - one connection of the bus: handshake, frames split anywhere, limits, ends.
 */
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/log.h"
#include "proto/channel.h"
#include "tests/unit/common/run_case.h"

/* A worker's channel; the test holds the other end and writes bytes. */
struct rig {
	struct event_base *base;
	int fd; /* ours */
	struct channel *channel;
	int ups, messages, downs;
	const char *why;
	enum msg_type last;
	uint64_t last_req;
	int free_in_message, free_in_up;
	size_t answer;	 /* bytes of the body with which each request is answered, 0: not at all */
	int after_pass;	 /* answers are not sent at once, but by commit() */
	int owed;	 /* such answers */
	struct buf body; /* owned */
};

static void on_up(void *arg, const struct msg_hello *peer)
{
	struct rig *r = arg;

	r->ups++;
	ck_assert(str_eq(peer->role, "streamerd"));
	if (r->free_in_up) {
		channel_free(r->channel);
		r->channel = NULL;
	}
}

static void answer(struct rig *r)
{
	struct msg m = {.type = MSG_REPLY, .reply = {.body = {r->body.data, r->answer}}};

	channel_send(r->channel, &m);
}

/* As a worker does it: behind the callbacks of a pass. */
static void commit(struct rig *r)
{
	for (; r->owed > 0; r->owed--)
		answer(r);
}

static void on_message(void *arg, const struct msg *m)
{
	struct rig *r = arg;

	r->messages++;
	r->last = m->type;
	r->last_req = m->status.req;
	if (r->answer && r->after_pass)
		r->owed++;
	else if (r->answer)
		answer(r);
	if (r->free_in_message) {
		channel_free(r->channel);
		r->channel = NULL;
	}
}

static void on_down(void *arg, const char *why)
{
	struct rig *r = arg;

	r->downs++;
	r->why = why;
	channel_free(r->channel);
	r->channel = NULL;
}

static const struct channel_ops ops = {on_up, on_message, on_down};

/* Whom the kernel names as the peer; -1: as it is. */
static uid_t peer_uid = (uid_t)-1;
static gid_t peer_group = (gid_t)-1;

int __real_sock_peer_uid(int fd, uid_t *ret_uid);
int __wrap_sock_peer_uid(int fd, uid_t *ret_uid);
bool __wrap_sock_peer_in_group(int fd, gid_t group);

int __wrap_sock_peer_uid(int fd, uid_t *ret_uid)
{
	if (peer_uid == (uid_t)-1)
		return __real_sock_peer_uid(fd, ret_uid);
	*ret_uid = peer_uid;
	return 0;
}

bool __wrap_sock_peer_in_group(int fd, gid_t group)
{
	return group == peer_group;
}

static void rig_open_for(struct rig *r, enum msg_sender self, struct channel_allow allow)
{
	struct msg_hello hello = {.version = PROTO_VERSION, .role = str_of("worker"), .workers = 1};
	int fds[2];

	memset(r, 0, sizeof(*r));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	r->base = event_base_new();
	r->fd = fds[0];
	r->channel = channel_new(r->base, fds[1], self, &hello, allow, &ops, r);
	ck_assert_int_eq(r->ups + r->downs, 0); /* never inside channel_new() */
}

static void rig_open_as(struct rig *r, enum msg_sender self)
{
	rig_open_for(r, self, CHANNEL_ALLOW_NONE);
}

static void rig_open(struct rig *r)
{
	rig_open_as(r, FROM_WORKER);
}

static void rig_close(struct rig *r)
{
	channel_free(r->channel);
	if (r->fd >= 0)
		(void)close(r->fd);
	buf_fini(&r->body);
	event_base_free(r->base);
}

static void spin(struct rig *r)
{
	for (int i = 0; i < 10; i++)
		(void)event_base_loop(r->base, EVLOOP_NONBLOCK);
}

static void add_hello(struct buf *b, uint64_t version)
{
	struct msg m = {.type = MSG_HELLO,
			.hello = {.version = version, .role = str_of("streamerd"), .workers = 1}};

	ck_assert_int_eq(msg_encode(b, &m), 0);
}

static void add_status(struct buf *b, uint64_t req)
{
	struct msg m = {.type = MSG_STATUS, .status = {.req = req}};

	ck_assert_int_eq(msg_encode(b, &m), 0);
}

static void say(struct rig *r, const void *p, size_t n)
{
	ck_assert_int_eq(write(r->fd, p, n), (ssize_t)n);
}

/* PRC-3 */
START_TEST(frames_are_taken_however_they_are_split)
{
	auto_buf struct buf b = BUF_INIT;
	struct rig r;
	size_t size = _i ? (size_t)_i : 100000;

	rig_open(&r);
	add_hello(&b, PROTO_VERSION);
	for (uint64_t i = 1; i <= 50; i++)
		add_status(&b, i);
	for (size_t at = 0; at < b.len; at += size) {
		say(&r, b.data + at, at + size < b.len ? size : b.len - at);
		spin(&r);
	}
	ck_assert_int_eq(r.ups, 1);
	ck_assert_int_eq(r.messages, 50);
	ck_assert_uint_eq(r.last_req, 50);
	ck_assert(channel_is_up(r.channel));
	rig_close(&r);
}
END_TEST

/* PRC-3: what a peer may not do; each is cut off with a reason, once */
enum crime {
	SILENT_CLOSE,
	NO_HELLO,
	TWO_HELLOS,
	OTHER_VERSION,
	EMPTY_FRAME,
	GIANT_FRAME,
	GARBAGE,
	WORKERS_WORDS,
	UNKNOWN_NUMBER,
	CRIMES
};

static void commit_crime(struct buf *b, enum crime crime)
{
	struct msg m = {.type = MSG_REPLY, .reply = {.req = 1}};

	if (crime != NO_HELLO && crime != OTHER_VERSION && crime != SILENT_CLOSE)
		add_hello(b, PROTO_VERSION);
	switch (crime) {
	case NO_HELLO:
		add_status(b, 1);
		break;
	case TWO_HELLOS:
		add_hello(b, PROTO_VERSION);
		break;
	case OTHER_VERSION:
		add_hello(b, PROTO_VERSION + 1);
		break;
	case EMPTY_FRAME:
		buf_add(b, "\0\0\0\0", 4);
		break;
	case GIANT_FRAME:
		buf_add(b, "\xff\xff\xff\xff", 4);
		break;
	case GARBAGE:
		buf_add(b, "\0\0\0\x02\xc1\xc1", 6);
		break;
	case WORKERS_WORDS:
		(void)msg_encode(b, &m);
		break;
	case UNKNOWN_NUMBER:
		buf_add(b, "\0\0\0\x03\x92\x7f\x01", 7);
		break;
	case SILENT_CLOSE:
	case CRIMES:
		break;
	}
	add_status(b, 99); /* must not be heard any more */
}

START_TEST(a_peer_that_breaks_the_protocol_is_cut_off_once_with_a_reason)
{
	auto_buf struct buf b = BUF_INIT;
	char byte[512];
	struct rig r;

	rig_open(&r);
	commit_crime(&b, (enum crime)_i);
	if (_i == SILENT_CLOSE)
		(void)shutdown(r.fd, SHUT_WR);
	else
		say(&r, b.data, b.len);
	spin(&r);
	ck_assert_int_eq(r.downs, 1);
	ck_assert_ptr_nonnull(r.why);
	ck_assert_int_eq(r.messages, 0);
	/* a peer of another version has been told ours */
	ck_assert_int_gt(read(r.fd, byte, sizeof(byte)), 10);
	/* closed with bytes unread: the peer sees either the end or a reset */
	ck_assert(read(r.fd, byte, sizeof(byte)) <= 0 && errno != EAGAIN);
	rig_close(&r);
}
END_TEST

#define ITS_USER  6001
#define ITS_GROUP 6002

static const struct {
	uid_t peer;
	gid_t group;
	struct channel_allow allow;
	bool comes_in;
} peers[] = {
	{0, (gid_t)-1, {(uid_t)-1, (gid_t)-1}, true},
	{ITS_USER, ITS_GROUP, {(uid_t)-1, (gid_t)-1}, false},
	{ITS_USER, ITS_GROUP, {ITS_USER, (gid_t)-1}, true},
	{ITS_USER + 1, ITS_GROUP, {ITS_USER, (gid_t)-1}, false},
	{ITS_USER, ITS_GROUP, {(uid_t)-1, ITS_GROUP}, true},
	{ITS_USER, ITS_GROUP + 1, {(uid_t)-1, ITS_GROUP}, false},
	{ITS_USER, (gid_t)-1, {ITS_USER + 1, ITS_GROUP}, false},
};

/* PRC-3, SEC-6: what a peer of a foreign user says is not heard, however well it is said */
START_TEST(who_comes_in_is_our_own_user_root_and_whom_the_config_names)
{
	auto_buf struct buf b = BUF_INIT;
	struct rig r;

	peer_uid = peers[_i].peer;
	peer_group = peers[_i].group;
	rig_open_for(&r, FROM_WORKER, peers[_i].allow);
	add_hello(&b, PROTO_VERSION);
	add_status(&b, 1);
	say(&r, b.data, b.len);
	spin(&r);
	ck_assert_int_eq(r.ups, peers[_i].comes_in);
	ck_assert_int_eq(r.messages, peers[_i].comes_in);
	ck_assert_int_eq(r.downs, !peers[_i].comes_in);
	if (!peers[_i].comes_in)
		ck_assert_str_eq(r.why, "peer of a foreign uid");
	rig_close(&r);
}
END_TEST

START_TEST(a_channel_may_be_freed_inside_its_callbacks)
{
	auto_buf struct buf b = BUF_INIT;
	struct rig r;

	rig_open(&r);
	r.free_in_up = _i == 0;
	r.free_in_message = _i == 1;
	add_hello(&b, PROTO_VERSION);
	add_status(&b, 1);
	add_status(&b, 2);
	say(&r, b.data, b.len);
	spin(&r);
	ck_assert_ptr_null(r.channel);
	ck_assert_int_eq(r.messages, _i);
	ck_assert_int_eq(r.downs, 0);
	rig_close(&r);
}
END_TEST

START_TEST(what_gathers_in_a_pass_is_one_write)
{
	auto_buf struct buf b = BUF_INIT;
	struct msg m = {.type = MSG_REPLY, .reply = {.body = str_of("{}")}};
	char in[65536];
	size_t one;
	struct rig r;

	rig_open(&r);
	add_hello(&b, PROTO_VERSION);
	say(&r, b.data, b.len);
	spin(&r);
	ck_assert_int_gt(read(r.fd, in, sizeof(in)), 0);
	buf_clear(&b);
	ck_assert_int_eq(msg_encode(&b, &m), 0);
	one = b.len;
	for (int i = 0; i < 100; i++)
		channel_send(r.channel, &m);
	ck_assert_int_lt(read(r.fd, in, sizeof(in)), 0); /* only queued */
	ck_assert_uint_eq(channel_queued(r.channel), 100 * one);
	spin(&r);
	ck_assert_int_eq(read(r.fd, in, sizeof(in)), (ssize_t)(100 * one));
	ck_assert_uint_eq(channel_queued(r.channel), 0);
	rig_close(&r);
}
END_TEST

/* PRC-5 */
START_TEST(a_peer_that_does_not_read_is_cut_off_at_the_limit)
{
	auto_buf struct buf b = BUF_INIT;
	auto_buf struct buf big = BUF_INIT;
	struct msg m = {.type = MSG_REPLY};
	struct rig r;
	size_t sent = 0;

	rig_open(&r);
	add_hello(&b, PROTO_VERSION);
	say(&r, b.data, b.len);
	spin(&r);
	buf_reserve(&big, 4 * 1024 * 1024);
	memset(big.data, 'x', 4 * 1024 * 1024);
	m.reply.body = (struct str){big.data, 4 * 1024 * 1024};
	while (r.downs == 0 && sent < 2 * (size_t)LIMIT_BUS_QUEUE) {
		channel_send(r.channel, &m);
		sent += m.reply.body.n;
		spin(&r);
	}
	ck_assert_int_eq(r.downs, 1);
	ck_assert_str_eq(r.why, "peer does not read");
	ck_assert_uint_ge(sent, LIMIT_BUS_QUEUE);
	rig_close(&r);
}
END_TEST

#define BURST  600
#define ANSWER ((size_t)240 * 1024)

/* A peer has asked for BURST answers of that size, in one write, and has read nothing yet. */
static void ask_for_much(struct rig *r, int after_pass)
{
	auto_buf struct buf b = BUF_INIT;

	rig_open(r);
	buf_reserve(&r->body, ANSWER);
	memset(r->body.data, 'x', ANSWER);
	r->answer = ANSWER;
	r->after_pass = after_pass;
	add_hello(&b, PROTO_VERSION);
	for (uint64_t i = 1; i <= BURST; i++)
		add_status(&b, i);
	say(r, b.data, b.len);
}

/* PRC-5: answered at once, or behind the commit of the pass */
START_TEST(a_peer_that_reads_gets_all_answers_to_a_burst_of_requests)
{
	size_t most = _i ? LIMIT_BUS_HIGH + LIMIT_BUS_BURST * (ANSWER + 64)
			 : LIMIT_BUS_HIGH + ANSWER + 64;
	static char in[1024 * 1024];
	size_t got = 0;
	struct rig r;

	ck_assert_uint_gt(BURST * ANSWER, 2 * LIMIT_BUS_QUEUE);
	ask_for_much(&r, _i);
	for (int i = 0; i < 100000 && got < BURST * ANSWER && r.downs == 0; i++) {
		ssize_t n;

		(void)event_base_loop(r.base, EVLOOP_ONCE | EVLOOP_NONBLOCK); /* one pass */
		commit(&r);
		ck_assert_uint_le(channel_queued(r.channel), most);
		n = read(r.fd, in, sizeof(in));
		got += n > 0 ? (size_t)n : 0;
	}
	ck_assert_int_eq(r.downs, 0);
	ck_assert_int_eq(r.messages, BURST);
	ck_assert_uint_eq(r.last_req, BURST);
	ck_assert_uint_gt(got, BURST * ANSWER);
	rig_close(&r);
}
END_TEST

/* PRC-5 */
START_TEST(requests_of_a_peer_that_does_not_read_wait)
{
	auto_buf struct buf b = BUF_INIT;
	struct rig r;
	int taken;

	ask_for_much(&r, 0);
	spin(&r);
	taken = r.messages;
	ck_assert_int_gt(taken, (int)(LIMIT_BUS_HIGH / ANSWER));
	ck_assert_int_lt(taken, (int)(2 * LIMIT_BUS_HIGH / ANSWER));
	add_status(&b, BURST + 1);
	say(&r, b.data, b.len);
	spin(&r);
	ck_assert_int_eq(r.messages, taken);
	ck_assert_int_eq(r.downs, 0);
	(void)close(r.fd); /* it is noticed all the same */
	r.fd = -1;
	spin(&r);
	ck_assert_int_eq(r.downs, 1);
	rig_close(&r);
}
END_TEST

/* PRC-5: if both sides paused, neither would go on. */
START_TEST(the_side_that_asks_reads_however_much_it_has_to_send)
{
	auto_buf struct buf b = BUF_INIT;
	auto_buf struct buf big = BUF_INIT;
	struct msg question = {.type = MSG_SEND_MESSAGE};
	struct msg m = {.type = MSG_REPLY, .reply = {.req = 7}};
	struct rig r;

	rig_open_as(&r, FROM_STREAMERD);
	add_hello(&b, PROTO_VERSION);
	say(&r, b.data, b.len);
	spin(&r);
	buf_reserve(&big, 2 * LIMIT_BUS_HIGH);
	memset(big.data, 'x', 2 * LIMIT_BUS_HIGH);
	question.send_message.content = (struct str){big.data, 2 * LIMIT_BUS_HIGH};
	channel_send(r.channel, &question);
	spin(&r);
	ck_assert_uint_gt(channel_queued(r.channel), LIMIT_BUS_HIGH);
	buf_clear(&b);
	for (int i = 0; i < 2 * LIMIT_BUS_BURST; i++)
		ck_assert_int_eq(msg_encode(&b, &m), 0);
	say(&r, b.data, b.len);
	(void)event_base_loop(r.base, EVLOOP_NONBLOCK);
	ck_assert_int_eq(r.messages, 2 * LIMIT_BUS_BURST);
	rig_close(&r);
}
END_TEST

/* PRC-3 */
START_TEST(a_message_over_the_limit_costs_the_channel_and_not_the_process)
{
	auto_buf struct buf b = BUF_INIT;
	auto_buf struct buf big = BUF_INIT;
	struct msg m = {.type = MSG_REPLY};
	struct rig r;

	rig_open(&r);
	add_hello(&b, PROTO_VERSION);
	say(&r, b.data, b.len);
	spin(&r);
	buf_reserve(&big, LIMIT_FRAME);
	memset(big.data, 'x', LIMIT_FRAME);
	m.reply.body = (struct str){big.data, LIMIT_FRAME};
	log_max = (enum log_level)0; /* the line about it is expected */
	channel_send(r.channel, &m);
	channel_send(r.channel, &m);
	ck_assert_int_eq(r.downs, 0); /* never inside channel_send() */
	spin(&r);
	ck_assert_int_eq(r.downs, 1);
	ck_assert_str_eq(r.why, "message over the limit");
	rig_close(&r);
}
END_TEST

START_TEST(the_largest_frame_passes)
{
	auto_buf struct buf b = BUF_INIT;
	auto_buf struct buf big = BUF_INIT;
	struct msg m = {.type = MSG_SEND_MESSAGE};
	struct rig r;
	size_t at = 0;

	rig_open(&r);
	add_hello(&b, PROTO_VERSION);
	buf_reserve(&big, LIMIT_FRAME);
	memset(big.data, 'x', LIMIT_FRAME);
	m.send_message.content = (struct str){big.data, LIMIT_FRAME - 64};
	ck_assert_int_eq(msg_encode(&b, &m), 0);
	for (int i = 0; i < 100000 && at < b.len && r.downs == 0; i++) {
		ssize_t n = write(r.fd, b.data + at, b.len - at);

		if (n > 0)
			at += (size_t)n;
		(void)event_base_loop(r.base, EVLOOP_NONBLOCK);
	}
	spin(&r);
	ck_assert_int_eq(r.messages, 1);
	ck_assert_int_eq((int)r.last, MSG_SEND_MESSAGE);
	rig_close(&r);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("channel");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, frames_are_taken_however_they_are_split, 0, 9);
	tcase_add_loop_test(t, a_peer_that_breaks_the_protocol_is_cut_off_once_with_a_reason, 0,
			    CRIMES);
	tcase_add_loop_test(t, who_comes_in_is_our_own_user_root_and_whom_the_config_names, 0,
			    (int)(sizeof(peers) / sizeof(peers[0])));
	tcase_add_loop_test(t, a_channel_may_be_freed_inside_its_callbacks, 0, 2);
	tcase_add_test(t, what_gathers_in_a_pass_is_one_write);
	tcase_add_test(t, a_peer_that_does_not_read_is_cut_off_at_the_limit);
	tcase_add_loop_test(t, a_peer_that_reads_gets_all_answers_to_a_burst_of_requests, 0, 2);
	tcase_add_test(t, requests_of_a_peer_that_does_not_read_wait);
	tcase_add_test(t, the_side_that_asks_reads_however_much_it_has_to_send);
	tcase_add_test(t, a_message_over_the_limit_costs_the_channel_and_not_the_process);
	tcase_add_test(t, the_largest_frame_passes);
	return run_case("channel", t);
}
