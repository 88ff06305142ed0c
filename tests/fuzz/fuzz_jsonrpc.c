/*
 * fuzz_jsonrpc.c - any bytes as what an MCP server writes: the lines must be the same however they
 * are split, and every message is taken to wherever the tool room would take it.
 *
 * The first byte says how the stream is split, the second how long a line may be.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "chatd/tool/jsonrpc.h"
#include "chatd/tool/mcp_dialogue.h"
#include "chatd/tool/mcp_result.h"
#include "chatd/tool/mcp_tools.h"
#include "common/json.h"
#include "common/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_result(const json_t *result)
{
	struct mcp_text text = {.limit = 300};
	struct mcp_tools tools = {0};

	(void)mcp_result_text(result, &text);
	REQUIRE(text.text.len <= 300);
	REQUIRE(!memchr(text.text.data ? text.text.data : "", '\0', text.text.len));
	REQUIRE(json_utf8_prefix(text.text.data ? text.text.data : "", text.text.len) ==
		text.text.len);
	buf_fini(&text.text);
	mcp_tools_add(&tools, "s", result);
	for (size_t i = 0; i < tools.n; i++) {
		size_t n = strlen(tools.v[i].model_name);

		REQUIRE(n > 0 && n <= 64 && json_is_object(tools.v[i].schema));
	}
	mcp_tools_fini(&tools);
}

static void use_line(struct mcp_dialogue *d, struct str line)
{
	struct jsonrpc_message m;
	struct buf out = BUF_INIT;

	switch (jsonrpc_parse(line, &m)) {
	case JSONRPC_NONSENSE:
		break;
	case JSONRPC_REQUEST:
		jsonrpc_add_error(&out, m.id, JSONRPC_NO_METHOD, "no");
		break;
	case JSONRPC_NOTIFICATION:
		REQUIRE(m.method);
		break;
	case JSONRPC_RESULT:
	case JSONRPC_ERROR:
		if (json_is_integer(m.id) && d->asked != MCP_ASKED_NOTHING)
			d->asked_id = (long long)json_integer_value(m.id);
		if (mcp_dialogue_answer(d, &m, &out) == MCP_STEP_LISTED)
			mcp_dialogue_list(d, &out);
		use_result(m.result);
		break;
	}
	/* whatever is written is whole lines */
	REQUIRE(out.len == 0 || out.data[out.len - 1] == '\n');
	buf_fini(&out);
	jsonrpc_message_fini(&m);
}

static void read_all(const uint8_t *data, size_t size, size_t limit, size_t piece, struct buf *out,
		     struct mcp_dialogue *d)
{
	struct jsonrpc_reader r = {.limit = limit};

	for (size_t at = 0; at < size; at += piece) {
		size_t n = piece < size - at ? piece : size - at;
		char *copy = malloc(n); /* exactly n bytes: the sanitizer sees any look beyond */
		struct str in = {copy, n};
		struct str line;
		enum jsonrpc_line what;
		long long id;

		REQUIRE(copy);
		memcpy(copy, data + at, n);
		while ((what = jsonrpc_read_line(&r, &in, &line)) != JSONRPC_LINE_MORE) {
			REQUIRE(line.n <= (what == JSONRPC_LINE_READY ? limit : 2 * JSONRPC_ENDS));
			buf_addc(out, what == JSONRPC_LINE_READY ? 'r' : 'l');
			buf_add(out, line.p, line.n);
			buf_addc(out, '\n');
			if (what == JSONRPC_LINE_TOO_LONG)
				(void)jsonrpc_id_of_ends(line, &id);
			else if (d)
				use_line(d, line);
		}
		free(copy);
	}
	jsonrpc_reader_fini(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mcp_dialogue d = {.server = "s"};
	struct buf whole = BUF_INIT;
	struct buf split = BUF_INIT;
	size_t limit;

	if (size < 3)
		return 0;
	limit = (size_t)data[1] * 16 + 1;
	mcp_dialogue_open(&d, &whole);
	buf_clear(&whole);
	read_all(data + 2, size - 2, limit, size, &whole, &d);
	read_all(data + 2, size - 2, limit, data[0] % 64 + 1U, &split, NULL);
	REQUIRE(whole.len == split.len);
	REQUIRE(whole.len == 0 || memcmp(whole.data, split.data, whole.len) == 0);
	buf_fini(&whole);
	buf_fini(&split);
	mcp_dialogue_fini(&d);
	return 0;
}
