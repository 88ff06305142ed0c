/*
 * sse_scan.c - the events in a run of bytes of an event stream. See sse_scan.h.
 */
#include "tests/bench/sse_scan.h"

#include <string.h>

static const char *number(const char *p, const char *end, uint64_t *ret)
{
	uint64_t v = 0;

	while (p < end && *p >= '0' && *p <= '9')
		v = v * 10 + (uint64_t)(*p++ - '0');
	*ret = v;
	return p;
}

static void on_id(struct sse_frame *f, const char *p, const char *end)
{
	const char *from = p;

	while (p < end && *p >= '0' && *p <= '9')
		p++;
	if (p < end && *p == '-')
		from = p + 1;
	(void)number(from, end, &f->id_seq);
}

static void on_line(struct sse_frame *f, const char *p, const char *end)
{
	const char *at;

	if (end - p > 4 && memcmp(p, "id: ", 4) == 0) {
		f->id = (size_t)(end - p) - 4 < SSE_ID_LEN ? p + 4 : NULL;
		f->id_len = (size_t)(end - p) - 4;
		on_id(f, p + 4, end);
	} else if (*p == 'e' && end - p == 15 && memcmp(p, "event: snapshot", 15) == 0) {
		f->is_snapshot = true;
	} else if (*p == 'd' && (at = memchr(p, '@', (size_t)(end - p)))) {
		uint64_t made;

		at = number(at + 1, end, &f->seq);
		(void)number(at + 1, end, &made);
		f->made_us = (int64_t)made;
		f->has_event = true;
	}
}

char *sse_scan(char *p, const char *end, struct sse_frame *f)
{
	char *nl;

	memset(f, 0, sizeof(*f));
	while ((nl = memchr(p, '\n', (size_t)(end - p)))) {
		if (nl == p)
			return nl + 1;
		on_line(f, p, nl);
		p = nl + 1;
	}
	return NULL;
}
