/*
 * fuzz_text_chunk.c - whatever is taken without a document is what the document says.
 */
#include <stdint.h>
#include <string.h>

#include "chatd/provider/text_chunk.h"
#include "common/json.h"
#include "common/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(struct str got, const json_t *v)
{
	struct str wanted = json_str(v);

	REQUIRE(got.n == wanted.n && memcmp(got.p, wanted.p, got.n) == 0);
}

/* Nothing there, or null. */
static void nothing(const json_t *o, const char *key)
{
	REQUIRE(!json_get(o, key));
}

static void check_openai(const struct text_chunk *c, const json_t *o)
{
	const json_t *choices = json_get(o, "choices");
	const json_t *choice = json_array_get(choices, 0);
	const json_t *delta = json_get(choice, "delta");
	const char *object = json_get_str(o, "object");
	long long index;

	REQUIRE(json_is_object(o) && json_array_size(choices) == 1);
	REQUIRE(!json_get_int(choice, "index", &index) || index == 0);
	REQUIRE(!object || strcmp(object, "chat.completion.chunk") == 0);
	same(c->content, json_get(delta, "content"));
	same(c->reasoning_content, json_get(delta, "reasoning_content"));
	same(c->reasoning, json_get(delta, "reasoning"));
	nothing(o, "usage");
	nothing(o, "x_groq");
	nothing(o, "error");
	nothing(choice, "finish_reason");
	nothing(delta, "tool_calls");
	nothing(delta, "refusal");
	nothing(delta, "reasoning_details");
}

static void check_anthropic(const struct text_block_chunk *c, const json_t *o)
{
	const json_t *delta = json_get(o, "delta");
	const char *type = json_get_str(o, "type"), *of_delta = json_get_str(delta, "type");
	long long index;

	REQUIRE(type && strcmp(type, "content_block_delta") == 0);
	REQUIRE(json_get_int(o, "index", &index) && index == c->index);
	REQUIRE(of_delta &&
		strcmp(of_delta, c->is_thinking ? "thinking_delta" : "text_delta") == 0);
	same(c->text, json_get(delta, c->is_thinking ? "thinking" : "text"));
	nothing(o, "error");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf auto_buf room = BUF_INIT;
	struct buf auto_buf other = BUF_INIT;
	struct str chunk = {(const char *)data, size};
	struct text_chunk c;
	struct text_block_chunk b;
	bool is_chunk = text_chunk_openai(chunk, &room, &c);
	bool is_block = text_chunk_anthropic(chunk, &other, &b);
	auto_json json_t *o = NULL;

	if (!is_chunk && !is_block)
		return 0;
	o = json_read(chunk.p, chunk.n, NULL, 0);
	REQUIRE(o && is_chunk != is_block);
	if (is_chunk)
		check_openai(&c, o);
	else
		check_anthropic(&b, o);
	return 0;
}
