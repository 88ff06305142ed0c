/*
 * test_requests.c - what is POSTed to each kind of provider.
 */
#include "chatd/provider/anthropic.h"
#include "chatd/provider/openai.h"

#include "common/json.h"
#include "tests/unit/provider/run_cases.h"

static void set(char **field, const char *value)
{
	free(*field);
	*field = value ? str_dup(str_of(value)) : NULL;
}

static struct provider_conf *conf_of(const char *type, const char *extra)
{
	struct provider_conf *c = provider_conf_new("p");
	const char *key, *why;

	set(&c->type, type);
	set(&c->base_url, "http://h/v1/");
	set(&c->model, "m");
	set(&c->extra, extra);
	why = provider_conf_finish(c, &key);
	ck_assert_msg(!why, "%s: %s", key, why);
	return c;
}

static json_t *parse(const char *text)
{
	char error[256] = "";
	json_t *v = json_read(text, strlen(text), error, sizeof(error));

	ck_assert_msg(v, "%s: %s", error, text);
	return v;
}

static bool has_header(const struct provider_request *r, const char *line)
{
	for (size_t i = 0; i < r->n_headers; i++) {
		if (strcmp(r->headers[i], line) == 0)
			return true;
	}
	return false;
}

/* The body for these messages and tools. */
static void check_body(const struct provider_conf *c, const char *messages, const char *tools,
		       const char *system, const char *want)
{
	struct question q = {.conf = (struct provider_conf *)c,
			     .system = system,
			     .messages = parse(messages),
			     .tools = tools ? parse(tools) : NULL};
	struct provider_request r = {0};

	if (strcmp(c->type, "anthropic") == 0)
		anthropic_request(&r, &q);
	else
		openai_request(&r, &q);
	json_decref(parse(buf_str(&r.body)));
	ck_assert_str_eq(buf_str(&r.body), want);
	provider_request_fini(&r);
	json_decref(q.messages);
	json_decref(q.tools);
}

#define USER "{\"role\":\"user\",\"content\":\"hi\"}"
#define TOOLS                                                                                     \
	"[{\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"type\":\"object\"}},{\"name\":" \
	"\"g\"}]"

#define OPENAI(messages)                          \
	"{\"model\":\"m\",\"messages\":" messages \
	",\"stream\":true,\"stream_options\":{\"include_usage\":true}}"
#define ANTHROPIC(messages) \
	"{\"model\":\"m\",\"max_tokens\":8192,\"stream\":true,\"messages\":" messages "}"

/* two calls whose results come in the other order, one with floats that must not change */
#define CALLS                                                                                      \
	"[" USER ",{\"role\":\"assistant\",\"content\":\"t\",\"reasoning\":\"r\",\"tool_calls\":[" \
	"{\"id\":\"a\",\"name\":\"f\",\"arguments\":\"{\\\"x\\\": 0.10}\"},"                       \
	"{\"id\":\"b\",\"name\":\"g\",\"arguments\":\"\"}]},"                                      \
	"{\"role\":\"tool\",\"tool_call_id\":\"b\",\"content\":\"B\",\"is_error\":true},"          \
	"{\"role\":\"tool\",\"tool_call_id\":\"zombie\",\"content\":\"Z\"},"                       \
	"{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":\"A\"}," USER "]"

struct body_case {
	const char *name, *messages, *want;
};

static const struct body_case openai_cases[] = {
	{"plain", "[" USER "]", OPENAI("[" USER "]")},
	{"parts",
	 "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"see\"},{\"type\":"
	 "\"image\","
	 "\"media_type\":\"image/png\",\"data\":\"AAAA\"},{\"type\":\"new\"}]}]",
	 OPENAI("[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"see\"},{\"type\":"
		"\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAAA\"}}]}]")},
	/* TOL-4 */
	{"results stand in the order of the calls", CALLS,
	 OPENAI("[" USER ",{\"role\":\"assistant\",\"content\":\"t\",\"tool_calls\":["
		"{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
		"\"{\\\"x\\\": 0.10}\"}},"
		"{\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":"
		"\"{}\"}}]},"
		"{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":\"A\"},"
		"{\"role\":\"tool\",\"tool_call_id\":\"b\",\"content\":\"B\"}," USER "]")},
	{"a missing result is filled in",
	 "[" USER
	 ",{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"a\",\"name\":"
	 "\"f\",\"arguments\":\"{}\"}]}," USER "]",
	 OPENAI("[" USER ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"a\","
		"\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
		"{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":\"There is no result: the "
		"call was interrupted before it ended.\"}," USER "]")},
	{"an empty assistant message is left out",
	 "[" USER ",{\"role\":\"assistant\",\"content\":\"\"}," USER "]",
	 OPENAI("[" USER "," USER "]")},
	{"reasoning goes back inside the turn only, details always",
	 "[" USER ",{\"role\":\"assistant\",\"content\":\"1\",\"echo\":{\"provider\":\"openai\","
	 "\"blocks\":{\"reasoning_content\":\"old\",\"reasoning_details\":[1]}}}," USER
	 ",{\"role\":\"assistant\",\"content\":\"2\",\"echo\":{\"provider\":\"openai\",\"blocks\":{"
	 "\"reasoning_content\":\"new\"}}}]",
	 OPENAI("[" USER
		",{\"role\":\"assistant\",\"content\":\"1\",\"reasoning_details\":[1]}," USER
		",{\"role\":\"assistant\",\"content\":\"2\",\"reasoning_content\":\"new\"}]")},
	{"a foreign echo is left out",
	 "[" USER ",{\"role\":\"assistant\",\"content\":\"1\",\"echo\":{\"provider\":\"anthropic\","
	 "\"blocks\":[{\"type\":\"text\",\"text\":\"1\"}]}}]",
	 OPENAI("[" USER ",{\"role\":\"assistant\",\"content\":\"1\"}]")},
};

/* PRV-1 */
START_TEST(openai_messages)
{
	struct provider_conf *c = conf_of("openai", NULL);

	check_body(c, openai_cases[_i].messages, NULL, NULL, openai_cases[_i].want);
	provider_conf_unref(c);
}
END_TEST

#define A_USER "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}"

static const struct body_case anthropic_cases[] = {
	{"plain", "[" USER "]", ANTHROPIC("[" A_USER "]")},
	{"neighbours of one role are joined, empty texts dropped",
	 "[" USER ",{\"role\":\"user\",\"content\":\"\"},{\"role\":\"user\",\"content\":[{\"type\":"
	 "\"image\",\"media_type\":\"image/png\",\"data\":\"AAAA\"}]}]",
	 ANTHROPIC(
		 "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"},{\"type\":"
		 "\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":"
		 "\"AAAA\"}}]}]")},
	{"the user speaks first", "[{\"role\":\"assistant\",\"content\":\"x\"}," USER "]",
	 ANTHROPIC("[" A_USER "]")},
	/* TOL-4 */
	{"all results stand in one message, before the text", CALLS,
	 ANTHROPIC("[" A_USER
		   ",{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"t\"},"
		   "{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{\"x\": 0.10}},"
		   "{\"type\":\"tool_use\",\"id\":\"b\",\"name\":\"g\",\"input\":{}}]},"
		   "{\"role\":\"user\",\"content\":["
		   "{\"type\":\"tool_result\",\"tool_use_id\":\"a\",\"content\":\"A\"},"
		   "{\"type\":\"tool_result\",\"tool_use_id\":\"b\",\"content\":\"B\",\"is_error\":"
		   "true},"
		   "{\"type\":\"text\",\"text\":\"hi\"}]}]")},
	{"an echo goes back unchanged, with the raw input",
	 "[" USER ",{\"role\":\"assistant\",\"content\":\"ignored\",\"echo\":{\"provider\":"
	 "\"anthropic\",\"blocks\":[{\"type\":\"thinking\",\"thinking\":\"h\",\"signature\":\"S\"},"
	 "{\"type\":\"redacted_thinking\",\"data\":\"D\"},{\"type\":\"tool_use\",\"id\":\"a\","
	 "\"name\":\"f\",\"input\":\"{\\\"x\\\": 0.10}\"}]},\"tool_calls\":[{\"id\":\"a\",\"name\":"
	 "\"f\",\"arguments\":\"{}\"}]},{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":\"\"}"
	 "]",
	 ANTHROPIC("[" A_USER ",{\"role\":\"assistant\",\"content\":["
		   "{\"type\":\"thinking\",\"thinking\":\"h\",\"signature\":\"S\"},"
		   "{\"type\":\"redacted_thinking\",\"data\":\"D\"},"
		   "{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{\"x\": 0.10}}]},"
		   "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":"
		   "\"a\"}]}]")},
	{"input that is no object becomes one",
	 "[" USER
	 ",{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"a\",\"name\":"
	 "\"f\",\"arguments\":\"{oops\"}]}]",
	 ANTHROPIC(
		 "[" A_USER ",{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":"
		 "\"a\",\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":"
		 "\"tool_result\",\"tool_use_id\":\"a\",\"content\":\"There is no result: the call "
		 "was interrupted before it ended.\",\"is_error\":true}]}]")},
};

/* PRV-2 */
START_TEST(anthropic_messages)
{
	struct provider_conf *c = conf_of("anthropic", NULL);

	check_body(c, anthropic_cases[_i].messages, NULL, NULL, anthropic_cases[_i].want);
	provider_conf_unref(c);
}
END_TEST

START_TEST(settings_and_extra_members_are_merged)
{
	struct provider_conf *c = conf_of("openai", "{\"temperature\":0.5,\"max_tokens\":7}");

	c->stream_options = false;
	c->max_tokens = 99;
	check_body(
		c, "[" USER "]", TOOLS, "be brief",
		"{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be "
		"brief\"}," USER
		"],\"stream\":true,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
		"\"description\":\"d\",\"parameters\":{\"type\":\"object\"}}},{\"type\":"
		"\"function\","
		"\"function\":{\"name\":\"g\",\"parameters\":{\"type\":\"object\",\"properties\":{}"
		"}}}],"
		"\"temperature\":0.5,\"max_tokens\":7}");
	provider_conf_unref(c);
	c = conf_of("anthropic", "{\"stop_sequences\":[\"x\"]}");
	set(&c->thinking, "2048");
	check_body(c, "[" USER "]", TOOLS, "be brief",
		   "{\"model\":\"m\",\"max_tokens\":10240,\"stream\":true,\"system\":\"be brief\","
		   "\"messages\":[" A_USER "],\"tools\":[{\"name\":\"f\",\"description\":\"d\","
		   "\"input_schema\":{\"type\":\"object\"}},{\"name\":\"g\",\"input_schema\":{"
		   "\"type\":"
		   "\"object\",\"properties\":{}}}],\"thinking\":{\"type\":\"enabled\","
		   "\"budget_tokens\":2048},\"stop_sequences\":[\"x\"]}");
	set(&c->thinking, "adaptive");
	set(&c->extra, NULL);
	check_body(c, "[" USER "]", NULL, NULL,
		   "{\"model\":\"m\",\"max_tokens\":8192,\"stream\":true,\"messages\":[" A_USER
		   "],\"thinking\":{\"type\":\"adaptive\"}}");
	provider_conf_unref(c);
}
END_TEST

/* PRV-6 */
START_TEST(url_and_headers_are_those_of_the_dialect)
{
	struct provider_conf *c = conf_of("openai", NULL);
	struct question q = {.conf = c, .model = "other", .messages = json_array()};
	struct provider_request r = {0};

	set(&c->api_key, "K");
	openai_request(&r, &q);
	ck_assert_str_eq(r.url, "http://h/v1/chat/completions");
	ck_assert(has_header(&r, "Authorization: Bearer K"));
	ck_assert(has_header(&r, "Content-Type: application/json"));
	ck_assert(strstr(buf_str(&r.body), "\"model\":\"other\""));
	ck_assert(!strchr(buf_str(&r.body), 'K'));
	provider_request_fini(&r);
	provider_conf_unref(c);
	c = conf_of("anthropic", NULL);
	q.conf = c;
	set(&c->api_key, "K");
	anthropic_request(&r, &q);
	ck_assert_str_eq(r.url, "http://h/v1/v1/messages");
	ck_assert(has_header(&r, "x-api-key: K"));
	ck_assert(has_header(&r, "anthropic-version: 2023-06-01"));
	ck_assert(!strchr(buf_str(&r.body), 'K'));
	provider_request_fini(&r);
	provider_conf_unref(c);
	json_decref(q.messages);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("requests");

	tcase_add_loop_test(t, openai_messages, 0, sizeof(openai_cases) / sizeof(*openai_cases));
	tcase_add_loop_test(t, anthropic_messages, 0,
			    sizeof(anthropic_cases) / sizeof(*anthropic_cases));
	tcase_add_test(t, settings_and_extra_members_are_merged);
	tcase_add_test(t, url_and_headers_are_those_of_the_dialect);
	return run_cases("requests", t, 20);
}
