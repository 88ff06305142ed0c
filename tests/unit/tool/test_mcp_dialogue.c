/*
 * test_mcp_dialogue.c - how an MCP server is opened.
 *
 * A conversation is a table of what the server answers; {id} in it is the id of our last request.
 */
#include "chatd/tool/mcp_dialogue.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "tests/unit/common/run_case.h"

#define INIT(version) \
	"\"result\":{\"protocolVersion\":\"" version "\",\"capabilities\":{\"tools\":{}}}"
#define DISCOVER(versions) \
	"\"result\":{\"supportedVersions\":" versions ",\"capabilities\":{\"tools\":{}}}"
#define ERROR(code) "\"error\":{\"code\":" code ",\"message\":\"m\"}"
#define LIST(names) "\"result\":{\"tools\":[" names "]}"
#define A	    "{\"name\":\"a\"}"
#define B	    "{\"name\":\"b\"}"

struct talk {
	const char *answer;
	enum mcp_step step;
	const char *next; /* the methods that are sent then, each with a blank behind it */
};

/* TOL-1: both eras of the protocol */
static const struct {
	const char *what;
	struct talk talk[6];
	size_t tools;
	enum mcp_era era;
	const char *why;
} t[] = {
	{"the newest of the old versions",
	 {{INIT("2025-11-25"), MCP_STEP_OPENED, "notifications/initialized tools/list "},
	  {LIST(A "," B), MCP_STEP_LISTED, ""}},
	 2,
	 MCP_LEGACY,
	 NULL},
	{"the oldest",
	 {{INIT("2024-11-05"), MCP_STEP_OPENED, "notifications/initialized tools/list "},
	  {LIST(A), MCP_STEP_LISTED, ""}},
	 1,
	 MCP_LEGACY,
	 NULL},
	{"one that is not known",
	 {{INIT("2025-01-01"), MCP_STEP_FAILED, ""}},
	 0,
	 MCP_LEGACY,
	 "speaks a version of MCP that is not known here: 2025-01-01"},
	{"none at all",
	 {{"\"result\":{}", MCP_STEP_FAILED, ""}},
	 0,
	 MCP_LEGACY,
	 "speaks a version of MCP that is not known here: (none)"},
	{"the new era",
	 {{ERROR("-32022"), MCP_STEP_MORE, "server/discover "},
	  {DISCOVER("[\"2026-07-28\"]"), MCP_STEP_OPENED, "tools/list "},
	  {LIST(A), MCP_STEP_LISTED, ""}},
	 1,
	 MCP_MODERN,
	 NULL},
	{"the new era, by a server that answers initialize with it",
	 {{INIT("2026-07-28"), MCP_STEP_MORE, "server/discover "},
	  {"\"result\":{}", MCP_STEP_OPENED, "tools/list "}},
	 0,
	 MCP_MODERN,
	 NULL},
	{"newer than we know",
	 {{ERROR("-32601"), MCP_STEP_MORE, "server/discover "},
	  {DISCOVER("[\"2030-01-01\",7]"), MCP_STEP_FAILED, ""}},
	 0,
	 MCP_LEGACY,
	 "speaks no version of MCP that is known here"},
	{"refused in both eras",
	 {{ERROR("-32603"), MCP_STEP_MORE, "server/discover "},
	  {ERROR("-32601"), MCP_STEP_FAILED, ""}},
	 0,
	 MCP_LEGACY,
	 "refuses to be opened: error -32601, m"},
	{"pages",
	 {{INIT("2025-11-25"), MCP_STEP_OPENED, "notifications/initialized tools/list "},
	  {"\"result\":{\"tools\":[" A "],\"nextCursor\":\"2\"}", MCP_STEP_MORE, "tools/list "},
	  {"\"result\":{\"tools\":[" B "],\"nextCursor\":\"\"}", MCP_STEP_LISTED, ""}},
	 2,
	 MCP_LEGACY,
	 NULL},
	{"no list, though it says it has tools",
	 {{INIT("2025-11-25"), MCP_STEP_OPENED, "notifications/initialized tools/list "},
	  {ERROR("-32601"), MCP_STEP_FAILED, ""}},
	 0,
	 MCP_LEGACY,
	 "does not list its tools: error -32601, m"},
	{"no list, and none promised",
	 {{"\"result\":{\"protocolVersion\":\"2025-06-18\"}", MCP_STEP_OPENED,
	   "notifications/initialized tools/list "},
	  {ERROR("-32601"), MCP_STEP_LISTED, ""}},
	 0,
	 MCP_LEGACY,
	 NULL},
};

/* Appends the methods of the lines in out, checks _meta, and empties it. */
static void methods(struct buf *out, enum mcp_era era, struct buf *names)
{
	struct jsonrpc_reader r = {.limit = 100000};
	struct str in = {out->data, out->len};
	struct jsonrpc_message m;
	struct str line;

	while (jsonrpc_read_line(&r, &in, &line) == JSONRPC_LINE_READY) {
		enum jsonrpc_kind kind = jsonrpc_parse(line, &m);
		const char *version = json_get_str(json_get(m.params, "_meta"),
						   "io.modelcontextprotocol/protocolVersion");

		ck_assert(kind == JSONRPC_REQUEST || kind == JSONRPC_NOTIFICATION);
		if (era == MCP_MODERN || strcmp(m.method, "server/discover") == 0)
			ck_assert_str_eq(version, MCP_MODERN_VERSION);
		else
			ck_assert_ptr_null(version);
		buf_addf(names, "%s ", m.method);
		jsonrpc_message_fini(&m);
	}
	jsonrpc_reader_fini(&r);
	buf_clear(out);
}

static enum mcp_step answer(struct mcp_dialogue *d, long long id, const char *text, struct buf *out)
{
	struct jsonrpc_message m;
	char line[500];
	enum mcp_step step;

	(void)snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":%lld,%s}", id, text);
	ck_assert_int_ne(jsonrpc_parse(str_of(line), &m), JSONRPC_NONSENSE);
	step = mcp_dialogue_answer(d, &m, out);
	jsonrpc_message_fini(&m);
	return step;
}

START_TEST(a_server_is_opened_in_the_era_that_it_speaks)
{
	struct mcp_dialogue d = {.server = "s"};
	struct buf out = BUF_INIT;
	struct buf names = BUF_INIT;

	mcp_dialogue_open(&d, &out);
	methods(&out, MCP_LEGACY, &names);
	ck_assert_str_eq(buf_str(&names), "initialize ");
	for (int i = 0; i < 6 && t[_i].talk[i].answer; i++) {
		const struct talk *k = &t[_i].talk[i];

		ck_assert_int_eq(answer(&d, d.last_id + 1, k->answer, &out), MCP_STEP_FOREIGN);
		ck_assert_msg(answer(&d, d.last_id, k->answer, &out) == k->step, "%s: %d",
			      t[_i].what, i);
		buf_clear(&names);
		methods(&out, k->step == MCP_STEP_MORE ? MCP_LEGACY : d.era, &names);
		ck_assert_str_eq(buf_str(&names), k->next);
	}
	ck_assert_uint_eq(d.tools.n, t[_i].tools);
	ck_assert_int_eq(d.era, t[_i].era);
	if (t[_i].why)
		ck_assert_str_eq(d.why, t[_i].why);
	buf_fini(&names);
	buf_fini(&out);
	mcp_dialogue_fini(&d);
}
END_TEST

/* TOL-1: list_changed, and a server that can't list a second time */
START_TEST(an_old_list_stays_until_a_new_one_is_whole)
{
	struct mcp_dialogue d = {.server = "s"};
	struct buf out = BUF_INIT;

	mcp_dialogue_open(&d, &out);
	(void)answer(&d, d.last_id, INIT("2025-11-25"), &out);
	(void)answer(&d, d.last_id, LIST(A), &out);
	mcp_dialogue_list(&d, &out);
	ck_assert_int_eq(
		answer(&d, d.last_id, "\"result\":{\"tools\":[" B "],\"nextCursor\":\"x\"}", &out),
		MCP_STEP_MORE);
	ck_assert_str_eq(d.tools.v[0].name, "a");
	ck_assert_int_eq(answer(&d, d.last_id, ERROR("-1"), &out), MCP_STEP_KEPT);
	ck_assert_str_eq(d.tools.v[0].name, "a");
	ck_assert_int_eq(answer(&d, d.last_id, LIST(B), &out), MCP_STEP_FOREIGN); /* twice */
	mcp_dialogue_list(&d, &out);
	ck_assert_int_eq(answer(&d, d.last_id, LIST(B), &out), MCP_STEP_LISTED);
	ck_assert_str_eq(d.tools.v[0].name, "b");
	buf_fini(&out);
	mcp_dialogue_fini(&d);
}
END_TEST

/* TOL-1: what a call looks like, and that nothing of a model can break the line */
START_TEST(a_call_carries_its_arguments_as_they_are)
{
	struct buf b = BUF_INIT;
	json_t *answers = json_pack("{s:{s:s}}", "k", "action", "decline");
	json_t *state = json_string("s");

	mcp_add_call(&b, MCP_LEGACY, 5, "a\nb",
		     str_of("{\"n\": 1.10,\n\"n2\":12345678901234567890}"), NULL, NULL);
	ck_assert_str_eq(buf_str(&b),
			 "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"tools/call\",\"params\":{"
			 "\"name\":\"a\\nb\",\"arguments\":{\"n\": 1.10, "
			 "\"n2\":12345678901234567890},\"_meta\":{\"progressToken\":5}}}\n");
	buf_clear(&b);
	mcp_add_call(&b, MCP_MODERN, 5, "a", str_of("{}"), answers, state);
	ck_assert_ptr_nonnull(strstr(buf_str(&b),
				     ",\"inputResponses\":{\"k\":{\"action\":"
				     "\"decline\"}},\"requestState\":\"s\",\"_meta\":{"));
	ck_assert_ptr_nonnull(strstr(buf_str(&b), "\"progressToken\":5}}}\n"));
	buf_clear(&b);
	mcp_add_cancelled(&b, MCP_LEGACY, 5, "r");
	ck_assert_str_eq(buf_str(&b),
			 "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{"
			 "\"requestId\":5,\"reason\":\"r\"}}\n");
	json_decref(answers);
	json_decref(state);
	buf_fini(&b);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("mcp_dialogue");

	tcase_add_loop_test(tc, a_server_is_opened_in_the_era_that_it_speaks, 0,
			    (int)(sizeof(t) / sizeof(*t)));
	tcase_add_test(tc, an_old_list_stays_until_a_new_one_is_whole);
	tcase_add_test(tc, a_call_carries_its_arguments_as_they_are);
	return run_case("mcp_dialogue", tc);
}
