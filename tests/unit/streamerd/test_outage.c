/*
 * test_outage.c - what viewers are told of a worker that stays away, and of its return.
 */
#include <string.h>

#include "common/clock.h"
#include "common/limits.h"
#include "tests/unit/common/run_case.h"
#include "tests/unit/streamerd/viewing.h"

/* The clock of the code under test (linked with --wrap): real time plus what a test adds. */
static int64_t skipped_ms;
int64_t __real_clock_mono_ms(void);
int64_t __wrap_clock_mono_ms(void);

int64_t __wrap_clock_mono_ms(void)
{
	return __real_clock_mono_ms() + skipped_ms;
}

static void skip(struct viewing *v, int64_t ms)
{
	for (int64_t done = 0; done < ms; done += 1000) {
		skipped_ms += 1000;
		hub_tick(v->hub);
		viewing_spin(v);
	}
}

static bool is_linked(void *arg)
{
	struct viewing *v = arg;

	return scripted_worker_links(v->worker) == 1 && backend_is_up(v->backend, 0);
}

static bool is_cut(void *arg)
{
	return !backend_is_up(((struct viewing *)arg)->backend, 0);
}

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
	viewing_until(v, is_cut, v, "the link is down");
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
	viewing_until(v, is_linked, v, "the link is up");
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

/* FAF-6 */
START_TEST(a_worker_that_is_there_and_mute_is_an_outage_and_a_short_absence_is_none)
{
	struct viewing *v = viewing_new();
	struct client c = {0};

	client_join(v, &c, NULL, false);
	viewing_until_state(&c, CLIENT_OPEN);
	scripted_worker_cut(v->worker, false);
	viewing_until(v, is_cut, v, "the link is down");
	skip(v, LIMIT_FEED_DARK_MS - 1000);
	scripted_worker_mute(v->worker, true);
	scripted_worker_listen(v->worker);
	viewing_until(v, is_linked, v, "the link is up");
	client_read(&c);
	ck_assert_int_eq(c.notices, 0);
	skip(v, 3000); /* asked to be subscribed at, it does not answer */
	client_read(&c);
	ck_assert_int_eq(c.notices, 1);
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
	tcase_add_test(t, a_worker_that_is_there_and_mute_is_an_outage_and_a_short_absence_is_none);
	return run_case("outage", t);
}
