/*
 * json_mend.c - see json_mend.h.
 *
 * Escapes and bytes beyond ASCII stand in strings only, so no state is needed to find them.
 */
#include "common/json_mend.h"

#include <stdbool.h>

#include "common/utf8.h"

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

void json_mend(struct buf *out, const char *p, size_t n)
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
