/*
 * shell_words.c - splits a line into words as a shell would, without being one. See shell_words.h.
 *
 * An operator who writes a command into chatd.conf quotes it as on a command line. It is never
 * given to a shell, so what a shell would expand is an ordinary character here, and there is
 * nothing in a command that could mean more than its words.
 *
 * One pass with the quote at hand as its only state:
 *
 *	outside --'--> single --'--> outside      (inside nothing has a meaning)
 *	outside --"--> double --"--> outside      (inside only \" and \\ have one)
 */
#include "chatd/tool/shell_words.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/require.h"

struct list {
	char **v;
	size_t n;
};

static void add(struct list *l, struct buf *word)
{
	char **more = reallocarray(l->v, l->n + 2, sizeof(*more));

	REQUIRE(more);
	l->v = more;
	if (word)
		l->v[l->n++] = buf_steal(word, NULL);
	l->v[l->n] = NULL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Reads one word, which starts at *p, into word. False if a quote or a backslash has no end. */
static bool read_word(const char **p, struct buf *word)
{
	char quote = 0;

	for (; **p && (quote || !is_blank(**p)); (*p)++) {
		char c = **p;

		if (quote ? c == quote : c == '\'' || c == '"') {
			quote = quote ? 0 : c;
			continue;
		}
		if (c == '\\' && quote != '\'') {
			char next = (*p)[1];

			if (!quote && !next)
				return false;
			if (!quote || next == '"' || next == '\\')
				c = *++*p;
		}
		buf_addc(word, c);
	}
	return !quote;
}

const char *shell_words_split(const char *line, char ***ret_words)
{
	struct list l = {NULL, 0};

	add(&l, NULL);
	for (const char *p = line;;) {
		struct buf word = BUF_INIT;

		while (is_blank(*p))
			p++;
		if (!*p)
			break;
		if (!read_word(&p, &word)) {
			buf_fini(&word);
			shell_words_free(l.v);
			return "a quote or a backslash has no end";
		}
		add(&l, &word);
	}
	*ret_words = l.v;
	return NULL;
}

void shell_words_free(char **words)
{
	if (!words)
		return;
	for (char **w = words; *w; w++)
		free(*w);
	free(words);
}
