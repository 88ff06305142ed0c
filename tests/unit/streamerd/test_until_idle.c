/*
 * test_until_idle.c - streams that end by themselves: until=idle, and a session that is cleared.
 *
 * Whether a session is idle only its worker knows: what is asked of it, how often, and which of its
 * answers count.
 */
#include <string.h>

#include "tests/unit/common/run_case.h"
#include "tests/unit/streamerd/viewing.h"

/* SDC-9, API-3 */
START_TEST(until_idle_ends_after_the_event_that_ends_the_last_turn)
{
	struct viewing *v = viewing_new();
	struct client c = {0}, stays = {0};

	scripted_session_emit(v->session, CHAT_EVENT_RESPONSE_START, "{}");
	client_join(v, &c, NULL, true);
	client_join(v, &stays, NULL, false);
	viewing_until_state(&c, CLIENT_OPEN);
	scripted_session_emit(v->session, CHAT_EVENT_ERROR, "{\"code\":\"x\",\"fatal\":false}");
	viewing_until_caught_up(&c, v->session);
	ck_assert_int_eq(c.state, CLIENT_OPEN);
	/* a queued turn follows: the session does not become idle */
	scripted_session_emit(v->session, CHAT_EVENT_ABORTED, "{}");
	scripted_session_set_state(v->session, "processing");
	viewing_until_caught_up(&c, v->session);
	viewing_spin(v);
	client_read(&c);
	ck_assert_int_eq(c.state, CLIENT_OPEN);
	scripted_session_emit(v->session, CHAT_EVENT_RESPONSE_START, "{}");
	scripted_session_emit(v->session, CHAT_EVENT_ERROR, "{\"fatal\":true,\"code\":\"x\"}");
	viewing_until_state(&c, CLIENT_ENDED);
	client_expect_snapshot_then_rest(&c, v->session, NULL);
	viewing_until_caught_up(&stays, v->session);
	ck_assert_int_eq(stays.state, CLIENT_OPEN);
	client_leave(&c);
	client_leave(&stays);
	viewing_free(v);
}
END_TEST

/* SDC-9, API-3 */
START_TEST(until_idle_on_an_idle_session_ends_behind_the_snapshot_or_is_204)
{
	struct viewing *v = viewing_new();
	struct client c = {0};

	scripted_session_turn(v->session, 3, 50);
	client_join(v, &c, NULL, true);
	viewing_until_state(&c, CLIENT_ENDED);
	client_expect_snapshot_then_rest(&c, v->session, NULL);
	client_leave(&c);
	client_join(v, &c, "1-5", true);
	viewing_until_state(&c, CLIENT_NOTHING);
	client_leave(&c);
	client_join(v, &c, "1-4", true);
	viewing_until_state(&c, CLIENT_ENDED);
	client_expect_frames(&c, v->session, 4);
	client_leave(&c);
	scripted_session_emit(v->session, CHAT_EVENT_RESPONSE_START, "{}");
	client_join(v, &c, "1-6", true);
	viewing_until_state(&c, CLIENT_OPEN);
	client_leave(&c);
	viewing_free(v);
}
END_TEST

/* One pass of the loop. */
static void step(struct viewing *v)
{
	(void)event_base_loop(v->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/* The end of the turn that the worker has begun, and of a viewer that waits for it. */
static void end_turn_for(struct viewing *v, struct client *c)
{
	viewing_until_state(c, CLIENT_OPEN);
	viewing_spin(v);
	client_read(c);
	ck_assert_int_eq(c->state, CLIENT_OPEN);
	scripted_session_emit(v->session, CHAT_EVENT_RESPONSE_START, "{}");
	scripted_session_emit(v->session, CHAT_EVENT_RESPONSE_END, "{}");
	viewing_until_state(c, CLIENT_ENDED);
	ck_assert_ptr_nonnull(strstr(buf_str(&c->in), "event: response_end\n"));
}

/*
 * PRC-6, SDC-9: another streamerd had a turn started; its events are not here yet, and what is
 * known here says that nothing runs. With every kind of place from which a viewer goes on.
 */
static const char *const until_idle_cursors[] = {NULL, "1-5", "1-3", "1-1", "nonsense"};

START_TEST(until_idle_asks_the_worker_and_not_what_it_knew)
{
	struct viewing *v = viewing_new();
	struct client c = {0}, knew = {0}, stays = {0};

	scripted_session_turn(v->session, 1, 50); /* 1-1 ... 1-3: only in the log */
	client_join(v, &stays, NULL, false);
	viewing_until_state(&stays, CLIENT_OPEN);
	scripted_session_emit(v->session, CHAT_EVENT_WARNING, "{}");
	scripted_session_emit(v->session, CHAT_EVENT_WARNING, "{}");
	viewing_until_caught_up(&stays, v->session);
	client_join(v, &knew, NULL, true);
	viewing_until_state(&knew, CLIENT_ENDED); /* now it is known that nothing runs */
	client_leave(&knew);
	scripted_session_set_state(v->session, "processing");
	client_join(v, &c, until_idle_cursors[_i], true);
	end_turn_for(v, &c);
	if (c.snapshots)
		ck_assert_ptr_nonnull(strstr(c.in.data, "\"state\":\"processing\""));
	client_leave(&c);
	client_leave(&stays);
	viewing_free(v);
}
END_TEST

/* PRC-6, SDC-9: the worker was asked, but before the turn began */
START_TEST(until_idle_does_not_believe_an_answer_that_was_on_its_way)
{
	struct viewing *v = viewing_new();
	const struct scripted_counts *n = scripted_worker_counts(v->worker);
	struct client c = {0}, first = {0}, stays = {0};

	scripted_session_turn(v->session, 1, 50);
	client_join(v, &stays, NULL, false);
	viewing_until_state(&stays, CLIENT_OPEN);
	client_join(v, &first, "1-3", true);
	while (n->snapshots < 2)
		step(v);
	scripted_session_set_state(v->session, "processing");
	client_join(v, &c, _i ? "1-3" : NULL, true);
	viewing_until_state(&first, CLIENT_NOTHING);
	end_turn_for(v, &c);
	client_leave(&c);
	client_leave(&first);
	client_leave(&stays);
	viewing_free(v);
}
END_TEST

/* PRC-4, SDC-9 */
START_TEST(many_who_wait_for_idle_are_one_question)
{
	struct viewing *v = viewing_new();
	const struct scripted_counts *n = scripted_worker_counts(v->worker);
	struct client c[30] = {0}, stays = {0};

	scripted_session_turn(v->session, 1, 50);
	client_join(v, &stays, NULL, false);
	viewing_until_state(&stays, CLIENT_OPEN);
	for (int round = 1; round <= 2; round++) {
		for (int i = 0; i < 30; i++)
			client_join(v, &c[i], i % 2 ? "1-3" : NULL, true);
		for (int i = 0; i < 30; i++) {
			viewing_until_state(&c[i], i % 2 ? CLIENT_NOTHING : CLIENT_ENDED);
			client_leave(&c[i]);
		}
		ck_assert_int_eq(n->snapshots, 1 + round);
	}
	/* and none while it is known that a turn runs */
	scripted_session_emit(v->session, CHAT_EVENT_RESPONSE_START, "{}");
	viewing_until_caught_up(&stays, v->session);
	for (int i = 0; i < 30; i++)
		client_join(v, &c[i], "1-3", true);
	for (int i = 0; i < 30; i++)
		viewing_until_state(&c[i], CLIENT_OPEN);
	ck_assert_int_eq(n->snapshots, 3);
	for (int i = 0; i < 30; i++)
		client_leave(&c[i]);
	client_leave(&stays);
	viewing_free(v);
}
END_TEST

/* SDC-4, SDC-6, FAF-7: `exclusive` clears what can be continued; who comes then finds it */
START_TEST(session_cleared_ends_the_streams_that_it_is_sent_on_and_no_later_one)
{
	struct viewing *v = viewing_new();
	const struct scripted_counts *n = scripted_worker_counts(v->worker);
	struct client c = {0}, fresh = {0}, behind = {0}, level = {0};

	scripted_session_emit(v->session, CHAT_EVENT_WARNING, "{}");
	client_join(v, &c, NULL, false);
	viewing_until_state(&c, CLIENT_OPEN);
	scripted_session_emit(v->session, CHAT_EVENT_WARNING, "{}");
	scripted_session_emit(v->session, CHAT_EVENT_SESSION_CLEARED, "{}");
	viewing_until_state(&c, CLIENT_ENDED);
	client_expect_snapshot_then_rest(&c, v->session, NULL);
	ck_assert_ptr_nonnull(strstr(buf_str(&c.in), "event: session_cleared\n"));
	client_join(v, &fresh, NULL, false);
	client_join(v, &behind, "1-2", false);
	client_join(v, &level, "1-3", false);
	viewing_until_state(&fresh, CLIENT_OPEN);
	viewing_until_state(&behind, CLIENT_ENDED);
	client_expect_frames(&behind, v->session, 2);
	viewing_until_state(&level, CLIENT_OPEN);
	ck_assert_int_eq(n->subscribes, 1); /* the feed was still there */
	ck_assert_int_eq(n->snapshots, 2);  /* of which one is its word for all who came */
	viewing_spin(v);
	client_read(&level);
	ck_assert_int_eq(level.state, CLIENT_OPEN);
	scripted_session_turn(v->session, 1, 50);
	viewing_until_caught_up(&fresh, v->session);
	viewing_until_caught_up(&level, v->session);
	client_expect_snapshot_then_rest(&fresh, v->session, NULL);
	client_expect_frames(&level, v->session, 3);
	client_leave(&c);
	client_leave(&fresh);
	client_leave(&behind);
	client_leave(&level);
	viewing_free(v);
}
END_TEST

/* SDC-6, SEC-4: the same event of a session that was deleted */
static const char *const cleared_cursors[] = {NULL, "1-1", "1-2"};

START_TEST(a_session_that_was_deleted_is_gone_whatever_the_cursor)
{
	struct viewing *v = viewing_new();
	struct client c = {0}, late = {0};

	client_join(v, &c, NULL, false);
	viewing_until_state(&c, CLIENT_OPEN);
	scripted_session_emit(v->session, CHAT_EVENT_WARNING, "{}");
	scripted_session_emit(v->session, CHAT_EVENT_SESSION_CLEARED, "{}");
	viewing_until_state(&c, CLIENT_ENDED);
	client_expect_snapshot_then_rest(&c, v->session, NULL);
	scripted_session_forget(v->session);
	client_join(v, &late, cleared_cursors[_i], false);
	viewing_until_state(&late, CLIENT_REFUSED);
	ck_assert_int_eq(late.fault, FAULT_SESSION_NOT_FOUND);
	client_leave(&c);
	client_leave(&late);
	viewing_free(v);
}
END_TEST

/* SDC-6, DUR-7: another worker cleared it, or it was cleared while the link was down */
START_TEST(session_cleared_that_comes_from_the_log_ends_the_stream_if_it_is_the_last_event)
{
	struct viewing *v = viewing_new();
	struct client c = {0}, has_it = {0};

	scripted_session_emit(v->session, CHAT_EVENT_WARNING, "{}");
	client_join(v, &c, NULL, false);
	viewing_until_state(&c, CLIENT_OPEN);
	scripted_worker_cut(v->worker, false);
	viewing_until(v, viewing_is_cut, v, "the link is down");
	scripted_session_emit(v->session, CHAT_EVENT_SESSION_CLEARED, "{}");
	if (_i)
		scripted_session_emit(v->session, CHAT_EVENT_RESPONSE_START, "{}");
	scripted_worker_listen(v->worker);
	viewing_until(v, viewing_is_linked, v, "the link is up");
	if (_i) {
		viewing_until_caught_up(&c, v->session);
		viewing_spin(v);
		client_read(&c);
		ck_assert_int_eq(c.state, CLIENT_OPEN);
	} else {
		viewing_until_state(&c, CLIENT_ENDED);
	}
	client_expect_snapshot_then_rest(&c, v->session, NULL);
	client_join(v, &has_it, "1-2", false);
	viewing_until_state(&has_it, CLIENT_OPEN);
	viewing_spin(v);
	client_read(&has_it);
	ck_assert_int_eq(has_it.state, CLIENT_OPEN);
	client_leave(&c);
	client_leave(&has_it);
	viewing_free(v);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("until_idle");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, until_idle_ends_after_the_event_that_ends_the_last_turn);
	tcase_add_test(t, until_idle_on_an_idle_session_ends_behind_the_snapshot_or_is_204);
	tcase_add_loop_test(t, until_idle_asks_the_worker_and_not_what_it_knew, 0,
			    (int)(sizeof(until_idle_cursors) / sizeof(until_idle_cursors[0])));
	tcase_add_loop_test(t, until_idle_does_not_believe_an_answer_that_was_on_its_way, 0, 2);
	tcase_add_test(t, many_who_wait_for_idle_are_one_question);
	tcase_add_test(t, session_cleared_ends_the_streams_that_it_is_sent_on_and_no_later_one);
	tcase_add_loop_test(t, a_session_that_was_deleted_is_gone_whatever_the_cursor, 0, 3);
	tcase_add_loop_test(
		t, session_cleared_that_comes_from_the_log_ends_the_stream_if_it_is_the_last_event,
		0, 2);
	return run_case("until_idle", t);
}
