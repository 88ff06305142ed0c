/*
 * test_chat_event.c - events as viewers are sent them, ids, replay records, shards, faults.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/id.h"
#include "proto/chat_event.h"
#include "proto/fault.h"
#include "proto/replay.h"
#include "proto/shard.h"
#include "tests/unit/common/run_case.h"

static struct chat_event event_of(enum chat_event_type type, const char *turn, const char *payload)
{
	return (struct chat_event){.session_id = str_of("ses_1"),
				   .turn_id = str_of(turn),
				   .generation = 3,
				   .seq = 17,
				   .ts = 1795341000123,
				   .type = type,
				   .payload = str_of(payload)};
}

/* API-3, API-5 */
static const struct {
	enum chat_event_type type;
	const char *turn, *payload, *frame;
} frames[] = {
	{CHAT_EVENT_RESPONSE_CHUNK, "turn_1", "{\"content\":\"a\\nb\"}",
	 "id: 3-17\nevent: response_chunk\ndata: {\"session_id\":\"ses_1\",\"turn_id\":\"turn_1\","
	 "\"generation\":3,\"seq\":17,\"ts\":\"2026-11-22T09:50:00.123Z\",\"content\":\"a\\nb\"}"
	 "\n\n"},
	{CHAT_EVENT_SESSION_CLEARED, "", "{}",
	 "id: 3-17\nevent: session_cleared\ndata: {\"session_id\":\"ses_1\",\"turn_id\":null,"
	 "\"generation\":3,\"seq\":17,\"ts\":\"2026-11-22T09:50:00.123Z\"}\n\n"},
};

START_TEST(a_frame_follows_from_the_row_alone)
{
	struct chat_event e = event_of(frames[_i].type, frames[_i].turn, frames[_i].payload);
	auto_buf struct buf b = BUF_INIT;

	chat_event_add_frame(&b, &e);
	ck_assert_str_eq(buf_str(&b), frames[_i].frame);
}
END_TEST

/* SEC-5 */
START_TEST(nothing_in_an_id_can_end_a_line)
{
	struct chat_event e = event_of(CHAT_EVENT_WARNING, "a\nb\r\"\\", "{}");
	auto_buf struct buf b = BUF_INIT;
	int lines = 0;

	e.session_id = str_of("x\n\nevent: forged");
	chat_event_add_frame(&b, &e);
	for (const char *p = buf_str(&b); *p; p++)
		lines += *p == '\n' || *p == '\r';
	ck_assert_int_eq(lines, 4);
}
END_TEST

START_TEST(every_event_has_a_name_of_its_own)
{
	for (unsigned i = 0; i < CHAT_EVENT_N; i++)
		ck_assert_int_eq(chat_event_type_of(chat_event_name(i)), (int)i);
	ck_assert_ptr_null(chat_event_name(CHAT_EVENT_N));
	ck_assert_int_eq(chat_event_type_of("nonsense"), -1);
}
END_TEST

/* DUR-4 */
static const struct {
	const char *text;
	int ok;
	uint64_t generation, seq;
} ids[] = {
	{"1-2", 1, 1, 2},
	{"0-0", 1, 0, 0},
	{"9223372036854775807-9223372036854775807", 1, INT64_MAX, INT64_MAX},
	{"9223372036854775808-1", 0, 0, 0},
	{"1-9223372036854775808", 0, 0, 0},
	{"99999999999999999999999-1", 0, 0, 0},
	{"", 0, 0, 0},
	{"1", 0, 0, 0},
	{"1-", 0, 0, 0},
	{"-1", 0, 0, 0},
	{"1--1", 0, 0, 0},
	{"1-2-3", 0, 0, 0},
	{"1-2 ", 0, 0, 0},
	{" 1-2", 0, 0, 0},
	{"+1-2", 0, 0, 0},
	{"1-0x2", 0, 0, 0},
	{"1.2", 0, 0, 0},
};

START_TEST(an_id_is_two_numbers_and_nothing_else)
{
	uint64_t generation = 0, seq = 0;

	ck_assert_int_eq(chat_event_parse_id(str_of(ids[_i].text), &generation, &seq), ids[_i].ok);
	if (ids[_i].ok)
		ck_assert(generation == ids[_i].generation && seq == ids[_i].seq);
}
END_TEST

static void add_record(struct buf *b, uint64_t seq, const char *payload)
{
	struct chat_event e = event_of(CHAT_EVENT_WARNING, "turn_1", payload);

	e.seq = seq;
	e.generation = UINT64_MAX - seq;
	e.ts = -5;
	replay_add(b, &e);
}

START_TEST(replay_records_come_back_as_they_were_added)
{
	auto_buf struct buf b = BUF_INIT;
	struct chat_event e;
	size_t pos = 0;

	for (uint64_t i = 1; i <= 100; i++)
		add_record(&b, i, i % 2 ? "{}" : "{\"x\":\"yyyyyyyyyyyyyyyy\"}");
	for (uint64_t i = 1; i <= 100; i++) {
		ck_assert_int_eq(replay_next((struct str){b.data, b.len}, &pos, &e), 1);
		ck_assert(e.seq == i && e.generation == UINT64_MAX - i && e.ts == -5);
		ck_assert(e.type == CHAT_EVENT_WARNING && str_eq(e.turn_id, "turn_1"));
		ck_assert(str_eq(e.payload, i % 2 ? "{}" : "{\"x\":\"yyyyyyyyyyyyyyyy\"}"));
	}
	ck_assert_int_eq(replay_next((struct str){b.data, b.len}, &pos, &e), 0);
	pos = 0;
	ck_assert_int_eq(replay_next((struct str){"", 0}, &pos, &e), 0);
}
END_TEST

START_TEST(a_cut_or_changed_replay_page_is_malformed)
{
	auto_buf struct buf b = BUF_INIT;
	struct chat_event e;
	size_t pos;

	add_record(&b, 1, "{}");
	for (size_t n = 1; n < b.len; n++) {
		pos = 0;
		ck_assert_int_eq(replay_next((struct str){b.data, n}, &pos, &e), -1);
		ck_assert_uint_eq(pos, 0);
	}
	b.data[24] = 0; /* a snapshot is never replayed */
	pos = 0;
	ck_assert_int_eq(replay_next((struct str){b.data, b.len}, &pos, &e), -1);
	b.data[24] = 99;
	ck_assert_int_eq(replay_next((struct str){b.data, b.len}, &pos, &e), -1);
	b.data[24] = CHAT_EVENT_WARNING;
	b.data[b.len - 2] = '['; /* no object */
	ck_assert_int_eq(replay_next((struct str){b.data, b.len}, &pos, &e), -1);
}
END_TEST

START_TEST(sessions_are_spread_over_the_workers)
{
	unsigned count[7] = {0};
	char id[ID_LEN];

	ck_assert_uint_eq(shard_of(str_of("ses_1"), 1), 0);
	for (int i = 0; i < 7000; i++) {
		id_new("ses", id);
		count[shard_of(str_of(id), 7)]++;
		ck_assert_uint_eq(shard_of(str_of(id), 7), shard_of(str_of(id), 7));
	}
	for (int i = 0; i < 7; i++)
		ck_assert(count[i] > 700 && count[i] < 1300);
	/* part of the contract between processes of different builds: never changes */
	ck_assert_uint_eq(shard_of(str_of("ses_0123456789abcdefghjkmnpqrs"), 16), 15);
	ck_assert_uint_eq(shard_of(str_of(""), 64), 1);
}
END_TEST

/* API-1 */
START_TEST(faults_have_unique_stable_codes_and_fitting_statuses)
{
	static const struct {
		unsigned num;
		const char *name;
	} rows[] = {
#define F(num, name, code, status, text) {num, code},
		FAULTS(F)
#undef F
	};
	size_t n = sizeof(rows) / sizeof(rows[0]);

	for (size_t i = 0; i < n; i++) {
		enum fault f = (enum fault)rows[i].num;

		ck_assert(fault_is_known(rows[i].num));
		ck_assert_str_eq(fault_code(f), rows[i].name);
		ck_assert(fault_status(f) >= 200 && fault_status(f) < 600);
		ck_assert(f == FAULT_NONE || *fault_message(f));
		for (const char *p = rows[i].name; *p; p++)
			ck_assert((*p >= 'a' && *p <= 'z') || *p == '_');
		for (size_t k = 0; k < i; k++) {
			ck_assert_uint_ne(rows[i].num, rows[k].num);
			ck_assert_str_ne(rows[i].name, rows[k].name);
		}
	}
	ck_assert(!fault_is_known(9999));
	ck_assert_int_eq(fault_status((enum fault)9999), 500);
	ck_assert_str_eq(fault_code((enum fault)9999), "internal");
}
END_TEST

#define N(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
	TCase *t = tcase_create("chat_event");

	tcase_add_loop_test(t, a_frame_follows_from_the_row_alone, 0, N(frames));
	tcase_add_test(t, nothing_in_an_id_can_end_a_line);
	tcase_add_test(t, every_event_has_a_name_of_its_own);
	tcase_add_loop_test(t, an_id_is_two_numbers_and_nothing_else, 0, N(ids));
	tcase_add_test(t, replay_records_come_back_as_they_were_added);
	tcase_add_test(t, a_cut_or_changed_replay_page_is_malformed);
	tcase_add_test(t, sessions_are_spread_over_the_workers);
	tcase_add_test(t, faults_have_unique_stable_codes_and_fitting_statuses);
	return run_case("chat_event", t);
}
