/*
 * chunk_json.c - JSON out of a provider's stream. See chunk_json.h.
 *
 * Models emit half emoji: a token may end between the two halves of a surrogate pair, and servers
 * that escape as they go then send a lone "\ud83d". jansson refuses it, rightly; the answer goes on
 * all the same, with U+FFFD in its place. Likewise for a character cut into bytes and for counters
 * that need more than 64 bits. Anything else that jansson refuses is refused.
 */
#include "chatd/provider/chunk_json.h"

#include <stdbool.h>

#include "common/buf.h"
#include "common/utf8.h"

#define FLAGS	    (JSON_DECODE_ANY | JSON_ALLOW_NUL)
#define REPLACEMENT "\xef\xbf\xbd"

static int hex4(const char *p)
{
	int v = 0;

	for (int i = 0; i < 4; i++) {
		char c = p[i];

		if (c >= '0' && c <= '9')
			v = v * 16 + (c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v * 16 + (c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			v = v * 16 + (c - 'A' + 10);
		else
			return -1;
	}
	return v;
}

static bool is_high(int v)
{
	return v >= 0xd800 && v <= 0xdbff;
}

static bool is_low(int v)
{
	return v >= 0xdc00 && v <= 0xdfff;
}

/* Copies the escape at p (a backslash, n bytes left) in a form that jansson takes; returns its
 * length. */
static size_t mend_escape(struct buf *out, const char *p, size_t n)
{
	size_t len = n >= 6 && p[1] == 'u' ? 6 : (n >= 2 ? 2 : 1);
	int v = len == 6 ? hex4(p + 2) : -1;

	if (is_high(v) && n >= 12 && p[6] == '\\' && p[7] == 'u' && is_low(hex4(p + 8)))
		len = 12;
	else if (is_high(v) || is_low(v)) {
		buf_adds(out, REPLACEMENT);
		return len;
	}
	buf_add(out, p, len);
	return len;
}

static void mend(struct buf *out, const char *p, size_t n)
{
	size_t i = 0;

	while (i < n) {
		size_t len;

		if (p[i] == '\\') {
			i += mend_escape(out, p + i, n - i);
			continue;
		}
		len = utf8_length(p + i, n - i);
		if (len == 0)
			buf_adds(out, REPLACEMENT);
		else
			buf_add(out, p + i, len);
		i += len ? len : 1;
	}
}

json_t *chunk_json_read(const char *p, size_t n)
{
	struct buf auto_buf mended = BUF_INIT;
	json_t *v;

	if (n == 0)
		return NULL;
	v = json_loadb(p, n, FLAGS, NULL);
	if (v)
		return v;
	mend(&mended, p, n);
	return json_loadb(mended.data, mended.len, FLAGS | JSON_DECODE_INT_AS_REAL, NULL);
}

int chunk_json_is_whole(const char *p, size_t n)
{
	json_t *v = chunk_json_read(p, n);

	json_decref(v);
	return v != NULL;
}
