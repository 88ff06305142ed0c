/*
 * test_accumulator.c - what events add up to, and that what is stored says the same.
 *
 * A case is a list of events and what the snapshot then says; strings are JSON. The round trips
 * are tried on random sequences as well: the seed is printed, ACCUMULATOR_SEED repeats a run.
 */
#include "chatd/worker/accumulator.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"

static struct accumulator acc;

static void set_up(void)
{
	accumulator_init(&acc);
}

static void tear_down(void)
{
	accumulator_fini(&acc);
}

static json_t *parsed(const char *text, size_t n)
{
	char why[160];
	json_t *v = json_read(text, n, why, sizeof(why));

	if (!v)
		ck_abort_msg("%s: %.*s", why, (int)n, text);
	return v;
}

static void apply(enum chat_event_type type, const char *payload)
{
	auto_json json_t *p = parsed(payload, strlen(payload));

	accumulator_apply(&acc, type, p);
}

/* The snapshot's part as an object. A new reference. */
static json_t *snapshot(const struct accumulator *a)
{
	auto_buf struct buf b = BUF_INIT;

	buf_adds(&b, "{\"state\":\"idle\"");
	accumulator_add_snapshot(&b, a, NULL);
	buf_addc(&b, '}');
	return parsed(b.data, b.len);
}

static void member_is(const char *name, const char *want)
{
	auto_json json_t *all = snapshot(&acc);
	auto_json json_t *v = json_array();
	char *have;

	(void)json_array_append(v, json_object_get(all, name));
	have = json_text(v);
	have[strlen(have) - 1] = '\0';
	ck_assert_msg(strcmp(have + 1, want) == 0, "%s is %s, not %s", name, have + 1, want);
	free(have);
}

static void same(const struct accumulator *a, const struct accumulator *b)
{
	auto_json json_t *x = snapshot(a);
	auto_json json_t *y = snapshot(b);
	char *tx, *ty;

	if (json_equal(x, y))
		return;
	tx = json_text(x);
	ty = json_text(y);
	ck_abort_msg("%s\nis not\n%s", tx, ty);
}

START_TEST(an_empty_turn_has_every_member)
{
	auto_buf struct buf b = BUF_INIT;

	accumulator_add_snapshot(&b, &acc, NULL);
	ck_assert_str_eq(
		buf_str(&b),
		",\"content\":\"\",\"reasoning\":\"\",\"tool_invocations\":[],"
		"\"pending_prompts\":[],\"usage\":null,\"stop_reason\":null,\"error\":null");
}
END_TEST

/* One event each, on a turn that has text, a running tool and an open prompt. */
static const struct effect {
	enum chat_event_type type;
	const char *payload, *member, *want;
} effects[] = {
	{CHAT_EVENT_RESPONSE_CHUNK, "{\"content\":\" more\"}", "content", "\"text more\""},
	{CHAT_EVENT_RESPONSE_CHUNK, "{\"content\":\"\"}", "content", "\"text\""},
	{CHAT_EVENT_RESPONSE_CHUNK, "{\"content\":7}", "content", "\"text\""},
	{CHAT_EVENT_RESPONSE_CHUNK, "{}", "content", "\"text\""},
	{CHAT_EVENT_RESPONSE_CHUNK, "[]", "content", "\"text\""},
	{CHAT_EVENT_RESPONSE_CHUNK, "{\"content\":\"x\"}", "reasoning", "\"why\""},
	{CHAT_EVENT_REASONING_CHUNK, "{\"content\":\"?\"}", "reasoning", "\"why?\""},
	{CHAT_EVENT_REASONING_CHUNK, "{\"content\":\"?\"}", "content", "\"text\""},
	{CHAT_EVENT_RESPONSE_START, "{}", "content", "\"\""},
	{CHAT_EVENT_RESPONSE_START, "{}", "reasoning", "\"\""},
	{CHAT_EVENT_RESPONSE_START, "{}", "tool_invocations", "[]"},
	{CHAT_EVENT_RESPONSE_START, "{}", "pending_prompts", "[]"},
	{CHAT_EVENT_PROMPT_RESOLVED, "{\"prompt_id\":\"p1\"}", "pending_prompts", "[]"},
	{CHAT_EVENT_PROMPT_RESOLVED, "{\"prompt_id\":\"p9\"}", "pending_prompts",
	 "[{\"id\":\"p1\",\"tool_invocation_id\":\"t1\"}]"},
	{CHAT_EVENT_PROMPT_RESOLVED, "{}", "pending_prompts",
	 "[{\"id\":\"p1\",\"tool_invocation_id\":\"t1\"}]"},
	{CHAT_EVENT_PROMPT_PENDING, "{\"prompt\":{\"id\":\"p2\"}}", "pending_prompts",
	 "[{\"id\":\"p1\",\"tool_invocation_id\":\"t1\"},{\"id\":\"p2\"}]"},
	{CHAT_EVENT_PROMPT_PENDING, "{\"prompt\":\"p2\"}", "pending_prompts",
	 "[{\"id\":\"p1\",\"tool_invocation_id\":\"t1\"}]"},
	{CHAT_EVENT_RESPONSE_END, "{\"stop_reason\":\"stop\",\"usage\":{\"input_tokens\":1}}",
	 "stop_reason", "\"stop\""},
	{CHAT_EVENT_RESPONSE_END, "{\"stop_reason\":\"stop\",\"usage\":{\"input_tokens\":1}}",
	 "usage", "{\"input_tokens\":1}"},
	{CHAT_EVENT_RESPONSE_END, "{\"stop_reason\":\"stop\",\"usage\":null}", "usage", "null"},
	{CHAT_EVENT_RESPONSE_END, "{\"stop_reason\":\"stop\"}", "pending_prompts", "[]"},
	{CHAT_EVENT_RESPONSE_END, "{\"stop_reason\":\"stop\"}", "error", "null"},
	{CHAT_EVENT_ABORTED, "{}", "pending_prompts", "[]"},
	{CHAT_EVENT_ABORTED, "{}", "content", "\"text\""},
	{CHAT_EVENT_ABORTED, "{\"usage\":{\"output_tokens\":2}}", "usage", "{\"output_tokens\":2}"},
	{CHAT_EVENT_ERROR, "{\"fatal\":true,\"code\":\"c\",\"message\":\"m\"}", "error",
	 "{\"code\":\"c\",\"message\":\"m\"}"},
	{CHAT_EVENT_ERROR, "{\"fatal\":true,\"code\":\"c\",\"message\":\"m\"}", "content",
	 "\"text\""},
	{CHAT_EVENT_ERROR, "{\"fatal\":true,\"code\":\"c\",\"message\":\"m\"}", "pending_prompts",
	 "[]"},
	{CHAT_EVENT_ERROR, "{\"fatal\":false,\"code\":\"c\",\"message\":\"m\"}", "error", "null"},
	{CHAT_EVENT_ERROR, "{\"code\":\"c\"}", "pending_prompts",
	 "[{\"id\":\"p1\",\"tool_invocation_id\":\"t1\"}]"},
	{CHAT_EVENT_WARNING, "{\"code\":\"refusal\",\"message\":\"no\"}", "refusal", "\"no\""},
	{CHAT_EVENT_WARNING, "{\"code\":\"other\",\"message\":\"no\"}", "error", "null"},
	{CHAT_EVENT_TURN_RESUMED, "{\"content\":\"te\",\"reasoning\":\"w\"}", "content", "\"te\""},
	{CHAT_EVENT_TURN_RESUMED, "{\"content\":\"te\",\"reasoning\":\"w\"}", "reasoning", "\"w\""},
	{CHAT_EVENT_TURN_RESUMED, "{\"content\":\"te\"}", "tool_invocations", "[]"},
	{CHAT_EVENT_TURN_RESUMED, "{\"content\":\"te\"}", "pending_prompts", "[]"},
	{CHAT_EVENT_TURN_RESUMED, "{\"pending_prompts\":[{\"id\":\"p3\"}]}", "pending_prompts",
	 "[{\"id\":\"p3\"}]"},
	{CHAT_EVENT_TURN_RESUMED, "{\"tool_invocations\":[{\"id\":\"t3\"}]}", "tool_invocations",
	 "[{\"id\":\"t3\"}]"},
	{CHAT_EVENT_TURN_QUEUED, "{\"content\":\"x\"}", "content", "\"text\""},
	{CHAT_EVENT_SESSION_CLEARED, "{\"content\":\"x\"}", "content", "\"text\""},
	{CHAT_EVENT_SNAPSHOT, "{\"content\":\"x\"}", "content", "\"text\""},
};

/* SDC-15: what each event changes, and what it leaves as it is. */
START_TEST(an_event_changes_what_it_says)
{
	const struct effect *e = &effects[_i];

	apply(CHAT_EVENT_RESPONSE_START, "{}");
	apply(CHAT_EVENT_RESPONSE_CHUNK, "{\"content\":\"text\"}");
	apply(CHAT_EVENT_REASONING_CHUNK, "{\"content\":\"why\"}");
	apply(CHAT_EVENT_TOOL_START, "{\"tool_invocation_id\":\"t1\",\"name\":\"ls\"}");
	apply(CHAT_EVENT_PROMPT_PENDING,
	      "{\"prompt\":{\"id\":\"p1\",\"tool_invocation_id\":\"t1\"}}");
	apply(e->type, e->payload);
	member_is(e->member, e->want);
}
END_TEST

#define TOOL(status, rest)                                                                  \
	"[{\"id\":\"t1\",\"name\":\"ls\",\"server\":\"fs\",\"input\":{\"p\":1},\"status\":" \
	"\"" status "\"," rest "}]"

/* SDC-8: where in the text a call stands, counted in characters, and how long it took, are kept. */
START_TEST(a_call_keeps_its_place_and_its_duration)
{
	apply(CHAT_EVENT_RESPONSE_START, "{}");
	ck_assert_int_eq(accumulator_characters(&acc), 0);
	apply(CHAT_EVENT_RESPONSE_CHUNK, "{\"content\":\"h\u00e9 \u6f22 \\ud83d\\ude00\"}");
	ck_assert_int_eq(accumulator_characters(&acc), 6);
	apply(CHAT_EVENT_TOOL_START,
	      "{\"tool_invocation_id\":\"t1\",\"name\":\"ls\",\"server\":\"fs\",\"at\":6}");
	apply(CHAT_EVENT_TOOL_END,
	      "{\"tool_invocation_id\":\"t1\",\"output\":\"x\",\"duration_ms\":12}");
	member_is("tool_invocations",
		  "[{\"id\":\"t1\",\"name\":\"ls\",\"server\":\"fs\",\"input\":null,\"status\":"
		  "\"done\","
		  "\"output\":\"x\",\"is_error\":false,\"at\":6,\"duration_ms\":12}]");
}
END_TEST

/* SDC-15: a tool's life, one event after the other, and what viewers see of it each time. */
START_TEST(a_tool_goes_from_pending_to_done)
{
	static const struct {
		enum chat_event_type type;
		const char *payload, *want;
	} life[] = {
		{CHAT_EVENT_TOOL_START,
		 "{\"tool_invocation_id\":\"t1\",\"name\":\"ls\",\"server\":\"fs\"}",
		 "[{\"id\":\"t1\",\"name\":\"ls\",\"server\":\"fs\",\"input\":null,\"status\":"
		 "\"pending\",\"output\":null,\"is_error\":false}]"},
		{CHAT_EVENT_TOOL_INPUT, "{\"tool_invocation_id\":\"t1\",\"input\":{\"p\":1}}",
		 TOOL("pending", "\"output\":null,\"is_error\":false")},
		{CHAT_EVENT_PROMPT_PENDING,
		 "{\"prompt\":{\"id\":\"p1\",\"tool_invocation_id\":\"t1\"}}",
		 TOOL("waiting", "\"output\":null,\"is_error\":false")},
		{CHAT_EVENT_TOOL_PROGRESS, "{\"tool_invocation_id\":\"t1\"}",
		 TOOL("running", "\"output\":null,\"is_error\":false")},
		{CHAT_EVENT_TOOL_END, "{\"tool_invocation_id\":\"t9\",\"output\":\"other\"}",
		 TOOL("running", "\"output\":null,\"is_error\":false")},
		{CHAT_EVENT_TOOL_END, "{\"output\":\"nobody's\"}",
		 TOOL("running", "\"output\":null,\"is_error\":false")},
		{CHAT_EVENT_TOOL_END,
		 "{\"tool_invocation_id\":\"t1\",\"output\":\"a b\",\"is_error\":false}",
		 TOOL("done", "\"output\":\"a b\",\"is_error\":false")},
		{CHAT_EVENT_RESPONSE_END, "{\"stop_reason\":\"stop\"}",
		 TOOL("done", "\"output\":\"a b\",\"is_error\":false")},
	};

	for (size_t i = 0; i < sizeof(life) / sizeof(life[0]); i++) {
		auto_json json_t *want = parsed(life[i].want, strlen(life[i].want));
		auto_json json_t *have = NULL;

		apply(life[i].type, life[i].payload);
		have = snapshot(&acc);
		if (!json_equal(json_object_get(have, "tool_invocations"), want))
			ck_abort_msg("step %zu: %s", i,
				     json_text(json_object_get(have, "tool_invocations")));
	}
}
END_TEST

/* A status in the event wins: a tool that failed or was denied did not end as "done". */
START_TEST(a_tool_s_end_may_have_a_status_of_its_own)
{
	static const char *const statuses[] = {"failed", "denied", "incomplete", "uncertain"};

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		char payload[128];
		const char *have;

		accumulator_reset(&acc);
		apply(CHAT_EVENT_TOOL_START, "{\"tool_invocation_id\":\"t1\",\"name\":\"ls\"}");
		(void)snprintf(
			payload, sizeof(payload),
			"{\"tool_invocation_id\":\"t1\",\"status\":\"%s\",\"is_error\":true}",
			statuses[i]);
		apply(CHAT_EVENT_TOOL_END, payload);
		apply(CHAT_EVENT_RESPONSE_END, "{}");
		have = json_get_str(json_array_get(acc.tools, 0), "status");
		ck_assert_str_eq(have, statuses[i]);
	}
}
END_TEST

/* Whatever ends a turn, nothing is left that looks as if it ran. */
START_TEST(an_end_leaves_no_tool_open)
{
	static const struct {
		enum chat_event_type type;
		const char *payload;
	} ends[] = {{CHAT_EVENT_RESPONSE_END, "{\"stop_reason\":\"stop\"}"},
		    {CHAT_EVENT_ABORTED, "{}"},
		    {CHAT_EVENT_ERROR, "{\"fatal\":true,\"code\":\"c\",\"message\":\"m\"}"}};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		json_t *tool;
		size_t j;

		accumulator_reset(&acc);
		apply(CHAT_EVENT_TOOL_START, "{\"tool_invocation_id\":\"t1\",\"name\":\"a\"}");
		apply(CHAT_EVENT_TOOL_START, "{\"tool_invocation_id\":\"t2\",\"name\":\"b\"}");
		apply(CHAT_EVENT_TOOL_START, "{\"tool_invocation_id\":\"t3\",\"name\":\"c\"}");
		apply(CHAT_EVENT_TOOL_PROGRESS, "{\"tool_invocation_id\":\"t2\"}");
		apply(CHAT_EVENT_PROMPT_PENDING,
		      "{\"prompt\":{\"id\":\"p1\",\"tool_invocation_id\":\"t3\"}}");
		apply(ends[i].type, ends[i].payload);
		json_array_foreach (acc.tools, j, tool)
			ck_assert_str_eq(json_get_str(tool, "status"), "incomplete");
		member_is("pending_prompts", "[]");
	}
}
END_TEST

/* FAF-5: what the model sent and could not be parsed is shown as it is. */
START_TEST(an_unparsable_input_is_kept_raw)
{
	json_t *tool;

	apply(CHAT_EVENT_TOOL_START, "{\"tool_invocation_id\":\"t1\",\"name\":\"ls\"}");
	apply(CHAT_EVENT_TOOL_INPUT,
	      "{\"tool_invocation_id\":\"t1\",\"parse_error\":\"line 1\",\"raw\":\"{\\\"a\\\":\"}");
	tool = json_array_get(acc.tools, 0);
	ck_assert_str_eq(json_get_str(tool, "parse_error"), "line 1");
	ck_assert_str_eq(json_get_str(tool, "raw"), "{\"a\":");
}
END_TEST

/* --- round trips --- */

/* Stores a as turn.c does and loads what was stored into b. */
static void store_and_load(const struct accumulator *a, struct accumulator *b)
{
	json_t *answer = accumulator_extra(a);
	auto_json json_t *again = NULL;
	char *text;

	(void)json_object_set_new(
		answer, "content",
		json_stringn(a->content.data ? a->content.data : "", a->content.len));
	text = json_text(answer);
	again = parsed(text, strlen(text));
	free(text);
	json_decref(answer);
	accumulator_load(b, again, a->stop_reason);
}

static void resume(const struct accumulator *a, struct accumulator *b)
{
	auto_json json_t *payload = accumulator_resumed(a);

	accumulator_apply(b, CHAT_EVENT_TURN_RESUMED, payload);
}

static const char *const texts[] = {
	"plain ",
	"\\u0000",
	"a\\u0000b",
	"\xf0\x9f\x98\x80",
	"\\ud83d\\ude00",
	"\xc3\xa9\xe4\xb8\xad",
	"\\n\\\"\\\\\\u0007",
	"\xe2\x80\xa8",
};
#define N_TEXTS (int)(sizeof(texts) / sizeof(texts[0]))

static const char *text_at_random(void)
{
	return texts[rand() % N_TEXTS];
}

static void random_event(void)
{
	char payload[256];
	int tool = rand() % 4, prompt = rand() % 3;

	switch (rand() % 10) {
	case 0:
	case 1:
	case 2:
		(void)snprintf(payload, sizeof(payload), "{\"content\":\"%s\"}", text_at_random());
		apply(CHAT_EVENT_RESPONSE_CHUNK, payload);
		break;
	case 3:
		(void)snprintf(payload, sizeof(payload), "{\"content\":\"%s\"}", text_at_random());
		apply(CHAT_EVENT_REASONING_CHUNK, payload);
		break;
	case 4:
		(void)snprintf(payload, sizeof(payload),
			       "{\"tool_invocation_id\":\"t%d\",\"name\":\"%s\"}", tool,
			       text_at_random());
		apply(CHAT_EVENT_TOOL_START, payload);
		break;
	case 5:
		(void)snprintf(
			payload, sizeof(payload),
			"{\"tool_invocation_id\":\"t%d\",\"input\":{\"x\":[\"%s\",1.5,null]}}",
			tool, text_at_random());
		apply(CHAT_EVENT_TOOL_INPUT, payload);
		break;
	case 6:
		(void)snprintf(payload, sizeof(payload), "{\"tool_invocation_id\":\"t%d\"}", tool);
		apply(CHAT_EVENT_TOOL_PROGRESS, payload);
		break;
	case 7:
		(void)snprintf(payload, sizeof(payload),
			       "{\"tool_invocation_id\":\"t%d\",\"output\":\"%s\",\"is_error\":%s}",
			       tool, text_at_random(), rand() % 2 ? "true" : "false");
		apply(CHAT_EVENT_TOOL_END, payload);
		break;
	case 8:
		(void)snprintf(payload, sizeof(payload),
			       "{\"prompt\":{\"id\":\"p%d\",\"tool_invocation_id\":\"t%d\"}}",
			       prompt, tool);
		apply(CHAT_EVENT_PROMPT_PENDING, payload);
		break;
	default:
		(void)snprintf(payload, sizeof(payload), "{\"prompt_id\":\"p%d\"}", prompt);
		apply(CHAT_EVENT_PROMPT_RESOLVED, payload);
	}
}

static void random_end(void)
{
	static const char *const usages[] = {"null", "{\"input_tokens\":1,\"output_tokens\":2}",
					     "{\"input_tokens\":0}"};
	const char *usage = usages[rand() % 3];
	char payload[256];

	if (rand() % 4 == 0)
		apply(CHAT_EVENT_WARNING, "{\"code\":\"refusal\",\"message\":\"I won't \\u00e9\"}");
	switch (rand() % 3) {
	case 0:
		(void)snprintf(payload, sizeof(payload),
			       "{\"stop_reason\":\"length\",\"usage\":%s}", usage);
		apply(CHAT_EVENT_RESPONSE_END, payload);
		break;
	case 1:
		(void)snprintf(payload, sizeof(payload), "{\"usage\":%s}", usage);
		apply(CHAT_EVENT_ABORTED, payload);
		break;
	default:
		(void)snprintf(payload, sizeof(payload),
			       "{\"fatal\":true,\"code\":\"c\",\"message\":\"%s\",\"usage\":%s}",
			       text_at_random(), usage);
		apply(CHAT_EVENT_ERROR, payload);
	}
}

#define ROUNDS 2000

static unsigned seed(void)
{
	const char *given = getenv("ACCUMULATOR_SEED");
	unsigned s = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)clock_mono_us();

	(void)fprintf(stderr, "ACCUMULATOR_SEED=%u\n", s);
	return s;
}

/* SDC-15: the stored answer says what the snapshot of the live turn said at its end. */
START_TEST(a_stored_answer_gives_the_snapshot_that_was_seen_live)
{
	srand(seed());
	for (int i = 0; i < ROUNDS; i++) {
		struct accumulator loaded;
		int n = rand() % 30;

		accumulator_init(&loaded);
		accumulator_apply(&acc, CHAT_EVENT_RESPONSE_START, NULL);
		while (n-- > 0)
			random_event();
		random_end();
		store_and_load(&acc, &loaded);
		same(&acc, &loaded);
		accumulator_fini(&loaded);
	}
}
END_TEST

/* SDC-15: a turn that is taken up stands where it stood, and goes on from there alike. */
START_TEST(a_resumed_turn_stands_where_it_stood)
{
	srand(seed());
	for (int i = 0; i < ROUNDS; i++) {
		struct accumulator next, *live = &acc;
		int n = rand() % 30;

		accumulator_init(&next);
		accumulator_apply(live, CHAT_EVENT_RESPONSE_START, NULL);
		while (n-- > 0)
			random_event();
		accumulator_apply(&next, CHAT_EVENT_RESPONSE_START, NULL);
		accumulator_add_text(&next, CHAT_EVENT_RESPONSE_CHUNK, "void", 4);
		resume(live, &next);
		same(live, &next);
		accumulator_fini(&next);
	}
}
END_TEST

/* The path without JSON, which live turns take, and the path with it, which recovery takes. */
START_TEST(text_adds_up_alike_with_and_without_json)
{
	struct accumulator direct;

	accumulator_init(&direct);
	for (int i = 0; i < N_TEXTS; i++) {
		char payload[64];
		auto_json json_t *p = NULL;
		json_t *content;

		(void)snprintf(payload, sizeof(payload), "{\"content\":\"%s\"}", texts[i]);
		p = parsed(payload, strlen(payload));
		content = json_object_get(p, "content");
		accumulator_apply(&acc, CHAT_EVENT_RESPONSE_CHUNK, p);
		accumulator_apply(&acc, CHAT_EVENT_REASONING_CHUNK, p);
		accumulator_add_text(&direct, CHAT_EVENT_RESPONSE_CHUNK, json_string_value(content),
				     json_string_length(content));
		accumulator_add_text(&direct, CHAT_EVENT_REASONING_CHUNK,
				     json_string_value(content), json_string_length(content));
	}
	same(&acc, &direct);
	ck_assert_ptr_nonnull(memchr(direct.content.data, '\0', direct.content.len));
	accumulator_fini(&direct);
}
END_TEST

/* Payloads of another shape, as a later release might write them, change nothing and break nothing.
 */
START_TEST(strange_payloads_are_survived)
{
	static const char *const strange[] = {
		"{}",
		"[]",
		"null",
		"\"text\"",
		"{\"content\":{}}",
		"{\"prompt\":[]}",
		"{\"tool_invocation_id\":1}",
		"{\"prompt\":{\"tool_invocation_id\":[]}}",
		"{\"usage\":7,\"stop_reason\":{},\"fatal\":\"yes\"}",
		"{\"tool_invocations\":{},\"pending_prompts\":3}",
	};

	for (unsigned type = 0; type < CHAT_EVENT_N; type++) {
		for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
			auto_json json_t *p = json_loads(strange[i], JSON_DECODE_ANY, NULL);
			auto_json json_t *after = NULL;

			ck_assert_ptr_nonnull(p);
			accumulator_apply(&acc, (enum chat_event_type)type, p);
			after = snapshot(&acc);
			ck_assert(json_is_array(json_object_get(after, "tool_invocations")));
			ck_assert(json_is_array(json_object_get(after, "pending_prompts")));
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("accumulator");
	TCase *tc = tcase_create("accumulator");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, an_empty_turn_has_every_member);
	tcase_add_loop_test(tc, an_event_changes_what_it_says, 0,
			    (int)(sizeof(effects) / sizeof(effects[0])));
	tcase_add_test(tc, a_tool_goes_from_pending_to_done);
	tcase_add_test(tc, a_call_keeps_its_place_and_its_duration);
	tcase_add_test(tc, a_tool_s_end_may_have_a_status_of_its_own);
	tcase_add_test(tc, an_end_leaves_no_tool_open);
	tcase_add_test(tc, an_unparsable_input_is_kept_raw);
	tcase_add_test(tc, a_stored_answer_gives_the_snapshot_that_was_seen_live);
	tcase_add_test(tc, a_resumed_turn_stands_where_it_stood);
	tcase_add_test(tc, text_adds_up_alike_with_and_without_json);
	tcase_add_test(tc, strange_payloads_are_survived);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
