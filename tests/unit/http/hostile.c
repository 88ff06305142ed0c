/*
 * hostile.c - reads the corpus of raw requests. See hostile.h.
 */
#include "tests/unit/http/hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/require.h"

static void unescape(const char *p, const char *end, struct buf *out)
{
	while (p < end) {
		unsigned value = 0;
		int len = 0;

		if (*p != '\\') {
			buf_addc(out, *p++);
		} else if (p[1] == 'r' || p[1] == 'n' || p[1] == 't' || p[1] == '\\') {
			buf_addc(out, p[1] == 'r'   ? '\r'
				      : p[1] == 'n' ? '\n'
				      : p[1] == 't' ? '\t'
						    : '\\');
			p += 2;
		} else if (sscanf(p, "\\x%2x%n", &value, &len) == 1 && len == 4) {
			buf_addc(out, (char)value);
			p += 4;
		} else {
			const char *close;

			REQUIRE(sscanf(p, "\\*%u(%n", &value, &len) == 1 && len > 0);
			close = strchr(p, ')');
			REQUIRE(close && close < end);
			while (value--)
				unescape(p + len, close, out);
			p = close + 1;
		}
	}
}

struct hostile *hostile_load(size_t *ret_n)
{
	const char *path = getenv("HOSTILE_TXT");
	FILE *f = fopen(path ? path : "tests/golden/http/hostile.txt", "r");
	struct hostile *all = NULL;
	char line[4096];
	size_t n = 0;

	REQUIRE(f);
	while (fgets(line, sizeof(line), f)) {
		struct hostile h = {.status = 0, .bytes = BUF_INIT};
		char *tab = strchr(line, '\t');
		char *text = tab ? strchr(tab + 1, '\t') : NULL;

		if (line[0] == '#')
			continue;
		REQUIRE(tab && text && line[strlen(line) - 1] == '\n');
		h.requests = 1;
		REQUIRE(sscanf(line, "%dx%d", &h.status, &h.requests) >= 1);
		if (h.status >= 400)
			h.requests = 0;
		(void)snprintf(h.name, sizeof(h.name), "%.*s", (int)(text - tab - 1), tab + 1);
		unescape(text + 1, line + strlen(line) - 1, &h.bytes);
		all = realloc(all, (n + 1) * sizeof(*all));
		REQUIRE(all);
		all[n++] = h;
	}
	(void)fclose(f);
	*ret_n = n;
	return all;
}

void hostile_free(struct hostile *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_fini(&all[i].bytes);
	free(all);
}
