/*
 * messages.c - encode and decode the bus messages. See messages.h.
 *
 * Encoding writes with msgpack-c's packer. Decoding reads with msgpack-c's unpacker into a zone
 * that lives for the call alone: texts and bytes refer to the input, so nothing is copied. The
 * decoder wants exactly the array of the table: right arity, right types, nothing behind it.
 */
#include "proto/messages.h"

#include <msgpack.h>
#include <string.h>

#include "common/limits.h"

static int buf_write(void *data, const char *p, size_t n)
{
	buf_add(data, p, n);
	return 0;
}

static void pack_str(msgpack_packer *pk, struct str s)
{
	msgpack_pack_str(pk, s.n);
	msgpack_pack_str_body(pk, s.p, s.n);
}

static void pack_bin(msgpack_packer *pk, struct str s)
{
	msgpack_pack_bin(pk, s.n);
	msgpack_pack_bin_body(pk, s.p, s.n);
}

#define COUNT(f) +1

/* NOLINTNEXTLINE(readability-function-size): a case for each row of the table */
int msg_encode(struct buf *b, const struct msg *m)
{
	size_t start = b->len;
	size_t n;
	msgpack_packer pk;

	buf_add(b, "\0\0\0\0", 4);
	msgpack_packer_init(&pk, b, buf_write);
	switch (m->type) {
#define PU(f) msgpack_pack_uint64(&pk, x->f);
#define PI(f) msgpack_pack_int64(&pk, x->f);
#define PS(f) pack_str(&pk, x->f);
#define PB(f) pack_bin(&pk, x->f);
#define M(num, NAME, name, sender)                                               \
	case MSG_##NAME: {                                                       \
		const struct msg_##name *x = &m->name;                           \
		msgpack_pack_array(&pk, 1 NAME##_F(COUNT, COUNT, COUNT, COUNT)); \
		msgpack_pack_uint64(&pk, num);                                   \
		NAME##_F(PU, PI, PS, PB) break;                                  \
	}
		PROTO_MESSAGES(M)
#undef M
#undef PU
#undef PI
#undef PS
#undef PB
	}
	n = b->len - start - 4;
	if (n > LIMIT_FRAME) {
		b->len = start;
		return -1;
	}
	b->data[start] = (char)(n >> 24);
	b->data[start + 1] = (char)(n >> 16);
	b->data[start + 2] = (char)(n >> 8);
	b->data[start + 3] = (char)n;
	return 0;
}

static int get_u(const msgpack_object *o, uint64_t *ret)
{
	if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return 0;
	*ret = o->via.u64;
	return 1;
}

static int get_i(const msgpack_object *o, int64_t *ret)
{
	if (o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
		*ret = o->via.i64;
		return 1;
	}
	if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > INT64_MAX)
		return 0;
	*ret = (int64_t)o->via.u64;
	return 1;
}

static int get_s(const msgpack_object *o, struct str *ret)
{
	if (o->type != MSGPACK_OBJECT_STR)
		return 0;
	*ret = (struct str){o->via.str.ptr, o->via.str.size};
	return 1;
}

static int get_b(const msgpack_object *o, struct str *ret)
{
	if (o->type != MSGPACK_OBJECT_BIN)
		return 0;
	*ret = (struct str){o->via.bin.ptr, o->via.bin.size};
	return 1;
}

/* NOLINTNEXTLINE(readability-function-size): a case for each row of the table */
static int from_array(const msgpack_object *o, enum msg_sender sender, struct msg *m)
{
	const msgpack_object *f;
	uint64_t num;

	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size < 1 ||
	    !get_u(&o->via.array.ptr[0], &num))
		return MSG_MALFORMED;
	f = o->via.array.ptr + 1;
	switch (num) {
#define GU(f_) &&get_u(f++, &x->f_)
#define GI(f_) &&get_i(f++, &x->f_)
#define GS(f_) &&get_s(f++, &x->f_)
#define GB(f_) &&get_b(f++, &x->f_)
#define M(num_, NAME, name, who)                                                   \
	case num_: {                                                               \
		struct msg_##name *x = &m->name;                                   \
		if (!((who)&sender))                                               \
			return MSG_WRONG_SENDER;                                   \
		m->type = MSG_##NAME;                                              \
		if (o->via.array.size != (1 NAME##_F(COUNT, COUNT, COUNT, COUNT))) \
			return MSG_MALFORMED;                                      \
		return (1 NAME##_F(GU, GI, GS, GB)) ? MSG_OK : MSG_MALFORMED;      \
	}
		PROTO_MESSAGES(M)
#undef M
#undef GU
#undef GI
#undef GS
#undef GB
	default:
		return MSG_UNKNOWN;
	}
}

/* How many bytes a flat element takes whose head is at p; 0 if it is none of ours or is cut. */
static size_t flat_size(const unsigned char *p, size_t n)
{
	size_t head, body = 0;

	if (n == 0)
		return 0;
	if (p[0] < 0x80 || p[0] >= 0xe0) { /* fixint */
		return 1;
	} else if (p[0] >= 0xcc && p[0] <= 0xd3) { /* uint8..64, int8..64 */
		head = 1 + ((size_t)1 << ((p[0] - 0xcc) & 3));
	} else if ((p[0] & 0xe0) == 0xa0) { /* fixstr */
		head = 1;
		body = p[0] & 0x1f;
	} else if ((p[0] >= 0xc4 && p[0] <= 0xc6) || (p[0] >= 0xd9 && p[0] <= 0xdb)) {
		/* bin8..32, str8..32 */
		size_t width = (size_t)1 << (p[0] >= 0xd9 ? p[0] - 0xd9 : p[0] - 0xc4);

		head = 1 + width;
		if (n < head)
			return 0;
		for (size_t i = 1; i < head; i++)
			body = body << 8 | p[i];
	} else {
		return 0;
	}
	return body <= n && head <= n - body ? head + body : 0;
}

/*
 * msgpack-c allocates for the announced size of an array before its elements are there, and
 * recurses into nested ones. All of ours are flat and short; anything else is refused here, before
 * it is unpacked.
 */
static int is_flat_array(const char *data, size_t n)
{
	const unsigned char *p = (const unsigned char *)data;
	size_t count;

	if (n < 2 || (p[0] & 0xf0) != 0x90)
		return 0;
	count = p[0] & 0x0f;
	p++;
	n--;
	while (count-- > 0) {
		size_t size = flat_size(p, n);

		if (size == 0)
			return 0;
		p += size;
		n -= size;
	}
	return n == 0;
}

int msg_decode(const char *p, size_t n, enum msg_sender sender, struct msg *ret_msg)
{
	static msgpack_zone
		*zone; /* kept and cleared: one allocation for the life of the process */
	msgpack_object o;
	size_t off = 0;
	msgpack_unpack_return r;
	int outcome;

	if (!is_flat_array(p, n))
		return MSG_MALFORMED;
	if (!zone)
		zone = msgpack_zone_new(4096);
	if (!zone)
		return MSG_OUT_OF_MEMORY;
	r = msgpack_unpack(p, n, &off, zone, &o);
	if (r == MSGPACK_UNPACK_NOMEM_ERROR)
		outcome = MSG_OUT_OF_MEMORY;
	else if (r != MSGPACK_UNPACK_SUCCESS || off != n)
		outcome = MSG_MALFORMED;
	else
		outcome = from_array(&o, sender, ret_msg);
	msgpack_zone_clear(zone);
	return outcome;
}

const char *msg_name(unsigned type)
{
	switch (type) {
#define M(num, NAME, name, sender) \
	case num:                  \
		return #name;
		PROTO_MESSAGES(M)
#undef M
	default:
		return "?";
	}
}

const char *msg_outcome_text(int outcome)
{
	static const char *const text[] = {"ok", "malformed", "unknown message", "wrong sender",
					   "out of memory"};

	return outcome >= 0 && outcome < 5 ? text[outcome] : "?";
}
