/*
 * mcp_tools.c - the tools that a server lists. See mcp_tools.h.
 *
 * Names for models. "server__name" is used as it is where it can be taken apart again in one way
 * only, which is the case if the server's part neither holds "__" nor ends in "_": the first "__"
 * then ends it. All others (other characters, too long, ambiguous) get a hash of the pair at their
 * end. So a name depends on nothing but the pair: not on what else is there, nor on the order in
 * which servers came up, and a call that waited for days still means the same tool.
 *
 * Hints are those of the server, with MCP's defaults where it is silent: not read-only,
 * destructive, not idempotent.
 */
#include "chatd/tool/mcp_tools.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "common/require.h"

#define MODEL_NAME_MAX 64 /* what providers take */
#define HASH_LEN       9  /* "_" and eight digits */

void mcp_tools_fini(struct mcp_tools *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free((char *)(uintptr_t)l->v[i].name);
		free((char *)(uintptr_t)l->v[i].model_name);
		free((char *)(uintptr_t)l->v[i].description);
		json_decref((json_t *)(uintptr_t)l->v[i].schema);
	}
	free(l->v);
	*l = (struct mcp_tools){0};
}

const struct tool *mcp_tools_find(const struct mcp_tools *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->v[i].name, name) == 0)
			return &l->v[i];
	}
	return NULL;
}

/* FNV-1a: it only has to tell names apart. */
static uint32_t hash(uint32_t h, const char *s)
{
	do
		h = (h ^ (unsigned char)*s) * 16777619U;
	while (*s++);
	return h;
}

static bool is_plain(const char *s)
{
	for (; *s; s++) {
		if (!isalnum((unsigned char)*s) && *s != '_' && *s != '-')
			return false;
	}
	return true;
}

char *mcp_tools_model_name(const char *server, const char *name)
{
	struct buf b = BUF_INIT;
	size_t n = strlen(server);

	buf_addf(&b, "%s__%s", server, name);
	if (is_plain(buf_str(&b)) && b.len <= MODEL_NAME_MAX && !strstr(server, "__") &&
	    (n == 0 || server[n - 1] != '_'))
		return buf_steal(&b, NULL);
	for (size_t i = 0; i < b.len; i++) {
		if (!isalnum((unsigned char)b.data[i]) && b.data[i] != '-')
			b.data[i] = '_';
	}
	if (b.len > MODEL_NAME_MAX - HASH_LEN)
		b.len = MODEL_NAME_MAX - HASH_LEN;
	buf_addf(&b, "_%08x", hash(hash(2166136261U, server), name));
	return buf_steal(&b, NULL);
}

/* An own copy of the schema, or of an empty one; NULL if it can't be used. */
static json_t *copy_schema(const json_t *schema)
{
	json_t *copy;
	char *text;

	if (!json_is_object(schema))
		return json_pack("{s:s}", "type", "object");
	if (json_depth(schema) > LIMIT_JSON_DEPTH)
		return NULL; /* no provider takes it, and a question offers all tools or none */
	text = json_text(schema);
	copy = strlen(text) <= LIMIT_TOOL_SCHEMA ? json_deep_copy(schema) : NULL;
	free(text);
	return copy;
}

static bool hint(const json_t *annotations, const char *key, bool otherwise)
{
	const json_t *v = json_object_get(annotations, key);

	return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

static bool is_usable(const struct mcp_tools *l, const json_t *from)
{
	const json_t *name = json_get(from, "name");
	const char *s = json_string_value(name);
	const char *description = json_get_str(from, "description");
	const char *task = json_get_str(json_get(from, "execution"), "taskSupport");

	if (!s || !*s || strlen(s) != json_string_length(name) || strlen(s) > LIMIT_TOOL_NAME)
		return false;
	for (const char *c = s; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	}
	if (description && strlen(description) > LIMIT_TOOL_SCHEMA)
		return false;
	return !(task && strcmp(task, "required") == 0) && l->n < LIMIT_TOOLS &&
	       !mcp_tools_find(l, s);
}

static char *copy(const char *s)
{
	char *p = strdup(s ? s : "");

	REQUIRE(p);
	return p;
}

static void add_tool(struct mcp_tools *l, const char *server, const json_t *from)
{
	const json_t *annotations = json_get(from, "annotations");
	json_t *schema = is_usable(l, from) ? copy_schema(json_get(from, "inputSchema")) : NULL;
	struct tool *more;

	if (!schema) {
		l->left_out++;
		return;
	}
	more = reallocarray(l->v, l->n + 1, sizeof(*more));
	REQUIRE(more);
	l->v = more;
	l->v[l->n++] = (struct tool){
		.server = server,
		.name = copy(json_get_str(from, "name")),
		.model_name = mcp_tools_model_name(server, json_get_str(from, "name")),
		.description = copy(json_get_str(from, "description")),
		.schema = schema,
		.read_only = hint(annotations, "readOnlyHint", false),
		.idempotent = hint(annotations, "idempotentHint", false),
		.destructive = hint(annotations, "destructiveHint", true),
	};
}

void mcp_tools_add(struct mcp_tools *l, const char *server, const json_t *result)
{
	const json_t *one;
	size_t i;

	json_array_foreach (json_get(result, "tools"), i, one) {
		add_tool(l, server, one);
	}
}
