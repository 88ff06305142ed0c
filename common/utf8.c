/*
 * utf8.c - see utf8.h.
 */
#include "common/utf8.h"

#include <stdint.h>

size_t utf8_length(const char *p, size_t n)
{
	const unsigned char *b = (const unsigned char *)p;
	uint32_t c = b[0];
	size_t len = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : 4;

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((c == 0xe0 && b[1] < 0xa0) || (c == 0xed && b[1] > 0x9f) ||
	    (c == 0xf0 && b[1] < 0x90) || (c == 0xf4 && b[1] > 0x8f))
		return 0;
	return len;
}

bool utf8_is_whole(const char *p, size_t n)
{
	size_t len;

	for (; n > 0; p += len, n -= len) {
		len = utf8_length(p, n);
		if (len == 0)
			return false;
	}
	return true;
}

void utf8_add(struct buf *b, const char *p, size_t n)
{
	size_t from = 0, i = 0;

	while (i < n) {
		size_t len = utf8_length(p + i, n - i);

		if (len == 0) {
			buf_add(b, p + from, i - from);
			buf_adds(b, "\xef\xbf\xbd");
			from = i + 1;
		}
		i += len ? len : 1;
	}
	buf_add(b, p + from, n - from);
}
