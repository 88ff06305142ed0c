/*
 * http_path.c - percent-decoding, strictly. See http_path.h.
 *
 * A path is decoded once and checked afterwards, segment by segment; since an escaped slash is
 * refused, the segments of the decoded form are those of the raw form, and "%2e%2e" is seen as
 * the ".." that it is. Nothing is normalised: what would need it is refused, so that each resource
 * has one name and no check can be walked around by another spelling.
 *
 * A decoded query is a run of records: two 16-bit lengths, the name, the value. It is looked
 * through from the front; a request has few parameters, and the target's limit bounds them.
 */
#include "streamerd/http/http_path.h"

#include <stdint.h>
#include <string.h>

#include "common/limits.h"
#include "common/require.h"

_Static_assert(LIMIT_HTTP_URI <= UINT16_MAX, "lengths in query records are 16 bit");

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte at raw[*i], unescaped; moves *i behind it. -1 if the escape is broken. */
static int next_byte(struct str raw, size_t *i)
{
	char c = raw.p[(*i)++];
	int hi;
	int lo;

	if (c != '%')
		return (unsigned char)c;
	if (raw.n - *i < 2)
		return -1;
	hi = hex(raw.p[*i]);
	lo = hex(raw.p[*i + 1]);
	*i += 2;
	return hi < 0 || lo < 0 ? -1 : hi << 4 | lo;
}

/* Length of the well-formed character at p, 0 if there is none (Unicode, table 3-7). */
static size_t utf8_char(const unsigned char *p, size_t n)
{
	unsigned char low = 0x80;
	unsigned char high = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (n < len || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	}
	return len;
}

int http_is_utf8(struct str s)
{
	size_t i = 0;

	while (i < s.n) {
		size_t len = utf8_char((const unsigned char *)s.p + i, s.n - i);

		if (!len)
			return 0;
		i += len;
	}
	return 1;
}

/* Segments of a decoded path that starts with '/'. An empty one is fine only at the end. */
static const char *check_segments(struct str path)
{
	size_t at = 1;

	while (at < path.n) {
		const char *slash = memchr(path.p + at, '/', path.n - at);
		size_t end = slash ? (size_t)(slash - path.p) : path.n;
		struct str seg = {path.p + at, end - at};

		if (seg.n == 0)
			return "the path has an empty segment";
		if (str_eq(seg, ".") || str_eq(seg, ".."))
			return "the path has a dot segment";
		at = end + 1;
	}
	return NULL;
}

const char *http_path_decode(struct str raw, struct buf *out)
{
	size_t start = out->len;
	size_t i = 0;
	struct str path;

	if (raw.n == 0) {
		buf_addc(out, '/');
		return NULL;
	}
	if (raw.p[0] != '/') {
		buf_add(out, raw.p, raw.n);
		return str_eq(raw, "*") ? NULL : "the path does not start with '/'";
	}
	while (i < raw.n) {
		int escaped = raw.p[i] == '%';
		int c = next_byte(raw, &i);

		if (c < 0)
			return "the path has a broken escape";
		if (c < 0x20 || c == 0x7f)
			return "the path holds a control character";
		if (escaped && c == '/')
			return "the path has an escaped slash";
		if (!escaped && (c >= 0x80 || strchr(" \"#<>?[\\]^`{|}", c)))
			return "the path holds a character that must be escaped";
		buf_addc(out, (char)c);
	}
	path = (struct str){out->data + start, out->len - start};
	return http_is_utf8(path) ? check_segments(path) : "the path is not UTF-8";
}

/* One side of a pair. *ret_len is the number of bytes appended. */
static const char *decode_word(struct str raw, struct buf *out, uint16_t *ret_len)
{
	size_t start = out->len;
	size_t i = 0;

	while (i < raw.n) {
		int space = raw.p[i] == '+';
		int c = next_byte(raw, &i);

		if (c < 0)
			return "the query has a broken escape";
		if (c == 0)
			return "the query holds a NUL";
		buf_addc(out, space ? ' ' : (char)c);
	}
	*ret_len = (uint16_t)(out->len - start);
	if (i && !http_is_utf8((struct str){out->data + start, out->len - start}))
		return "the query is not UTF-8";
	return NULL;
}

static const char *decode_pair(struct str raw, struct buf *out)
{
	const char *eq = memchr(raw.p, '=', raw.n);
	struct str name = {raw.p, eq ? (size_t)(eq - raw.p) : raw.n};
	struct str value = {raw.p + raw.n, 0};
	size_t at = out->len;
	uint16_t len[2] = {0, 0};
	const char *why;

	if (eq)
		value = (struct str){eq + 1, raw.n - name.n - 1};
	buf_add(out, len, sizeof(len)); /* filled in below */
	why = decode_word(name, out, &len[0]);
	if (!why)
		why = decode_word(value, out, &len[1]);
	memcpy(out->data + at, len, sizeof(len));
	return why;
}

const char *http_query_decode(struct str raw, struct buf *out)
{
	size_t at = 0;

	REQUIRE(raw.n <= LIMIT_HTTP_URI);
	while (at < raw.n) {
		const char *amp = memchr(raw.p + at, '&', raw.n - at);
		size_t end = amp ? (size_t)(amp - raw.p) : raw.n;
		const char *why = NULL;

		if (end > at)
			why = decode_pair((struct str){raw.p + at, end - at}, out);
		if (why)
			return why;
		at = end + 1;
	}
	return NULL;
}

struct str http_query_find(struct str records, const char *name)
{
	size_t at = 0;

	while (at < records.n) {
		uint16_t len[2];
		struct str word;

		memcpy(len, records.p + at, sizeof(len));
		at += sizeof(len);
		word = (struct str){records.p + at, len[0]};
		if (str_eq(word, name))
			return (struct str){word.p + len[0], len[1]};
		at += (size_t)len[0] + len[1];
	}
	return (struct str){NULL, 0};
}
