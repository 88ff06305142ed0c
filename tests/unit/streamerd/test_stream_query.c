/*
 * test_stream_query.c - which sessions a stream for several is to show, and from where.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/limits.h"
#include "streamerd/stream_query.h"
#include "tests/unit/common/run_case.h"

static const struct str none = {NULL, 0};

static const char *parse(const char *sessions, const char *cursors, const char *since,
			 struct stream_query *q)
{
	const char *why;

	return stream_query_parse(sessions ? str_of(sessions) : none, str_of(cursors),
				  since ? str_of(since) : none, none, q, &why);
}

/* API-1, CLI-2 */
START_TEST(word_of_changes_goes_with_a_list_that_may_be_empty)
{
	struct stream_query q;
	const char *why;

	for (int i = 0; i < 2; i++) {
		ck_assert_ptr_null(stream_query_parse(str_of(i ? "a,b" : ""),
						      str_of("b@3-41,c@1-1"), none, str_of("1"), &q,
						      &why));
		ck_assert(q.is_list && q.has_changes);
		ck_assert_uint_eq(q.n, i ? 2 : 0);
		stream_query_fini(&q);
	}
	ck_assert_str_eq(stream_query_parse(none, str_of(""), none, str_of("1"), &q, &why),
			 "changes");
	stream_query_fini(&q);
	ck_assert_str_eq(stream_query_parse(str_of("a"), str_of(""), none, str_of("yes"), &q, &why),
			 "changes");
	stream_query_fini(&q);
	ck_assert_str_eq(
		stream_query_parse(str_of("a,,b"), str_of(""), none, str_of("1"), &q, &why),
		"sessions");
	stream_query_fini(&q);
}
END_TEST

/* API-3, DUR-4 */
START_TEST(a_list_takes_the_cursors_of_its_sessions_and_no_others)
{
	struct stream_query q;

	ck_assert_ptr_null(parse("c,a,b", "b@3-41, a@x,d@1-1,junk", NULL, &q));
	ck_assert(q.is_list && !q.is_returning);
	ck_assert_uint_eq(q.n, 3);
	ck_assert(str_eq(q.sessions[0].id, "a") && q.sessions[0].is_malformed);
	ck_assert(str_eq(q.sessions[1].id, "b") && q.sessions[1].has_cursor);
	ck_assert_uint_eq(q.sessions[1].generation, 3);
	ck_assert_uint_eq(q.sessions[1].seq, 41);
	ck_assert(str_eq(q.sessions[2].id, "c") && !q.sessions[2].has_cursor &&
		  !q.sessions[2].is_malformed);
	stream_query_fini(&q);
}
END_TEST

/* API-3, DUR-4 */
START_TEST(without_a_list_the_cursors_name_sessions_each_once)
{
	struct stream_query q;

	ck_assert_ptr_null(parse(NULL, "b@1-2,a@1-7,b@1-3", "2026-11-22T09:30:00.123Z", &q));
	ck_assert(!q.is_list && !q.is_returning);
	ck_assert_uint_eq(q.n, 2);
	ck_assert(str_eq(q.sessions[0].id, "a") && str_eq(q.sessions[1].id, "b"));
	ck_assert_int_eq(q.since, 1795339800123);
	stream_query_fini(&q);
	ck_assert_ptr_null(parse(NULL, "3-41", NULL, &q)); /* what an EventSource says */
	ck_assert(q.is_returning && q.n == 0 && q.since == 0);
	stream_query_fini(&q);
	ck_assert_ptr_null(parse(NULL, NULL, NULL, &q));
	ck_assert(!q.is_returning && q.n == 0);
	stream_query_fini(&q);
}
END_TEST

/* API-1 */
START_TEST(what_is_no_list_and_no_time_is_refused)
{
	static const char *const lists[] = {"",	   ",",	  "a,",	 ",a",	 "a,,b",
					    "a b", "a,a", "a/b", "a@1-2"};
	static const char *const times[] = {"",
					    "0",
					    "2026-11-22",
					    "2026-11-22T09:30:00Z",
					    "2026-11-22T09:30:00.123+",
					    "2026-13-22T09:30:00.123Z",
					    "2026-11-32T09:30:00.123Z",
					    "2026-11-22T24:30:00.123Z",
					    "1969-11-22T09:30:00.123Z",
					    "2026-11-22 09:30:00.123Z"};
	struct stream_query q;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const char *field = parse(lists[i], NULL, NULL, &q);

		ck_assert_msg(field && strcmp(field, "sessions") == 0, "%s", lists[i]);
		stream_query_fini(&q);
	}
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		const char *field = parse("a", NULL, times[i], &q);

		ck_assert_msg(field && strcmp(field, "since") == 0, "%s", times[i]);
		stream_query_fini(&q);
	}
}
END_TEST

/* API-1, PRC-5 */
START_TEST(a_list_may_name_so_many_sessions_and_not_one_more)
{
	auto_buf struct buf list = BUF_INIT, cursors = BUF_INIT;
	struct stream_query q;

	for (int i = 0; i < LIMIT_BUNDLE_SESSIONS; i++)
		buf_addf(&list, "%ss%d", i ? "," : "", i);
	ck_assert_ptr_null(parse(buf_str(&list), NULL, NULL, &q));
	ck_assert_uint_eq(q.n, LIMIT_BUNDLE_SESSIONS);
	stream_query_fini(&q);
	buf_adds(&list, ",more");
	ck_assert_str_eq(parse(buf_str(&list), NULL, NULL, &q), "sessions");
	stream_query_fini(&q);
	for (int i = 0; i < 2 * LIMIT_BUNDLE_SESSIONS; i++)
		buf_addf(&cursors, "s%d@1-%d,", i, i);
	ck_assert_ptr_null(parse(NULL, buf_str(&cursors), NULL, &q));
	ck_assert_uint_eq(q.n, LIMIT_BUNDLE_SESSIONS);
	stream_query_fini(&q);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("stream_query");

	tcase_add_test(t, a_list_takes_the_cursors_of_its_sessions_and_no_others);
	tcase_add_test(t, word_of_changes_goes_with_a_list_that_may_be_empty);
	tcase_add_test(t, without_a_list_the_cursors_name_sessions_each_once);
	tcase_add_test(t, what_is_no_list_and_no_time_is_refused);
	tcase_add_test(t, a_list_may_name_so_many_sessions_and_not_one_more);
	return run_case("stream_query", t);
}
