/*
 * test_messages.c - the bus messages: each row of the table there and back, and each way to be
 * wrong.
 */
#include <check.h>
#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "proto/messages.h"
#include "tests/unit/common/run_case.h"

#define SIG_U(f) "U"
#define SIG_I(f) "I"
#define SIG_S(f) "S"
#define SIG_B(f) "B"

static const struct row {
	unsigned num;
	const char *name, *fields;
	int sender;
} rows[] = {
#define M(num, NAME, name, sender) {num, #name, "" NAME##_F(SIG_U, SIG_I, SIG_S, SIG_B), sender},
	PROTO_MESSAGES(M)
#undef M
};
#define ROWS ((int)(sizeof(rows) / sizeof(rows[0])))

static int write_buf(void *arg, const char *p, size_t n)
{
	buf_add(arg, p, n);
	return 0;
}

static void pack_field(msgpack_packer *pk, char type, int i)
{
	static const char text[] = "text \xe2\x82\xac 0123456789 0123456789 0123456789";
	size_t n = (size_t)i % sizeof(text);

	switch (type) {
	case 'U':
		msgpack_pack_uint64(pk, i % 2 ? UINT64_MAX - (uint64_t)i : (uint64_t)i * 1000);
		break;
	case 'I':
		msgpack_pack_int64(pk, i % 2 ? INT64_MIN + i : INT64_MAX - i);
		break;
	case 'S':
		msgpack_pack_str(pk, n);
		msgpack_pack_str_body(pk, text, n);
		break;
	case 'B':
		msgpack_pack_bin(pk, n);
		msgpack_pack_bin_body(pk, text, n);
		break;
	case 'n':
		msgpack_pack_nil(pk);
		break;
	case 'd':
		msgpack_pack_double(pk, 1.5);
		break;
	case 't':
		msgpack_pack_true(pk);
		break;
	case 'a':
		msgpack_pack_array(pk, 0);
		break;
	case 'm':
		msgpack_pack_map(pk, 0);
		break;
	default: /* '-': a negative number */
		msgpack_pack_int64(pk, -5);
	}
}

/* A message of these field types, without its length. */
static void pack(struct buf *b, unsigned num, const char *fields)
{
	size_t n = strlen(fields);
	msgpack_packer pk;

	msgpack_packer_init(&pk, b, write_buf);
	msgpack_pack_array(&pk, 1 + n);
	msgpack_pack_uint64(&pk, num);
	for (size_t i = 0; i < n; i++)
		pack_field(&pk, fields[i], (int)i);
}

static enum msg_sender sender_of(const struct row *r)
{
	return r->sender & FROM_WORKER ? FROM_WORKER : FROM_STREAMERD;
}

static int decode(struct buf *b, enum msg_sender sender, struct msg *ret)
{
	/* a copy of exactly that size, so that a sanitizer sees reads beyond it */
	char *copy = malloc(b->len ? b->len : 1);
	int r;

	memcpy(copy, b->data ? b->data : "", b->len);
	r = msg_decode(copy, b->len, sender, ret);
	free(copy);
	return r;
}

/* PRC-3 */
START_TEST(every_message_comes_back_as_it_was_sent)
{
	const struct row *r = &rows[_i];
	auto_buf struct buf packed = BUF_INIT;
	auto_buf struct buf again = BUF_INIT;
	struct msg m;
	size_t n;

	pack(&packed, r->num, r->fields);
	ck_assert_int_eq(msg_decode(packed.data, packed.len, sender_of(r), &m), MSG_OK);
	ck_assert_uint_eq((unsigned)m.type, r->num);
	ck_assert_str_eq(msg_name(m.type), r->name);
	ck_assert_int_eq(msg_encode(&again, &m), 0);
	n = (size_t)(unsigned char)again.data[2] << 8 | (unsigned char)again.data[3];
	ck_assert_uint_eq(n, again.len - 4);
	ck_assert_uint_eq(n, packed.len);
	ck_assert_int_eq(memcmp(again.data + 4, packed.data, n), 0);
}
END_TEST

/* PRC-3 */
START_TEST(a_frame_is_as_long_as_the_limit_and_not_longer)
{
	auto_buf struct buf body = BUF_INIT;
	auto_buf struct buf b = BUF_INIT;
	struct msg m = {.type = MSG_REPLY};
	const size_t head = 9; /* array, number, req and fault of one byte each, bin of five */

	buf_reserve(&body, LIMIT_FRAME);
	memset(body.data, 'x', LIMIT_FRAME);
	buf_adds(&b, "before");
	m.reply.body = (struct str){body.data, LIMIT_FRAME - head + 1};
	ck_assert_int_eq(msg_encode(&b, &m), -1);
	ck_assert_uint_eq(b.len, strlen("before"));
	m.reply.body.n--;
	ck_assert_int_eq(msg_encode(&b, &m), 0);
	ck_assert_uint_eq(b.len, strlen("before") + 4 + LIMIT_FRAME);
	ck_assert_int_eq(memcmp(b.data, "before\x02\0\0\0", 10), 0);
}
END_TEST

START_TEST(nobody_may_say_what_is_the_others_to_say)
{
	const struct row *r = &rows[_i];
	auto_buf struct buf b = BUF_INIT;
	struct msg m;

	pack(&b, r->num, r->fields);
	ck_assert_int_eq(decode(&b, FROM_WORKER, &m) == MSG_OK, !!(r->sender & FROM_WORKER));
	ck_assert_int_eq(decode(&b, FROM_STREAMERD, &m) == MSG_OK, !!(r->sender & FROM_STREAMERD));
	if (r->sender != FROM_BOTH)
		ck_assert_int_eq(decode(&b, FROM_BOTH & ~r->sender, &m), MSG_WRONG_SENDER);
}
END_TEST

START_TEST(every_field_has_one_type_and_every_message_one_arity)
{
	const struct row *r = &rows[_i];
	size_t n = strlen(r->fields);
	char fields[32];
	struct msg m;

	for (size_t i = 0; i < n; i++) {
		for (const char *t = "UISBndtam-"; *t; t++) {
			auto_buf struct buf b = BUF_INIT;

			strcpy(fields, r->fields);
			fields[i] = *t;
			if (*t == r->fields[i] || (r->fields[i] == 'I' && *t == '-') ||
			    (r->fields[i] == 'I' && *t == 'U' && i % 2 == 0) ||
			    (r->fields[i] == 'U' && *t == 'I' && i % 2 == 0))
				continue; /* the same on the wire */
			pack(&b, r->num, fields);
			ck_assert_msg(decode(&b, sender_of(r), &m) == MSG_MALFORMED,
				      "%s field %zu as %c", r->name, i, *t);
		}
	}
	for (size_t i = 0; i <= n + 1; i++) {
		auto_buf struct buf b = BUF_INIT;

		memset(fields, 'U', sizeof(fields));
		memcpy(fields, r->fields, i < n ? i : n);
		fields[i] = '\0';
		pack(&b, r->num, fields);
		ck_assert_int_eq(decode(&b, sender_of(r), &m), i == n ? MSG_OK : MSG_MALFORMED);
	}
}
END_TEST

START_TEST(bytes_that_are_missing_or_left_over_are_malformed)
{
	const struct row *r = &rows[_i];
	auto_buf struct buf b = BUF_INIT;
	struct msg m;
	size_t n;

	pack(&b, r->num, r->fields);
	n = b.len;
	buf_addc(&b, '\0');
	ck_assert_int_eq(decode(&b, sender_of(r), &m), MSG_MALFORMED);
	for (b.len = 0; b.len < n; b.len++)
		ck_assert_int_eq(decode(&b, sender_of(r), &m), MSG_MALFORMED);
}
END_TEST

START_TEST(a_number_that_is_not_in_the_table_is_unknown)
{
	for (unsigned num = 0; num < 300; num++) {
		auto_buf struct buf b = BUF_INIT;
		struct msg m;
		int known = 0;

		for (int i = 0; i < ROWS; i++)
			known |= rows[i].num == num;
		pack(&b, num, "U");
		if (known)
			continue;
		ck_assert_int_eq(decode(&b, FROM_WORKER, &m), MSG_UNKNOWN);
		ck_assert_str_eq(msg_name(num), "?");
	}
}
END_TEST

/* What msgpack-c would allocate or recurse for. */
static const struct {
	const char *bytes;
	size_t n;
} bombs[] = {
	{"\xdd\xff\xff\xff\xff", 5},
	{"\xdc\xff\xff", 3},
	{"\x91\x91\x91\x91\x91\x91", 6},
	{"\x92\x01\xdb\xff\xff\xff\xff", 7},
	{"\x92\x01\xc6\xff\xff\xff\xff", 7},
	{"\x92\x01\xc7\x01\x01\x01", 6},
	{"\x81\x01\x01", 3},
	{"\x90", 1},
	{"\x91\xc1", 2},
	{"\x01", 1},
	{"\xc0", 1},
};

START_TEST(what_is_not_flat_is_refused_before_it_is_unpacked)
{
	auto_buf struct buf b = BUF_INIT;
	struct msg m;

	buf_add(&b, bombs[_i].bytes, bombs[_i].n);
	ck_assert_int_eq(decode(&b, FROM_WORKER, &m), MSG_MALFORMED);
}
END_TEST

START_TEST(numbers_are_unique_and_outcomes_have_texts)
{
	for (int i = 0; i < ROWS; i++) {
		for (int k = 0; k < i; k++)
			ck_assert_uint_ne(rows[i].num, rows[k].num);
	}
	for (int i = MSG_OK; i <= MSG_OUT_OF_MEMORY; i++)
		ck_assert_str_ne(msg_outcome_text(i), "?");
	ck_assert_str_eq(msg_outcome_text(99), "?");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("messages");

	tcase_add_loop_test(t, every_message_comes_back_as_it_was_sent, 0, ROWS);
	tcase_add_test(t, a_frame_is_as_long_as_the_limit_and_not_longer);
	tcase_add_loop_test(t, nobody_may_say_what_is_the_others_to_say, 0, ROWS);
	tcase_add_loop_test(t, every_field_has_one_type_and_every_message_one_arity, 0, ROWS);
	tcase_add_loop_test(t, bytes_that_are_missing_or_left_over_are_malformed, 0, ROWS);
	tcase_add_test(t, a_number_that_is_not_in_the_table_is_unknown);
	tcase_add_loop_test(t, what_is_not_flat_is_refused_before_it_is_unpacked, 0,
			    (int)(sizeof(bombs) / sizeof(bombs[0])));
	tcase_add_test(t, numbers_are_unique_and_outcomes_have_texts);
	return run_case("messages", t);
}
