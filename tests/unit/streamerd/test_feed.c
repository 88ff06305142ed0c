/*
 * test_feed.c - feeds and viewers over real sockets: what a viewer is sent, whatever the others do.
 *
 * Joins and cursors, fan-out, slow viewers, refusals, limits and the end by draining. What
 * until=idle waits for is in test_until_idle.c, a worker that goes and returns in test_outage.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "streamerd/stats.h"
#include "streamerd/viewer.h"
#include "tests/unit/common/run_case.h"
#include "tests/unit/streamerd/skip.h"
#include "tests/unit/streamerd/viewing.h"

/* SDC-8, SDC-9, API-3 */
START_TEST(a_fresh_viewer_gets_a_snapshot_and_then_each_later_event)
{
	struct viewing *v = viewing_new();
	struct client c = {0};

	scripted_session_turn(v->session, 5, 100);
	client_join(v, &c, NULL, false);
	viewing_until_state(&c, CLIENT_OPEN);
	viewing_until_caught_up(&c, v->session);
	ck_assert_str_eq(c.last_id, "1-7");
	scripted_session_turn(v->session, 5, 100);
	viewing_until_caught_up(&c, v->session);
	client_expect_snapshot_then_rest(&c, v->session, NULL);
	ck_assert_int_eq(c.events, 1 + 7);
	client_leave(&c);
	viewing_free(v);
}
END_TEST

/* PRC-4, SDC-10, SDC-17 */
START_TEST(a_session_is_subscribed_to_once_and_only_while_it_has_viewers)
{
	struct viewing *v = viewing_new();
	const struct scripted_counts *n = scripted_worker_counts(v->worker);
	struct client c[30] = {0};

	for (int i = 0; i < 30; i++)
		client_join(v, &c[i], NULL, false);
	for (int i = 0; i < 30; i++)
		viewing_until_state(&c[i], CLIENT_OPEN);
	ck_assert_int_eq(n->subscribes, 1);
	ck_assert_int_eq(n->snapshots, 1);
	scripted_session_turn(v->session, 20, 300);
	for (int i = 0; i < 30; i++)
		viewing_until_caught_up(&c[i], v->session);
	for (int i = 29; i >= 0; i--) {
		client_expect_snapshot_then_rest(&c[i], v->session, NULL);
		ck_assert_uint_eq(c[i].in.len, c[0].in.len);
		ck_assert_int_eq(memcmp(c[i].in.data, c[0].in.data, c[0].in.len), 0);
		client_leave(&c[i]);
	}
	viewing_spin(v);
	ck_assert_int_eq(v->ended, 30);
	skip(v, LIMIT_FEED_LINGER_MS - 1000);
	ck_assert_int_eq(n->unsubscribes, 0); /* a reload finds it warm */
	skip(v, 2000);
	viewing_spin(v);
	ck_assert_int_eq(n->unsubscribes, 1);
	ck_assert_uint_eq(stats->feeds, 0);
	viewing_free(v);
}
END_TEST

/* PRC-5: what has gathered goes out in one write */
START_TEST(events_that_arrive_together_are_one_write)
{
	struct viewing *v = viewing_new();
	struct client c = {0};
	uint64_t writes;

	client_join(v, &c, NULL, false);
	viewing_until_state(&c, CLIENT_OPEN);
	viewing_spin(v);
	writes = stats->writes;
	for (int i = 0; i < 40; i++)
		scripted_session_emit(v->session, CHAT_EVENT_WARNING, "{\"code\":\"x\"}");
	viewing_until_caught_up(&c, v->session);
	ck_assert_uint_eq(stats->writes - writes, 1);
	client_leave(&c);
	viewing_free(v);
}
END_TEST

/* FAF-3, DUR-4, SDC-4, SDC-10 */
START_TEST(viewers_that_come_and_go_at_random_see_each_event_once_and_in_order)
{
	struct viewing *v = viewing_new();
	struct client c[20] = {0};
	char cursor[20][64] = {{0}};
	struct buf all[20] = {{0}};

	srand((unsigned)_i);
	for (int round = 0; round < 300; round++) {
		int i = rand() % 20;

		if (rand() % 3 == 0)
			scripted_session_turn(v->session, rand() % 30, (size_t)(rand() % 3000));
		if (!c[i].v) {
			client_join(v, &c[i], cursor[i][0] ? cursor[i] : NULL, false);
		} else {
			client_read(&c[i]);
			if (c[i].last_id[0])
				(void)snprintf(cursor[i], 64, "%s", c[i].last_id);
			buf_add(&all[i], c[i].in.data, c[i].in.len);
			ck_assert_int_ne(c[i].state, CLIENT_REFUSED);
			client_leave(&c[i]);
			c[i].v = NULL;
		}
		for (int k = rand() % 4; k > 0; k--)
			(void)event_base_loop(v->base, EVLOOP_NONBLOCK);
	}
	for (int i = 0; i < 20; i++) {
		auto_buf struct buf want = BUF_INIT;
		unsigned long long seq;
		size_t n;

		if (!c[i].v)
			client_join(v, &c[i], cursor[i][0] ? cursor[i] : NULL, false);
		viewing_until_state(&c[i], CLIENT_OPEN);
		if (strcmp(cursor[i], "") == 0 || c[i].last_id[0] ||
		    strtoull(strchr(cursor[i], '-') + 1, NULL, 10) <
			    scripted_session_seq(v->session))
			viewing_until_caught_up(&c[i], v->session);
		buf_add(&all[i], c[i].in.data, c[i].in.len);
		(void)buf_str(&all[i]);
		/* one snapshot, and behind it every event of the log, byte by byte */
		ck_assert_int_eq(sscanf(all[i].data, "id: %*u-%llu\nevent: snapshot\n", &seq), 1);
		n = (size_t)(strstr(all[i].data, "\n\n") + 2 - all[i].data);
		scripted_session_frames(v->session, seq, &want);
		ck_assert_uint_eq(all[i].len - n, want.len);
		ck_assert(want.len == 0 || memcmp(all[i].data + n, want.data, want.len) == 0);
		client_leave(&c[i]);
		buf_fini(&all[i]);
	}
	viewing_free(v);
}
END_TEST

/* PRC-5, SDC-4, DUR-4 */
START_TEST(a_slow_viewer_delays_nobody_and_finds_the_rest_in_the_log)
{
	struct viewing *v = viewing_new();
	const struct scripted_counts *n = scripted_worker_counts(v->worker);
	struct client slow = {.small_buffer = 4096}, fast = {0};

	client_join(v, &slow, NULL, false);
	client_join(v, &fast, NULL, false);
	viewing_until_state(&slow, CLIENT_OPEN);
	viewing_until_state(&fast, CLIENT_OPEN);
	for (int i = 0; i < 40; i++) { /* 1.6 MB: six times the tail */
		scripted_session_turn(v->session, 20, 2000);
		viewing_until_caught_up(&fast, v->session);
	}
	client_expect_snapshot_then_rest(&fast, v->session, NULL);
	ck_assert_int_eq(n->replays, 0);
	viewing_until_caught_up(&slow, v->session);
	ck_assert_int_gt(n->replays, 0);
	client_expect_snapshot_then_rest(&slow, v->session, NULL);
	client_leave(&slow);
	client_leave(&fast);
	viewing_free(v);
}
END_TEST

/* PRC-5 */
START_TEST(a_viewer_that_takes_nothing_is_dropped_after_the_stall_limit)
{
	struct viewing *v = viewing_new();
	struct client slow = {.small_buffer = 4096};

	client_join(v, &slow, NULL, false);
	viewing_until_state(&slow, CLIENT_OPEN);
	for (int i = 0; i < 10; i++) {
		scripted_session_turn(v->session, 20, 2000);
		viewing_spin(v);
	}
	skip(v, LIMIT_VIEWER_STALL_MS - 1000);
	ck_assert_int_eq(v->ended, 0);
	skip(v, LIMIT_HEARTBEAT_MS + 2000);
	ck_assert_int_eq(v->ended, 1);
	client_leave(&slow);
	viewing_free(v);
}
END_TEST

/* A frame that was begun from the tail is completed from the log when the tail has moved on. */
START_TEST(half_an_event_that_was_sent_is_completed)
{
	struct viewing *v = viewing_new();
	struct client slow = {.small_buffer = 4096};
	auto_buf struct buf big = BUF_INIT;

	buf_adds(&big, "{\"content\":\"");
	while (big.len < 300000)
		buf_addc(&big, (char)('a' + big.len % 26));
	buf_adds(&big, "\"}");
	client_join(v, &slow, NULL, false);
	viewing_until_state(&slow, CLIENT_OPEN);
	viewing_spin(v);
	scripted_session_emit(v->session, CHAT_EVENT_RESPONSE_CHUNK, buf_str(&big));
	viewing_spin(v);
	for (int i = 0; i < 20; i++) {
		scripted_session_turn(v->session, 20, 2000);
		viewing_spin(v);
	}
	viewing_until_caught_up(&slow, v->session);
	client_expect_snapshot_then_rest(&slow, v->session, NULL);
	client_leave(&slow);
	viewing_free(v);
}
END_TEST

/* DUR-4 */
START_TEST(a_cursor_gets_exactly_what_follows_it)
{
	struct viewing *v = viewing_new();
	struct client keep = {0}, c = {0};
	char cursor[64];

	/* with another viewer there, so that some are answered from the tail and some from the log
	 */
	for (int i = 0; i < 4; i++)
		scripted_session_turn(v->session, 10, 200);
	client_join(v, &keep, NULL, false);
	viewing_until_state(&keep, CLIENT_OPEN);
	for (int i = 0; i < 4; i++)
		scripted_session_turn(v->session, 10, 200);
	viewing_until_caught_up(&keep, v->session);
	for (unsigned long long seq = 1; seq < scripted_session_seq(v->session); seq++) {
		(void)snprintf(cursor, sizeof(cursor), "1-%llu", seq);
		client_join(v, &c, cursor, false);
		viewing_until_state(&c, CLIENT_OPEN);
		viewing_until_caught_up(&c, v->session);
		client_expect_frames(&c, v->session, seq);
		client_leave(&c);
	}
	client_leave(&keep);
	viewing_free(v);
}
END_TEST

/* DUR-4 */
static const struct {
	const char *cursor, *reason;
} bad_cursors[] = {
	{"1-3", "too_old"},	   {"1-999", "ahead"},
	{"2-10", "other_history"}, {"7-22", "other_history"},
	{"7-24", "other_history"}, {"nonsense", "unknown"},
	{"1-", "unknown"},	   {"-1", "unknown"},
	{"1-2-3", "unknown"},	   {"1-99999999999999999999999", "unknown"},
};

START_TEST(a_cursor_that_cannot_be_served_gets_a_snapshot_that_says_why)
{
	struct viewing *v = viewing_new();
	struct client keep = {0}, c = {0};

	scripted_session_turn(v->session, 18, 50); /* 1-1 ... 1-20 */
	scripted_session_fold(v->session, 5);
	client_join(v, &keep, NULL, false);
	viewing_until_state(&keep, CLIENT_OPEN);
	scripted_session_turn(v->session, 2, 50); /* in the tail: 1-21 ... 1-24 */
	viewing_until_caught_up(&keep, v->session);
	client_join(v, &c, bad_cursors[_i].cursor, false);
	viewing_until_state(&c, CLIENT_OPEN);
	viewing_until_caught_up(&c, v->session);
	scripted_session_turn(v->session, 2, 50);
	viewing_until_caught_up(&c, v->session);
	client_expect_snapshot_then_rest(&c, v->session, bad_cursors[_i].reason);
	client_leave(&keep);
	client_leave(&c);
	viewing_free(v);
}
END_TEST

START_TEST(returning_viewers_share_the_pages_of_the_log)
{
	struct viewing *v = viewing_new();
	const struct scripted_counts *n = scripted_worker_counts(v->worker);
	struct client c[50] = {0};

	for (int i = 0; i < 10; i++)
		scripted_session_turn(v->session, 98, 50);
	for (int i = 0; i < 50; i++)
		client_join(v, &c[i], "1-1", false);
	for (int i = 0; i < 50; i++) {
		viewing_until_state(&c[i], CLIENT_OPEN);
		viewing_until_caught_up(&c[i], v->session);
		client_expect_frames(&c[i], v->session, 1);
		client_leave(&c[i]);
	}
	ck_assert_int_eq(n->replays, 4); /* 999 events in pages of 256 */
	ck_assert_int_eq(n->snapshots, 0);
	viewing_free(v);
}
END_TEST

/* PRC-5: at LIMIT_REPLAY_MEMORY one more page is fetched, beyond it viewers wait */
START_TEST(while_replay_pages_fill_their_memory_viewers_wait)
{
	struct viewing *v = viewing_new();
	const struct scripted_counts *n = scripted_worker_counts(v->worker);
	struct client live = {0}, at_limit = {0}, beyond = {0};
	uint64_t before = stats->page_bytes;

	scripted_session_turn(v->session, 98, 50);
	client_join(v, &live, NULL, false); /* the session's tail begins here */
	viewing_until_caught_up(&live, v->session);
	stats->page_bytes = LIMIT_REPLAY_MEMORY;
	client_join(v, &at_limit, "1-50", false);
	viewing_until_caught_up(&at_limit, v->session);
	ck_assert_int_eq(n->replays, 1);
	ck_assert_uint_gt(stats->page_bytes, LIMIT_REPLAY_MEMORY);
	client_join(v, &beyond, "1-1", false);
	for (int i = 0; i < 5; i++) {
		hub_tick(v->hub);
		viewing_spin(v);
	}
	ck_assert_int_eq(n->replays, 1);
	ck_assert_int_eq(beyond.events, 0);
	stats->page_bytes -= LIMIT_REPLAY_MEMORY - before;
	hub_tick(v->hub);
	viewing_until_caught_up(&beyond, v->session);
	client_expect_frames(&beyond, v->session, 1);
	client_leave(&live);
	client_leave(&at_limit);
	client_leave(&beyond);
	viewing_free(v);
}
END_TEST

/* FAF-2 */
START_TEST(what_fails_before_the_first_byte_is_refused)
{
	struct viewing *v = viewing_new();
	struct client c = {0};

	client_join_other(v, &c, OWNER, "ses_none");
	viewing_until_state(&c, CLIENT_REFUSED);
	ck_assert_int_eq(c.fault, FAULT_SESSION_NOT_FOUND);
	client_leave(&c);
	client_join_other(v, &c, "mallory", SID); /* SEC-2 */
	viewing_until_state(&c, CLIENT_REFUSED);
	ck_assert_int_eq(c.fault, FAULT_SESSION_NOT_FOUND);
	client_leave(&c);
	scripted_worker_refuse(v->worker, FAULT_LOG_UNAVAILABLE);
	client_join(v, &c, NULL, false);
	viewing_until_state(&c, CLIENT_REFUSED);
	ck_assert_int_eq(c.fault, FAULT_LOG_UNAVAILABLE);
	client_leave(&c);
	scripted_worker_cut(v->worker, false);
	viewing_until(v, viewing_is_cut, v, "the link is down");
	client_join(v, &c, NULL, false);
	viewing_until_state(&c, CLIENT_REFUSED);
	ck_assert_int_eq(c.fault, FAULT_WORKER_UNAVAILABLE);
	client_leave(&c);
	viewing_free(v);
}
END_TEST

START_TEST(a_client_that_leaves_while_it_waits_is_forgotten)
{
	struct viewing *v = viewing_new();
	struct client c = {0};

	scripted_worker_mute(v->worker, true);
	client_join(v, &c, NULL, false);
	viewing_spin(v);
	client_leave(&c);
	scripted_worker_cut(v->worker, true);
	viewing_spin(v);
	ck_assert_int_eq(c.state, CLIENT_WAITING);
	viewing_free(v);
}
END_TEST

/* API-3 */
START_TEST(every_viewer_gets_a_comment_in_each_heartbeat_time)
{
	struct viewing *v = viewing_new();
	struct client c[3] = {0};

	for (int i = 0; i < 3; i++) {
		client_join(v, &c[i], NULL, false);
		viewing_until_state(&c[i], CLIENT_OPEN);
		skip(v, 4000);
	}
	scripted_worker_cut(v->worker, false); /* also while its worker is away */
	skip(v, 4 * LIMIT_HEARTBEAT_MS);
	for (int i = 0; i < 3; i++) {
		client_read(&c[i]);
		ck_assert_int_ge(c[i].comments, 4);
		ck_assert_int_le(c[i].comments, 5);
		client_leave(&c[i]);
	}
	viewing_free(v);
}
END_TEST

/* SEC-4 */
START_TEST(an_owner_has_a_limit_of_viewers)
{
	struct viewing *v = viewing_new();
	struct client c[4] = {0};

	hub_set_max_viewers(v->hub, 3);
	for (int i = 0; i < 4; i++)
		client_join(v, &c[i], NULL, false);
	ck_assert_int_eq(c[3].state, CLIENT_REFUSED);
	ck_assert_int_eq(c[3].fault, FAULT_TOO_MANY);
	viewing_until_state(&c[0], CLIENT_OPEN);
	client_leave(&c[0]);
	viewing_spin(v);
	client_join(v, &c[3], NULL, false);
	viewing_until_state(&c[3], CLIENT_OPEN);
	for (int i = 1; i < 4; i++)
		client_leave(&c[i]);
	viewing_free(v);
}
END_TEST

START_TEST(draining_ends_every_stream_between_two_events)
{
	struct viewing *v = viewing_new();
	struct client c[3] = {0}, late = {0};

	for (int i = 0; i < 3; i++)
		client_join(v, &c[i], NULL, false);
	for (int i = 0; i < 3; i++)
		viewing_until_state(&c[i], CLIENT_OPEN);
	scripted_session_turn(v->session, 5, 100);
	viewing_until_caught_up(&c[0], v->session);
	hub_drain(v->hub);
	for (int i = 0; i < 3; i++) {
		viewing_until_state(&c[i], CLIENT_ENDED);
		client_expect_snapshot_then_rest(&c[i], v->session, NULL);
		client_leave(&c[i]);
	}
	client_join(v, &late, NULL, false);
	ck_assert_int_eq(late.state, CLIENT_REFUSED);
	viewing_free(v);
}
END_TEST

/* The memory of an idle viewer, besides its socket: its struct and nothing else. */
START_TEST(an_idle_viewer_is_small)
{
	ck_assert_uint_le(sizeof(struct viewer), 104);
}
END_TEST
int main(void)
{
	TCase *t = tcase_create("feed");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, a_fresh_viewer_gets_a_snapshot_and_then_each_later_event);
	tcase_add_test(t, a_session_is_subscribed_to_once_and_only_while_it_has_viewers);
	tcase_add_test(t, events_that_arrive_together_are_one_write);
	tcase_add_loop_test(t, viewers_that_come_and_go_at_random_see_each_event_once_and_in_order,
			    0, 10);
	tcase_add_test(t, a_slow_viewer_delays_nobody_and_finds_the_rest_in_the_log);
	tcase_add_test(t, a_viewer_that_takes_nothing_is_dropped_after_the_stall_limit);
	tcase_add_test(t, half_an_event_that_was_sent_is_completed);
	tcase_add_test(t, a_cursor_gets_exactly_what_follows_it);
	tcase_add_loop_test(t, a_cursor_that_cannot_be_served_gets_a_snapshot_that_says_why, 0,
			    (int)(sizeof(bad_cursors) / sizeof(bad_cursors[0])));
	tcase_add_test(t, returning_viewers_share_the_pages_of_the_log);
	tcase_add_test(t, while_replay_pages_fill_their_memory_viewers_wait);
	tcase_add_test(t, what_fails_before_the_first_byte_is_refused);
	tcase_add_test(t, a_client_that_leaves_while_it_waits_is_forgotten);
	tcase_add_test(t, every_viewer_gets_a_comment_in_each_heartbeat_time);
	tcase_add_test(t, an_owner_has_a_limit_of_viewers);
	tcase_add_test(t, draining_ends_every_stream_between_two_events);
	tcase_add_test(t, an_idle_viewer_is_small);
	return run_case("feed", t);
}
