/*
 * test_tail.c - blocks of frames, the tail, and the bytes of a stream that are not events.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "streamerd/sse.h"
#include "streamerd/tail.h"
#include "tests/unit/common/run_case.h"

static struct str frame(uint64_t generation, uint64_t seq, size_t size)
{
	static char text[100000];
	int n = snprintf(text, sizeof(text),
			 "id: %llu-%llu\nevent: x\ndata: ", (unsigned long long)generation,
			 (unsigned long long)seq);

	memset(text + n, 'x', size);
	memcpy(text + (size_t)n + size, "\n\n", 2);
	return (struct str){text, (size_t)n + size + 2};
}

START_TEST(a_block_finds_frames_generations_and_places)
{
	struct block *b = block_new(4, 10);
	uint64_t generation, seq;
	size_t part;

	ck_assert_uint_eq(block_last_seq(b), 10);
	ck_assert(!block_has_after(b, 10));
	for (uint64_t i = 11; i <= 40; i++)
		block_add(b, i < 20 ? 4 : 5, frame(i < 20 ? 4 : 5, i, i * 3));
	ck_assert_uint_eq(block_last_seq(b), 40);
	ck_assert_uint_eq(b->last_generation, 5);
	ck_assert(!block_has_after(b, 9) && block_has_after(b, 10) && block_has_after(b, 39) &&
		  !block_has_after(b, 40));
	ck_assert_uint_eq(block_generation(b, 10), 4);
	ck_assert_uint_eq(block_generation(b, 19), 4);
	ck_assert_uint_eq(block_generation(b, 20), 5);
	ck_assert_uint_eq(block_offset_after(b, 10), 0);
	ck_assert_uint_eq(block_frames_between(b, 0, b->len), 30);
	ck_assert_uint_eq(block_frames_between(b, 0, b->len - 1), 29);
	for (uint64_t i = 10; i < 40; i++) {
		size_t at = block_offset_after(b, i);

		ck_assert_uint_eq(strtoull(strchr(b->data + at, '-') + 1, NULL, 10), i + 1);
		block_position(b, at, &generation, &seq, &part);
		ck_assert(seq == i && part == 0 && generation == (i < 20 ? 4u : 5u));
		block_position(b, at + 7, &generation, &seq, &part);
		ck_assert(seq == i && part == 7);
	}
	block_position(b, b->len, &generation, &seq, &part);
	ck_assert(seq == 40 && part == 0 && generation == 5);
	(void)block_unref(b);
}
END_TEST

START_TEST(a_block_is_freed_with_its_last_reference)
{
	uint64_t account = 0;
	struct block *b = block_new(0, 0);

	block_add(b, 1, frame(1, 1, 100));
	block_charge(b, &account);
	ck_assert_uint_eq(account, b->len);
	(void)block_ref(b);
	ck_assert_ptr_null(block_unref(b));
	ck_assert_uint_gt(account, 0);
	(void)block_unref(b);
	ck_assert_uint_eq(account, 0);
	ck_assert_ptr_null(block_unref(NULL));
}
END_TEST

/* PRC-5: the memory of a tail is bounded, at the oldest end */
START_TEST(the_tail_keeps_the_newest_blocks)
{
	struct tail t = {.n = 0};
	struct block *gone;
	uint64_t first = 0;
	unsigned evicted = 0;

	tail_reset(&t, 3, 100);
	ck_assert_uint_eq(tail_last_seq(&t), 100);
	ck_assert_uint_eq(tail_last_generation(&t), 3);
	for (uint64_t i = 101; i <= 1100; i++) {
		gone = tail_add(&t, 3, frame(3, i, 1000));
		if (!gone)
			continue;
		evicted++;
		first = block_last_seq(gone);
		ck_assert_uint_eq(gone->refs, 1);
		(void)block_unref(gone);
	}
	ck_assert_uint_gt(evicted, 10);
	ck_assert_uint_eq(t.n, LIMIT_TAIL_BLOCKS);
	ck_assert_uint_eq(tail_first_seq(&t), first);
	ck_assert_ptr_null(tail_find_after(&t, first - 1));
	ck_assert_ptr_null(tail_find_after(&t, 1100));
	for (uint64_t i = first; i < 1100; i++) {
		struct block *b = tail_find_after(&t, i);

		ck_assert(b && block_has_after(b, i) && b->len <= LIMIT_TAIL_BLOCK);
	}
	tail_fini(&t);
}
END_TEST

START_TEST(a_frame_larger_than_a_block_has_one_of_its_own)
{
	struct tail t = {.n = 0};

	tail_reset(&t, 1, 0);
	ck_assert_ptr_null(tail_add(&t, 1, frame(1, 1, 10)));
	ck_assert_ptr_null(tail_add(&t, 1, frame(1, 2, 90000)));
	ck_assert_ptr_null(tail_add(&t, 1, frame(1, 3, 10)));
	ck_assert_uint_eq(t.n, 3);
	ck_assert_uint_eq(tail_last_seq(&t), 3);
	tail_fini(&t);
}
END_TEST

/* API-3 */
START_TEST(the_head_says_how_a_stream_must_be_treated)
{
	auto_buf struct buf b = BUF_INIT;

	sse_add_head(&b, "Vary: Origin\r\n");
	(void)buf_str(&b);
	ck_assert_int_eq(strncmp(b.data, "HTTP/1.1 200 OK\r\nDate: ", 23), 0);
	ck_assert_ptr_nonnull(strstr(b.data, "\r\nContent-Type: text/event-stream\r\n"));
	ck_assert_ptr_nonnull(strstr(b.data, "\r\nCache-Control: no-cache, no-transform\r\n"));
	ck_assert_ptr_nonnull(strstr(b.data, "\r\nX-Accel-Buffering: no\r\n"));
	ck_assert_ptr_nonnull(strstr(b.data, "\r\nVary: Origin\r\n\r\nretry: 1000\n\n"));
}
END_TEST

static struct msg_snapshot snapshot_of(const char *payload)
{
	return (struct msg_snapshot){
		.generation = 3, .seq = 17, .ts = 0, .payload = str_of(payload)};
}

/* DUR-4, SDC-8 */
START_TEST(a_reason_is_put_into_a_snapshot_without_parsing_it)
{
	struct msg_snapshot s = snapshot_of("{\"state\":\"idle\",\"messages\":[]}");
	struct block *b = sse_snapshot(str_of("ses_1"), &s);
	struct block *c = sse_snapshot_because(b, SSE_TOO_OLD);

	ck_assert_uint_eq(block_last_seq(b), 17);
	ck_assert_uint_eq(block_last_seq(c), 17);
	block_add_raw(c, (struct str){"", 1});
	ck_assert_str_eq(
		c->data,
		"id: 3-17\nevent: snapshot\ndata: {\"session_id\":\"ses_1\",\"turn_id\":null,"
		"\"generation\":3,\"seq\":17,\"ts\":\"1970-01-01T00:00:00.000Z\","
		"\"state\":\"idle\",\"messages\":[],\"reason\":\"too_old\"}\n\n");
	(void)block_unref(b);
	(void)block_unref(c);
	ck_assert_int_eq(sse_reason_of(str_of("ahead")), SSE_AHEAD);
	ck_assert_int_eq(sse_reason_of(str_of("other_history")), SSE_OTHER_HISTORY);
	ck_assert_int_eq(sse_reason_of(str_of("whatever")), SSE_UNKNOWN);
	ck_assert_int_eq(sse_reason_of(str_of("")), SSE_UNKNOWN);
}
END_TEST

/* API-5: exactly these end a turn */
START_TEST(terminal_events_are_known_by_type_and_prefix)
{
	for (unsigned type = 1; type < CHAT_EVENT_N; type++) {
		int ends = type == CHAT_EVENT_RESPONSE_END || type == CHAT_EVENT_ABORTED;

		ck_assert_int_eq(sse_is_terminal(type, str_of("{\"code\":\"\\\"fatal\\\":true\"}")),
				 ends);
		ck_assert_int_eq(sse_is_terminal(type, str_of("{\"fatal\":true,\"code\":\"x\"}")),
				 ends || type == CHAT_EVENT_ERROR);
		ck_assert_int_eq(sse_is_terminal(type, str_of("{\"fatal\":false}")), ends);
	}
	ck_assert(sse_snapshot_is_idle(str_of("{\"state\":\"idle\",\"x\":1}")));
	ck_assert(!sse_snapshot_is_idle(str_of("{\"state\":\"waiting\",\"x\":\"idle\"}")));
	ck_assert(!sse_snapshot_is_idle(str_of("{}")));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("tail");

	tcase_add_test(t, a_block_finds_frames_generations_and_places);
	tcase_add_test(t, a_block_is_freed_with_its_last_reference);
	tcase_add_test(t, the_tail_keeps_the_newest_blocks);
	tcase_add_test(t, a_frame_larger_than_a_block_has_one_of_its_own);
	tcase_add_test(t, the_head_says_how_a_stream_must_be_treated);
	tcase_add_test(t, a_reason_is_put_into_a_snapshot_without_parsing_it);
	tcase_add_test(t, terminal_events_are_known_by_type_and_prefix);
	return run_case("tail", t);
}
