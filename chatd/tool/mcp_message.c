/*
 * mcp_message.c - what we say to an MCP server. See mcp_message.h.
 *
 * We declare no capabilities: no roots, no sampling, no elicitation. So a server has nothing to ask
 * us, and leaves out the tools that could not work without asking. Whoever asks nonetheless is
 * refused (mcp_server.c, mcp_call.c).
 *
 * Messages are put together as text, since arguments go through as the bytes that the model wrote:
 * to parse and print them again would round numbers and reorder what a person agreed to.
 */
#include "chatd/tool/mcp_message.h"

#include <string.h>

#include "chatd/tool/jsonrpc.h"
#include "common/json.h"

#define CLIENT "{\"name\":\"chatd\",\"version\":\"" CHATD_VERSION "\"}"
#define META   "io.modelcontextprotocol/"

int mcp_knows_legacy(const char *version)
{
	static const char *const known[] = {"2024-11-05", "2025-03-26", "2025-06-18",
					    MCP_LEGACY_VERSION};

	for (size_t i = 0; version && i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(version, known[i]) == 0)
			return 1;
	}
	return 0;
}

/* The members of _meta, each with a comma behind it. */
static void add_modern_meta(struct buf *b, enum mcp_era era)
{
	if (era == MCP_MODERN)
		buf_adds(b, "\"" META "protocolVersion\":\"" MCP_MODERN_VERSION "\",\"" META
			    "clientCapabilities\":{},\"" META "clientInfo\":" CLIENT ",");
}

static void end_meta(struct buf *b)
{
	if (b->data[b->len - 1] == ',')
		b->len--;
	buf_addc(b, '}');
}

static void add_meta(struct buf *b, enum mcp_era era)
{
	buf_adds(b, "\"_meta\":{");
	add_modern_meta(b, era);
	end_meta(b);
}

static void add_request(struct buf *b, long long id, const char *method, struct buf *params)
{
	jsonrpc_add_request(b, id, method, (struct str){params->data, params->len});
	buf_fini(params);
}

void mcp_add_initialize(struct buf *b, long long id)
{
	jsonrpc_add_request(b, id, "initialize",
			    str_of("{\"protocolVersion\":\"" MCP_LEGACY_VERSION
				   "\",\"capabilities\":{},\"clientInfo\":" CLIENT "}"));
}

void mcp_add_initialized(struct buf *b)
{
	jsonrpc_add_notification(b, "notifications/initialized", str_of(NULL));
}

static void add_bare(struct buf *b, enum mcp_era era, long long id, const char *method)
{
	struct buf params = BUF_INIT;

	buf_addc(&params, '{');
	if (era == MCP_MODERN)
		add_meta(&params, era);
	buf_addc(&params, '}');
	add_request(b, id, method, &params);
}

void mcp_add_discover(struct buf *b, long long id)
{
	add_bare(b, MCP_MODERN, id, "server/discover");
}

void mcp_add_probe(struct buf *b, enum mcp_era era, long long id)
{
	add_bare(b, era, id, era == MCP_MODERN ? "server/discover" : "ping");
}

void mcp_add_list(struct buf *b, enum mcp_era era, long long id, const char *cursor)
{
	struct buf params = BUF_INIT;

	buf_addc(&params, '{');
	if (cursor) {
		buf_adds(&params, "\"cursor\":");
		json_add_string(&params, cursor, strlen(cursor));
	}
	if (era == MCP_MODERN) {
		buf_adds(&params, cursor ? "," : "");
		add_meta(&params, era);
	}
	buf_addc(&params, '}');
	add_request(b, id, "tools/list", &params);
}

static void add_on_one_line(struct buf *b, struct str json)
{
	size_t from = b->len;

	buf_add(b, json.p, json.n);
	for (size_t i = from; i < b->len; i++) {
		if (b->data[i] == '\n' || b->data[i] == '\r')
			b->data[i] = ' ';
	}
}

void mcp_add_call(struct buf *b, enum mcp_era era, long long id, const char *name,
		  struct str arguments, const json_t *answers, const json_t *state)
{
	struct buf params = BUF_INIT;

	buf_adds(&params, "{\"name\":");
	json_add_string(&params, name, strlen(name));
	buf_adds(&params, ",\"arguments\":");
	add_on_one_line(&params, arguments);
	if (answers) {
		buf_adds(&params, ",\"inputResponses\":");
		json_add_value(&params, answers);
	}
	if (state) {
		buf_adds(&params, ",\"requestState\":");
		json_add_value(&params, state);
	}
	buf_adds(&params, ",\"_meta\":{");
	add_modern_meta(&params, era);
	buf_addf(&params, "\"progressToken\":%lld", id);
	end_meta(&params);
	buf_addc(&params, '}');
	add_request(b, id, "tools/call", &params);
}

void mcp_add_cancelled(struct buf *b, enum mcp_era era, long long id, const char *reason)
{
	struct buf params = BUF_INIT;

	buf_addf(&params, "{\"requestId\":%lld,\"reason\":", id);
	json_add_string(&params, reason, strlen(reason));
	if (era == MCP_MODERN) {
		buf_addc(&params, ',');
		add_meta(&params, era);
	}
	buf_addc(&params, '}');
	jsonrpc_add_notification(b, "notifications/cancelled",
				 (struct str){params.data, params.len});
	buf_fini(&params);
}
