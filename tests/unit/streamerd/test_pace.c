/*
 * test_pace.c - crowded feeds: events are gathered while a pause lasts, and nothing else waits.
 *
 * The clock that the pace is measured by is the test's own: each write to a viewer takes WRITE_US,
 * and otherwise time passes when the test says so.
 */
#include <string.h>

#include "common/clock.h"
#include "common/limits.h"
#include "streamerd/feed.h"
#include "streamerd/stats.h"
#include "tests/unit/common/run_case.h"
#include "tests/unit/streamerd/viewing.h"

#define WRITE_US 200 /* long enough for the loop to turn in a pause, also under valgrind */
#define CROWD	 100
#define FEW	 4
#define PASS_US	 ((int64_t)CROWD * WRITE_US)
_Static_assert(CROWD *WRITE_US > LIMIT_CROWD_US && CROWD * WRITE_US < LIMIT_CROWD_PAUSE_US,
	       "that is a crowd, and its pause as long as a pass");
_Static_assert(FEW *WRITE_US < LIMIT_CROWD_US, "and that is none");

static int64_t passed_us = 1000000;
static int64_t write_us = WRITE_US;
int64_t __wrap_clock_mono_us(void);

int64_t __wrap_clock_mono_us(void)
{
	static uint64_t seen;

	passed_us += (int64_t)(stats->writes - seen) * write_us;
	seen = stats->writes;
	return passed_us;
}

static void emit(struct viewing *v)
{
	scripted_session_emit(v->session, CHAT_EVENT_WARNING, "{\"code\":\"x\"}");
}

static void emit_to_all(struct viewing *v, struct client *c, int n)
{
	emit(v);
	for (int i = 0; i < n; i++)
		viewing_until_caught_up(&c[i], v->session);
}

/* A viewing with n clients, whose last two passes over them took n times write_us. */
static struct viewing *crowd_new(struct client *c, int n)
{
	struct viewing *v = viewing_new();

	emit(v);
	for (int i = 0; i < n; i++)
		client_join(v, &c[i], NULL, false);
	for (int i = 0; i < n; i++)
		viewing_until_state(&c[i], CLIENT_OPEN);
	viewing_spin(v);
	passed_us += 2 * LIMIT_CROWD_PAUSE_US; /* whatever came of their coming is over */
	for (int i = 0; i < 2; i++) {
		emit_to_all(v, c, n);
		passed_us += i == 0 ? 2 * LIMIT_CROWD_PAUSE_US : 0;
	}
	return v;
}

static void crowd_free(struct viewing *v, struct client *c, int n)
{
	for (int i = 0; i < n; i++) {
		client_expect_snapshot_then_rest(&c[i], v->session, NULL);
		client_leave(&c[i]);
	}
	viewing_spin(v);
	viewing_free(v);
}

/* How many events they have, the same for each. */
static int count_events(struct viewing *v, struct client *c, int n)
{
	viewing_spin(v);
	for (int i = 0; i < n; i++) {
		client_read(&c[i]);
		ck_assert_int_eq(c[i].events, c[0].events);
	}
	return c[0].events;
}

static struct feed *feed_of(struct viewing *v)
{
	struct feed *f = hub_feed(v->hub, str_of(OWNER), str_of(SID), false);

	ck_assert_ptr_nonnull(f);
	return f;
}

static bool is_marked_again(void *arg)
{
	return !feed_of(arg)->is_held;
}

/* PRC-5: what a crowd costs is bounded by gathering, and nobody misses or doubles anything */
START_TEST(events_for_a_crowd_are_gathered_for_as_long_as_the_last_pass_took)
{
	struct client c[CROWD] = {0};
	struct viewing *v = crowd_new(c, CROWD);
	int had = count_events(v, c, CROWD);
	uint64_t writes = stats->writes;

	emit(v);
	ck_assert_int_eq(count_events(v, c, CROWD), had);
	emit(v);
	passed_us += PASS_US * 3 / 4;
	emit(v);
	ck_assert_int_eq(count_events(v, c, CROWD), had);
	ck_assert_uint_eq(stats->writes, writes);
	passed_us += PASS_US / 4;
	viewing_until(v, is_marked_again, v, "the pause is over");
	ck_assert_int_eq(count_events(v, c, CROWD), had + 3);
	ck_assert_uint_eq(stats->writes - writes, CROWD);
	crowd_free(v, c, CROWD);
}
END_TEST

/* PRC-5: who sends less often than that is shown each event at once */
START_TEST(an_event_that_comes_late_in_a_pause_is_sent_at_once)
{
	struct client c[CROWD] = {0};
	struct viewing *v = crowd_new(c, CROWD);

	for (int i = 0; i < 5; i++) {
		int had = count_events(v, c, CROWD);

		passed_us += PASS_US / 2;
		emit(v);
		ck_assert_int_eq(count_events(v, c, CROWD), had + 1);
	}
	crowd_free(v, c, CROWD);
}
END_TEST

/* PRC-5: one disturbed pass is no crowd, and a pause has an end whatever a pass took */
START_TEST(the_lesser_of_two_passes_counts_and_a_pause_is_bounded)
{
	struct client c[CROWD] = {0};
	struct viewing *v = crowd_new(c, CROWD);
	int had = count_events(v, c, CROWD);

	passed_us += PASS_US;
	write_us = 0;
	emit_to_all(v, c, CROWD);
	write_us = WRITE_US;
	emit_to_all(v, c, CROWD);
	emit(v);
	ck_assert_int_eq(count_events(v, c, CROWD), had + 3);
	passed_us += 2 * LIMIT_CROWD_PAUSE_US;
	write_us = LIMIT_CROWD_PAUSE_US;
	emit_to_all(v, c, CROWD);
	passed_us += 2 * LIMIT_CROWD_PAUSE_US;
	emit_to_all(v, c, CROWD);
	had = count_events(v, c, CROWD);
	emit(v);
	ck_assert_int_eq(count_events(v, c, CROWD), had);
	passed_us += LIMIT_CROWD_PAUSE_US;
	viewing_until(v, is_marked_again, v, "the pause is over");
	ck_assert_int_eq(count_events(v, c, CROWD), had + 1);
	write_us = WRITE_US;
	crowd_free(v, c, CROWD);
}
END_TEST

/* PRC-5, SDC-10 */
START_TEST(nothing_but_the_crowds_own_events_waits)
{
	struct client c[CROWD] = {0}, other = {0}, late = {0};
	struct viewing *v = crowd_new(c, CROWD);
	struct scripted_session *s = scripted_session_new(v->worker, OWNER, "ses_two");
	int had = count_events(v, c, CROWD);

	client_join_other(v, &other, OWNER, "ses_two");
	viewing_until_state(&other, CLIENT_OPEN);
	emit(v);
	scripted_session_turn(s, 5, 100);
	viewing_until_caught_up(&other, s);
	ck_assert_int_eq(count_events(v, c, CROWD), had);
	/* who joins has all of it at once, and then the others have as well */
	client_join(v, &late, NULL, false);
	viewing_until_state(&late, CLIENT_OPEN);
	viewing_until_caught_up(&late, v->session);
	ck_assert_int_eq(count_events(v, c, CROWD), had + 1);
	client_leave(&other);
	client_leave(&late);
	crowd_free(v, c, CROWD);
}
END_TEST

/* PRC-5: gathering more than a block makes no write cheaper, and the tail is bounded */
START_TEST(a_block_of_events_is_sent_though_the_pause_goes_on)
{
	struct client c[CROWD] = {0};
	struct viewing *v = crowd_new(c, CROWD);
	int had = count_events(v, c, CROWD);
	uint64_t writes = stats->writes;

	scripted_session_turn(v->session, LIMIT_TAIL_BLOCK / 1000, 1000);
	ck_assert_int_eq(count_events(v, c, CROWD), had + LIMIT_TAIL_BLOCK / 1000 + 2);
	ck_assert_uint_ge(stats->writes - writes, CROWD);
	crowd_free(v, c, CROWD);
}
END_TEST

/* FAF-4, FAF-6: it stands behind the events before it, and everybody is told */
START_TEST(a_notice_in_a_pause_comes_behind_the_events)
{
	struct client c[CROWD] = {0};
	struct viewing *v = crowd_new(c, CROWD);
	int had = count_events(v, c, CROWD);
	struct msg notice = {.type = MSG_EVENT,
			     .event = {.sub = feed_of(v)->sub,
				       .generation = 1,
				       .type = CHAT_EVENT_ERROR,
				       .payload = str_of("{\"code\":\"persist_error\"}")}};

	emit(v);
	ck_assert_int_eq(count_events(v, c, CROWD), had);
	scripted_worker_say(v->worker, &notice);
	ck_assert_int_eq(count_events(v, c, CROWD), had + 1);
	for (int i = 0; i < CROWD; i++) {
		ck_assert_int_eq(c[i].notices, 1);
		ck_assert_ptr_nonnull(strstr(c[i].notice, "persist_error"));
	}
	crowd_free(v, c, CROWD);
}
END_TEST

/* SDC-9, DUR-8: until=idle ends when the pause does, shutting down waits for none */
START_TEST(ends_wait_for_the_pause_at_most)
{
	struct client c[CROWD] = {0}, idle = {0};
	struct viewing *v = crowd_new(c, CROWD);

	scripted_session_emit(v->session, CHAT_EVENT_RESPONSE_START, "{}");
	client_join(v, &idle, NULL, true);
	viewing_until_state(&idle, CLIENT_OPEN);
	viewing_spin(v);
	passed_us += 2 * LIMIT_CROWD_PAUSE_US;
	for (int i = 0; i < 2; i++) {
		emit_to_all(v, c, CROWD);
		passed_us += i == 0 ? 2 * LIMIT_CROWD_PAUSE_US : 0;
	}
	scripted_session_emit(v->session, CHAT_EVENT_RESPONSE_END, "{}");
	(void)count_events(v, c, CROWD);
	client_read(&idle);
	ck_assert_int_eq(idle.state, CLIENT_OPEN);
	passed_us += PASS_US + WRITE_US;
	viewing_until_state(&idle, CLIENT_ENDED);
	client_expect_snapshot_then_rest(&idle, v->session, NULL);
	emit(v);
	viewing_spin(v);
	hub_drain(v->hub);
	for (int i = 0; i < CROWD; i++) {
		viewing_until_state(&c[i], CLIENT_ENDED);
		client_leave(&c[i]);
	}
	client_leave(&idle);
	viewing_free(v);
}
END_TEST

/* PRC-5: a feed of few viewers is never held */
START_TEST(few_viewers_wait_for_nothing)
{
	struct client c[FEW] = {0};
	struct viewing *v = crowd_new(c, FEW);

	for (int i = 0; i < 50; i++) {
		int had = count_events(v, c, FEW);

		emit(v);
		ck_assert_int_eq(count_events(v, c, FEW), had + 1);
		ck_assert_int_eq(feed_of(v)->pause_until, 0);
	}
	crowd_free(v, c, FEW);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("pace");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, events_for_a_crowd_are_gathered_for_as_long_as_the_last_pass_took);
	tcase_add_test(t, an_event_that_comes_late_in_a_pause_is_sent_at_once);
	tcase_add_test(t, the_lesser_of_two_passes_counts_and_a_pause_is_bounded);
	tcase_add_test(t, nothing_but_the_crowds_own_events_waits);
	tcase_add_test(t, a_block_of_events_is_sent_though_the_pause_goes_on);
	tcase_add_test(t, a_notice_in_a_pause_comes_behind_the_events);
	tcase_add_test(t, ends_wait_for_the_pause_at_most);
	tcase_add_test(t, few_viewers_wait_for_nothing);
	return run_case("pace", t);
}
