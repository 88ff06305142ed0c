/*
 * test_http_head.c - the head parser over the corpus of hostile requests, cut in every way, and
 * what it says about accepted ones.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "streamerd/http/http_head.h"
#include "streamerd/http/http_path.h"
#include "tests/unit/http/hostile.h"

struct verdict {
	enum http_head_outcome outcome;
	size_t used;
	struct http_head head;
};

/* Parses p[0, n) handed over in pieces that end at each multiple of step, and first at `first`. */
static struct verdict *parse_cut(const char *p, size_t n, size_t first, size_t step)
{
	struct verdict *v = calloc(1, sizeof(*v));
	size_t at = first;

	ck_assert_ptr_nonnull(v);
	for (;;) {
		/* a copy of just these bytes: the sanitizers see any look beyond */
		char *piece = malloc(at ? at : 1);

		ck_assert_ptr_nonnull(piece);
		memcpy(piece, p, at);
		v->outcome = http_head_parse(&v->head, piece, at, &v->used);
		free(piece);
		if (v->outcome != HTTP_HEAD_MORE || at == n)
			return v;
		at = n - at < step ? n : at + step;
	}
}

static struct verdict *parse(const char *text)
{
	return parse_cut(text, strlen(text), strlen(text), 1);
}

static void assert_same(const struct hostile *h, const struct verdict *a, const struct verdict *b)
{
	ck_assert_msg(a->outcome == b->outcome, "%s: outcome depends on the cut", h->name);
	ck_assert_msg(a->used == b->used, "%s: length depends on the cut", h->name);
	if (a->outcome == HTTP_HEAD_REFUSED)
		ck_assert_msg(a->head.fault == b->head.fault && a->head.detail == b->head.detail,
			      "%s: \"%s\" whole, \"%s\" cut", h->name, a->head.detail,
			      b->head.detail);
	if (a->outcome == HTTP_HEAD_WHOLE)
		ck_assert_msg(memcmp(&a->head, &b->head, sizeof(a->head)) == 0,
			      "%s: fields depend on the cut", h->name);
}

/* The status that the connection answers with, as far as the head decides it; 0: needs more. */
static int status_of(const struct hostile *h, const struct verdict *v)
{
	const struct http_head *head = &v->head;
	auto_buf struct buf path = BUF_INIT;
	auto_buf struct buf query = BUF_INIT;
	const char *p = h->bytes.data;

	if (v->outcome == HTTP_HEAD_REFUSED)
		return fault_status(head->fault);
	if (v->outcome == HTTP_HEAD_MORE)
		return 408;
	if (http_path_decode((struct str){p + head->path.at, head->path.len}, &path) ||
	    http_query_decode((struct str){p + head->query.at, head->query.len}, &query))
		return 400;
	if (head->length > HOSTILE_MAX_BODY)
		return 413;
	return h->bytes.len - v->used < (size_t)head->length ? 408 : 200;
}

/* API-1, API-2, SEC-4, SEC-5 */
START_TEST(each_request_of_the_corpus_gets_its_status)
{
	size_t n;
	struct hostile *all = hostile_load(&n);

	ck_assert_uint_ge(n, 250);
	for (size_t i = 0; i < n; i++) {
		const struct buf *b = &all[i].bytes;
		struct verdict *v = parse_cut(b->data, b->len, b->len, 1);
		int status = status_of(&all[i], v);

		ck_assert_msg(status == all[i].status, "%s: %d (%s), not %d", all[i].name, status,
			      v->head.detail ? v->head.detail : "-", all[i].status);
		free(v);
	}
	hostile_free(all, n);
}
END_TEST

/* SEC-4, SEC-5 */
START_TEST(no_way_to_cut_a_request_changes_what_becomes_of_it)
{
	size_t n;
	struct hostile *all = hostile_load(&n);

	for (size_t i = 0; i < n; i++) {
		const struct buf *b = &all[i].bytes;
		size_t coarse = b->len > 1500 ? b->len / 61 : 1;
		struct verdict *whole = parse_cut(b->data, b->len, b->len, 1);
		struct verdict *steps = parse_cut(b->data, b->len, 1, coarse);

		assert_same(&all[i], whole, steps);
		for (size_t cut = 1; cut < b->len; cut += coarse) {
			struct verdict *two = parse_cut(b->data, b->len, cut, b->len);

			assert_same(&all[i], whole, two);
			free(two);
		}
		free(steps);
		free(whole);
	}
	hostile_free(all, n);
}
END_TEST

START_TEST(a_whole_head_tells_what_it_holds)
{
	static const char text[] = "POST /a/b?c=d HTTP/1.1\r\nHost: x:80\r\nX-Two:  one \r\n"
				   "x-two: two\r\nContent-Length: 42\r\nExpect: 100-CONTINUE\r\n"
				   "\r\nbody";
	struct verdict *v = parse(text);
	const struct http_head *h = &v->head;
	const struct http_field *f;

	ck_assert_int_eq(v->outcome, HTTP_HEAD_WHOLE);
	ck_assert_uint_eq(v->used, strlen(text) - 4);
	ck_assert_int_eq(h->method, HTTP_POST);
	ck_assert_str_eq(h->method_name, "POST");
	ck_assert_int_eq(h->minor, 1);
	ck_assert(h->keep_alive);
	ck_assert(h->expect_continue);
	ck_assert_int_eq(h->length, 42);
	ck_assert_int_eq(h->path.len, 4);
	ck_assert_mem_eq(text + h->path.at, "/a/b", 4);
	ck_assert_mem_eq(text + h->query.at, "c=d", h->query.len);
	ck_assert_int_eq(h->query.len, 3);
	ck_assert_mem_eq(text + h->host.at, "x:80", 4);
	ck_assert_uint_eq(h->n_fields, 5);
	f = http_head_find(h, text, "X-TWO", 0);
	ck_assert_mem_eq(text + f->value.at, "one", 3);
	ck_assert_int_eq(f->value.len, 3);
	f = http_head_find(h, text, "x-two", 1);
	ck_assert_mem_eq(text + f->value.at, "two", 3);
	ck_assert_ptr_null(http_head_find(h, text, "x-two", 2));
	ck_assert_ptr_null(http_head_find(h, text, "x-tw", 0));
	free(v);
}
END_TEST

START_TEST(an_absolute_target_gives_host_path_and_query)
{
	static const char text[] = "GET http://h:1/p?q HTTP/1.1\r\nHost: H:1\r\n\r\n";
	static const char bare[] = "GET http://h?q HTTP/1.0\r\n\r\n";
	struct verdict *v = parse(text);

	ck_assert_int_eq(v->outcome, HTTP_HEAD_WHOLE);
	ck_assert_mem_eq(text + v->head.path.at, "/p", 2);
	ck_assert_int_eq(v->head.path.len, 2);
	ck_assert_mem_eq(text + v->head.query.at, "q", 1);
	ck_assert_mem_eq(text + v->head.host.at, "h:1", 3);
	free(v);
	v = parse(bare);
	ck_assert_int_eq(v->outcome, HTTP_HEAD_WHOLE);
	ck_assert_int_eq(v->head.path.len, 0);
	ck_assert_int_eq(v->head.query.len, 1);
	ck_assert_mem_eq(bare + v->head.host.at, "h", 1);
	ck_assert_int_eq(v->head.host.len, 1);
	free(v);
}
END_TEST

START_TEST(each_method_is_known_by_its_exact_name)
{
	static const struct {
		const char *name;
		enum http_method method;
	} rows[] = {
		{"GET", HTTP_GET},     {"HEAD", HTTP_HEAD},	{"POST", HTTP_POST},
		{"PUT", HTTP_PUT},     {"DELETE", HTTP_DELETE}, {"OPTIONS", HTTP_OPTIONS},
		{"PATCH", HTTP_PATCH}, {"Get", HTTP_OTHER},	{"GE", HTTP_OTHER},
		{"GETS", HTTP_OTHER},  {"TRACE", HTTP_OTHER},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[100];
		struct verdict *v;

		(void)snprintf(text, sizeof(text), "%s / HTTP/1.0\r\n\r\n", rows[i].name);
		v = parse(text);
		ck_assert_int_eq(v->outcome, HTTP_HEAD_WHOLE);
		ck_assert_int_eq(v->head.method, rows[i].method);
		ck_assert_str_eq(v->head.method_name, rows[i].name);
		free(v);
	}
}
END_TEST

START_TEST(keep_alive_follows_version_and_connection_field)
{
	static const struct {
		const char *version;
		const char *connection;
		bool keep;
	} rows[] = {
		{"1.1", "x", true},
		{"1.1", "keep-alive", true},
		{"1.1", "close", false},
		{"1.1", "CLOSE", false},
		{"1.1", "keep-alive, close", false},
		{"1.1", ",,close,,", false},
		{"1.1", "close x", true},
		{"1.0", "x", false},
		{"1.0", "Keep-Alive", true},
		{"1.0", "keep-alive\t , x", true},
		{"1.0", "close, keep-alive", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[100];
		struct verdict *v;

		(void)snprintf(text, sizeof(text),
			       "GET / HTTP/%s\r\nHost: a\r\nConnection: %s\r\n\r\n",
			       rows[i].version, rows[i].connection);
		v = parse(text);
		ck_assert_int_eq(v->outcome, HTTP_HEAD_WHOLE);
		ck_assert_msg(v->head.keep_alive == rows[i].keep, "%s", text);
		free(v);
	}
}
END_TEST

START_TEST(the_largest_length_is_read_exactly)
{
	struct verdict *v = parse("GET / HTTP/1.0\r\nContent-Length: 9223372036854775807\r\n\r\n");

	ck_assert_int_eq(v->outcome, HTTP_HEAD_WHOLE);
	ck_assert(v->head.length == INT64_MAX);
	free(v);
}
END_TEST

/* The first byte is enough to see that this is no HTTP; a client that speaks TLS waits for us. */
START_TEST(a_first_byte_that_starts_no_method_is_refused_at_once)
{
	for (int c = 0; c < 256; c++) {
		char byte = (char)c;
		struct verdict *v = parse_cut(&byte, 1, 1, 1);
		bool fine = c == '\r' || (c && strchr("!#$%&'*+-.^_`|~", c)) ||
			    (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			    (c >= 'a' && c <= 'z');

		ck_assert_msg((v->outcome == HTTP_HEAD_MORE) == fine, "byte %d", c);
		free(v);
	}
}
END_TEST

/* Each byte in each place where the grammar has an opinion. */
START_TEST(each_byte_is_judged_by_its_place)
{
	for (int c = 0; c < 256; c++) {
		char text[] = "GET /? HTTP/1.1\r\nHost: a\r\nX@: \r\n\r\n";
		bool token = (c && strchr("!#$%&'*+-.^_`|~", c)) || (c >= '0' && c <= '9') ||
			     (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
		struct verdict *v;

		text[27] =
			(char)c; /* in a field's name; a colon ends it, and the next is its value */
		v = parse_cut(text, sizeof(text) - 1, sizeof(text) - 1, 1);
		ck_assert_msg((v->outcome == HTTP_HEAD_WHOLE) == (token || c == ':'), "name: %d",
			      c);
		free(v);
		text[27] = 'Y';
		text[29] = (char)c; /* in its value */
		v = parse_cut(text, sizeof(text) - 1, sizeof(text) - 1, 1);
		ck_assert_msg((v->outcome == HTTP_HEAD_WHOLE) ==
				      (c == '\t' || (c >= 0x20 && c != 0x7f)),
			      "value: %d", c);
		free(v);
		text[29] = ' ';
		text[5] = (char)c; /* in the target */
		v = parse_cut(text, sizeof(text) - 1, sizeof(text) - 1, 1);
		ck_assert_msg((v->outcome == HTTP_HEAD_WHOLE) == (c > 0x20 && c < 0x7f && c != '#'),
			      "target: %d", c);
		free(v);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_head");
	TCase *tc = tcase_create("http_head");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, each_request_of_the_corpus_gets_its_status);
	tcase_add_test(tc, no_way_to_cut_a_request_changes_what_becomes_of_it);
	tcase_add_test(tc, a_whole_head_tells_what_it_holds);
	tcase_add_test(tc, an_absolute_target_gives_host_path_and_query);
	tcase_add_test(tc, each_method_is_known_by_its_exact_name);
	tcase_add_test(tc, keep_alive_follows_version_and_connection_field);
	tcase_add_test(tc, the_largest_length_is_read_exactly);
	tcase_add_test(tc, a_first_byte_that_starts_no_method_is_refused_at_once);
	tcase_add_test(tc, each_byte_is_judged_by_its_place);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
