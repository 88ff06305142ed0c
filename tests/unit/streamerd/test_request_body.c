/*
 * test_request_body.c - bodies that clients send: each is a valid one with one thing broken.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "streamerd/request_body.h"

#define JSON_TYPE "application/json"

/* API-2: what is refused, with which fault and which field */
static const struct {
	const char *body;
	enum fault fault;
	const char *field;
} refused[] = {
	{"", FAULT_BAD_JSON, ""},
	{"{", FAULT_BAD_JSON, ""},
	{"nonsense", FAULT_BAD_JSON, ""},
	{"[]", FAULT_BAD_JSON, ""},
	{"null", FAULT_BAD_JSON, ""},
	{"{\"content\":\"x\"} x", FAULT_BAD_JSON, ""},
	{"{\"content\":\"\xff\"}", FAULT_BAD_JSON, ""},
	{"{\"content\":\"\xc0\x80\"}", FAULT_BAD_JSON, ""},
	{"{\"content\":\"\\ud800\"}", FAULT_BAD_JSON, ""},
	{"\xef\xbb\xbf{\"content\":\"x\"}", FAULT_BAD_JSON, ""},
	{"{}", FAULT_BAD_FIELD, "content"},
	{"{\"content\":null}", FAULT_BAD_FIELD, "content"},
	{"{\"content\":5}", FAULT_BAD_FIELD, "content"},
	{"{\"content\":{}}", FAULT_BAD_FIELD, "content"},
	{"{\"content\":\"\"}", FAULT_EMPTY_CONTENT, "content"},
	{"{\"content\":\" \\t\\r\\n\"}", FAULT_EMPTY_CONTENT, "content"},
	{"{\"content\":\"\xc2\xa0\xe3\x80\x80\xe2\x80\x83\xef\xbb\xbf\xe2\x81\x9f\"}",
	 FAULT_EMPTY_CONTENT, "content"},
	{"{\"content\":[]}", FAULT_EMPTY_CONTENT, "content"},
	{"{\"content\":[{\"type\":\"text\",\"text\":\" \"}]}", FAULT_EMPTY_CONTENT, "content"},
	{"{\"content\":[\"x\"]}", FAULT_BAD_FIELD, "content"},
	{"{\"content\":[[]]}", FAULT_BAD_FIELD, "content"},
	{"{\"content\":[{\"text\":\"x\"}]}", FAULT_BAD_FIELD, "content"},
	{"{\"content\":[{\"type\":7}]}", FAULT_BAD_FIELD, "content"},
	{"{\"content\":[{\"type\":\"sound\"}]}", FAULT_BAD_FIELD, "content"},
	{"{\"content\":[{\"type\":\"text\"}]}", FAULT_BAD_FIELD, "content"},
	{"{\"content\":[{\"type\":\"text\",\"text\":7}]}", FAULT_BAD_FIELD, "content"},
	{"{\"content\":[{\"type\":\"text\",\"text\":\"x\",\"y\":1}]}", FAULT_BAD_FIELD, "content"},
	{"{\"content\":[{\"type\":\"image\"}]}", FAULT_BAD_FIELD, "content"},
	{"{\"content\":[{\"type\":\"image\",\"media_type\":\"image/png\"}]}", FAULT_BAD_FIELD,
	 "content"},
	{"{\"content\":[{\"type\":\"image\",\"media_type\":\"image/svg+xml\",\"data\":\"QUJD\"}]}",
	 FAULT_BAD_FIELD, "content"},
	{"{\"content\":[{\"type\":\"image\",\"media_type\":\"image/png\",\"data\":\"\"}]}",
	 FAULT_BAD_FIELD, "content"},
	{"{\"content\":[{\"type\":\"image\",\"media_type\":\"image/png\",\"data\":\"QUJ\"}]}",
	 FAULT_BAD_FIELD, "content"},
	{"{\"content\":[{\"type\":\"image\",\"media_type\":\"image/png\",\"data\":\"Q===\"}]}",
	 FAULT_BAD_FIELD, "content"},
	{"{\"content\":[{\"type\":\"image\",\"media_type\":\"image/png\",\"data\":\"QU\\nJD\"}]}",
	 FAULT_BAD_FIELD, "content"},
	{"{\"content\":\"x\",\"contents\":\"y\"}", FAULT_BAD_FIELD, "contents"},
	{"{\"content\":\"x\",\"\":1}", FAULT_BAD_FIELD, ""},
	{"{\"content\":\"x\",\"session_id\":17}", FAULT_BAD_FIELD, "session_id"},
	{"{\"content\":\"x\",\"session_id\":null}", FAULT_BAD_FIELD, "session_id"},
	{"{\"content\":\"x\",\"session_id\":\"\"}", FAULT_SESSION_NOT_FOUND, "session_id"},
	{"{\"content\":\"x\",\"session_id\":\"../etc\"}", FAULT_SESSION_NOT_FOUND, "session_id"},
	{"{\"content\":\"x\",\"session_id\":\"a\\u0000b\"}", FAULT_SESSION_NOT_FOUND, "session_id"},
	{"{\"content\":\"x\",\"provider\":5}", FAULT_BAD_FIELD, "provider"},
	{"{\"content\":\"x\",\"provider\":\"\"}", FAULT_BAD_FIELD, "provider"},
	{"{\"content\":\"x\",\"provider\":\"a\\nb\"}", FAULT_BAD_FIELD, "provider"},
	{"{\"content\":\"x\",\"provider\":\"a\\u0000b\"}", FAULT_BAD_FIELD, "provider"},
	{"{\"content\":\"x\",\"model\":[]}", FAULT_BAD_FIELD, "model"},
	{"{\"content\":\"x\",\"system\":1}", FAULT_BAD_FIELD, "system"},
	{"{\"content\":\"x\",\"system\":\"a\\u0000b\"}", FAULT_BAD_FIELD, "system"},
	{"{\"content\":\"x\",\"metadata\":\"y\"}", FAULT_BAD_FIELD, "metadata"},
	{"{\"content\":\"x\",\"metadata\":[]}", FAULT_BAD_FIELD, "metadata"},
	{"{\"content\":\"x\",\"on_busy\":\"later\"}", FAULT_BAD_FIELD, "on_busy"},
	{"{\"content\":\"x\",\"on_busy\":true}", FAULT_BAD_FIELD, "on_busy"},
};

START_TEST(a_body_with_one_thing_wrong_is_refused_and_the_field_named)
{
	struct message_body m = {0};
	struct body_error e = {0};
	int r = request_body_message(str_of(JSON_TYPE), str_of(refused[_i].body), &m, &e);

	ck_assert_msg(r == -1, "taken: %s", refused[_i].body);
	ck_assert_msg(e.fault == refused[_i].fault, "%s: %s", refused[_i].body,
		      fault_code(e.fault));
	ck_assert_str_eq(e.field, refused[_i].field);
	ck_assert_str_ne(e.message, "");
	ck_assert_ptr_null(m.root);
}
END_TEST

/* API-2: body, and what content must be passed on as */
static const struct {
	const char *body, *content;
} taken[] = {
	{"{\"content\":\"hello\"}", "\"hello\""},
	{" { \"content\" : \"a\\u0000b\" } ", "\"a\\u0000b\""},
	{"{\"content\":\"\xf0\x9f\x98\x80\"}", "\"\xf0\x9f\x98\x80\""},
	{"{\"content\":\" x \"}", "\" x \""},
	{"{\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}",
	 "[{\"type\":\"text\",\"text\":\"x\"}]"},
	{"{\"content\":[{\"type\":\"text\",\"text\":\"\"},{\"type\":\"text\",\"text\":\"x\"}]}",
	 "[{\"type\":\"text\",\"text\":\"\"},{\"type\":\"text\",\"text\":\"x\"}]"},
	{"{\"content\":[{\"type\":\"image\",\"media_type\":\"image/png\",\"data\":\"QUJDRA==\"}]}",
	 "[{\"type\":\"image\",\"media_type\":\"image/png\",\"data\":\"QUJDRA==\"}]"},
};

START_TEST(content_is_passed_on_as_json)
{
	struct message_body m;
	struct body_error e;
	int r = request_body_message(str_of(JSON_TYPE), str_of(taken[_i].body), &m, &e);

	ck_assert_msg(r == 0, "%s: %s", taken[_i].body, r ? e.message : "");
	ck_assert_str_eq(buf_str(&m.content), taken[_i].content);
	ck_assert_uint_eq(m.session_id.n + m.provider.n + m.model.n + m.system.n + m.on_busy.n, 0);
	message_body_fini(&m);
}
END_TEST

START_TEST(every_field_is_taken)
{
	static const char body[] =
		"{\"session_id\":\"ses_1\",\"content\":\"c\",\"provider\":\"p\",\"model\":\"m\","
		"\"system\":\"line\\nline\",\"on_busy\":\"interrupt\",\"metadata\":{\"b\":1, "
		"\"a\":[]}}";
	struct message_body m;
	struct body_error e;

	ck_assert_int_eq(request_body_message(str_of(JSON_TYPE), str_of(body), &m, &e), 0);
	ck_assert(str_eq(m.session_id, "ses_1"));
	ck_assert(str_eq(m.provider, "p"));
	ck_assert(str_eq(m.model, "m"));
	ck_assert(str_eq(m.system, "line\nline"));
	ck_assert(str_eq(m.on_busy, "interrupt"));
	ck_assert_str_eq(buf_str(&m.metadata), "{\"b\":1,\"a\":[]}");
	message_body_fini(&m);
}
END_TEST

/* API-2 */
static const struct {
	const char *type;
	int ok;
} types[] = {
	{"application/json", 1},
	{"Application/JSON", 1},
	{"application/json; charset=utf-8", 1},
	{"application/json ;charset=UTF-8", 1},
	{"application/jsonx", 0},
	{"application/jso", 0},
	{"text/json", 0},
	{"text/plain", 0},
	{"", 0},
	{NULL, 0},
};

START_TEST(the_media_type_must_be_json)
{
	struct message_body m;
	struct body_error e;
	struct str type = {types[_i].type, types[_i].type ? strlen(types[_i].type) : 0};
	int r = request_body_message(type, str_of("{\"content\":\"x\"}"), &m, &e);

	ck_assert_int_eq(r, types[_i].ok ? 0 : -1);
	if (r == 0)
		message_body_fini(&m);
	else
		ck_assert_int_eq(e.fault, FAULT_UNSUPPORTED_MEDIA_TYPE);
}
END_TEST

/* {"content":"xxx…"} whose content is n bytes of JSON */
static int with_content(size_t n, struct body_error *e)
{
	auto_buf struct buf b = BUF_INIT;
	struct message_body m;
	int r;

	buf_adds(&b, "{\"content\":\"");
	for (size_t i = 0; i < n - 2; i++)
		buf_addc(&b, 'x');
	buf_adds(&b, "\"}");
	r = request_body_message(str_of(JSON_TYPE), (struct str){b.data, b.len}, &m, e);
	if (r == 0)
		message_body_fini(&m);
	return r;
}

START_TEST(content_has_a_limit)
{
	struct body_error e;

	ck_assert_int_eq(with_content(LIMIT_MESSAGE, &e), 0);
	ck_assert_int_eq(with_content(LIMIT_MESSAGE + 1, &e), -1);
	ck_assert_int_eq(e.fault, FAULT_TOO_LARGE);
}
END_TEST

static int with_name(const char *field, size_t n, struct body_error *e)
{
	auto_buf struct buf b = BUF_INIT;
	struct message_body m;
	int r;

	buf_addf(&b, "{\"content\":\"x\",\"%s\":\"", field);
	for (size_t i = 0; i < n; i++)
		buf_addc(&b, 'x');
	buf_adds(&b, "\"}");
	r = request_body_message(str_of(JSON_TYPE), (struct str){b.data, b.len}, &m, e);
	if (r == 0)
		message_body_fini(&m);
	return r;
}

START_TEST(names_and_ids_have_a_limit)
{
	struct body_error e;

	ck_assert_int_eq(with_name("provider", LIMIT_KEY, &e), 0);
	ck_assert_int_eq(with_name("provider", LIMIT_KEY + 1, &e), -1);
	ck_assert_int_eq(with_name("model", LIMIT_KEY, &e), 0);
	ck_assert_int_eq(with_name("model", LIMIT_KEY + 1, &e), -1);
	ck_assert_int_eq(with_name("session_id", LIMIT_ID, &e), 0);
	ck_assert_int_eq(with_name("session_id", LIMIT_ID + 1, &e), -1);
	ck_assert_int_eq(e.fault, FAULT_SESSION_NOT_FOUND);
}
END_TEST

/* The name of an unknown field is the client's: it comes back cut, as valid UTF-8. */
START_TEST(a_long_unknown_field_is_named_by_its_beginning)
{
	auto_buf struct buf b = BUF_INIT;
	struct message_body m;
	struct body_error e;

	buf_adds(&b, "{\"");
	for (int i = 0; i < 100; i++)
		buf_adds(&b, "\xe2\x82\xac");
	buf_adds(&b, "\":1}");
	ck_assert_int_eq(
		request_body_message(str_of(JSON_TYPE), (struct str){b.data, b.len}, &m, &e), -1);
	ck_assert_int_eq(e.fault, FAULT_BAD_FIELD);
	ck_assert_uint_eq(strlen(e.field), 78);
	ck_assert_uint_eq(json_utf8_prefix(e.field, 78), 78);
}
END_TEST

/* body, fault or FAULT_NONE, turn id */
static const struct {
	const char *body;
	enum fault fault;
	const char *turn_id;
} aborts[] = {
	{"", FAULT_NONE, ""},
	{"{}", FAULT_NONE, ""},
	{"{\"turn_id\":\"turn_1\"}", FAULT_NONE, "turn_1"},
	{"{", FAULT_BAD_JSON, ""},
	{"[]", FAULT_BAD_JSON, ""},
	{"\xff", FAULT_BAD_JSON, ""},
	{"{\"turn_id\":5}", FAULT_BAD_FIELD, ""},
	{"{\"turn\":\"x\"}", FAULT_BAD_FIELD, ""},
	{"{\"turn_id\":\"\"}", FAULT_TURN_MISMATCH, ""},
};

START_TEST(an_abort_may_name_its_turn)
{
	struct abort_body a;
	struct body_error e = {.fault = FAULT_NONE};
	int r = request_body_abort(str_of(JSON_TYPE), str_of(aborts[_i].body), &a, &e);

	ck_assert_int_eq(e.fault, aborts[_i].fault);
	ck_assert_int_eq(r, aborts[_i].fault ? -1 : 0);
	if (r < 0)
		return;
	ck_assert(a.turn_id.n == 0 || str_eq(a.turn_id, aborts[_i].turn_id));
	ck_assert_uint_eq(a.turn_id.n, strlen(aborts[_i].turn_id));
	abort_body_fini(&a);
}
END_TEST

#define N(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
	Suite *s = suite_create("request_body");
	TCase *t = tcase_create("request_body");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_loop_test(t, a_body_with_one_thing_wrong_is_refused_and_the_field_named, 0,
			    N(refused));
	tcase_add_loop_test(t, content_is_passed_on_as_json, 0, N(taken));
	tcase_add_test(t, every_field_is_taken);
	tcase_add_loop_test(t, the_media_type_must_be_json, 0, N(types));
	tcase_add_test(t, content_has_a_limit);
	tcase_add_test(t, names_and_ids_have_a_limit);
	tcase_add_test(t, a_long_unknown_field_is_named_by_its_beginning);
	tcase_add_loop_test(t, an_abort_may_name_its_turn, 0, N(aborts));
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
