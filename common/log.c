/*
 * log.c - one line an event. See log.h.
 *
 * Each line is built in one buffer and written with one write(2), so lines of several processes
 * on one stderr never mix. A line that does not fit is cut and says so. A stderr that can't be
 * written is ignored: there is nowhere to say it.
 */
#include "common/log.h"

#include <stdarg.h>
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

const char *log_safe(const char *s)
{
	static char bufs[4][128];
	static unsigned next;
	char *out = bufs[next++ % 4];
	size_t n = 0;

	for (; *s && n < 120; s++) {
		unsigned char c = (unsigned char)*s;

		out[n++] = c < 0x20 || c == 0x7f || c == '"' || c == '\\' ? '?' : (char)c;
	}
	if (*s) {
		memcpy(out + n, "...", 3);
		n += 3;
	}
	out[n] = '\0';
	return out;
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
