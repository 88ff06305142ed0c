/*
 * trace.c - W3C trace context. See trace.h.
 */
#include "proto/trace.h"

#include <string.h>

/* n lower-case hex digits; some: not all of them may be 0. */
static bool is_hex(const char *p, size_t n, bool some)
{
	bool nonzero = false;

	for (size_t i = 0; i < n; i++) {
		if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f')))
			return false;
		nonzero = nonzero || p[i] != '0';
	}
	return nonzero || !some;
}

void trace_take(struct str s, char out[TRACE_LEN])
{
	out[0] = '\0';
	if (s.n != TRACE_LEN - 1 || memcmp(s.p, "00-", 3) != 0 || !is_hex(s.p + 3, 32, true) ||
	    s.p[35] != '-' || !is_hex(s.p + 36, 16, true) || s.p[52] != '-' ||
	    !is_hex(s.p + 53, 2, false))
		return;
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
}

const char *trace_id(const char *traceparent)
{
	return *traceparent ? traceparent + 3 : "-";
}
