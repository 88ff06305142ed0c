/*
 * mcp_message.h - what we say to an MCP server, in either era of the protocol. Pure.
 *
 * Each function appends one line. Up to 2025-11-25 there is a handshake and a session; from
 * 2026-07-28 each request says all that its server needs to know (_meta).
 */
#pragma once

#include <jansson.h>

#include "common/buf.h"

#define MCP_LEGACY_VERSION "2025-11-25"
#define MCP_MODERN_VERSION "2026-07-28"

enum mcp_era { MCP_LEGACY, MCP_MODERN };

int mcp_knows_legacy(const char *version); /* 1 if it is one that we speak; NULL is none */

void mcp_add_initialize(struct buf *b, long long id);
void mcp_add_initialized(struct buf *b);
void mcp_add_discover(struct buf *b, long long id);
void mcp_add_list(struct buf *b, enum mcp_era era, long long id, const char *cursor); /* or NULL */
/* Something that every server of the era answers. */
void mcp_add_probe(struct buf *b, enum mcp_era era, long long id);
/*
 * arguments: JSON text. Its newlines, which can only stand between its tokens, become blanks; apart
 * from that it is sent as it is. answers, state: what a modern server asked for, or NULL. The id is
 * the call's progress token too.
 */
void mcp_add_call(struct buf *b, enum mcp_era era, long long id, const char *name,
		  struct str arguments, const json_t *answers, const json_t *state);
void mcp_add_cancelled(struct buf *b, enum mcp_era era, long long id, const char *reason);
