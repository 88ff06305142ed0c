/*
 * rows.c - what a query found, as JSON and as a table. See rows.h.
 */
#include "chatd/ctl/rows.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/cleanup.h"
#include "common/require.h"

#define COLUMNS_MAX 16
#define GAP	    2

static bool names(const char *list, const char *word, size_t n)
{
	for (const char *p = list; p && (p = strstr(p, word)); p += n) {
		if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
			return true;
	}
	return false;
}

static json_t *value(sqlite3_stmt *st, int i, bool parse)
{
	struct str s;
	json_t *v;

	switch (sqlite3_column_type(st, i)) {
	case SQLITE_NULL:
		return json_null();
	case SQLITE_INTEGER:
		return json_integer(sqlite3_column_int64(st, i));
	case SQLITE_FLOAT:
		return json_real(sqlite3_column_double(st, i));
	default:
		s = log_reader_str(st, i);
		v = parse ? json_read(s.p, s.n, NULL, 0) : NULL;
		if (!v)
			v = json_stringn(s.p, s.n);
		return v ? v : json_string("(not UTF-8)");
	}
}

static json_t *row(sqlite3_stmt *st, const char *parsed)
{
	json_t *o = json_object();

	for (int i = 0; i < sqlite3_column_count(st); i++) {
		const char *name = sqlite3_column_name(st, i);

		(void)json_object_set_new(o, name, value(st, i, names(parsed, name, strlen(name))));
	}
	return o;
}

json_t *rows_read(struct log_reader *r, sqlite3_stmt *st, const char *parsed)
{
	json_t *all = json_array();

	while (log_reader_step(r, st))
		(void)json_array_append_new(all, row(st, parsed));
	return all;
}

json_t *rows_read_one(struct log_reader *r, sqlite3_stmt *st, const char *parsed)
{
	return log_reader_step(r, st) ? row(st, parsed) : NULL;
}

void rows_print_json(const json_t *v)
{
	auto_free char *text = json_text(v);

	(void)puts(text);
}

/* A character that a terminal acts on: C0 but for what `keep` names, DEL, and C1 in UTF-8. */
static size_t control(const char *p, size_t n, const char *keep)
{
	unsigned char c = (unsigned char)p[0];

	if ((c < 0x20 && !(c && strchr(keep, c))) || c == 0x7f)
		return 1;
	return c == 0xc2 && n > 1 && (unsigned char)p[1] < 0xa0 ? 2 : 0;
}

void rows_print_text(const char *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t bad = control(p + i, n - i, "\n\t");

		if (bad)
			(void)fputs("\xef\xbf\xbd", stdout);
		else
			(void)fputc(p[i], stdout);
		i += bad ? bad : 1;
	}
}

/* The cell's text: without line breaks either. */
static void add_cell(struct buf *b, const json_t *v)
{
	auto_free char *other = NULL;
	const char *p = json_string_value(v);
	size_t n = json_string_length(v);

	if (!v || json_is_null(v))
		return;
	if (!p) {
		other = json_text(v);
		p = other;
		n = strlen(p);
	}
	for (size_t i = 0; i < n;) {
		size_t bad = control(p + i, n - i, "");

		buf_addc(b, bad ? ' ' : p[i]);
		i += bad ? bad : 1;
	}
}

/* Characters; each is taken for one column wide. */
static size_t width(const char *p, size_t n)
{
	size_t w = 0;

	for (size_t i = 0; i < n; i++)
		w += ((unsigned char)p[i] & 0xc0) != 0x80;
	return w;
}

static size_t bytes_of(const char *p, size_t n, size_t columns)
{
	size_t i = 0;

	while (i < n && (columns > 0 || ((unsigned char)p[i] & 0xc0) == 0x80))
		columns -= ((unsigned char)p[i++] & 0xc0) != 0x80;
	return i;
}

static size_t terminal_width(void)
{
	struct winsize w;

	return ioctl(fileno(stdout), TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : SIZE_MAX;
}

struct columns {
	char text[256]; /* the names, each ended by NUL */
	const char *name[COLUMNS_MAX];
	size_t width[COLUMNS_MAX];
	int n;
};

static void split(struct columns *c, const char *list)
{
	str_put(c->text, sizeof(c->text), list);
	for (char *save, *p = strtok_r(c->text, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
		REQUIRE(c->n < COLUMNS_MAX);
		c->name[c->n] = p;
		c->width[c->n++] = strlen(p);
	}
}

static void print_cell(const struct columns *c, int i, const char *p, size_t n, size_t left)
{
	size_t shown = width(p, n);

	if (i == c->n - 1) {
		(void)fwrite(p, 1, shown > left ? bytes_of(p, n, left) : n, stdout);
		(void)fputc('\n', stdout);
		return;
	}
	(void)fwrite(p, 1, n, stdout);
	(void)printf("%*s", (int)(c->width[i] - shown + GAP), "");
}

void rows_print(const json_t *rows, const char *list, const char *none)
{
	struct columns c = {.n = 0};
	size_t left = terminal_width();
	const json_t *one;
	size_t at;

	if (json_array_size(rows) == 0) {
		(void)puts(none);
		return;
	}
	split(&c, list);
	json_array_foreach (rows, at, one) {
		for (int i = 0; i < c.n; i++) {
			auto_buf struct buf cell = BUF_INIT;
			size_t w;

			add_cell(&cell, json_object_get(one, c.name[i]));
			w = width(cell.data, cell.len);
			c.width[i] = w > c.width[i] ? w : c.width[i];
		}
	}
	for (int i = 0; i < c.n - 1 && left != SIZE_MAX; i++)
		left = left > c.width[i] + GAP + 10 ? left - c.width[i] - GAP : 10;
	for (int i = 0; i < c.n; i++) {
		char head[64];
		size_t n = strlen(c.name[i]);

		for (size_t k = 0; k <= n && k < sizeof(head); k++)
			head[k] = (char)toupper((unsigned char)c.name[i][k]);
		print_cell(&c, i, head, n, left);
	}
	json_array_foreach (rows, at, one) {
		for (int i = 0; i < c.n; i++) {
			auto_buf struct buf cell = BUF_INIT;

			add_cell(&cell, json_object_get(one, c.name[i]));
			print_cell(&c, i, buf_str(&cell), cell.len, left);
		}
	}
}
