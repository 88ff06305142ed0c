/*
 * conf.c - INI files, read strictly, by inih. See conf.h.
 *
 * inih splits lines into section, key and value, but is lenient and (built so in Debian) tells the
 * handler no line number, is silent about sections without keys, takes an indented line for more
 * of the value above it, ignores what follows a "]", and cuts long section names. So the reader
 * that feeds it, one line a call, counts the lines, looks at each section header itself and
 * refuses what inih would pass over.
 */
#include "common/conf.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/require.h"
#include "common/utf8.h"

#define SECTION_MAX 48 /* inih keeps 49 characters of a section's name */

struct load {
	const char *file;
	const struct conf_schema *schema; /* NULL: only looks for `want_*` (conf_complain) */
	void *base;
	struct conf_error *error;
	FILE *in;
	int line;
	bool failed;
	/* What has been seen: sections as "[name]", and keys of the section at hand. Owned. */
	char **seen;
	size_t n_seen;
	/* conf_complain */
	const char *want_section, *want_key;
	int section_line, key_line;
};

static int fail(struct load *l, const char *section, const char *name, const char *why)
{
	if (!l->failed)
		(void)snprintf(l->error->text, sizeof(l->error->text),
			       "%.200s:%d: [%.60s]%s%.60s: %s", l->file, l->line, section,
			       *name ? " " : "", name, why);
	l->failed = true;
	return 0;
}

static void fail_line(struct load *l, const char *why)
{
	if (!l->failed)
		(void)snprintf(l->error->text, sizeof(l->error->text), "%.200s:%d: %s", l->file,
			       l->line, why);
	l->failed = true;
}

static void forget(struct load *l)
{
	for (size_t i = 0; i < l->n_seen; i++)
		free(l->seen[i]);
	free(l->seen);
	l->seen = NULL;
	l->n_seen = 0;
}

/* Was "section" or "section\tkey" here before? Remembers it. A tab can't be in either. */
static bool seen_before(struct load *l, const char *section, const char *key)
{
	auto_free char *id = NULL;
	char **more;

	REQUIRE(asprintf(&id, "%s\t%s", section, key) >= 0);
	for (size_t i = 0; i < l->n_seen; i++) {
		if (strcmp(l->seen[i], id) == 0)
			return true;
	}
	more = reallocarray(l->seen, l->n_seen + 1, sizeof(*more));
	REQUIRE(more);
	l->seen = more;
	l->seen[l->n_seen++] = steal(id);
	return false;
}

/* Does "provider local" match "provider *"? Then *name points at "local". */
static bool section_matches(const char *pattern, const char *section, const char **name)
{
	size_t n = strlen(pattern);

	*name = NULL;
	if (n > 2 && strcmp(pattern + n - 2, " *") == 0) {
		if (strncmp(pattern, section, n - 1) != 0 || section[n - 1] == '\0')
			return false;
		*name = section + n - 1;
		return true;
	}
	return strcmp(pattern, section) == 0;
}

static void *named_object(struct load *l, const char *pattern, const char *name, const char **why)
{
	char kind[64];

	(void)snprintf(kind, sizeof(kind), "%.*s", (int)(strlen(pattern) - 2), pattern);
	return l->schema->named(l->base, kind, name, why);
}

static void on_section(struct load *l, const char *section)
{
	const struct conf_schema *s = l->schema;

	if (!s) {
		if (strcmp(section, l->want_section) == 0)
			l->section_line = l->line;
		return;
	}
	for (size_t i = 0; i < s->n_keys; i++) {
		const char *why = NULL;
		const char *name;

		if (!section_matches(s->keys[i].section, section, &name))
			continue;
		if (seen_before(l, section, ""))
			fail(l, section, "", "stands twice");
		else if (name && !named_object(l, s->keys[i].section, name, &why))
			fail(l, section, "", why ? why : "can't be used");
		return;
	}
	fail(l, section, "", "unknown section");
}

/* str starts with "[": takes the header apart as inih will, but strictly. */
static void check_header(struct load *l, const char *str)
{
	static const char ok[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.- ";
	char section[SECTION_MAX + 1];
	size_t n = strspn(str + 1, ok);
	const char *after = str + 1 + n;

	if (*after != ']' || n < 1 || n > SECTION_MAX) {
		fail_line(l, "not a section such as [log] or [provider local]");
		return;
	}
	after += 1 + strspn(after + 1, " \t\r\n");
	if (*after && *after != ';' && *after != '#') {
		fail_line(l, "a section's name stands on a line of its own");
		return;
	}
	memcpy(section, str + 1, n);
	section[n] = '\0';
	on_section(l, section);
}

/* inih's reader: one line a call. */
static char *next_line(char *str, int num, void *stream)
{
	struct load *l = stream;
	const char *start = str;

	if (l->failed || !fgets(str, num, l->in))
		return NULL;
	l->line++;
	if (!strchr(str, '\n') && !feof(l->in)) {
		/* inih would take the rest for a line of its own */
		fail_line(l, strlen(str) + 1 < (size_t)num ? "has a NUL byte" : "line too long");
		return NULL;
	}
	if (l->line == 1 && strncmp(start, "\xef\xbb\xbf", 3) == 0)
		start += 3;
	start += strspn(start, " \t");
	if (*start == '[')
		check_header(l, start);
	return l->failed ? NULL : str;
}

static int on_key(void *arg, const char *section, const char *name, const char *value)
{
	struct load *l = arg;
	const struct conf_schema *s = l->schema;

	if (!s) {
		if (strcmp(section, l->want_section) == 0 && strcmp(name, l->want_key) == 0)
			l->key_line = l->line;
		return 1;
	}
	for (size_t i = 0; i < s->n_keys; i++) {
		const struct conf_key *k = &s->keys[i];
		const char *why = NULL;
		const char *obj_name;
		char *obj = l->base;

		if (!section_matches(k->section, section, &obj_name) || strcmp(k->key, name) != 0)
			continue;
		if (seen_before(l, section, name))
			return fail(l, section, name, "stands twice");
		if (obj_name) {
			obj = named_object(l, k->section, obj_name, &why);
			if (!obj)
				return fail(l, section, name, why ? why : "can't be used");
		}
		why = k->parse(value, obj + k->offset);
		if (why)
			return fail(l, section, name, why);
		return 1;
	}
	return fail(l, section, name, *section ? "unknown key" : "stands before any section");
}

/* 0, or -1 with l->error filled in (where there is one). */
static int run(struct load *l)
{
	int r;

	ini_allow_multiline = false;
	ini_use_stack = false; /* its line of 200 bytes is too short for some keys */
	ini_allow_realloc = false;
	ini_max_line = LIMIT_CONF_LINE;
	ini_initial_alloc = LIMIT_CONF_LINE;
	l->in = fopen(l->file, "re");
	if (!l->in) {
		(void)snprintf(l->error->text, sizeof(l->error->text), "%.200s: %s", l->file,
			       strerror(errno));
		return -1;
	}
	r = ini_parse_stream(next_line, l, on_key, l);
	if (!l->failed && ferror(l->in)) {
		(void)snprintf(l->error->text, sizeof(l->error->text), "%.200s: can't be read",
			       l->file);
		l->failed = true;
	}
	(void)fclose(l->in); /* read only: nothing to lose */
	if (!l->failed && r != 0) {
		l->line = r > 0 ? r : l->line;
		fail_line(l, "not a section, a key or a comment");
	}
	forget(l);
	return l->failed ? -1 : 0;
}

int conf_load(const char *file, const struct conf_schema *s, void *base, struct conf_error *e)
{
	struct load l = {.file = file, .schema = s, .base = base, .error = e};

	return run(&l);
}

void conf_complain(struct conf_error *e, const char *file, const char *section, const char *key,
		   const char *why)
{
	struct conf_error ignored;
	struct load l = {.file = file, .error = &ignored, .want_section = section, .want_key = key};

	(void)run(&l); /* it was read a moment ago; if not now, the line stays unknown */
	l.line = l.key_line ? l.key_line : l.section_line;
	if (l.line) {
		l.error = e;
		l.failed = false;
		fail(&l, section, key, why);
		return;
	}
	(void)snprintf(e->text, sizeof(e->text), "%.200s: [%.60s] %.60s: %s", file, section, key,
		       why);
}

const char *conf_string(const char *value, void *field)
{
	char **f = field;
	char *copy = strdup(value);

	if (!copy)
		return "out of memory";
	free(*f);
	*f = copy;
	return NULL;
}

const char *conf_text(const char *value, void *field)
{
	if (!*value)
		return "must not be empty";
	if (!utf8_is_whole(value, strlen(value)))
		return "is not UTF-8: save the file as UTF-8";
	return conf_string(value, field);
}

const char *conf_bool(const char *value, void *field)
{
	static const char *const yes[] = {"yes", "true", "on", "1"};
	static const char *const no[] = {"no", "false", "off", "0"};

	for (int i = 0; i < 4; i++) {
		if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
			*(bool *)field = strcmp(value, yes[i]) == 0;
			return NULL;
		}
	}
	return "must be yes or no";
}

const char *conf_count(const char *value, void *field)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || errno || v > 1000000000)
		return "must be a whole number that is not negative";
	*(int *)field = (int)v;
	return NULL;
}

struct unit {
	const char *name;
	double factor;
};

static const char *scaled(const char *value, const struct unit *units, size_t n, double max,
			  const char *why, void *field)
{
	char *end;
	double v;
	size_t n_digits = strspn(value, "0123456789.");

	/* digits and a point only: strtod would take "0x10" and "1e9" as well */
	v = strtod(value, &end);
	if (*value < '0' || *value > '9' || end != value + n_digits)
		return why;
	while (*end == ' ')
		end++;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(end, units[i].name) == 0) {
			v *= units[i].factor;
			if (!(v >= 0 && v <= max))
				return why;
			*(int64_t *)field = (int64_t)(v + 0.5);
			return NULL;
		}
	}
	return why;
}

const char *conf_seconds(const char *value, void *field)
{
	static const struct unit units[] = {{"", 1e3},	 {"s", 1e3},	{"ms", 1},
					    {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};

	return scaled(value, units, sizeof(units) / sizeof(*units), 1e14,
		      "must be a time such as 30, 0.5, 250ms, 5m, 1h or 7d", field);
}

const char *conf_bytes(const char *value, void *field)
{
	static const struct unit units[] = {
		{"", 1}, {"K", 1024}, {"M", 1048576}, {"G", 1073741824.0}};

	return scaled(value, units, sizeof(units) / sizeof(*units), 1e15,
		      "must be a size such as 4096, 64K, 8M or 2G", field);
}
