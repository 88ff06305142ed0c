/*
 * mcp_tools.h - the tools that a server lists. Pure.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "chatd/tool/toolbox.h"

/* Embedded; zero-initialised is empty. The texts and schemas of its tools are its own. */
struct mcp_tools {
	struct tool *v;
	size_t n;
	size_t left_out; /* listed, but not usable here */
};

void mcp_tools_fini(struct mcp_tools *l);
/*
 * Adds a page of tools/list. server is borrowed for as long as the list lives. Left out, and
 * counted: tools without a proper name, that can only be run as tasks, whose description or schema
 * is beyond LIMIT_TOOL_SCHEMA, that stand there twice, or beyond LIMIT_TOOLS.
 */
void mcp_tools_add(struct mcp_tools *l, const char *server, const json_t *result);
const struct tool *mcp_tools_find(const struct mcp_tools *l, const char *name);

/* The name that models see: [A-Za-z0-9_-]{1,64}, the same for the same pair. malloc'ed. */
char *mcp_tools_model_name(const char *server, const char *name);
