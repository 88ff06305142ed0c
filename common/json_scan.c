/*
 * json_scan.c - see json_scan.h.
 */
#include "common/json_scan.h"

#include <string.h>

#include "common/utf8.h"

#define INT_DIGITS 15 /* fits a double as well: both readers give the same */

void json_scan_init(struct json_scan *s, const char *p, size_t n)
{
	*s = (struct json_scan){p, p + n, false};
}

static void fail(struct json_scan *s)
{
	s->failed = true;
	s->p = s->end;
}

static void skip_space(struct json_scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
		s->p++;
}

/* The first byte of the next token, or 0. */
static char peek(struct json_scan *s)
{
	skip_space(s);
	return s->p < s->end ? *s->p : '\0';
}

bool json_scan_end(struct json_scan *s)
{
	skip_space(s);
	return !s->failed && s->p == s->end;
}

static void expect(struct json_scan *s, char c)
{
	if (peek(s) != c) {
		fail(s);
		return;
	}
	s->p++;
}

void json_scan_open(struct json_scan *s, char c)
{
	expect(s, c);
}

void json_scan_close(struct json_scan *s, char c)
{
	expect(s, c);
}

/* Up to the next byte that ends or interrupts a string. */
static void skip_plain(struct json_scan *s)
{
	while (s->p < s->end) {
		unsigned char c = (unsigned char)*s->p;
		size_t len = 1;

		if (c == '"' || c == '\\' || c < 0x20)
			return;
		if (c >= 0x80)
			len = utf8_length(s->p, (size_t)(s->end - s->p));
		if (len == 0) {
			fail(s);
			return;
		}
		s->p += len;
	}
}

static void add_code_point(struct buf *b, unsigned v)
{
	if (v < 0x80) {
		buf_addc(b, (char)v);
	} else if (v < 0x800) {
		buf_addc(b, (char)(0xc0 | v >> 6));
		buf_addc(b, (char)(0x80 | (v & 0x3f)));
	} else {
		buf_addc(b, (char)(0xe0 | v >> 12));
		buf_addc(b, (char)(0x80 | (v >> 6 & 0x3f)));
		buf_addc(b, (char)(0x80 | (v & 0x3f)));
	}
}

/* The four digits at p, or -1. */
static int hex4(const char *p)
{
	static const char digits[] = "0123456789abcdef";
	int v = 0;

	for (int i = 0; i < 4; i++) {
		const char *d = p[i] ? strchr(digits, p[i] | 0x20) : NULL;

		if (!d || (p[i] < '0') || (p[i] > '9' && p[i] < 'A'))
			return -1;
		v = v * 16 + (int)(d - digits);
	}
	return v;
}

/* At the backslash. */
static void unescape(struct json_scan *s, struct buf *room)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	size_t left = (size_t)(s->end - s->p);
	const char *found;
	int v;

	if (left < 2 || !s->p[1]) {
		fail(s);
		return;
	}
	found = strchr(from, s->p[1]);
	if (found) {
		buf_addc(room, to[found - from]);
		s->p += 2;
		return;
	}
	v = s->p[1] == 'u' && left >= 6 ? hex4(s->p + 2) : -1;
	if (v <= 0 || (v >= 0xd800 && v <= 0xdfff)) {
		fail(s);
		return;
	}
	add_code_point(room, (unsigned)v);
	s->p += 6;
}

/* room NULL: nothing may be escaped. */
static struct str scan_string(struct json_scan *s, struct buf *room)
{
	const char *from;

	expect(s, '"');
	from = s->p;
	skip_plain(s);
	if (s->p < s->end && *s->p == '"')
		return (struct str){from, (size_t)(s->p++ - from)};
	if (!room || room->len > 0) {
		fail(s);
		return str_of(NULL);
	}
	while (s->p < s->end && *s->p == '\\') {
		buf_add(room, from, (size_t)(s->p - from));
		unescape(s, room);
		from = s->p;
		skip_plain(s);
	}
	if (s->p == s->end || *s->p != '"') {
		fail(s);
		return str_of(NULL);
	}
	buf_add(room, from, (size_t)(s->p++ - from));
	return (struct str){buf_str(room), room->len};
}

struct str json_scan_string(struct json_scan *s, struct buf *room)
{
	return scan_string(s, room);
}

bool json_scan_member(struct json_scan *s, bool *first, struct str *ret_key)
{
	char c = peek(s);

	if (s->failed)
		return false;
	if (c == '}') {
		s->p++;
		return false;
	}
	if (!*first)
		expect(s, ',');
	*first = false;
	*ret_key = scan_string(s, NULL);
	expect(s, ':');
	return !s->failed;
}

int64_t json_scan_int(struct json_scan *s)
{
	bool negative = peek(s) == '-';
	const char *from;
	int64_t v = 0;

	s->p += negative;
	from = s->p;
	while (s->p < s->end && *s->p >= '0' && *s->p <= '9' && s->p - from <= INT_DIGITS)
		v = v * 10 + (*s->p++ - '0');
	if (s->p == from || s->p - from > INT_DIGITS || (*from == '0' && s->p - from > 1) ||
	    (s->p < s->end && strchr(".eE", *s->p))) {
		fail(s);
		return 0;
	}
	return negative ? -v : v;
}

static bool take_word(struct json_scan *s, const char *word)
{
	size_t n = strlen(word);

	skip_space(s);
	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return false;
	s->p += n; /* what follows must be a comma or an end: whoever takes the next token sees */
	return true;
}

bool json_scan_null(struct json_scan *s)
{
	return take_word(s, "null");
}

/* A string of which nobody wants the text. */
static void skip_string(struct json_scan *s)
{
	struct buf auto_buf room = BUF_INIT;

	(void)scan_string(s, &room);
}

void json_scan_skip(struct json_scan *s)
{
	char c = peek(s);

	if (c == '"')
		skip_string(s);
	else if (c == '-' || (c >= '0' && c <= '9'))
		(void)json_scan_int(s);
	else if (!take_word(s, "null") && !take_word(s, "true") && !take_word(s, "false"))
		fail(s);
}
