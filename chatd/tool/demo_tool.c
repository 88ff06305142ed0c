/*
 * demo_tool.c - the built-in tool of the demo provider. See demo_tool.h.
 *
 * Deliberately not read-only by its hints (rolling again gives another result), so that the
 * policy of built-in tools asks before it runs. It holds no state but its schema.
 */
#include "chatd/tool/demo_tool.h"

#include <string.h>

#include "chatd/tool/tool_input.h"
#include "common/backoff.h"
#include "common/json.h"
#include "common/require.h"

static const char schema_text[] =
	"{\"type\":\"object\",\"properties\":{"
	"\"sides\":{\"type\":\"integer\",\"minimum\":2,\"maximum\":1000,"
	"\"description\":\"Sides of each die; 6 if absent\"},"
	"\"count\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":20,"
	"\"description\":\"How many dice; 1 if absent\"}},\"additionalProperties\":false}";

const struct tool *demo_tool(void)
{
	static struct tool tool = {
		.server = "demo",
		.name = "roll_dice",
		.model_name = "demo__roll_dice",
		.description = "Roll one or more dice and tell what they show.",
	};

	if (!tool.schema)
		tool.schema = json_read(schema_text, sizeof(schema_text) - 1, NULL, 0);
	REQUIRE(tool.schema);
	return &tool;
}

char *demo_tool_run(struct str arguments, bool *ret_is_error)
{
	struct buf b = BUF_INIT;
	char error[200];
	long long sides = 6;
	long long count = 1;
	unsigned sum = 0;
	json_t *input = tool_input_check(arguments, demo_tool()->schema, error, sizeof(error));

	*ret_is_error = !input;
	if (!input) {
		buf_adds(&b, error);
		return buf_steal(&b, NULL);
	}
	(void)json_get_int(input, "sides", &sides); /* absent: as they are */
	(void)json_get_int(input, "count", &count);
	json_decref(input);
	for (long long i = 0; i < count; i++) {
		/* the bias of a remainder is a thousandth of a millionth here */
		unsigned face = backoff_random() % (unsigned)sides + 1;

		buf_addf(&b, "%s%u", i ? ", " : "", face);
		sum += face;
	}
	if (count > 1)
		buf_addf(&b, " (sum %u)", sum);
	return buf_steal(&b, NULL);
}
