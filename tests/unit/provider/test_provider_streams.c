/*
 * test_provider_streams.c - each recorded stream, split anywhere, yields what its .expect.json
 * says.
 */
#include "chatd/provider/reply.h"

#include <time.h>

#include "common/json.h"
#include "common/limits.h"
#include "tests/unit/provider/golden.h"
#include "tests/unit/provider/run_cases.h"

/* What a listener was told of one answer. */
struct told {
	const char *name;
	const char *how;
	struct buf text, reasoning;
};

static void take_deltas(struct answer *a, struct told *told)
{
	enum delta_kind kind;
	struct str s;

	while (answer_next(a, &kind, &s)) {
		ck_assert_msg(s.n > 0, "%s: empty delta", told->name);
		ck_assert_msg(json_utf8_prefix(s.p, s.n) == s.n, "%s: half a character",
			      told->name);
		buf_add(kind == DELTA_TEXT ? &told->text : &told->reasoning, s.p, s.n);
	}
}

static void same_string(const struct told *t, const char *what, const char *got, size_t n,
			const json_t *want)
{
	ck_assert_msg(json_is_string(want) || json_is_null(want), "%s: %s", t->name, what);
	if (!json_is_string(want)) {
		ck_assert_msg(got == NULL, "%s (%s): %s is \"%s\" instead of null", t->name, t->how,
			      what, got);
		return;
	}
	ck_assert_msg(got && n == json_string_length(want) &&
			      memcmp(got, json_string_value(want), n) == 0,
		      "%s (%s): %s is \"%.*s\" instead of \"%s\"", t->name, t->how, what, (int)n,
		      got ? got : "(null)", json_string_value(want));
}

static void same_text(const struct told *t, const char *what, const char *got, const json_t *want)
{
	same_string(t, what, got, got ? strlen(got) : 0, want);
}

static void same_calls(const struct told *t, const struct provider_result *r, const json_t *want)
{
	const json_t *call;
	size_t i;

	ck_assert_msg(r->n_calls == json_array_size(want), "%s (%s): %zu calls instead of %zu",
		      t->name, t->how, r->n_calls, json_array_size(want));
	json_array_foreach (want, i, call) {
		const struct provider_call *c = &r->calls[i];

		same_text(t, "call id", c->id, json_object_get(call, "id"));
		same_text(t, "call name", c->name, json_object_get(call, "name"));
		same_string(t, "call arguments", c->arguments.p, c->arguments.n,
			    json_object_get(call, "arguments"));
		ck_assert_msg(!r->fault || c->cut, "%s: a call of a failed answer may run",
			      t->name);
	}
}

static void same_number(const struct told *t, const char *what, int64_t got, const json_t *want)
{
	if (want)
		ck_assert_msg(got == json_integer_value(want),
			      "%s (%s): %s is %lld instead of %lld", t->name, t->how, what,
			      (long long)got, (long long)json_integer_value(want));
}

static void same_usage(const struct told *t, const struct provider_usage *u, const json_t *want)
{
	ck_assert_msg(u->known == json_is_object(want), "%s (%s): usage", t->name, t->how);
	same_number(t, "input", u->input, json_object_get(want, "input"));
	same_number(t, "output", u->output, json_object_get(want, "output"));
	same_number(t, "cache_read", u->cache_read, json_object_get(want, "cache_read"));
	same_number(t, "cache_write", u->cache_write, json_object_get(want, "cache_write"));
}

static void same_error(const struct told *t, const struct provider_result *r, const json_t *want)
{
	const json_t *code = json_object_get(want, "code");
	const char *type = json_string_value(json_object_get(want, "type"));
	char number[32];

	if (!json_is_object(want)) {
		ck_assert_msg(r->fault == FAULT_NONE, "%s (%s): fault %d: %s", t->name, t->how,
			      r->fault, r->error.message ? r->error.message : "");
		return;
	}
	same_text(t, "error type", r->error.type, json_object_get(want, "type"));
	if (type && strcmp(type, "truncated") == 0) {
		ck_assert_int_eq(r->fault, FAULT_PROVIDER_TRUNCATED);
		return; /* the message is our own */
	}
	ck_assert_msg(r->fault == FAULT_PROVIDER_ERROR, "%s: fault %d", t->name, r->fault);
	ck_assert_int_eq(r->error.http_status, 200);
	same_text(t, "error message", r->error.message, json_object_get(want, "message"));
	if (json_is_integer(code)) {
		(void)snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(code));
		ck_assert_str_eq(r->error.code, number);
	} else {
		same_text(t, "error code", r->error.code, code);
	}
}

/* What only Anthropic has: block types, the provider's own calls, signatures. */
static void same_blocks(const struct told *t, const struct anthropic_stream *s,
			const json_t *expect)
{
	const json_t *blocks = json_object_get(expect, "blocks");
	const json_t *calls = json_object_get(expect, "server_tool_calls");
	const json_t *signatures = json_object_get(expect, "signatures");
	size_t n_calls = 0, n_signatures = 0;

	ck_assert_msg(s->n_blocks == json_array_size(blocks) || t->name[0] == '\0',
		      "%s (%s): %zu blocks", t->name, t->how, s->n_blocks);
	for (size_t i = 0; i < s->n_blocks; i++) {
		const json_t *o = s->blocks[i].object;
		const char *type = json_get_str(o, "type");
		const json_t *call = json_array_get(calls, n_calls);

		same_text(t, "block type", type, json_array_get(blocks, i));
		if (strcmp(type, "thinking") == 0)
			same_text(t, "signature", json_get_str(o, "signature"),
				  json_array_get(signatures, n_signatures++));
		if (strcmp(type, "server_tool_use") != 0 && strcmp(type, "mcp_tool_use") != 0)
			continue;
		n_calls++;
		same_text(t, "server call type", type, json_object_get(call, "type"));
		same_text(t, "server call id", json_get_str(o, "id"), json_object_get(call, "id"));
		same_text(t, "server call name", json_get_str(o, "name"),
			  json_object_get(call, "name"));
		same_text(t, "server call arguments", json_get_str(o, "input"),
			  json_object_get(call, "arguments"));
	}
	ck_assert_uint_eq(n_calls, json_array_size(calls));
	ck_assert_uint_eq(n_signatures, json_array_size(signatures));
}

static size_t next_piece(size_t split, size_t left, unsigned *seed)
{
	size_t n = split;

	if (split == 0)
		n = left;
	else if (split == SIZE_MAX)
		n = 1 + (size_t)rand_r(seed) % 700;
	return n < left ? n : left;
}

/* split: bytes a read; 0: all at once; SIZE_MAX: random sizes. */
static void replay(const struct golden *g, size_t split, unsigned seed)
{
	const char *protocol = json_get_str(g->expect, "protocol");
	bool anthropic = strcmp(protocol, "anthropic-messages") == 0;
	char how[64];
	struct told t = {.name = g->name, .how = how};
	struct provider_result r;
	struct reply reply;

	(void)snprintf(how, sizeof(how), "split %zd, seed %u", (ssize_t)split, seed);
	reply_init(&reply, anthropic ? DIALECT_ANTHROPIC : DIALECT_OPENAI);
	for (size_t at = 0; at < g->body.len && !reply.answer.over;) {
		size_t n = next_piece(split, g->body.len - at, &seed);
		/* an exact copy, so that a read beyond the piece is noticed */
		char *piece = str_dup((struct str){g->body.data + at, n});
		const char *p = piece;

		at += n;
		while (n > 0 && !reply.answer.over) {
			(void)reply_feed(&reply, &p, &n);
			take_deltas(&reply.answer, &t);
		}
		free(piece);
	}
	reply_end(&reply);
	take_deltas(&reply.answer, &t);
	answer_result(&reply.answer, &r);
	same_string(&t, "text", t.text.data ? t.text.data : "", t.text.len,
		    json_object_get(g->expect, "text"));
	same_string(&t, "reasoning", t.reasoning.data ? t.reasoning.data : "", t.reasoning.len,
		    json_object_get(g->expect, "reasoning"));
	same_error(&t, &r, json_object_get(g->expect, "error"));
	same_calls(&t, &r, json_object_get(g->expect, "tool_calls"));
	same_text(&t, "stop_reason", r.stop_reason, json_object_get(g->expect, "stop_reason"));
	same_usage(&t, &r.usage, json_object_get(g->expect, "usage"));
	if (json_object_get(g->expect, "refusal"))
		same_text(&t, "refusal", r.refusal, json_object_get(g->expect, "refusal"));
	else
		ck_assert_msg(!r.refusal, "%s: refusal", g->name);
	if (anthropic)
		same_blocks(&t, &reply.stream.anthropic, g->expect);
	buf_fini(&t.text);
	buf_fini(&t.reasoning);
	reply_fini(&reply);
}

struct splits {
	size_t split;
	unsigned seed;
};

static void replay_one(const struct golden *g, void *arg)
{
	const struct splits *s = arg;

	replay(g, s->split, s->seed);
}

/* PRV-1 PRV-2 PRV-5 */
START_TEST(a_recorded_stream_yields_what_is_expected_however_it_is_split)
{
	static const size_t sizes[] = {0, 1, 3, 1448};
	struct splits s = {sizes[_i], 0};

	ck_assert_int_ge(golden_each(".sse", replay_one, &s), 100);
}
END_TEST

/* PRV-5 */
START_TEST(random_pieces_make_no_difference)
{
	struct splits s = {SIZE_MAX, (unsigned)time(NULL)};

	(void)fprintf(stderr, "# seed %u\n", s.seed);
	ck_assert_int_ge(golden_each(".sse", replay_one, &s), 100);
}
END_TEST

/* --- forms that no recording has --- */

struct outcome {
	struct buf text;
	struct reply reply;
	struct provider_result r;
};

static void answer_of(struct outcome *o, enum dialect d, const char *body, size_t n)
{
	struct told t = {.name = "inline", .how = ""};
	const char *p = body;

	reply_init(&o->reply, d);
	while (n > 0 && !o->reply.answer.over)
		(void)reply_feed(&o->reply, &p, &n);
	reply_end(&o->reply);
	take_deltas(&o->reply.answer, &t);
	answer_result(&o->reply.answer, &o->r);
	o->text = t.text;
	buf_fini(&t.reasoning);
}

static void outcome_fini(struct outcome *o)
{
	buf_fini(&o->text);
	reply_fini(&o->reply);
}

/* PRV-5 FAF-7 */
START_TEST(a_200_that_is_no_stream_is_the_right_error)
{
	static const struct {
		enum dialect dialect;
		const char *body;
		enum fault fault;
		const char *type, *message;
	} cases[] = {
		{DIALECT_OPENAI, "", FAULT_PROVIDER_TRUNCATED, "truncated", NULL},
		{DIALECT_ANTHROPIC, "", FAULT_PROVIDER_TRUNCATED, "truncated", NULL},
		{DIALECT_OPENAI, "\n\n", FAULT_PROVIDER_TRUNCATED, "truncated", NULL},
		{DIALECT_OPENAI, "data: [DONE]\n\n", FAULT_PROVIDER_TRUNCATED, "truncated", NULL},
		{DIALECT_OPENAI, "data: [DONE] ", FAULT_PROVIDER_TRUNCATED, "truncated", NULL},
		{DIALECT_OPENAI, "{\"error\":{\"message\":\"too long\",\"type\":\"t\"}}",
		 FAULT_PROVIDER_ERROR, "t", "too long"},
		{DIALECT_OPENAI, "\r\n [{\"error\":{\"message\":\"boxed\"}}]", FAULT_PROVIDER_ERROR,
		 NULL, "boxed"},
		{DIALECT_OPENAI, "{\"detail\":\"no\"}", FAULT_PROVIDER_ERROR, NULL, "no"},
		{DIALECT_ANTHROPIC,
		 "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"m\"}}",
		 FAULT_PROVIDER_ERROR, "api_error", "m"},
		{DIALECT_OPENAI, "{\"error\":{\"message\":\"cut", FAULT_PROVIDER_PROTOCOL, NULL,
		 NULL},
		{DIALECT_OPENAI, "{\"hello\":1}", FAULT_PROVIDER_PROTOCOL, NULL, NULL},
		{DIALECT_ANTHROPIC, "{\"hello\":1}", FAULT_PROVIDER_PROTOCOL, NULL, NULL},
		{DIALECT_OPENAI, "<!DOCTYPE html><html>", FAULT_PROVIDER_PROTOCOL, NULL, NULL},
		{DIALECT_ANTHROPIC, "\n<html>", FAULT_PROVIDER_PROTOCOL, NULL, NULL},
		{DIALECT_OPENAI, "data: {oops}\n\n", FAULT_PROVIDER_PROTOCOL, NULL, NULL},
		{DIALECT_ANTHROPIC, "data: {oops}\n\n", FAULT_PROVIDER_PROTOCOL, NULL, NULL},
		{DIALECT_OPENAI, "event: error\ndata: out of memory\n\n", FAULT_PROVIDER_ERROR,
		 NULL, "out of memory"},
		{DIALECT_OPENAI, "error: {\"detail\":\"x\",\"error\":{\"message\":\"box\"}}\n",
		 FAULT_PROVIDER_ERROR, NULL, "box"},
		{DIALECT_OPENAI,
		 "data: {\"object\":\"error\",\"message\":\"old\",\"code\":400}\n\n",
		 FAULT_PROVIDER_ERROR, NULL, "old"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct outcome o;

		answer_of(&o, cases[i].dialect, cases[i].body, strlen(cases[i].body));
		ck_assert_msg(o.r.fault == cases[i].fault, "%s: fault %d", cases[i].body,
			      o.r.fault);
		ck_assert_pstr_eq(o.r.error.type, cases[i].type);
		if (cases[i].message)
			ck_assert_pstr_eq(o.r.error.message, cases[i].message);
		ck_assert_ptr_nonnull(o.r.error.message);
		outcome_fini(&o);
	}
}
END_TEST

/* PRV-5 */
START_TEST(odd_chunks_are_read_leniently)
{
	static const struct {
		const char *chunk, *text;
	} cases[] = {
		{"{\"choices\":[{\"delta\":{\"content\":\"a\\ud83db\"}}]}", "a\xef\xbf\xbd"
									    "b"},
		{"{\"choices\":[{\"delta\":{\"content\":\"\\ude00\"}}]}", "\xef\xbf\xbd"},
		{"{\"choices\":[{\"delta\":{\"content\":\"\\ud83d\\ude00\"}}]}",
		 "\xf0\x9f\x98\x80"},
		{"{\"choices\":[{\"delta\":{\"content\":\"a\xf0\x9f\"}}]}",
		 "a\xef\xbf\xbd\xef\xbf\xbd"},
		{"{\"created\":123456789012345678901234567890,\"choices\":[{\"delta\":{\"content\":"
		 "\"x\"}}]}",
		 "x"},
		{"{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}},{\"index\":1,\"delta\":"
		 "{"
		 "\"content\":\"y\"}}]}",
		 "x"},
		{"{\"choices\":null}", ""},
		{"{\"choices\":[null,{}]}", ""},
		{"{\"error\":null,\"choices\":[{\"delta\":null}]}", ""},
		{"7", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf body = BUF_INIT;
		struct outcome o;

		buf_addf(&body,
			 "data: %s\n\ndata: "
			 "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
			 cases[i].chunk);
		answer_of(&o, DIALECT_OPENAI, body.data, body.len);
		ck_assert_msg(o.r.fault == FAULT_NONE, "%s: %d", cases[i].chunk, o.r.fault);
		ck_assert_str_eq(buf_str(&o.text), cases[i].text);
		outcome_fini(&o);
		buf_fini(&body);
	}
}
END_TEST

/* PRV-5 */
START_TEST(a_nul_in_the_text_is_passed_through)
{
	static const char body[] = "data: {\"choices\":[{\"delta\":{\"content\":\"a\\u0000b\"},"
				   "\"finish_reason\":\"stop\"}]}\n\n";
	struct outcome o;

	answer_of(&o, DIALECT_OPENAI, body, sizeof(body) - 1);
	ck_assert_uint_eq(o.text.len, 3);
	ck_assert_mem_eq(o.text.data, "a\0b", 3);
	outcome_fini(&o);
}
END_TEST

/* PRV-1: servers that overlook "stream": true */
START_TEST(a_whole_answer_instead_of_a_stream_is_taken)
{
	static const char body[] =
		"{\"object\":\"chat.completion\",\"choices\":[{\"message\":{\"role\":\"assistant\","
		"\"content\":\"hi\",\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\","
		"\"arguments\":\"{}\"}}]},\"finish_reason\":\"stop\"}],"
		"\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}";
	struct outcome o;

	answer_of(&o, DIALECT_OPENAI, body, sizeof(body) - 1);
	ck_assert_int_eq(o.r.fault, FAULT_NONE);
	ck_assert_str_eq(buf_str(&o.text), "hi");
	ck_assert_uint_eq(o.r.n_calls, 1);
	ck_assert(!o.r.calls[0].cut);
	ck_assert_int_eq(o.r.usage.output, 2);
	outcome_fini(&o);
}
END_TEST

/* TOL-4: the calls of a step are told apart and keep their order */
START_TEST(calls_without_or_with_equal_indexes_are_told_apart)
{
	static const char *const bodies[] = {
		/* no index at all */
		"data: "
		"{\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":"
		"\"f\","
		"\"arguments\":\"{}\"}},{\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":"
		"\"{\"}},"
		"{\"function\":{\"arguments\":\"}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n",
		/* each has index 0 */
		"data: "
		"{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{"
		"\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}\n\n"
		"data: "
		"{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"b\",\"function\":{"
		"\"name\":\"g\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n",
		/* interleaved */
		"data: "
		"{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{"
		"\"name\":\"f\",\"arguments\":\"{\"}},{\"index\":1,\"id\":\"b\",\"function\":{"
		"\"name\":"
		"\"g\",\"arguments\":\"{\"}},{\"index\":0,\"function\":{\"arguments\":\"}\"}},{"
		"\"index\":1,"
		"\"function\":{\"arguments\":\"}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n",
	};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
		struct outcome o;

		answer_of(&o, DIALECT_OPENAI, bodies[i], strlen(bodies[i]));
		ck_assert_msg(o.r.n_calls == 2, "case %zu: %zu calls", i, o.r.n_calls);
		for (int k = 0; k < 2; k++) {
			ck_assert_str_eq(o.r.calls[k].id, k ? "b" : "a");
			ck_assert_str_eq(o.r.calls[k].name, k ? "g" : "f");
			ck_assert(str_eq(o.r.calls[k].arguments, "{}"));
			ck_assert(!o.r.calls[k].cut);
		}
		outcome_fini(&o);
	}
}
END_TEST

/* PRV-5 */
START_TEST(a_call_that_length_cut_is_marked)
{
	static const char openai[] =
		"data: {\"choices\":[{\"delta\":{\"tool_calls\":["
		"{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
		"{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]},"
		"\"finish_reason\":\"length\"}]}\n\n";
	static const char anthropic[] =
		"data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":"
		"\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}}}\n\n"
		"data: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
		"data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":"
		"\"tool_use\",\"id\":\"b\",\"name\":\"g\",\"input\":{}}}\n\n"
		"data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"max_tokens\"}}\n\n";

	for (int i = 0; i < 2; i++) {
		const char *body = i ? anthropic : openai;
		struct outcome o;

		answer_of(&o, i ? DIALECT_ANTHROPIC : DIALECT_OPENAI, body, strlen(body));
		ck_assert_int_eq(o.r.fault, FAULT_NONE);
		ck_assert_uint_eq(o.r.n_calls, 2);
		ck_assert(!o.r.calls[0].cut);
		ck_assert(o.r.calls[1].cut);
		outcome_fini(&o);
	}
}
END_TEST

/* one delta with n tool calls */
static void many_calls(struct outcome *o, int n)
{
	struct buf auto_buf body = BUF_INIT;

	for (int i = 0; i < n; i++)
		buf_addf(&body,
			 "data: "
			 "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":%d,\"id\":\"c%d\","
			 "\"function\":{\"name\":\"f\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n",
			 i, i);
	answer_of(o, DIALECT_OPENAI, body.data, body.len);
}

START_TEST(more_tool_calls_than_the_limit_are_a_fault)
{
	struct outcome o;

	many_calls(&o, LIMIT_TOOL_CALLS);
	ck_assert_int_eq(o.r.fault, FAULT_NONE);
	ck_assert_uint_eq(o.r.n_calls, LIMIT_TOOL_CALLS);
	outcome_fini(&o);
	many_calls(&o, LIMIT_TOOL_CALLS + 1);
	ck_assert_int_eq(o.r.fault, FAULT_PROVIDER_PROTOCOL);
	outcome_fini(&o);
}
END_TEST

static void many_blocks(struct outcome *o, int n)
{
	struct buf auto_buf body = BUF_INIT;

	for (int i = 0; i < n; i++)
		buf_addf(&body,
			 "data: {\"type\":\"content_block_start\",\"index\":%d,\"content_block\":{"
			 "\"type\":\"new\"}}\n\n",
			 i);
	buf_adds(&body,
		 "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n");
	answer_of(o, DIALECT_ANTHROPIC, body.data, body.len);
}

START_TEST(more_blocks_than_the_limit_are_a_fault)
{
	struct outcome o;

	many_blocks(&o, LIMIT_BLOCKS);
	ck_assert_int_eq(o.r.fault, FAULT_NONE);
	outcome_fini(&o);
	many_blocks(&o, LIMIT_BLOCKS + 1);
	ck_assert_int_eq(o.r.fault, FAULT_PROVIDER_PROTOCOL);
	outcome_fini(&o);
}
END_TEST

/* PRV-1 */
START_TEST(reasoning_is_kept_for_the_way_back)
{
	static const char body[] =
		"data: "
		"{\"choices\":[{\"delta\":{\"reasoning_content\":\"a\",\"reasoning_details\":["
		"{\"type\":\"reasoning.text\",\"text\":\"a\",\"index\":0}]}}]}\n\n"
		"data: "
		"{\"choices\":[{\"delta\":{\"reasoning_content\":\"b\",\"reasoning_details\":["
		"{\"type\":\"reasoning.text\",\"text\":\"b\",\"index\":0}]}}]}\n\n"
		"data: "
		"{\"choices\":[{\"delta\":{\"reasoning_details\":[{\"type\":\"reasoning.text\","
		"\"signature\":\"S\",\"index\":0},{\"type\":\"reasoning.encrypted\",\"data\":\"D\","
		"\"index\":1}]},\"finish_reason\":\"stop\"}]}\n\n";
	static const char want[] =
		"{\"reasoning_content\":\"ab\",\"reasoning_details\":[{\"type\":\"reasoning.text\","
		"\"text\":\"ab\",\"index\":0,\"signature\":\"S\"},{\"type\":\"reasoning."
		"encrypted\","
		"\"data\":\"D\",\"index\":1}]}";
	struct outcome o;
	char *echo;

	answer_of(&o, DIALECT_OPENAI, body, sizeof(body) - 1);
	echo = json_text(o.r.echo);
	ck_assert_str_eq(echo, want);
	free(echo);
	outcome_fini(&o);
}
END_TEST

/* PRV-2 */
START_TEST(blocks_are_kept_for_the_way_back_but_for_empty_and_cut_ones)
{
	static const char body[] =
		"data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":"
		"\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n"
		"data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
		"\"thinking_delta\",\"thinking\":\"hm\"}}\n\n"
		"data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
		"\"signature_delta\",\"signature\":\"S\"}}\n\n"
		"data: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
		"data: "
		"{\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":"
		"\"text\","
		"\"text\":\"\"}}\n\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
		"data: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":"
		"\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}}\n\n"
		"data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":"
		"\"input_json_delta\",\"partial_json\":\"{\\\"x\\\": 0.10\"}}\n\n"
		"data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":"
		"\"input_json_delta\",\"partial_json\":\"}\"}}\n\n"
		"data: {\"type\":\"content_block_stop\",\"index\":2}\n\n"
		"data: {\"type\":\"content_block_start\",\"index\":3,\"content_block\":{\"type\":"
		"\"tool_use\",\"id\":\"u\",\"name\":\"f\",\"input\":{}}}\n\n"
		"data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"max_tokens\"}}\n\n";
	static const char want[] =
		"[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"S\"},"
		"{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":\"{\\\"x\\\": "
		"0.10}\"}]";
	struct outcome o;
	char *echo;

	answer_of(&o, DIALECT_ANTHROPIC, body, sizeof(body) - 1);
	echo = json_text(o.r.echo);
	ck_assert_str_eq(echo, want);
	free(echo);
	outcome_fini(&o);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("provider_streams");

	tcase_add_loop_test(t, a_recorded_stream_yields_what_is_expected_however_it_is_split, 0, 4);
	tcase_add_test(t, random_pieces_make_no_difference);
	tcase_add_test(t, a_200_that_is_no_stream_is_the_right_error);
	tcase_add_test(t, odd_chunks_are_read_leniently);
	tcase_add_test(t, a_nul_in_the_text_is_passed_through);
	tcase_add_test(t, a_whole_answer_instead_of_a_stream_is_taken);
	tcase_add_test(t, calls_without_or_with_equal_indexes_are_told_apart);
	tcase_add_test(t, a_call_that_length_cut_is_marked);
	tcase_add_test(t, more_tool_calls_than_the_limit_are_a_fault);
	tcase_add_test(t, more_blocks_than_the_limit_are_a_fault);
	tcase_add_test(t, reasoning_is_kept_for_the_way_back);
	tcase_add_test(t, blocks_are_kept_for_the_way_back_but_for_empty_and_cut_ones);
	return run_cases("provider_streams", t, 60);
}
