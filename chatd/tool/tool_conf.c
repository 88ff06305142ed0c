/*
 * tool_conf.c - one [tools NAME] of chatd.conf. See tool_conf.h.
 *
 * The parsers of chatd/options.c check a value alone; tool_conf_finish() checks what only the
 * section can show. Whatever is wrong is found when the file is read, not when a server is started
 * in the middle of the night. A tool that stands in two lists is refused: which of the two was
 * meant is not for us to guess, since one of them may be the careful one.
 */
#include "chatd/tool/tool_conf.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "chatd/tool/shell_words.h"
#include "common/limits.h"
#include "common/require.h"

struct tool_conf *tool_conf_new(const char *name)
{
	struct tool_conf *c = calloc(1, sizeof(*c));

	REQUIRE(c);
	c->name = strdup(name);
	REQUIRE(c->name);
	c->permission = TOOL_ASK;
	c->timeout_ms = LIMIT_TOOL_CALL_MS;
	c->confine = CONFINE_AUTO;
	c->hidden = calloc(1, sizeof(*c->hidden)); // NOLINT(bugprone-sizeof-expression)
	REQUIRE(c->hidden);
	c->refs = 1;
	return c;
}

struct tool_conf *tool_conf_ref(struct tool_conf *c)
{
	c->refs++;
	return c;
}

void tool_conf_unref(struct tool_conf *c)
{
	if (!c || --c->refs > 0)
		return;
	free(c->name);
	free(c->command);
	free(c->allow_tools);
	free(c->ask_tools);
	free(c->deny_tools);
	free(c->env);
	free(c->cwd);
	shell_words_free(c->words);
	shell_words_free(c->env_words);
	shell_words_free(c->hidden);
	free(c);
}

void tool_conf_hide(struct tool_conf *c, const char *path)
{
	char **more;
	size_t n = 0;

	while (c->hidden[n])
		n++;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	more = reallocarray(c->hidden, n + 2, sizeof(*more));
	REQUIRE(more);
	c->hidden = more;
	more[n] = strdup(path);
	REQUIRE(more[n]);
	more[n + 1] = NULL;
}

/* The next name of a comma list: moves *p behind it, returns its length, 0 at the end. */
static size_t next_name(const char **p, const char **ret_name)
{
	const char *s = *p + strspn(*p, ", \t");
	size_t n = strcspn(s, ",");

	*p = s + n;
	while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	*ret_name = s;
	return n;
}

static bool lists(const char *list, const char *name, size_t len)
{
	const char *p = list ? list : "";
	const char *s;
	size_t n;

	while ((n = next_name(&p, &s)) > 0) {
		if (n == len && memcmp(s, name, n) == 0)
			return true;
	}
	return false;
}

bool tool_conf_lists(const char *list, const char *name)
{
	return lists(list, name, strlen(name));
}

static bool overlap(const char *a, const char *b)
{
	const char *p = a ? a : "";
	const char *s;
	size_t n;

	while ((n = next_name(&p, &s)) > 0) {
		if (lists(b, s, n))
			return true;
	}
	return false;
}

/* NAME or NAME=VALUE. */
static bool is_env_word(const char *w)
{
	size_t n = 0;

	while (isalnum((unsigned char)w[n]) || w[n] == '_')
		n++;
	return n > 0 && !isdigit((unsigned char)*w) && (!w[n] || w[n] == '=');
}

static const char *finish_env(struct tool_conf *c)
{
	const char *why;

	shell_words_free(c->env_words);
	c->env_words = NULL;
	why = shell_words_split(c->env ? c->env : "", &c->env_words);

	for (char **w = c->env_words; !why && *w; w++) {
		if (!is_env_word(*w))
			why = "must be words of the form NAME=VALUE or NAME";
		else if (strncmp(*w, "CREDENTIALS_DIRECTORY", 21) == 0)
			why = "must not give a tool our credentials";
	}
	return why;
}

const char *tool_conf_finish(struct tool_conf *c, const char **ret_key)
{
	const char *why;

	if (!c->read_only_set)
		c->read_only = c->permission;
	*ret_key = "command";
	if (strcmp(c->name, "builtin") == 0 || strcmp(c->name, "demo") == 0)
		return "this name is taken by a built-in server";
	if (!c->command)
		return "is missing";
	shell_words_free(c->words);
	c->words = NULL;
	why = shell_words_split(c->command, &c->words);
	if (why)
		return why;
	if (!c->words[0] || !c->words[0][0])
		return "names no program";
	*ret_key = "env";
	why = finish_env(c);
	if (why)
		return why;
	*ret_key = "cwd";
	if (c->cwd && *c->cwd != '/')
		return "must be an absolute path";
	*ret_key = "timeout";
	if (c->timeout_ms < 1 || c->timeout_ms > LIMIT_TOOL_CALL_MAX_MS)
		return "must be more than 0 and at most 1h";
	*ret_key = "allow_tools";
	if (overlap(c->allow_tools, c->ask_tools) || overlap(c->allow_tools, c->deny_tools))
		return "names a tool that ask_tools or deny_tools names too";
	*ret_key = "ask_tools";
	if (overlap(c->ask_tools, c->deny_tools))
		return "names a tool that deny_tools names too";
	return NULL;
}
