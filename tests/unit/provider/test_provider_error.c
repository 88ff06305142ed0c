/*
 * test_provider_error.c - recorded error bodies, retry decisions, Retry-After.
 */
#include "chatd/provider/provider_error.h"

#include "chatd/provider/retry.h"
#include "common/json.h"
#include "common/limits.h"
#include "tests/unit/provider/golden.h"
#include "tests/unit/provider/run_cases.h"

#define NOW 1795341600000 /* Sun, 22 Nov 2026 10:00:00 GMT */

static void same(const struct golden *g, const char *what, const char *got, const json_t *want)
{
	char number[32];

	if (json_is_integer(want)) {
		(void)snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(want));
		ck_assert_pstr_eq(got, number);
		return;
	}
	ck_assert_msg(
		(!got && !json_is_string(want)) ||
			(got && json_is_string(want) && strcmp(got, json_string_value(want)) == 0),
		"%s: %s is \"%s\"", g->name, what, got ? got : "(null)");
}

/* PRV-4 */
static void check_body(const struct golden *g, void *arg)
{
	const json_t *http = json_object_get(g->expect, "http");
	const json_t *error = json_object_get(g->expect, "error");
	const json_t *after = json_object_get(g->expect, "retry_after_ms");
	struct answer_head head = {0};
	struct problem p = {0};
	const char *key;
	json_t *v;

	answer_head_set(&head, (int)json_integer_value(json_object_get(http, "status")));
	json_object_foreach (json_object_get(http, "headers"), key, v) {
		struct buf auto_buf line = BUF_INIT;

		buf_addf(&line, "%s: %s\r\n", key, json_string_value(v));
		answer_head_add(&head, line.data, line.len);
	}
	provider_error_from_http(&p, &head, g->body.data, g->body.len, NOW);
	ck_assert_int_eq(p.fault, FAULT_PROVIDER_ERROR);
	ck_assert_int_eq(p.error.http_status, head.status);
	same(g, "type", p.error.type, json_object_get(error, "type"));
	same(g, "code", p.error.code, json_object_get(error, "code"));
	if (json_is_string(json_object_get(error, "message")))
		same(g, "message", p.error.message, json_object_get(error, "message"));
	else
		ck_assert_msg(p.error.message && strlen(p.error.message) < 60,
			      "%s: our own message", g->name);
	ck_assert_msg(p.error.retryable == json_is_true(json_object_get(g->expect, "retryable")),
		      "%s: retryable", g->name);
	if (json_is_integer(after) && json_integer_value(after) > 0)
		ck_assert_msg(p.error.retry_after_ms == json_integer_value(after), "%s: waits %lld",
			      g->name, (long long)p.error.retry_after_ms);
	else if (json_is_integer(
			 after)) /* "retry-after-ms: 0" counts as absent: retry-after holds */
		ck_assert_int_eq(p.error.retry_after_ms, 1000);
	else if (json_is_null(after))
		ck_assert_int_eq(p.error.retry_after_ms, -1);
	problem_fini(&p);
	answer_head_fini(&head);
}

START_TEST(each_recorded_error_body_is_understood)
{
	ck_assert_int_ge(golden_each(".body", check_body, NULL), 25);
}
END_TEST

static const struct {
	const char *body, *type, *code, *message;
} forms[] = {
	{"{\"error\":{\"message\":\"m\",\"type\":\"t\",\"code\":\"c\"}}", "t", "c", "m"},
	{"{\"error\":{\"message\":\"m\",\"code\":17}}", NULL, "17", "m"},
	{"{\"error\":{\"message\":\"m\",\"code\":null,\"type\":\"\"}}", NULL, NULL, "m"},
	{"{\"error\":{\"message\":\"m\",\"code\":1.5}}", NULL, NULL, "m"},
	{"{\"error\":\"m\",\"code\":\"c\"}", NULL, "c", "m"},
	{"{\"detail\":\"m\"}", NULL, NULL, "m"},
	{"{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"m\"}]}", NULL, NULL, "m"},
	{"{\"message\":\"m\",\"type\":\"t\",\"code\":400}", "t", "400", "m"},
	{"[{\"error\":{\"message\":\"m\",\"code\":400}}]", NULL, "400", "m"},
	{"{\"error\":{}}", NULL, NULL, "Bad Request"},
	{"{\"error\":null}", NULL, NULL, "400 Bad Request"},
	{"{\"error\":{\"message\":\"a\\ud800\"}}", NULL, NULL, "a\xef\xbf\xbd"},
	{"{}", NULL, NULL, "400 Bad Request"},
	{"[]", NULL, NULL, "400 Bad Request"},
	{"null", NULL, NULL, "400 Bad Request"},
	{"<html>", NULL, NULL, "400 Bad Request"},
	{"", NULL, NULL, "400 Bad Request"},
};

START_TEST(each_form_of_error_is_understood)
{
	struct answer_head head = {.status = 400};
	struct problem p = {0};

	provider_error_from_http(&p, &head, forms[_i].body, strlen(forms[_i].body), NOW);
	ck_assert_pstr_eq(p.error.type, forms[_i].type);
	ck_assert_pstr_eq(p.error.code, forms[_i].code);
	ck_assert_pstr_eq(p.error.message, forms[_i].message);
	ck_assert(!p.error.retryable);
	problem_fini(&p);
}
END_TEST

static const struct {
	const char *header;
	int64_t ms;
} waits[] = {
	{"retry-after-ms: 1500", 1500},
	{"Retry-After-Ms: 0.5", 1},
	{"retry-after: 2", 2000},
	{"RETRY-AFTER:\t1.5 ", 1500},
	{"retry-after: 0", -1},
	{"retry-after: -1", -1},
	{"retry-after: nan", -1},
	{"retry-after: inf", -1},
	{"retry-after: soon", -1},
	{"retry-after: 12x", -1},
	{"retry-after:", -1},
	{"retry-after: 1e300", 1000000000000000},
	{"retry-after: Sun, 22 Nov 2026 10:00:30 GMT", 30000},
	{"retry-after: Sun, 22 Nov 2026 09:00:00 GMT", -1},
	{"x-other: 5", -1},
};

/* PRV-4 */
START_TEST(retry_after_is_read_in_all_its_forms)
{
	struct answer_head head = {0};

	answer_head_add(&head, waits[_i].header, strlen(waits[_i].header));
	ck_assert_msg(provider_error_retry_after(&head, NOW) == waits[_i].ms, "%s: %lld",
		      waits[_i].header, (long long)provider_error_retry_after(&head, NOW));
	answer_head_fini(&head);
}
END_TEST

static bool retryable(int status, const char *should_retry, const char *body)
{
	struct answer_head head = {0};
	struct problem p = {0};
	bool r;

	answer_head_set(&head, status);
	answer_head_add(&head, should_retry, strlen(should_retry));
	provider_error_from_http(&p, &head, body, strlen(body), NOW);
	r = p.error.retryable;
	problem_fini(&p);
	answer_head_fini(&head);
	return r;
}

/* PRV-4 */
START_TEST(the_status_decides_about_a_retry_unless_the_provider_does)
{
	static const int yes[] = {408, 409, 429, 500, 502, 503, 504, 529, 599};
	static const int no[] = {301, 400, 401, 402, 403, 404, 413, 422, 600};

	for (size_t i = 0; i < 9; i++) {
		ck_assert(retryable(yes[i], "", ""));
		ck_assert(!retryable(yes[i], "x-should-retry: false", ""));
		ck_assert(!retryable(no[i], "", ""));
		ck_assert(retryable(no[i], "x-should-retry: true", ""));
	}
	ck_assert(!retryable(429, "", "{\"error\":{\"code\":\"insufficient_quota\"}}"));
	ck_assert(!retryable(429, "x-should-retry: true",
			     "{\"error\":{\"type\":\"insufficient_quota\"}}"));
}
END_TEST

/* PRV-4 */
START_TEST(a_retry_waits_as_asked_or_backs_off)
{
	struct provider_error e = {.retryable = true, .retry_after_ms = -1};
	int64_t ms;

	ck_assert(retry_decide(&e, 1, 2, false, 0, &ms));
	ck_assert_int_eq(ms, LIMIT_RETRY_MIN_MS);
	ck_assert(retry_decide(&e, 2, 2, false, 0, &ms));
	ck_assert_int_eq(ms, 2 * LIMIT_RETRY_MIN_MS);
	ck_assert(!retry_decide(&e, 3, 2, false, 0, &ms));
	ck_assert(!retry_decide(&e, 1, 0, false, 0, &ms));
	ck_assert(!retry_decide(&e, 1, 2, true, 0, &ms));
	ck_assert(retry_decide(&e, 20, 20, false, 0, &ms));
	ck_assert_int_eq(ms, LIMIT_RETRY_MAX_MS);
	e.retry_after_ms = LIMIT_RETRY_AFTER_MS;
	ck_assert(retry_decide(&e, 1, 2, false, 0, &ms));
	ck_assert_int_eq(ms, LIMIT_RETRY_AFTER_MS);
	e.retry_after_ms = LIMIT_RETRY_AFTER_MS + 1;
	ck_assert(!retry_decide(&e, 1, 2, false, 0, &ms));
	e.retry_after_ms = 10;
	e.retryable = false;
	ck_assert(!retry_decide(&e, 1, 2, false, 0, &ms));
}
END_TEST

/* SEC-5: what is shown and stored is bounded */
START_TEST(texts_of_an_error_are_cut_at_the_limit_between_characters)
{
	struct buf auto_buf body = BUF_INIT;
	struct answer_head head = {.status = 400};
	struct problem p = {0};

	buf_adds(&body, "{\"error\":\"x");
	while (body.len < LIMIT_ERROR_TEXT + 100)
		buf_adds(&body, "\xe2\x82\xac");
	buf_adds(&body, "\"}");
	provider_error_from_http(&p, &head, body.data, body.len, NOW);
	ck_assert_uint_le(strlen(p.error.message), LIMIT_ERROR_TEXT);
	ck_assert_uint_gt(strlen(p.error.message), LIMIT_ERROR_TEXT - 3);
	ck_assert_uint_eq(json_utf8_prefix(p.error.message, strlen(p.error.message)),
			  strlen(p.error.message));
	problem_fini(&p);
}
END_TEST

/* PRV-6 */
START_TEST(a_key_is_hidden_wherever_it_stands)
{
	struct problem p = {0};

	problem_set(&p, FAULT_PROVIDER_ERROR, 401, str_of("sk"), str_of("a sk"), str_of("sk, sk!"));
	problem_hide(&p, NULL);
	problem_hide(&p, "");
	ck_assert_str_eq(p.error.type, "sk");
	problem_hide(&p, "sk");
	ck_assert_str_eq(p.error.type, "***");
	ck_assert_str_eq(p.error.code, "a ***");
	ck_assert_str_eq(p.error.message, "***, ***!");
	problem_fini(&p);
}
END_TEST

START_TEST(the_request_id_comes_from_the_body_or_a_header)
{
	static const char body[] = "{\"error\":{\"message\":\"m\"},\"request_id\":\"req_1\"}";
	struct answer_head head = {0};
	struct problem p = {0};

	answer_head_add(&head, "HTTP/1.1 400 Bad\r\n", 18);
	ck_assert_int_eq(head.status, 400);
	answer_head_add(&head, "X-Request-Id: req_2\r\n", 21);
	provider_error_from_http(&p, &head, "", 0, NOW);
	ck_assert_str_eq(p.error.request_id, "req_2");
	provider_error_from_http(&p, &head, body, sizeof(body) - 1, NOW);
	ck_assert_str_eq(p.error.request_id, "req_1");
	problem_fini(&p);
	answer_head_fini(&head);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("provider_error");

	tcase_add_test(t, each_recorded_error_body_is_understood);
	tcase_add_loop_test(t, each_form_of_error_is_understood, 0, sizeof(forms) / sizeof(*forms));
	tcase_add_loop_test(t, retry_after_is_read_in_all_its_forms, 0,
			    sizeof(waits) / sizeof(*waits));
	tcase_add_test(t, the_status_decides_about_a_retry_unless_the_provider_does);
	tcase_add_test(t, a_retry_waits_as_asked_or_backs_off);
	tcase_add_test(t, texts_of_an_error_are_cut_at_the_limit_between_characters);
	tcase_add_test(t, a_key_is_hidden_wherever_it_stands);
	tcase_add_test(t, the_request_id_comes_from_the_body_or_a_header);
	return run_cases("provider_error", t, 20);
}
