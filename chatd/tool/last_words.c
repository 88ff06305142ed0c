/*
 * last_words.c - what a server wrote on its stderr last. See last_words.h.
 *
 * stderr is free text. It is read so that a server can't block on it, shown to an operator at
 * debug level, and of all of it one line is kept: the one that says best why the server ended. That
 * is the last one, but a line that speaks of an error goes before the few lines behind it (node
 * prints the error, a stack of calls and, last, its own version).
 */
#include "chatd/tool/last_words.h"

#include <string.h>

#define NEAR 40 /* lines of a stack trace that may come behind an error */

static void end_line(struct last_words *w, void (*line)(void *arg, const char *text), void *arg)
{
	while (w->len > 0 && w->line[w->len - 1] == ' ')
		w->len--;
	w->line[w->len] = '\0';
	if (w->len == 0)
		return;
	memcpy(w->last, w->line, w->len + 1);
	w->since_error++;
	if (strstr(w->line, "rror")) {
		memcpy(w->error, w->line, w->len + 1);
		w->since_error = 0;
	}
	w->len = 0;
	line(arg, w->last);
}

void last_words_add(struct last_words *w, const char *p, size_t n,
		    void (*line)(void *arg, const char *text), void *arg)
{
	for (; n > 0; p++, n--) {
		unsigned char c = (unsigned char)*p;

		if (c == '\n')
			end_line(w, line, arg);
		else if (w->len < LIMIT_TOOL_WHY && (w->len > 0 || (c > ' ' && c < 0x7f)))
			w->line[w->len++] = c >= ' ' && c < 0x7f ? (char)c : ' ';
	}
}

const char *last_words(const struct last_words *w)
{
	return *w->error && w->since_error <= NEAR ? w->error : w->last;
}
