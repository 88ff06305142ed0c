/*
 * test_outage.c - what viewers are told of a worker that stays away, and of its return.
 *
 * Also that the streams go on behind it without a hole or a repeat, whatever became of the session
 * meanwhile, and that a link whose worker talks nonsense is cut and made anew.
 */
#include <string.h>

#include "common/limits.h"
#include "common/log.h"
#include "streamerd/feed.h"
#include "tests/unit/common/run_case.h"
#include "tests/unit/streamerd/skip.h"
#include "tests/unit/streamerd/viewing.h"

/* FAF-6 */
START_TEST(viewers_of_a_worker_that_stays_away_are_told_once_and_again_when_it_is_back)
{
	struct viewing *v = viewing_new();
	struct client c[2] = {0}, later = {0};

	scripted_session_turn(v->session, 3, 100);
	for (int i = 0; i < 2; i++) {
		client_join(v, &c[i], NULL, false);
		viewing_until_state(&c[i], CLIENT_OPEN);
	}
	scripted_worker_cut(v->worker, false);
	viewing_until(v, viewing_is_cut, v, "the link is down");
	skip(v, LIMIT_FEED_DARK_MS); /* the first tick sees it begin */
	client_read(&c[0]);
	ck_assert_int_eq(c[0].notices, 0);
	skip(v, 5 * LIMIT_FEED_DARK_MS);
	client_leave(&c[1]);
	client_read(&c[0]);
	ck_assert_int_eq(c[0].notices, 1);
	ck_assert_ptr_nonnull(strstr(c[0].notice, "event: error\ndata: {"));
	ck_assert_ptr_nonnull(strstr(c[0].notice, "\"seq\":null"));
	ck_assert_ptr_nonnull(
		strstr(c[0].notice, "\"fatal\":false,\"code\":\"worker_unavailable\""));
	scripted_worker_listen(v->worker);
	viewing_until(v, viewing_is_linked, v, "the link is up");
	client_join(v, &later, NULL, false);
	viewing_until_state(&later, CLIENT_OPEN);
	skip(v, 2000);
	client_read(&c[0]);
	client_read(&later);
	ck_assert_int_eq(c[0].notices, 2);
	ck_assert_ptr_nonnull(strstr(c[0].notice, "event: warning\ndata: {"));
	ck_assert_ptr_nonnull(strstr(c[0].notice, "\"code\":\"worker_unavailable\""));
	ck_assert_int_eq(later.notices, 0); /* it missed nothing */
	scripted_session_turn(v->session, 3, 100);
	viewing_until_caught_up(&c[0], v->session);
	client_expect_snapshot_then_rest(&c[0], v->session, NULL);
	client_leave(&c[0]);
	client_leave(&later);
	viewing_free(v);
}
END_TEST

static const struct feed *feed_of(struct viewing *v)
{
	const struct feed *f = hub_feed(v->hub, str_of(OWNER), str_of(SID), false);

	ck_assert_ptr_nonnull(f);
	return f;
}

/* PRC-5, FAF-6: while all is well nothing is looked at once a second; who could not be told of the
 * end of an outage, because its socket was full, is told later */
START_TEST(a_feed_is_looked_at_only_while_somebody_may_have_to_be_told)
{
	struct viewing *v = viewing_new();
	struct client c = {0}, slow = {.small_buffer = 4096};

	client_join(v, &c, NULL, false);
	client_join(v, &slow, NULL, false);
	viewing_until_state(&c, CLIENT_OPEN);
	viewing_until_state(&slow, CLIENT_OPEN);
	ck_assert(feed_of(v)->is_troubled);
	skip(v, 1000);
	ck_assert(!feed_of(v)->is_troubled);
	scripted_worker_cut(v->worker, false);
	viewing_until(v, viewing_is_cut, v, "the link is down");
	skip(v, 1000);
	ck_assert(feed_of(v)->is_troubled);
	skip(v, 2 * LIMIT_FEED_DARK_MS);
	client_read(&slow);
	ck_assert_int_eq(slow.notices, 1);
	scripted_worker_listen(v->worker);
	viewing_until(v, viewing_is_linked, v, "the link is up");
	viewing_spin(v);
	for (int i = 0; TAILQ_EMPTY(&feed_of(v)->blocked); i++) {
		ck_assert_int_lt(i, 1000);
		scripted_session_turn(v->session, 20, 2000);
		viewing_until_caught_up(&c, v->session);
	}
	skip(v, 3000);
	client_read(&c);
	ck_assert_int_eq(c.notices, 2);
	ck_assert(feed_of(v)->is_troubled);
	viewing_until_caught_up(&slow, v->session);
	skip(v, 2000);
	client_read(&slow);
	ck_assert_int_eq(slow.notices, 2);
	ck_assert(!feed_of(v)->is_troubled);
	/* who leaves without having been told leaves nothing behind */
	scripted_worker_cut(v->worker, false);
	viewing_until(v, viewing_is_cut, v, "the link is down");
	skip(v, 2 * LIMIT_FEED_DARK_MS);
	scripted_worker_listen(v->worker);
	viewing_until(v, viewing_is_linked, v, "the link is up");
	client_leave(&slow);
	client_leave(&c);
	skip(v, 2 * LIMIT_FEED_LINGER_MS);
	ck_assert_ptr_null(hub_feed(v->hub, str_of(OWNER), str_of(SID), false));
	viewing_free(v);
}
END_TEST

/* FAF-6 */
START_TEST(a_worker_that_is_there_and_mute_is_an_outage_and_a_short_absence_is_none)
{
	struct viewing *v = viewing_new();
	struct client c = {0};

	client_join(v, &c, NULL, false);
	viewing_until_state(&c, CLIENT_OPEN);
	scripted_worker_cut(v->worker, false);
	viewing_until(v, viewing_is_cut, v, "the link is down");
	skip(v, LIMIT_FEED_DARK_MS - 1000);
	scripted_worker_mute(v->worker, true);
	scripted_worker_listen(v->worker);
	viewing_until(v, viewing_is_linked, v, "the link is up");
	client_read(&c);
	ck_assert_int_eq(c.notices, 0);
	skip(v, 3000); /* asked to be subscribed at, it does not answer */
	client_read(&c);
	ck_assert_int_eq(c.notices, 1);
	client_leave(&c);
	viewing_free(v);
}
END_TEST

static void cut_and_come_back(struct viewing *v, void (*meanwhile)(struct viewing *v))
{
	scripted_worker_cut(v->worker, false);
	viewing_until(v, viewing_is_cut, v, "the link is down");
	if (meanwhile)
		meanwhile(v);
	scripted_worker_listen(v->worker);
	viewing_until(v, viewing_is_linked, v, "the link is up again");
}

static void two_turns(struct viewing *v)
{
	scripted_session_turn(v->session, 200, 200);
	scripted_session_set_generation(v->session, 2);
	scripted_session_turn(v->session, 200, 200);
}

/* DUR-4, DUR-7, PRC-3 */
START_TEST(a_worker_that_goes_and_comes_back_leaves_no_hole_and_no_repeat)
{
	struct viewing *v = viewing_new();
	struct client c[5] = {0}, late = {0};

	for (int i = 0; i < 5; i++) {
		client_join(v, &c[i], NULL, false);
		viewing_until_state(&c[i], CLIENT_OPEN);
	}
	scripted_session_turn(v->session, 10, 100);
	cut_and_come_back(v, NULL);
	scripted_session_turn(v->session, 10, 100);
	cut_and_come_back(v, two_turns);
	client_join(v, &late, "1-20", false);
	scripted_session_turn(v->session, 10, 100);
	for (int i = 0; i < 5; i++) {
		viewing_until_caught_up(&c[i], v->session);
		client_expect_snapshot_then_rest(&c[i], v->session, NULL);
		client_leave(&c[i]);
	}
	viewing_until_state(&late, CLIENT_OPEN);
	viewing_until_caught_up(&late, v->session);
	client_expect_frames(&late, v->session, 20);
	client_leave(&late);
	viewing_free(v);
}
END_TEST

static void another_history(struct viewing *v)
{
	scripted_session_rewrite(v->session, 9, 12);
}

static bool has_two_snapshots(void *arg)
{
	struct client *c = arg;

	client_read(c);
	return c->snapshots == 2;
}

/* DUR-4 */
START_TEST(viewers_of_a_session_whose_history_was_replaced_get_a_snapshot)
{
	struct viewing *v = viewing_new();
	struct client longer = {0};

	scripted_session_turn(v->session, _i, 100);
	client_join(v, &longer, NULL, false);
	viewing_until_state(&longer, CLIENT_OPEN);
	cut_and_come_back(v, another_history);
	scripted_session_emit(v->session, CHAT_EVENT_WARNING, "{}");
	viewing_until(v, has_two_snapshots, &longer, "another snapshot");
	viewing_until_caught_up(&longer, v->session);
	ck_assert_ptr_nonnull(strstr(buf_str(&longer.in), ",\"reason\":\""));
	ck_assert_str_eq(longer.last_id, "9-13");
	client_leave(&longer);
	viewing_free(v);
}
END_TEST

START_TEST(a_join_is_refused_when_its_worker_goes_away_without_an_answer)
{
	struct viewing *v = viewing_new();
	struct client c = {0};

	scripted_worker_mute(v->worker, true);
	client_join(v, &c, NULL, false);
	viewing_spin(v);
	ck_assert_int_eq(c.state, CLIENT_WAITING);
	scripted_worker_cut(v->worker, true);
	viewing_until_state(&c, CLIENT_REFUSED);
	ck_assert_int_eq(c.fault, FAULT_WORKER_UNAVAILABLE);
	client_leave(&c);
	viewing_free(v);
}
END_TEST

static void forget(struct viewing *v)
{
	scripted_session_forget(v->session);
}

START_TEST(streams_of_a_session_that_is_gone_when_the_worker_returns_end)
{
	struct viewing *v = viewing_new();
	struct client c = {0};

	client_join(v, &c, NULL, false);
	viewing_until_state(&c, CLIENT_OPEN);
	cut_and_come_back(v, forget);
	viewing_until_state(&c, CLIENT_ENDED);
	client_leave(&c);
	viewing_free(v);
}
END_TEST

/* PRC-3: a worker's event that could break the framing ends the channel, not the streams */
static const char *const bad_payloads[] = {"", "{", "[]", "null", "{\"a\":\n1}", "{\"a\":\r1}"};

START_TEST(an_event_that_cannot_be_passed_on_cuts_the_link_and_nothing_else)
{
	struct viewing *v = viewing_new();
	struct client c = {0};
	struct msg m = {.type = MSG_EVENT,
			.event = {.sub = 1,
				  .generation = 1,
				  .seq = 1,
				  .type = CHAT_EVENT_WARNING,
				  .payload = str_of(bad_payloads[_i])}};

	client_join(v, &c, NULL, false);
	viewing_until_state(&c, CLIENT_OPEN);
	scripted_worker_say(v->worker, &m);
	viewing_until(v, viewing_is_cut, v, "the link is down");
	viewing_until(v, viewing_is_linked, v, "the link is up again");
	scripted_session_turn(v->session, 5, 100);
	viewing_until_caught_up(&c, v->session);
	client_expect_snapshot_then_rest(&c, v->session, NULL);
	client_leave(&c);
	viewing_free(v);
}
END_TEST

START_TEST(a_gap_in_what_the_worker_sends_is_filled_from_the_log)
{
	struct viewing *v = viewing_new();
	struct client c = {0};
	struct msg m = {.type = MSG_EVENT,
			.event = {.sub = 1,
				  .generation = 1,
				  .seq = 9,
				  .type = CHAT_EVENT_WARNING,
				  .payload = str_of("{}")}};

	client_join(v, &c, NULL, false);
	viewing_until_state(&c, CLIENT_OPEN);
	log_max = (enum log_level)0; /* the line about it is expected */
	scripted_worker_say(v->worker, &m);
	viewing_spin(v);
	scripted_session_turn(v->session, 5, 100);
	skip(v, 2000);
	viewing_until_caught_up(&c, v->session);
	client_expect_snapshot_then_rest(&c, v->session, NULL);
	client_leave(&c);
	viewing_free(v);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("outage");

	tcase_set_timeout(t, 30);
	tcase_add_test(t,
		       viewers_of_a_worker_that_stays_away_are_told_once_and_again_when_it_is_back);
	tcase_add_test(t, a_feed_is_looked_at_only_while_somebody_may_have_to_be_told);
	tcase_add_test(t, a_worker_that_is_there_and_mute_is_an_outage_and_a_short_absence_is_none);
	tcase_add_test(t, a_worker_that_goes_and_comes_back_leaves_no_hole_and_no_repeat);
	tcase_add_loop_test(t, viewers_of_a_session_whose_history_was_replaced_get_a_snapshot, 5,
			    15);
	tcase_add_test(t, a_join_is_refused_when_its_worker_goes_away_without_an_answer);
	tcase_add_test(t, streams_of_a_session_that_is_gone_when_the_worker_returns_end);
	tcase_add_loop_test(t, an_event_that_cannot_be_passed_on_cuts_the_link_and_nothing_else, 0,
			    (int)(sizeof(bad_payloads) / sizeof(bad_payloads[0])));
	tcase_add_test(t, a_gap_in_what_the_worker_sends_is_filled_from_the_log);
	return run_case("outage", t);
}
