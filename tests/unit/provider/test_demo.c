/*
 * test_demo.c - the built-in provider.
 */
#include "chatd/provider/demo.h"

#include "common/clock.h"
#include "common/json.h"
#include "tests/unit/provider/listener.h"
#include "tests/unit/provider/run_cases.h"

static void ask(struct listener *l, int rate, const char *message)
{
	listener_init(l, "demo", NULL);
	l->conf->rate = rate;
	listener_ask(l, message);
}

/* PRV-3 */
START_TEST(it_thinks_then_explains_in_markdown_and_quotes_the_message)
{
	struct listener l;

	ask(&l, 0, "what is\nthis?");
	listener_wait(&l, &l.dones, 1);
	ck_assert_int_eq(l.fault, FAULT_NONE);
	ck_assert_str_eq(l.stop_reason, "stop");
	ck_assert_uint_gt(l.reasoning.len, 0);
	ck_assert(strstr(buf_str(&l.text), "> what is\n> this?\n"));
	ck_assert(strstr(buf_str(&l.text), "## "));
	ck_assert(strstr(buf_str(&l.text), "\n- "));
	ck_assert(strstr(buf_str(&l.text), "```ini\n"));
	ck_assert(l.usage.known);
	ck_assert_int_eq(l.usage.input, 3);
	ck_assert_int_gt(l.usage.output, 100);
	ck_assert_int_eq(l.usage.cache_read, -1);
	listener_fini(&l);
}
END_TEST

START_TEST(the_same_message_gets_the_same_answer)
{
	struct listener a, b;

	ask(&a, 0, "again");
	ask(&b, 0, "again");
	listener_wait(&a, &a.dones, 1);
	listener_wait(&b, &b.dones, 1);
	ck_assert_int_eq(a.texts, b.texts);
	ck_assert_str_eq(buf_str(&a.text), buf_str(&b.text));
	listener_fini(&a);
	listener_fini(&b);
}
END_TEST

START_TEST(a_long_message_is_quoted_in_part_between_characters)
{
	struct buf auto_buf message = BUF_INIT;
	struct listener l;

	buf_addc(&message, 'x');
	for (int i = 0; i < 1000; i++)
		buf_adds(&message, "\xe2\x82\xac");
	ask(&l, 0, buf_str(&message));
	listener_wait(&l, &l.dones, 1);
	ck_assert_uint_eq(json_utf8_prefix(l.text.data, l.text.len), l.text.len);
	ck_assert(strstr(buf_str(&l.text), "\xe2\x82\xac \xe2\x80\xa6\n"));
	listener_fini(&l);
}
END_TEST

START_TEST(a_benchmark_message_yields_exactly_what_it_asks_for)
{
	struct listener l;

	ask(&l, 0, "demo: chunks=1000 size=37");
	listener_wait(&l, &l.dones, 1);
	ck_assert_int_eq(l.texts, 1000);
	ck_assert_uint_eq(l.text.len, 37000);
	ck_assert_uint_eq(l.reasoning.len, 0);
	listener_fini(&l);
}
END_TEST

START_TEST(a_benchmark_beyond_the_limits_is_an_ordinary_message)
{
	static const char *const messages[] = {
		"demo: chunks=0 size=1",
		"demo: chunks=1 size=0",
		"demo: chunks=1000001 size=1",
		"demo: chunks=1 size=16385",
		"demo: chunks=99999999 size=1",
		"demo: chunks=-1 size=1",
		"demo: chunks=1",
	};

	for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
		struct listener l;

		ask(&l, 0, messages[i]);
		listener_wait(&l, &l.dones, 1);
		ck_assert_msg(strstr(buf_str(&l.text), messages[i]), "%s", messages[i]);
		listener_fini(&l);
	}
}
END_TEST

START_TEST(it_fails_when_it_is_asked_to)
{
	struct listener l;

	ask(&l, 0, "demo: error");
	listener_wait(&l, &l.dones, 1);
	ck_assert_int_eq(l.fault, FAULT_PROVIDER_ERROR);
	ck_assert_str_eq(l.type, "demo_error");
	ck_assert_uint_gt(l.text.len, 0);
	listener_fini(&l);
}
END_TEST

START_TEST(the_rate_holds)
{
	struct listener l;
	int64_t started = clock_mono_ms();
	int64_t took;

	ask(&l, 500, "demo: chunks=100 size=1");
	listener_wait(&l, &l.dones, 1);
	took = clock_mono_ms() - started;
	ck_assert_int_ge(took, 190);
	listener_fini(&l);
}
END_TEST

START_TEST(a_pause_holds_it_and_no_burst_follows)
{
	struct listener l;
	int before;

	ask(&l, 200, "demo: chunks=100000 size=1");
	listener_wait(&l, &l.texts, 3);
	asking_pause(l.asking, true);
	before = l.texts;
	listener_idle(&l, 300); /* worth 60 chunks */
	ck_assert_int_eq(l.texts, before);
	asking_pause(l.asking, false);
	listener_wait(&l, &l.texts, before + 1);
	ck_assert_int_lt(l.texts, before + 30);
	listener_fini(&l);
}
END_TEST

START_TEST(it_may_be_cancelled_or_paused_in_any_callback)
{
	static const enum moment moments[] = {AT_REASONING, AT_TEXT, AT_DONE};

	for (int i = 0; i < 3; i++) {
		struct listener l;

		listener_init(&l, "demo", NULL);
		l.conf->rate = 0;
		l.cancel_at = moments[i];
		listener_ask(&l, "hello");
		listener_idle(&l, 100);
		ck_assert_ptr_null(l.asking);
		ck_assert_int_eq(l.dones, moments[i] == AT_DONE);
		listener_fini(&l);
	}
	for (int i = 0; i < 2; i++) {
		struct listener l;

		listener_init(&l, "demo", NULL);
		l.conf->rate = 0;
		l.pause_at = moments[i];
		listener_ask(&l, "demo: chunks=5 size=5");
		for (int k = 0; k < 5 && i == 1; k++) {
			listener_wait(&l, &l.texts, k + 1);
			asking_pause(l.asking, false);
		}
		if (i == 1)
			listener_wait(&l, &l.dones, 1);
		listener_fini(&l);
	}
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("demo");

	tcase_add_test(t, it_thinks_then_explains_in_markdown_and_quotes_the_message);
	tcase_add_test(t, the_same_message_gets_the_same_answer);
	tcase_add_test(t, a_long_message_is_quoted_in_part_between_characters);
	tcase_add_test(t, a_benchmark_message_yields_exactly_what_it_asks_for);
	tcase_add_test(t, a_benchmark_beyond_the_limits_is_an_ordinary_message);
	tcase_add_test(t, it_fails_when_it_is_asked_to);
	tcase_add_test(t, the_rate_holds);
	tcase_add_test(t, a_pause_holds_it_and_no_burst_follows);
	tcase_add_test(t, it_may_be_cancelled_or_paused_in_any_callback);
	return run_cases("demo", t, 30);
}
