/*
 * test_text_chunk.c - chunks that are text and nothing else.
 *
 * That what is taken means the same as its document is fuzz_text_chunk.c's business, and that
 * every recording yields what it must, however it is read, test_provider_streams.c's. Here: what is
 * taken at all.
 */
#include "chatd/provider/text_chunk.h"

#include "tests/unit/provider/run_cases.h"

#define CHOICE(delta)                                                                     \
	"{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":17,\"choices\":[" \
	"{\"index\":0,\"delta\":" delta ",\"finish_reason\":null}]}"

static const struct {
	const char *chunk, *content, *reasoning_content, *reasoning;
} taken[] = {
	{CHOICE("{\"content\":\"Hello\"}"), "Hello", "", ""},
	{CHOICE("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}"), "", "", ""},
	{CHOICE("{\"content\":\"a\\nb \\u4f60\"}"), "a\nb \xe4\xbd\xa0", "", ""},
	{CHOICE("{\"content\":null,\"reasoning_content\":\"Hm\"}"), "", "Hm", ""},
	{CHOICE("{\"reasoning\":\"Hm\\t\",\"content\":\"x\"}"), "x", "", "Hm\t"},
	{CHOICE("{}"), "", "", ""},
	{"{\"choices\":[{\"delta\":{\"content\":\"x\",\"tool_calls\":null}}],\"usage\":null,"
	 "\"service_tier\":\"default\",\"obfuscation\":\"q\"}",
	 "x", "", ""},
};

/* PRV-5 */
START_TEST(a_chunk_that_is_text_is_taken)
{
	struct buf auto_buf room = BUF_INIT;
	struct text_chunk c;

	ck_assert(text_chunk_openai(str_of(taken[_i].chunk), &room, &c));
	ck_assert(str_eq(c.content, taken[_i].content));
	ck_assert(str_eq(c.reasoning_content, taken[_i].reasoning_content));
	ck_assert(str_eq(c.reasoning, taken[_i].reasoning));
}
END_TEST

static const char *const left[] = {
	"",
	"[DONE]",
	"{}",
	"{\"choices\":[]}",
	CHOICE("{\"content\":\"x\"}") "x",
	CHOICE("null"),
	CHOICE("{\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}"),
	CHOICE("{\"content\":\"x\",\"content\":\"y\"}"),
	CHOICE("{\"content\":\"\\ud83d\\ude00\"}"),
	CHOICE("{\"content\":\"x\\n\",\"reasoning\":\"y\\n\"}"),
	CHOICE("{\"content\":\"x\",\"tool_calls\":[]}"),
	CHOICE("{\"refusal\":\"no\"}"),
	CHOICE("{\"content\":\"x\",\"reasoning_details\":[]}"),
	"{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"x\"}}]}",
	"{\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}",
	"{\"choices\":[{\"delta\":{\"content\":\"x\"}},{\"index\":1,\"delta\":{}}]}",
	"{\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"usage\":{\"prompt_tokens\":1}}",
	"{\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"x_groq\":{\"id\":\"r\"}}",
	"{\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"error\":\"broken\"}",
	"{\"object\":\"error\",\"choices\":[{\"delta\":{\"content\":\"x\"}}]}",
};

/* PRV-5: all of these mean something else, or more, than text. */
START_TEST(a_chunk_with_more_in_it_is_left_to_its_document)
{
	struct buf auto_buf room = BUF_INIT;
	struct text_chunk c;

	ck_assert(!text_chunk_openai(str_of(left[_i]), &room, &c));
}
END_TEST

/* PRV-2 */
START_TEST(a_delta_of_a_block_is_taken)
{
	struct buf auto_buf room = BUF_INIT;
	struct text_block_chunk c;

	ck_assert(text_chunk_anthropic(
		str_of("{\"type\":\"content_block_delta\",\"index\":3,"
		       "\"delta\":{\"type\":\"text_delta\",\"text\":\"a\\\"\"}}"),
		&room, &c));
	ck_assert(c.index == 3 && !c.is_thinking && str_eq(c.text, "a\""));
	ck_assert(text_chunk_anthropic(
		str_of("{\"delta\":{\"thinking\":\"Hm\",\"type\":\"thinking_delta\"},\"p\":\"abc\","
		       "\"index\":0,\"type\":\"content_block_delta\"}"),
		(buf_clear(&room), &room), &c));
	ck_assert(c.index == 0 && c.is_thinking && str_eq(c.text, "Hm"));
}
END_TEST

static const char *const other[] = {
	"{\"type\":\"ping\"}",
	"{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}",
	"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\"}}",
	"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
	"\"thinking\":\"x\"}}",
	"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":"
	"\"x\","
	"\"thinking\":\"y\"}}",
	"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\","
	"\"partial_json\":\"{\"}}",
	"{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":"
	"\"x\"},"
	"\"error\":{}}",
	"{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\","
	"\"text\":\"\"}}",
};

/* PRV-2 */
START_TEST(any_other_event_is_left_to_its_document)
{
	struct buf auto_buf room = BUF_INIT;
	struct text_block_chunk c;

	ck_assert(!text_chunk_anthropic(str_of(other[_i]), &room, &c));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("text_chunk");

	tcase_add_loop_test(t, a_chunk_that_is_text_is_taken, 0, sizeof(taken) / sizeof(*taken));
	tcase_add_loop_test(t, a_chunk_with_more_in_it_is_left_to_its_document, 0,
			    sizeof(left) / sizeof(*left));
	tcase_add_test(t, a_delta_of_a_block_is_taken);
	tcase_add_loop_test(t, any_other_event_is_left_to_its_document, 0,
			    sizeof(other) / sizeof(*other));
	return run_cases("text_chunk", t, 20);
}
