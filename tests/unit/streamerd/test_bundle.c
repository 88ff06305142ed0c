/*
 * test_bundle.c - one stream that shows several sessions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/log.h"
#include "streamerd/bundle.h"
#include "streamerd/stats.h"
#include "tests/unit/common/run_case.h"
#include "tests/unit/streamerd/skip.h"
#include "tests/unit/streamerd/viewing.h"

struct part {
	struct buf frames; /* of one session, without its snapshots */
	uint64_t after;	   /* the seq that the last snapshot covered */
	int snapshots;
};

/* What the client was sent of one session. */
static void part_of(struct client *c, const char *id, struct part *ret)
{
	char mark[80];
	const char *p, *end;
	unsigned long long generation, seq;

	*ret = (struct part){0};
	(void)snprintf(mark, sizeof(mark), "data: {\"session_id\":\"%s\"", id);
	for (p = buf_str(&c->in); *p; p = end) {
		end = strstr(p, "\n\n") + 2;
		if (memmem(p, (size_t)(end - p), mark, strlen(mark)) == NULL)
			continue;
		ck_assert_int_eq(sscanf(p, "id: %llu-%llu\n", &generation, &seq), 2);
		if (memmem(p, (size_t)(end - p), "\nevent: snapshot\n", 17)) {
			ret->after = seq;
			ret->snapshots++;
			buf_clear(&ret->frames);
		} else {
			buf_add(&ret->frames, p, (size_t)(end - p));
		}
	}
}

/* It was sent a snapshot of the session and every later event; or, with after, all behind that. */
static bool has_all(struct client *c, struct scripted_session *s, const char *id, uint64_t after)
{
	auto_buf struct buf want = BUF_INIT;
	struct part got;
	bool ok;

	part_of(c, id, &got);
	scripted_session_frames(s, got.snapshots ? got.after : after, &want);
	ok = got.frames.len == want.len &&
	     (want.len == 0 || memcmp(got.frames.data, want.data, want.len) == 0) &&
	     got.snapshots == (after == 0);
	buf_fini(&got.frames);
	return ok;
}

struct several {
	struct client *c;
	struct scripted_session *s[3];
	uint64_t after;
	size_t had; /* bytes, when it was last looked at */
};
static const char *const names[] = {"ses_a", "ses_b", "ses_c"};

static bool all_there(void *arg)
{
	struct several *x = arg;

	client_read(x->c);
	if (x->c->in.len != x->had) { /* more is on its way: comparing is dear */
		x->had = x->c->in.len;
		return false;
	}
	for (int i = 0; i < 3; i++) {
		if (!has_all(x->c, x->s[i], names[i], x->after))
			return false;
	}
	return true;
}

static void three(struct viewing *v, struct several *x, struct client *c)
{
	*x = (struct several){.c = c};
	for (int i = 0; i < 3; i++)
		x->s[i] = scripted_session_new(v->worker, OWNER, names[i]);
}

static int noticed(struct client *c)
{
	client_read(c);
	return c->notices;
}

static bool is_noticed(void *arg)
{
	return noticed(arg) > 0;
}

/* SDC-8, SDC-10, DUR-4, PRC-4 */
START_TEST(several_sessions_come_whole_and_each_is_subscribed_once)
{
	struct viewing *v = viewing_new();
	struct client c = {0}, d = {0}, one = {0};
	struct several x, y;
	char cursors[128];

	three(v, &x, &c);
	y = x;
	y.c = &d;
	scripted_session_turn(x.s[0], 20, 100);
	client_join_several(v, &c, OWNER, "ses_a,ses_b,ses_c", NULL, NULL);
	client_join_several(v, &d, OWNER, "ses_c,ses_a,ses_b", NULL, NULL);
	client_join_other(v, &one, OWNER, "ses_a");
	viewing_until(v, all_there, &x, "three snapshots");
	for (int i = 0; i < 30; i++)
		scripted_session_turn(x.s[i % 3], 5, 300);
	viewing_until(v, all_there, &x, "all events");
	viewing_until(v, all_there, &y, "all events of the other");
	ck_assert_int_eq(scripted_worker_counts(v->worker)->subscribes, 3);
	client_leave(&one);
	client_leave(&d);
	/* it comes back with a cursor for each */
	client_leave(&c);
	(void)snprintf(cursors, sizeof(cursors), "ses_a@1-9,ses_b@1-9,ses_c@1-9");
	client_join_several(v, &c, OWNER, "ses_a,ses_b,ses_c", cursors, NULL);
	x.after = 9;
	viewing_until(v, all_there, &x, "what follows the cursors");
	client_leave(&c);
	viewing_free(v);
}
END_TEST

/* PRC-5, SDC-10: nothing is written between the parts of a frame, whatever the socket takes */
START_TEST(frames_of_a_slow_reader_never_mix)
{
	struct viewing *v = viewing_new();
	struct client c = {.small_buffer = 4096};
	struct several x;

	three(v, &x, &c);
	client_join_several(v, &c, OWNER, "ses_a,ses_b,ses_c", NULL, NULL);
	viewing_until(v, all_there, &x, "three snapshots");
	for (int i = 0; i < 15; i++) { /* more than a tail holds, of each */
		scripted_session_turn(x.s[i % 3], 20, 2000 + (size_t)(rand() % 5000));
		viewing_spin(v);
		if (i % 10 == 0)
			skip(v, 16000); /* heartbeats fall due */
		if (_i && i % 5 == 0)
			client_read(&c);
	}
	viewing_until(v, all_there, &x, "everything, most of it from the log");
	client_leave(&c);
	viewing_free(v);
}
END_TEST

/* SDC-6, SEC-4 */
START_TEST(one_that_is_not_there_says_so_and_leaves_the_others_alone)
{
	struct viewing *v = viewing_new();
	struct client c = {0}, none = {0};
	struct several x;

	three(v, &x, &c);
	(void)scripted_session_new(v->worker, "bob", "ses_of_bob");
	client_join_several(v, &none, OWNER, "ses_of_bob,ses_none", NULL, NULL);
	viewing_until_state(&none, CLIENT_REFUSED);
	ck_assert_int_eq(none.fault, FAULT_SESSION_NOT_FOUND);
	client_join_several(v, &c, OWNER, "ses_a,ses_b,ses_c,ses_of_bob", NULL, NULL);
	viewing_until(v, is_noticed, &c, "the notice");
	ck_assert_ptr_nonnull(strstr(c.notice, "\"session_id\":\"ses_of_bob\""));
	ck_assert_ptr_nonnull(strstr(c.notice, "\"fatal\":false,\"code\":\"session_not_found\""));
	viewing_until(v, all_there, &x, "the others");
	scripted_session_emit(x.s[0], CHAT_EVENT_SESSION_CLEARED, "{}");
	scripted_session_turn(x.s[1], 3, 10);
	viewing_until(v, all_there, &x, "it is cleared, and the others go on");
	ck_assert_int_eq(c.state, CLIENT_OPEN);
	scripted_session_emit(x.s[1], CHAT_EVENT_SESSION_CLEARED, "{}");
	scripted_session_emit(x.s[2], CHAT_EVENT_SESSION_CLEARED, "{}");
	viewing_until_state(&c, CLIENT_ENDED);
	client_leave(&c);
	client_leave(&none);
	viewing_free(v);
}
END_TEST

static bool is_open_with_head(void *arg)
{
	struct client *c = arg;

	client_read(c);
	return c->head_seen;
}

/* SDC-6: streams of several that show a session which was cleared, before they came and unseen */
START_TEST(one_that_is_cleared_can_be_joined_again_and_leaves_also_if_the_log_says_so)
{
	struct viewing *v = viewing_new();
	struct client c = {0}, later = {0}, level = {0};
	struct several x, y;

	three(v, &x, &c);
	client_join_several(v, &c, OWNER, "ses_a,ses_b,ses_c", NULL, NULL);
	viewing_until(v, all_there, &x, "three snapshots");
	scripted_session_emit(x.s[0], CHAT_EVENT_SESSION_CLEARED, "{}");
	viewing_until(v, all_there, &x, "it is cleared");
	y = x;
	y.c = &later;
	client_join_several(v, &later, OWNER, "ses_a,ses_b,ses_c", NULL, NULL);
	client_join_several(v, &level, OWNER, "ses_a", "ses_a@1-1", NULL);
	viewing_until(v, all_there, &y, "three snapshots of who comes then");
	viewing_until(v, is_open_with_head, &level, "the head of who has it");
	ck_assert_int_eq(noticed(&later), 0);
	scripted_worker_cut(v->worker, false);
	viewing_until(v, viewing_is_cut, v, "the link is down");
	scripted_session_turn(x.s[0], 3, 10);
	scripted_session_emit(x.s[1], CHAT_EVENT_SESSION_CLEARED, "{}");
	scripted_session_emit(x.s[2], CHAT_EVENT_SESSION_CLEARED, "{}");
	scripted_worker_listen(v->worker);
	viewing_until(v, viewing_is_linked, v, "the link is up");
	viewing_until_state(&c, CLIENT_ENDED); /* the first had left it already */
	viewing_until(v, all_there, &y, "the log, on the stream that goes on");
	ck_assert_int_eq(later.state, CLIENT_OPEN);
	viewing_until_caught_up(&level, x.s[0]);
	scripted_session_emit(x.s[0], CHAT_EVENT_SESSION_CLEARED, "{}");
	viewing_until_state(&later, CLIENT_ENDED);
	viewing_until_state(&level, CLIENT_ENDED);
	client_leave(&c);
	client_leave(&later);
	client_leave(&level);
	viewing_free(v);
}
END_TEST

/* SDC-8, DUR-4 */
START_TEST(all_shows_what_is_at_work_what_begins_and_what_changed)
{
	struct viewing *v = viewing_new();
	struct client c = {0}, later = {0}, bob = {0};
	struct several x;
	struct scripted_session *quiet;

	three(v, &x, &c);
	quiet = scripted_session_new(v->worker, OWNER, "ses_quiet");
	scripted_session_turn(quiet, 3, 10);
	scripted_session_emit(x.s[0], CHAT_EVENT_RESPONSE_START, "{}");
	client_join_several(v, &c, OWNER, NULL, NULL, NULL);
	client_join_several(v, &bob, "bob", NULL, NULL, NULL);
	viewing_until(v, is_open_with_head, &c, "the head");
	viewing_until(v, is_open_with_head, &bob, "the head");
	scripted_session_turn(x.s[1], 3, 10);
	scripted_session_emit(x.s[2], CHAT_EVENT_RESPONSE_START, "{}");
	viewing_until(v, all_there, &x, "the one at work and those that began");
	ck_assert_ptr_null(strstr(buf_str(&c.in), "ses_quiet"));
	scripted_session_emit(quiet, CHAT_EVENT_SESSION_CLEARED, "{}");
	viewing_spin(v);
	client_read(&c);
	ck_assert_ptr_nonnull(strstr(buf_str(&c.in), "event: session_cleared\ndata: "
						     "{\"session_id\":\"ses_quiet\""));
	/* the number is shared by streams of one owner */
	client_join_several(v, &later, OWNER, NULL, NULL, "2026-11-22T09:30:00.123Z");
	scripted_session_changed(x.s[1]);
	x.c = &later;
	viewing_until(v, all_there, &x, "what changed too");
	client_leave(&later);
	client_leave(&c);
	client_read(&bob);
	ck_assert_int_eq(bob.events, 0);
	client_leave(&bob);
	viewing_spin(v);
	ck_assert_int_eq(scripted_worker_counts(v->worker)->unwatches, 2);
	viewing_free(v);
}
END_TEST

/* FAF-6, DUR-7 */
START_TEST(a_worker_that_was_away_tells_afterwards_what_changed)
{
	struct viewing *v = viewing_new();
	struct client c = {0}, refused = {0};
	struct several x;

	three(v, &x, &c);
	client_join_several(v, &c, OWNER, NULL, NULL, NULL);
	viewing_until(v, is_open_with_head, &c, "the head");
	scripted_worker_cut(v->worker, false);
	viewing_until(v, viewing_is_cut, v, "the link is down");
	skip(v, 2 * LIMIT_FEED_DARK_MS);
	ck_assert_int_eq(noticed(&c), 1);
	ck_assert_ptr_nonnull(strstr(c.notice, "event: error\ndata: {\"session_id\":null,"));
	ck_assert_ptr_nonnull(strstr(c.notice, "\"code\":\"worker_unavailable\""));
	client_join_several(v, &refused, OWNER, NULL, NULL, NULL);
	viewing_until_state(&refused, CLIENT_REFUSED);
	ck_assert_int_eq(refused.fault, FAULT_WORKER_UNAVAILABLE);
	client_leave(&refused);
	client_join_several(v, &refused, OWNER, "ses_a,ses_b", NULL, NULL);
	viewing_until_state(&refused, CLIENT_REFUSED);
	ck_assert_int_eq(refused.fault, FAULT_WORKER_UNAVAILABLE);
	scripted_session_turn(x.s[0], 3, 10);
	scripted_session_changed(x.s[0]);
	scripted_session_turn(x.s[1], 3, 10);
	scripted_session_changed(x.s[1]);
	scripted_session_emit(x.s[2], CHAT_EVENT_RESPONSE_START, "{}");
	scripted_worker_listen(v->worker);
	viewing_until(v, viewing_is_linked, v, "the link is up");
	viewing_until(v, all_there, &x, "what began and ended meanwhile");
	skip(v, 1000);
	ck_assert_int_eq(noticed(&c), 2);
	ck_assert_ptr_nonnull(strstr(c.notice, "event: warning\ndata: {\"session_id\":null,"));
	client_leave(&c);
	client_leave(&refused);
	viewing_free(v);
}
END_TEST

struct crowd {
	struct client *c;
	int snapshots;
};

static bool has_snapshots(void *arg)
{
	struct crowd *x = arg;

	client_read(x->c);
	return x->c->snapshots >= x->snapshots;
}

struct expected {
	struct client *c;
	int notices;
};

static bool has_notices(void *arg)
{
	const struct expected *x = arg;

	return noticed(x->c) >= x->notices;
}

static void until_changed(struct viewing *v, struct client *c, int notices)
{
	struct expected x = {c, notices};

	viewing_until(v, has_notices, &x, "word of a change");
	viewing_spin(v);
	ck_assert_int_eq(noticed(c), notices);
	ck_assert_ptr_nonnull(
		strstr(c->notice, "event: sessions_changed\ndata: {\"session_id\":null,"));
	ck_assert_ptr_nonnull(strstr(c->notice, "\"seq\":null,"));
}

/* CLI-2, API-3 */
START_TEST(who_asked_for_it_is_told_that_something_changed_and_nobody_else)
{
	struct viewing *v = viewing_new();
	struct client c = {0}, list = {0};
	struct scripted_session *mine, *foreign;

	mine = scripted_session_new(v->worker, OWNER, "ses_mine");
	foreign = scripted_session_new(v->worker, "bob", "ses_bobs");
	client_join_changes(v, &c, OWNER, "");
	client_join_changes(v, &list, OWNER, "ses_mine,ses_none");
	until_changed(v, &c, 1); /* from now on nothing is missed */
	viewing_until_state(&list, CLIENT_OPEN);
	scripted_session_emit(mine, CHAT_EVENT_RESPONSE_START, "{}");
	until_changed(v, &c, 2);
	scripted_session_emit(mine, CHAT_EVENT_RESPONSE_CHUNK, "{\"content\":\"x\"}");
	scripted_session_emit(foreign, CHAT_EVENT_RESPONSE_START, "{}");
	viewing_spin(v);
	ck_assert_int_eq(noticed(&c), 2);
	scripted_session_emit(mine, CHAT_EVENT_RESPONSE_END, "{}");
	until_changed(v, &c, 3);
	ck_assert_int_eq(c.snapshots + c.events, 0); /* and shows none of them */
	ck_assert_int_eq(noticed(&list), 4);	     /* one of them: ses_none is not there */
	ck_assert_int_eq(list.snapshots, 1);
	ck_assert_int_eq(list.state, CLIENT_OPEN);
	/* what happened while the worker was away */
	scripted_worker_cut(v->worker, false);
	viewing_until(v, viewing_is_cut, v, "the link is down");
	scripted_worker_listen(v->worker);
	viewing_until(v, viewing_is_linked, v, "the link is up");
	until_changed(v, &c, 4);
	client_leave(&c);
	client_leave(&list);
	viewing_free(v);
}
END_TEST

/* CLI-2, PRC-5 */
START_TEST(that_something_changed_is_told_to_a_full_socket_once_it_takes_it)
{
	struct viewing *v = viewing_new();
	struct client c = {.small_buffer = 4096};
	struct scripted_session *other = scripted_session_new(v->worker, OWNER, "ses_other");

	client_join_changes(v, &c, OWNER, SID);
	until_changed(v, &c, 1);
	for (int i = 0; i < 10; i++) {
		scripted_session_turn(v->session, 20, 2000);
		scripted_session_turn(other, 1, 10);
		viewing_spin(v);
	}
	until_changed(v, &c, noticed(&c) + 1);
	viewing_until_caught_up(&c, v->session);
	ck_assert_int_lt(c.notices, 15); /* of forty changes */
	client_leave(&c);
	viewing_free(v);
}
END_TEST

/* PRC-5 */
START_TEST(beyond_the_limit_the_idle_make_room_and_if_none_is_the_viewer_is_told)
{
	struct viewing *v = viewing_new();
	struct client c = {0};
	struct crowd x = {&c, LIMIT_BUNDLE_SESSIONS};
	struct scripted_session *s[LIMIT_BUNDLE_SESSIONS + 2];
	char id[32];

	for (int i = 0; i < LIMIT_BUNDLE_SESSIONS + 2; i++) {
		(void)snprintf(id, sizeof(id), "ses_%d", i);
		s[i] = scripted_session_new(v->worker, OWNER, id);
		if (i < LIMIT_BUNDLE_SESSIONS)
			scripted_session_emit(s[i], CHAT_EVENT_RESPONSE_START, "{}");
	}
	client_join_several(v, &c, OWNER, NULL, NULL, NULL);
	viewing_until(v, has_snapshots, &x, "as many as one stream shows");
	/* one becomes idle and makes room for another that begins */
	scripted_session_emit(s[7], CHAT_EVENT_RESPONSE_END, "{}");
	viewing_spin(v);
	scripted_session_emit(s[LIMIT_BUNDLE_SESSIONS], CHAT_EVENT_RESPONSE_START, "{}");
	x.snapshots++;
	viewing_until(v, has_snapshots, &x, "the one that began");
	ck_assert_int_eq(noticed(&c), 0);
	/* now all are at work */
	scripted_session_emit(s[LIMIT_BUNDLE_SESSIONS + 1], CHAT_EVENT_RESPONSE_START, "{}");
	viewing_spin(v);
	skip(v, 3000);
	viewing_until(v, is_noticed, &c, "the notice");
	ck_assert_ptr_nonnull(strstr(c.notice, "event: warning\ndata: {\"session_id\":null,"));
	ck_assert_ptr_nonnull(strstr(c.notice, "\"code\":\"too_many\""));
	ck_assert_int_eq(c.snapshots, x.snapshots);
	skip(v, 5000);
	ck_assert_int_eq(noticed(&c), 1);
	scripted_session_emit(s[9], CHAT_EVENT_RESPONSE_END, "{}");
	viewing_spin(v);
	skip(v, 3000);
	x.snapshots++;
	viewing_until(v, has_snapshots, &x, "it joins once there is room");
	client_leave(&c);
	viewing_free(v);
}
END_TEST

/* PRC-5, API-3 */
START_TEST(a_stream_counts_as_one_viewer_beats_and_is_dropped_when_it_stalls)
{
	struct viewing *v = viewing_new();
	struct client c = {.small_buffer = 4096}, second = {0};
	struct several x;
	uint64_t stalled = stats->ended_stalled;

	three(v, &x, &c);
	hub_set_max_viewers(v->hub, 1);
	client_join_several(v, &c, OWNER, "ses_a,ses_b,ses_c", NULL, NULL);
	client_join_several(v, &second, OWNER, NULL, NULL, NULL);
	ck_assert_int_eq(second.fault, FAULT_TOO_MANY);
	viewing_until(v, all_there, &x, "three snapshots");
	skip(v, LIMIT_HEARTBEAT_MS);
	client_read(&c);
	ck_assert_int_eq(c.comments, 1);
	scripted_session_turn(x.s[0], 100, 2000);
	viewing_spin(v);
	skip(v, LIMIT_VIEWER_STALL_MS + LIMIT_HEARTBEAT_MS);
	ck_assert_uint_eq(stats->ended_stalled, stalled + 1);
	ck_assert_int_eq(v->ended, 1);
	(void)close(c.fd);
	c.fd = -1;
	client_leave(&c);
	client_join_several(v, &second, OWNER, "ses_a", NULL, NULL);
	ck_assert_int_eq(second.fault, FAULT_NONE);
	client_leave(&second); /* before it was accepted */
	viewing_free(v);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("bundle");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, several_sessions_come_whole_and_each_is_subscribed_once);
	tcase_add_loop_test(t, frames_of_a_slow_reader_never_mix, 0, 2);
	tcase_add_test(t, one_that_is_not_there_says_so_and_leaves_the_others_alone);
	tcase_add_test(t,
		       one_that_is_cleared_can_be_joined_again_and_leaves_also_if_the_log_says_so);
	tcase_add_test(t, all_shows_what_is_at_work_what_begins_and_what_changed);
	tcase_add_test(t, a_worker_that_was_away_tells_afterwards_what_changed);
	tcase_add_test(t, who_asked_for_it_is_told_that_something_changed_and_nobody_else);
	tcase_add_test(t, that_something_changed_is_told_to_a_full_socket_once_it_takes_it);
	tcase_add_test(t, beyond_the_limit_the_idle_make_room_and_if_none_is_the_viewer_is_told);
	tcase_add_test(t, a_stream_counts_as_one_viewer_beats_and_is_dropped_when_it_stalls);
	return run_case("bundle", t);
}
