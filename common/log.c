/*
 * log.c - one line an event. See log.h.
 *
 * Each line is built in one buffer and written with one write(2), so lines of several processes
 * on one stderr never mix. A line that does not fit is cut and says so. A stderr that can't be
 * written is ignored: there is nowhere to say it.
 */
#include "common/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

enum log_level log_max = LOG_LEVEL_INFO;
static const char *log_who = "";

int log_set_level(const char *name)
{
	static const char *const names[] = {"error", "warning", "notice", "info", "debug"};

	for (int i = 0; i < 5; i++) {
		if (strcmp(name, names[i]) == 0) {
			log_max = (enum log_level)(LOG_LEVEL_ERR + i);
			return 0;
		}
	}
	return -1;
}

void log_set_who(const char *who)
{
	log_who = who;
}

void log_write(enum log_level level, const char *event, const char *fmt, ...)
{
	char line[1024];
	int n, m;
	va_list ap;

	n = snprintf(line, sizeof(line) - 1, "<%d>%s%s%s ", (int)level, log_who,
		     *log_who ? " " : "", event);
	if (n < 0 || n >= (int)sizeof(line) - 1)
		return;
	va_start(ap, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it was started */
	m = vsnprintf(line + n, sizeof(line) - 1 - (size_t)n, fmt, ap);
	va_end(ap);
	if (m < 0)
		return;
	n += m;
	if (n >= (int)sizeof(line) - 1) {
		n = (int)sizeof(line) - 1;
		memcpy(line + n - 4, "...", 3);
		n--;
	}
	for (int i = 3; i < n; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	}
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

/* The character that s begins with if it is a well-formed one of several bytes, else 0. */
static unsigned character(const unsigned char *s, size_t *ret_n)
{
	static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = *s >= 0xf0 && *s < 0xf5 ? 4 : *s >= 0xe0 ? 3 : 2;
	unsigned c = *s & (0xffU >> (n + 1));

	if (*s < 0xc2 || *s >= 0xf5)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	*ret_n = n;
	return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : c;
}

/* Not what a terminal obeys or nobody sees: C1 controls, line separators, directions, zero widths.
 */
static bool shows(unsigned c)
{
	return c >= 0xa0 && c != 0xad && !(c >= 0x200b && c <= 0x200f) &&
	       !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2060 && c <= 0x206f) && c != 0xfeff;
}

static char *copy(const char *s)
{
	static char bufs[4][128];
	static unsigned next;
	char *out = bufs[next++ % 4];
	size_t n = 0;

	while (*s && n < 120) {
		unsigned char c = (unsigned char)*s;
		size_t len = 1;

		if (c >= 0x80 && shows(character((const unsigned char *)s, &len))) {
			if (n + len > 120)
				break;
			memcpy(out + n, s, len);
			n += len;
		} else {
			out[n++] = c < 0x20 || c >= 0x7f || c == '"' || c == '\\' ? '?' : (char)c;
		}
		s += len;
	}
	if (*s) {
		memcpy(out + n, "...", 3);
		n += 3;
	}
	out[n] = '\0';
	return out;
}

const char *log_safe(const char *s)
{
	return copy(s);
}

const char *log_word(const char *s)
{
	char *word = copy(s);

	for (char *p = word; *p; p++) {
		if (*p == ' ' || *p == '=')
			*p = '?';
	}
	return word;
}

int log_allowed(struct log_limit *l, unsigned burst)
{
	long long now = clock_mono_ms() / 10000;

	if (now != l->window) {
		l->window = now;
		l->count = 0;
	}
	l->count++;
	if (l->count == burst + 1)
		log_write(LOG_LEVEL_WARNING, "log.limited",
			  "lines of one kind are left out for up to 10 s");
	return l->count <= burst;
}
