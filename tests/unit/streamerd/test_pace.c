/*
 * test_pace.c - crowded feeds: events are gathered while a pause lasts, and nothing else waits.
 *
 * The clock that the pace is measured by is the test's own: each write to a viewer takes WRITE_US,
 * and otherwise time passes when the test says so.
 */
#include <string.h>
#include <sys/timerfd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "streamerd/feed.h"
#include "streamerd/pace.h"
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

static int64_t moved_ms;
int64_t __wrap_clock_mono_ms(void);
int64_t __real_clock_mono_ms(void);

int64_t __wrap_clock_mono_ms(void)
{
	return __real_clock_mono_ms() + moved_ms;
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

/* PRC-5: what was sent is no part of the block's worth that ends a pause */
START_TEST(a_crowd_is_held_however_much_it_has_been_sent)
{
	char payload[2000] = "{\"code\":\"";
	size_t n = strlen(payload);
	struct client c[CROWD] = {0};
	struct viewing *v = crowd_new(c, CROWD);

	memset(payload + n, 'x', sizeof(payload) - 3 - n);
	memcpy(payload + sizeof(payload) - 3, "\"}", 3);
	for (size_t sent = 0; sent < 3 * LIMIT_TAIL_BLOCK; sent += sizeof(payload)) {
		int had = count_events(v, c, CROWD);

		scripted_session_emit(v->session, CHAT_EVENT_WARNING, payload);
		ck_assert_int_eq(count_events(v, c, CROWD), had);
		ck_assert(feed_of(v)->is_held);
		passed_us += PASS_US;
		viewing_until(v, is_marked_again, v, "the pause is over");
		ck_assert_int_eq(count_events(v, c, CROWD), had + 1);
	}
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

/* PRC-5: passes that have no events say nothing about what events cost */
START_TEST(a_pause_goes_on_whatever_is_settled_in_it)
{
	struct client c[CROWD + 1] = {0};
	struct viewing *v = crowd_new(c, CROWD);
	int64_t until = feed_of(v)->pause_until;
	int had = count_events(v, c, CROWD);

	client_join(v, &c[CROWD], NULL, false);
	viewing_until_state(&c[CROWD], CLIENT_OPEN);
	hub_retry(v->hub);
	hub_tick(v->hub); /* settles all feeds */
	ck_assert(feed_of(v)->is_marked);
	viewing_spin(v);
	ck_assert_int_eq(feed_of(v)->pause_until, until);
	emit(v);
	ck_assert_int_eq(count_events(v, c, CROWD), had);
	ck_assert(feed_of(v)->is_held);
	passed_us += PASS_US;
	viewing_until(v, is_marked_again, v, "the pause is over");
	ck_assert_int_eq(count_events(v, c, CROWD), had + 1);
	viewing_until_caught_up(&c[CROWD], v->session);
	crowd_free(v, c, CROWD + 1);
}
END_TEST

/* PRC-5: who is settled behind a crowd does not answer for what the crowd took */
START_TEST(a_pass_is_measured_for_each_feed_alone)
{
	struct client c[CROWD] = {0}, other = {0};
	struct viewing *v = crowd_new(c, CROWD);
	struct scripted_session *s = scripted_session_new(v->worker, OWNER, "ses_two");
	struct feed *f;

	client_join_other(v, &other, OWNER, "ses_two");
	viewing_until_state(&other, CLIENT_OPEN);
	f = hub_feed(v->hub, str_of(OWNER), str_of("ses_two"), false);
	ck_assert_ptr_nonnull(f);
	for (int i = 0; i < 2; i++) {
		passed_us += 2 * LIMIT_CROWD_PAUSE_US;
		emit(v); /* both arrive in one turn of the loop, the crowd's first */
		scripted_session_emit(s, CHAT_EVENT_WARNING, "{\"code\":\"x\"}");
		for (int k = 0; k < CROWD; k++)
			viewing_until_caught_up(&c[k], v->session);
		viewing_until_caught_up(&other, s);
		ck_assert_int_eq(feed_of(v)->pass_us, PASS_US);
		ck_assert_int_eq(f->pass_us, WRITE_US);
	}
	ck_assert_int_gt(feed_of(v)->pause_until, 0);
	ck_assert_int_eq(f->pause_until, 0);
	client_leave(&other);
	crowd_free(v, c, CROWD);
}
END_TEST

/* PRC-5: what is settled in this turn anyhow has its events with it, and is held by nobody */
START_TEST(an_event_behind_a_join_in_the_same_turn_is_not_held)
{
	struct client c[CROWD] = {0}, late = {0};
	struct viewing *v = crowd_new(c, CROWD);
	struct feed *f = feed_of(v);

	client_join(v, &late, NULL, false);
	ck_assert(f->is_marked);
	hub_has_event(v->hub, f, 100);
	ck_assert(f->is_marked);
	ck_assert(!f->is_held);
	viewing_until_state(&late, CLIENT_OPEN);
	client_leave(&late);
	crowd_free(v, c, CROWD);
}
END_TEST

/* PRC-5: freeing the hub insists that none is held */
START_TEST(a_feed_that_everybody_left_is_not_held_on)
{
	struct client c[CROWD] = {0};
	struct viewing *v = crowd_new(c, CROWD);

	for (int i = 0; i < CROWD; i++)
		client_leave(&c[i]);
	viewing_spin(v);
	ck_assert_uint_eq(stats->viewers, 0);
	ck_assert(feed_of(v)->is_empty);
	emit(v);
	viewing_spin(v);
	ck_assert(feed_of(v)->is_held);
	moved_ms += LIMIT_FEED_LINGER_MS; /* the loop was stopped for so long */
	hub_tick(v->hub);
	ck_assert_ptr_null(hub_feed(v->hub, str_of(OWNER), str_of(SID), false));
	viewing_free(v);
}
END_TEST

/* SDC-9: and what was held is sent before the stream ends */
START_TEST(a_feed_whose_session_is_gone_is_not_held_on)
{
	struct client c[CROWD] = {0}, late = {0};
	struct viewing *v = crowd_new(c, CROWD);
	int had = count_events(v, c, CROWD);

	emit(v);
	ck_assert_int_eq(count_events(v, c, CROWD), had);
	ck_assert(feed_of(v)->is_held);
	scripted_worker_refuse(v->worker, FAULT_SESSION_NOT_FOUND);
	client_join(v, &late, NULL, false);
	viewing_until_state(&late, CLIENT_REFUSED);
	for (int i = 0; i < CROWD; i++) {
		viewing_until_state(&c[i], CLIENT_ENDED);
		ck_assert_int_eq(c[i].events, had + 1);
		client_expect_snapshot_then_rest(&c[i], v->session, NULL);
		client_leave(&c[i]);
	}
	client_leave(&late);
	ck_assert_ptr_null(hub_feed(v->hub, str_of(OWNER), str_of(SID), false));
	viewing_free(v);
}
END_TEST

/* As after two passes that took so long. */
static void make_crowded(struct feed *f, int64_t pass_us)
{
	for (int i = 0; i < 2; i++) {
		f->gathered = 1;
		pace_settled(f, passed_us - pass_us, passed_us);
	}
}

static void on_over(void *arg, struct feed *f)
{
	pace_release(arg, f);
}

static int64_t timer_left_us(const struct pace *p)
{
	struct itimerspec t;

	ck_assert_int_eq(timerfd_gettime(p->fd, &t), 0);
	return t.it_value.tv_sec * 1000000LL + t.it_value.tv_nsec / 1000;
}

/* PRC-5: of several crowds each is held for its own pause, whichever was held first */
START_TEST(the_timer_is_for_the_pause_that_is_over_first)
{
	struct event_base *base = event_base_new();
	struct pace p;

	for (int i = 0; i < 2; i++) {
		struct feed soon = {0}, later = {0};

		pace_init(&p, base, on_over, &p);
		make_crowded(&soon, 2 * LIMIT_CROWD_US);
		make_crowded(&later, LIMIT_CROWD_PAUSE_US);
		ck_assert(pace_hold(&p, i == 0 ? &soon : &later, 1));
		ck_assert(pace_hold(&p, i == 0 ? &later : &soon, 1));
		ck_assert_int_le(timer_left_us(&p), 2 * LIMIT_CROWD_US);
		passed_us += 2 * LIMIT_CROWD_US;
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
		ck_assert(!soon.is_held);
		ck_assert(later.is_held);
		passed_us = later.pause_until;
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
		ck_assert(!later.is_held);
		ck_assert_int_eq(timer_left_us(&p), 0);
		pace_fini(&p);
	}
	event_base_free(base);
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

/* FAF-4, FAF-6: it stands behind the events before it, and everybody is told once */
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
	passed_us += 2 * LIMIT_CROWD_PAUSE_US;
	emit(v);
	ck_assert_int_eq(count_events(v, c, CROWD), had + 2);
	for (int i = 0; i < CROWD; i++)
		ck_assert_int_eq(c[i].notices, 1);
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
	tcase_add_test(t, a_crowd_is_held_however_much_it_has_been_sent);
	tcase_add_test(t, an_event_that_comes_late_in_a_pause_is_sent_at_once);
	tcase_add_test(t, the_lesser_of_two_passes_counts_and_a_pause_is_bounded);
	tcase_add_test(t, nothing_but_the_crowds_own_events_waits);
	tcase_add_test(t, a_pause_goes_on_whatever_is_settled_in_it);
	tcase_add_test(t, a_pass_is_measured_for_each_feed_alone);
	tcase_add_test(t, an_event_behind_a_join_in_the_same_turn_is_not_held);
	tcase_add_test(t, a_feed_that_everybody_left_is_not_held_on);
	tcase_add_test(t, a_feed_whose_session_is_gone_is_not_held_on);
	tcase_add_test(t, the_timer_is_for_the_pause_that_is_over_first);
	tcase_add_test(t, a_block_of_events_is_sent_though_the_pause_goes_on);
	tcase_add_test(t, a_notice_in_a_pause_comes_behind_the_events);
	tcase_add_test(t, ends_wait_for_the_pause_at_most);
	tcase_add_test(t, few_viewers_wait_for_nothing);
	return run_case("pace", t);
}
