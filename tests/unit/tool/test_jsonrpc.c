/*
 * test_jsonrpc.c - lines and messages of JSON-RPC.
 */
#include "chatd/tool/jsonrpc.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "tests/unit/common/run_case.h"

/* Reads all of text in pieces of the given size; what came, as "line|line|(too long)|". */
static void read_all(const char *text, size_t limit, size_t piece, struct buf *out)
{
	struct jsonrpc_reader r = {.limit = limit};
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i += piece) {
		/* a copy, so that a look beyond it is seen */
		char *bytes = strndup(text + i, piece);
		struct str in = str_of(bytes);
		struct str line;
		enum jsonrpc_line what;

		while ((what = jsonrpc_read_line(&r, &in, &line)) != JSONRPC_LINE_MORE) {
			if (what == JSONRPC_LINE_READY)
				buf_add(out, line.p, line.n);
			else
				buf_adds(out, "(too long)");
			buf_addc(out, '|');
		}
		ck_assert_uint_eq(in.n, 0);
		free(bytes);
	}
	jsonrpc_reader_fini(&r);
}

/* TOL-1: however the pipe splits them */
START_TEST(lines_are_the_same_however_they_come)
{
	static const char text[] = "ab\n\n \r\n\t\ncd\r\n0123456789\n01234567890\nefg\nunfinished";
	struct buf out = BUF_INIT;

	for (size_t piece = 1; piece <= sizeof(text); piece++) {
		buf_clear(&out);
		read_all(text, 10, piece, &out);
		ck_assert_str_eq(buf_str(&out), "ab|cd\r|0123456789|(too long)|efg|");
	}
	buf_fini(&out);
}
END_TEST

/* The id of an answer that was too long is found at either end, and nowhere else. */
static const struct {
	const char *head, *tail;
	long long id; /* -1: not to be found */
} ends[] = {
	{"{\"result\":{\"content\":[\"", "\"]},\"jsonrpc\":\"2.0\",\"id\":17}", 17},
	{"{\"result\":{\"content\":[\"", "\"]}, \"id\": 17 }\r", 17},
	{"{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"content\":[\"", "\"]}}", 3},
	{"{\"jsonrpc\": \"2.0\", \"id\": 3, \"result\": [\"", "\"]}", 3},
	{"{\"result\":{\"id\":3,\"content\":[\"", "\"]}}", -1},
	{"{\"jsonrpc\":\"2.0\",\"id\":\"3\",\"result\":{\"content\":[\"", "\"]}}", -1},
	{"[{\"id\":3,", "]", -1},
	{"", "", -1},
};

START_TEST(the_id_of_a_line_that_was_skipped_is_found_at_its_ends)
{
	struct buf text = BUF_INIT;
	struct jsonrpc_reader r = {.limit = 100};
	struct str in, line;
	long long id = -1;

	buf_adds(&text, ends[_i].head);
	for (int i = 0; i < 5000; i++)
		buf_adds(&text, "x\\\"");
	buf_adds(&text, ends[_i].tail);
	buf_addc(&text, '\n');
	for (size_t piece = 1; piece < 9000; piece = piece * 3 + 1) {
		enum jsonrpc_line what = JSONRPC_LINE_MORE;

		for (size_t at = 0; at < text.len; at += in.n) {
			struct str left;

			in = (struct str){text.data + at,
					  piece < text.len - at ? piece : text.len - at};
			left = in;
			what = jsonrpc_read_line(&r, &left, &line);
		}
		ck_assert_int_eq(what, JSONRPC_LINE_TOO_LONG);
		ck_assert_uint_eq(line.n, 2 * JSONRPC_ENDS);
		ck_assert_int_eq(jsonrpc_id_of_ends(line, &id), ends[_i].id >= 0);
		if (ends[_i].id >= 0)
			ck_assert_int_eq(id, ends[_i].id);
	}
	jsonrpc_reader_fini(&r);
	buf_fini(&text);
}
END_TEST

static const struct {
	const char *line;
	enum jsonrpc_kind kind;
} kinds[] = {
	{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", JSONRPC_REQUEST},
	{"{\"id\":\"a\",\"method\":\"ping\",\"params\":{}}", JSONRPC_REQUEST},
	{"{\"method\":\"x\"}", JSONRPC_NOTIFICATION},
	{"{\"id\":1,\"result\":{}}", JSONRPC_RESULT},
	{"{\"id\":1,\"result\":null}", JSONRPC_RESULT},
	{"{\"id\":1,\"result\":{},\"error\":null}", JSONRPC_RESULT},
	{"{\"id\":1,\"error\":{\"code\":-1,\"message\":\"m\"}}", JSONRPC_ERROR},
	{"{\"id\":1,\"error\":{}}", JSONRPC_ERROR},
	{"{\"id\":1,\"result\":{},\"error\":{}}", JSONRPC_NONSENSE},
	{"{\"id\":1,\"error\":\"m\"}", JSONRPC_NONSENSE},
	{"{\"id\":null,\"error\":{\"code\":-32700,\"message\":\"m\"}}", JSONRPC_NONSENSE},
	{"{\"id\":null,\"method\":\"x\"}", JSONRPC_NONSENSE},
	{"{\"id\":1.5,\"result\":{}}", JSONRPC_NONSENSE},
	{"{\"id\":{},\"method\":\"x\"}", JSONRPC_NONSENSE},
	{"{\"id\":1}", JSONRPC_NONSENSE},
	{"{\"result\":{}}", JSONRPC_NONSENSE},
	{"{\"method\":7}", JSONRPC_NONSENSE},
	{"{}", JSONRPC_NONSENSE},
	{"[{\"id\":1,\"result\":{}}]", JSONRPC_NONSENSE},
	{"\"x\"", JSONRPC_NONSENSE},
	{"Server started", JSONRPC_NONSENSE},
	{"{\"id\":1,\"result\":{}", JSONRPC_NONSENSE},
	{"{\"id\":1,\"result\":{}} {}", JSONRPC_NONSENSE},
	{"", JSONRPC_NONSENSE},
};

START_TEST(messages_are_told_apart_by_their_members)
{
	struct jsonrpc_message m;

	ck_assert_int_eq(jsonrpc_parse(str_of(kinds[_i].line), &m), kinds[_i].kind);
	ck_assert_int_eq(m.kind, kinds[_i].kind);
	if (m.kind == JSONRPC_ERROR)
		ck_assert_ptr_nonnull(m.error);
	jsonrpc_message_fini(&m);
}
END_TEST

/* What is no Unicode costs a character, not the message. */
static const struct {
	const char *string, *want;
} repaired[] = {
	{"a\\ud83d", "a\ufffd"},
	{"\\udc00b", "\ufffdb"},
	{"\\ud83d\\u0041", "\ufffdA"},
	{"\\ud83d\\ude00\\ud83d", "\U0001f600\ufffd"},
	{"\\\\ud83d \\ud800", "\\ud83d \ufffd"},
	{"a\xff\xc3", "a\ufffd\ufffd"},
	{"\xed\xa0\x80", "\ufffd\ufffd\ufffd"},
	{"\xc0\xaf\xf5", "\ufffd\ufffd\ufffd"},
	{"\xf0\x9f\x98\x80\xf0\x9f\x98", "\U0001f600\ufffd\ufffd\ufffd"},
};

START_TEST(what_is_no_unicode_is_replaced)
{
	struct jsonrpc_message m;
	char line[100];

	(void)snprintf(line, sizeof(line), "{\"id\":1,\"result\":\"%s\"}", repaired[_i].string);
	ck_assert_int_eq(jsonrpc_parse(str_of(line), &m), JSONRPC_RESULT);
	ck_assert_str_eq(json_string_value(m.result), repaired[_i].want);
	jsonrpc_message_fini(&m);
}
END_TEST

START_TEST(what_is_written_is_one_line_that_can_be_read)
{
	struct jsonrpc_message m;
	struct buf b = BUF_INIT;
	json_t *id = json_string("a\nb");

	jsonrpc_add_request(&b, 7, "x\ny", str_of("{\"a\":1}"));
	ck_assert_str_eq(buf_str(&b), "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"x\\ny\","
				      "\"params\":{\"a\":1}}\n");
	buf_clear(&b);
	jsonrpc_add_notification(&b, "n", str_of(NULL));
	ck_assert_str_eq(buf_str(&b), "{\"jsonrpc\":\"2.0\",\"method\":\"n\"}\n");
	buf_clear(&b);
	jsonrpc_add_result(&b, id, str_of("{}"));
	ck_assert_str_eq(buf_str(&b), "{\"jsonrpc\":\"2.0\",\"id\":\"a\\nb\",\"result\":{}}\n");
	buf_clear(&b);
	jsonrpc_add_error(&b, id, JSONRPC_NO_METHOD, "no \"x\"");
	ck_assert_int_eq(jsonrpc_parse((struct str){b.data, b.len - 1}, &m), JSONRPC_ERROR);
	ck_assert_int_eq(m.code, JSONRPC_NO_METHOD);
	ck_assert_str_eq(m.error, "no \"x\"");
	jsonrpc_message_fini(&m);
	json_decref(id);
	buf_fini(&b);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("jsonrpc");

	tcase_add_test(t, lines_are_the_same_however_they_come);
	tcase_add_loop_test(t, the_id_of_a_line_that_was_skipped_is_found_at_its_ends, 0,
			    (int)(sizeof(ends) / sizeof(*ends)));
	tcase_add_loop_test(t, messages_are_told_apart_by_their_members, 0,
			    (int)(sizeof(kinds) / sizeof(*kinds)));
	tcase_add_loop_test(t, what_is_no_unicode_is_replaced, 0,
			    (int)(sizeof(repaired) / sizeof(*repaired)));
	tcase_add_test(t, what_is_written_is_one_line_that_can_be_read);
	return run_case("jsonrpc", t);
}
