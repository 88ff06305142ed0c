/*
 * answer_head.c - status and header lines of a provider's answer. See answer_head.h.
 *
 * libcurl hands over the head line by line; the few lines that matter are looked up at the end,
 * so they are kept as they came, up to LIMIT_HTTP_ANSWER_HEAD.
 */
#include "chatd/provider/answer_head.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/limits.h"

void answer_head_fini(struct answer_head *h)
{
	buf_fini(&h->lines);
	h->status = 0;
}

void answer_head_set(struct answer_head *h, int status)
{
	h->status = status;
	buf_clear(&h->lines);
}

void answer_head_add(struct answer_head *h, const char *p, size_t n)
{
	while (n > 0 && (p[n - 1] == '\r' || p[n - 1] == '\n'))
		n--;
	if (n >= 12 && memcmp(p, "HTTP/", 5) == 0) {
		const char *space = memchr(p, ' ', n);

		answer_head_set(h, 0);
		/* three digits, then a blank or the end: libcurl has checked it already */
		for (const char *d = space ? space + 1 : p + n;
		     d < p + n && *d >= '0' && *d <= '9' && h->status < 100; d++)
			h->status = h->status * 10 + (*d - '0');
		return;
	}
	if (n == 0 || h->lines.len + n > LIMIT_HTTP_ANSWER_HEAD)
		return;
	buf_add(&h->lines, p, n);
	buf_addc(&h->lines, '\n');
}

bool answer_head_get(const struct answer_head *h, const char *name, char *out, size_t size)
{
	size_t name_len = strlen(name);
	const char *p = h->lines.data;
	const char *end = h->lines.len ? p + h->lines.len : p;

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *v = p + name_len + 1;
		size_t n;

		if (nl < v || p[name_len] != ':' || strncasecmp(p, name, name_len) != 0) {
			p = nl + 1;
			continue;
		}
		while (v < nl && (*v == ' ' || *v == '\t'))
			v++;
		n = (size_t)(nl - v);
		while (n > 0 && (v[n - 1] == ' ' || v[n - 1] == '\t'))
			n--;
		if (n >= size)
			n = size - 1;
		memcpy(out, v, n);
		out[n] = '\0';
		return true;
	}
	return false;
}
