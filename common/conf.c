/*
 * conf.c - INI files, read strictly, by inih. See conf.h.
 *
 * inih gives section, name, value and (built so in Debian) no line number to the handler, so the
 * lines are counted here by the reader that feeds it: one line a call.
 */
#include "common/conf.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct load {
	const char *file;
	const struct conf_schema *schema;
	void *base;
	struct conf_error *error;
	FILE *in;
	int line;
	int failed;
};

static char *next_line(char *str, int num, void *stream)
{
	struct load *l = stream;

	if (l->failed)
		return NULL;
	if (!fgets(str, num, l->in))
		return NULL;
	l->line++;
	if (!strchr(str, '\n') && !feof(l->in)) {
		/* inih would take the rest for a line of its own */
		(void)snprintf(l->error->text, sizeof(l->error->text),
			       "%s:%d: line of more than %d characters", l->file, l->line, num - 2);
		l->failed = 1;
		return NULL;
	}
	return str;
}

static int fail(struct load *l, const char *section, const char *name, const char *why)
{
	if (!l->failed)
		(void)snprintf(l->error->text, sizeof(l->error->text), "%s:%d: [%.100s] %.100s: %s",
			       l->file, l->line, section, name, why);
	l->failed = 1;
	return 0;
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

static int on_key(void *arg, const char *section, const char *name, const char *value)
{
	struct load *l = arg;
	const struct conf_schema *s = l->schema;
	bool known_section = false;

	for (size_t i = 0; i < s->n_keys; i++) {
		const struct conf_key *k = &s->keys[i];
		const char *why = NULL;
		const char *obj_name;
		char *obj = l->base;

		if (!section_matches(k->section, section, &obj_name))
			continue;
		known_section = true;
		if (strcmp(k->key, name) != 0)
			continue;
		if (obj_name) {
			char kind[64];

			(void)snprintf(kind, sizeof(kind), "%.*s", (int)(strlen(k->section) - 2),
				       k->section);
			obj = s->named(l->base, kind, obj_name, &why);
			if (!obj)
				return fail(l, section, name, why ? why : "can't be used");
		}
		why = k->parse(value, obj + k->offset);
		if (why)
			return fail(l, section, name, why);
		return 1;
	}
	return fail(l, section, name, known_section ? "unknown key" : "unknown section");
}

int conf_load(const char *file, const struct conf_schema *s, void *base, struct conf_error *e)
{
	struct load l = {.file = file, .schema = s, .base = base, .error = e};
	int r;

	l.in = fopen(file, "re");
	if (!l.in) {
		(void)snprintf(e->text, sizeof(e->text), "%s: %s", file, strerror(errno));
		return -1;
	}
	r = ini_parse_stream(next_line, &l, on_key, &l);
	if (!l.failed && ferror(l.in)) {
		(void)snprintf(e->text, sizeof(e->text), "%s: can't be read", file);
		l.failed = 1;
	}
	(void)fclose(l.in); /* read only: nothing to lose */
	if (!l.failed && r != 0) {
		(void)snprintf(e->text, sizeof(e->text), "%s:%d: not a section, a key or a comment", file,
			       r > 0 ? r : l.line);
		l.failed = 1;
	}
	return l.failed ? -1 : 0;
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
	if (end == value || *end || errno || v < 0 || v > 1000000000)
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

	if (*value < '0' || *value > '9')
		return why;
	v = strtod(value, &end);
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
	static const struct unit units[] = {{"", 1e3},	 {"s", 1e3},   {"ms", 1},
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
