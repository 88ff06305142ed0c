/*
 * test_demo.c - the built-in provider.
 */
#include "chatd/provider/demo.h"

#include "chatd/provider/demo_script.h"
#include "common/cleanup.h"
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

/* --- the show: tools, a permission, a question --- */

#define BOTH	   "[{'name':'x'},{'name':'demo__roll_dice'},{'name':'ask_user'}]"
#define USER(text) "{'role':'user','content':'" text "'}"
#define CALL(id, fn) \
	"{'role':'assistant','content':'','tool_calls':[{'id':'" id "','name':'" fn "'}]}"
#define RESULT(id, text) "{'role':'tool','tool_call_id':'" id "','content':'" text "'}"
#define DENIED(id) \
	"{'role':'tool','tool_call_id':'" id "','content':'Not allowed.','is_error':true}"
#define ROLLED	    CALL("a", "demo__roll_dice") "," RESULT("a", "4, 5 (sum 9)")
#define ASKED(text) CALL("b", "ask_user") "," RESULT("b", "What?\\nAnswer: " text)

static json_t *read_json(const char *text)
{
	auto_free char *copy = str_dup(str_of(text));
	json_t *v;

	for (char *p = copy; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	v = json_read(copy, strlen(copy), NULL, 0);
	ck_assert_msg(v, "%s", text);
	return v;
}

/* messages, tools (NULL: none), the tool that is called (NULL: none), what the text holds */
static const struct {
	const char *messages, *tools, *call, *says;
} parts[] = {
	{USER("test"), BOTH, "demo__roll_dice", "> test\n"},
	{USER("test") "," ROLLED, BOTH, "ask_user", "> 4, 5 (sum 9)\n"},
	{USER("test") "," CALL("a", "demo__roll_dice") "," DENIED("a"), BOTH, "ask_user",
	 "No dice, then. What I was told:\n\n> Not allowed.\n"},
	{USER("test") "," ROLLED "," ASKED("How it works"), BOTH, NULL, "### What you are"},
	{USER("test") "," ROLLED "," ASKED("How to use a real model"), BOTH, NULL, "```ini\n"},
	{USER("test") "," ROLLED "," ASKED("That was enough"), BOTH, NULL, "That was the show"},
	{USER("test") "," ROLLED "," ASKED("Sing!\\nAnswer: no"), BOTH, NULL,
	 "own words, then:\n\n> Sing!\n> Answer: no\n"},
	/* a later message gets what it names, and only that */
	{USER("test") "," ROLLED "," USER("so?"), BOTH, NULL, "### Things to try"},
	{USER("test") "," USER("the DICE again"), BOTH, "demo__roll_dice", "> the DICE"},
	{USER("test") "," USER("dice!") "," ROLLED, BOTH, NULL, "\n\nThe dice show:"},
	{USER("test") "," USER("a question?"), BOTH, "ask_user", "for you to say"},
	{USER("test") "," USER("a question?") "," ASKED("x"), BOTH, NULL, "\n\nIn your own"},
	/* only what is offered is called */
	{USER("test"), NULL, NULL, "### Things to try"},
	{USER("dice"), "[{'name':'x'}]", NULL, "### Things to try"},
	{USER("test"), "[{'name':'ask_user'}]", "ask_user", "for you to say"},
	{USER("test"), "[{'name':'demo__roll_dice'}]", "demo__roll_dice", "> test\n"},
	{USER("test") "," ROLLED, "[{'name':'demo__roll_dice'}]", NULL, "The dice show:"},
	/* commands, right or wrong, call nothing */
	{USER("demo: dice"), BOTH, NULL, "### Things to try"},
	{USER("demo: error"), BOTH, NULL, "because you asked for that"},
	{USER("demo: chunks=1 size=8"), BOTH, NULL, "bcdefg"},
};

/* PRV-3 */
START_TEST(the_next_part_follows_from_the_question_alone)
{
	struct buf auto_buf all = BUF_INIT;
	auto_json json_t *tools = NULL;
	auto_json json_t *messages = NULL;
	struct demo_script s = {0};
	struct buf auto_buf text = BUF_INIT;
	const char *call = NULL;

	buf_addf(&all, "[%s]", parts[_i].messages);
	messages = read_json(buf_str(&all));
	tools = parts[_i].tools ? read_json(parts[_i].tools) : NULL;
	demo_script_write(&s, &(struct question){.messages = messages, .tools = tools});
	ck_assert_uint_gt(s.n, 0);
	for (size_t i = 0; i < s.n; i++) {
		ck_assert_ptr_null(call); /* it is the last step */
		call = s.steps[i].tool;
		if (s.steps[i].kind == DEMO_TEXT || s.steps[i].kind == DEMO_FILL)
			buf_add(&text, s.steps[i].text.data, s.steps[i].text.len);
	}
	ck_assert_pstr_eq(call, parts[_i].call);
	ck_assert_msg(strstr(buf_str(&text), parts[_i].says), "%s", buf_str(&text));
	demo_script_fini(&s);
}
END_TEST

struct heard {
	int dones;
	char id[64], name[64], arguments[128], stop_reason[32];
};

static void hear_text(void *arg, const char *p, size_t n)
{
}

static void hear_usage(void *arg, const struct provider_usage *u)
{
}

static void hear_done(void *arg, const struct provider_result *r)
{
	struct heard *h = arg;

	h->dones++;
	ck_assert_int_eq(r->fault, FAULT_NONE);
	ck_assert_uint_eq(r->n_calls, 1);
	ck_assert(!r->calls[0].cut);
	(void)snprintf(h->id, sizeof(h->id), "%s", r->calls[0].id);
	(void)snprintf(h->name, sizeof(h->name), "%s", r->calls[0].name);
	(void)snprintf(h->arguments, sizeof(h->arguments), "%.*s", (int)r->calls[0].arguments.n,
		       r->calls[0].arguments.p);
	(void)snprintf(h->stop_reason, sizeof(h->stop_reason), "%s", r->stop_reason);
}

/* PRV-3 */
START_TEST(the_first_message_gets_a_call_of_the_dice_behind_text_and_reasoning)
{
	static const struct answer_ops ops = {hear_text, hear_text, hear_usage, NULL, hear_done};
	auto_json json_t *messages = read_json("[" USER("test") "]");
	auto_json json_t *tools = read_json(BOTH);
	struct listener l;
	struct heard h = {0};
	struct question q = {.messages = messages, .tools = tools};

	listener_init(&l, "demo", NULL);
	l.conf->rate = 0;
	q.conf = l.conf;
	ck_assert_ptr_nonnull(provider_ask(l.env, &q, &ops, &h));
	listener_wait(&l, &h.dones, 1);
	ck_assert_str_eq(h.name, "demo__roll_dice");
	ck_assert_str_eq(h.arguments, "{\"sides\":6,\"count\":2}");
	ck_assert_str_eq(h.stop_reason, "tool_calls");
	ck_assert_uint_gt(strlen(h.id), 8);
	listener_fini(&l);
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
	tcase_add_loop_test(t, the_next_part_follows_from_the_question_alone, 0,
			    sizeof(parts) / sizeof(parts[0]));
	tcase_add_test(t, the_first_message_gets_a_call_of_the_dice_behind_text_and_reasoning);
	return run_cases("demo", t, 30);
}
