/*
 * mcp_dialogue.c - the handshake with an MCP server, and its list of tools. See mcp_dialogue.h.
 *
 *	initialize --result, a version that we know--> notifications/initialized, tools/list
 *	     | error, or a version of the new era
 *	server/discover --result, our version--------> tools/list (with _meta, like all from now on)
 *	     | error, or other versions only
 *	  failed
 *
 *	tools/list --nextCursor--> tools/list --...--> listed
 *
 * We open with `initialize`: all servers of today understand it, those of both eras included, and
 * one that doesn't must say so.
 *
 * The list is read page by page into a new one that takes the old one's place when it is whole. A
 * server whose paging has no end is cut off at LIMIT_TOOL_PAGES. One that declared no tools is
 * asked all the same, since some forget to; its error then means "none".
 */
#include "chatd/tool/mcp_dialogue.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/require.h"

void mcp_dialogue_fini(struct mcp_dialogue *d)
{
	mcp_tools_fini(&d->tools);
	mcp_tools_fini(&d->fresh);
}

static void ask(struct mcp_dialogue *d, enum mcp_asked what, const char *cursor, struct buf *out)
{
	d->asked = what;
	d->asked_id = ++d->last_id;
	if (what == MCP_ASKED_INITIALIZE)
		mcp_add_initialize(out, d->asked_id);
	else if (what == MCP_ASKED_DISCOVER)
		mcp_add_discover(out, d->asked_id);
	else
		mcp_add_list(out, d->era, d->asked_id, cursor);
}

void mcp_dialogue_open(struct mcp_dialogue *d, struct buf *out)
{
	d->is_listed = false;
	ask(d, MCP_ASKED_INITIALIZE, NULL, out);
}

void mcp_dialogue_list(struct mcp_dialogue *d, struct buf *out)
{
	REQUIRE(d->asked == MCP_ASKED_NOTHING);
	mcp_tools_fini(&d->fresh);
	d->pages = 0;
	ask(d, MCP_ASKED_LIST, NULL, out);
}

__attribute__((format(printf, 2, 3))) static enum mcp_step fail(struct mcp_dialogue *d,
								const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	(void)snprintf(d->why, sizeof(d->why), "%s", buf_str(&b));
	buf_fini(&b);
	return MCP_STEP_FAILED;
}

static enum mcp_step begin(struct mcp_dialogue *d, enum mcp_era era, const json_t *result,
			   struct buf *out)
{
	d->era = era;
	d->says_tools = json_get(json_get(result, "capabilities"), "tools") != NULL;
	if (era == MCP_LEGACY)
		mcp_add_initialized(out);
	mcp_dialogue_list(d, out);
	return MCP_STEP_OPENED;
}

static enum mcp_step initialized(struct mcp_dialogue *d, const struct jsonrpc_message *m,
				 struct buf *out)
{
	const char *version = json_get_str(m->result, "protocolVersion");

	if (m->kind == JSONRPC_ERROR || (version && strcmp(version, MCP_MODERN_VERSION) == 0)) {
		ask(d, MCP_ASKED_DISCOVER, NULL, out);
		return MCP_STEP_MORE;
	}
	if (!mcp_knows_legacy(version))
		return fail(d, "speaks a version of MCP that is not known here: %.40s",
			    version ? version : "(none)");
	return begin(d, MCP_LEGACY, m->result, out);
}

/* A server that does not say which versions it speaks has answered in ours at least. */
static bool lists_modern(const json_t *versions)
{
	const json_t *one;
	size_t i;

	json_array_foreach (versions, i, one) {
		if (json_is_string(one) && strcmp(json_string_value(one), MCP_MODERN_VERSION) == 0)
			return true;
	}
	return !versions;
}

static enum mcp_step discovered(struct mcp_dialogue *d, const struct jsonrpc_message *m,
				struct buf *out)
{
	if (m->kind == JSONRPC_ERROR)
		return fail(d, "refuses to be opened: error %lld, %.100s", m->code, m->error);
	if (!lists_modern(json_get(m->result, "supportedVersions")))
		return fail(d, "speaks no version of MCP that is known here");
	return begin(d, MCP_MODERN, m->result, out);
}

static enum mcp_step listed(struct mcp_dialogue *d, const struct jsonrpc_message *m,
			    struct buf *out)
{
	const char *cursor = json_get_str(m->result, "nextCursor");

	if (m->kind == JSONRPC_ERROR && d->is_listed) {
		mcp_tools_fini(&d->fresh);
		return MCP_STEP_KEPT;
	}
	if (m->kind == JSONRPC_ERROR && d->says_tools)
		return fail(d, "does not list its tools: error %lld, %.100s", m->code, m->error);
	mcp_tools_add(&d->fresh, d->server, m->result);
	if (cursor && *cursor && ++d->pages < LIMIT_TOOL_PAGES) {
		ask(d, MCP_ASKED_LIST, cursor, out);
		return MCP_STEP_MORE;
	}
	mcp_tools_fini(&d->tools);
	d->tools = d->fresh;
	d->fresh = (struct mcp_tools){0};
	d->is_listed = true;
	return MCP_STEP_LISTED;
}

enum mcp_step mcp_dialogue_answer(struct mcp_dialogue *d, const struct jsonrpc_message *m,
				  struct buf *out)
{
	enum mcp_asked what = d->asked;

	if (what == MCP_ASKED_NOTHING || !json_is_integer(m->id) ||
	    json_integer_value(m->id) != d->asked_id)
		return MCP_STEP_FOREIGN;
	d->asked = MCP_ASKED_NOTHING;
	if (what == MCP_ASKED_INITIALIZE)
		return initialized(d, m, out);
	if (what == MCP_ASKED_DISCOVER)
		return discovered(d, m, out);
	return listed(d, m, out);
}
