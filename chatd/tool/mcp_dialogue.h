/*
 * mcp_dialogue.h - the handshake with an MCP server, and its list of tools. Pure.
 *
 * It says what to send next and what an answer means; who sends, waits and stops is mcp_server.c.
 */
#pragma once

#include <stdbool.h>

#include "chatd/tool/jsonrpc.h"
#include "chatd/tool/mcp_message.h"
#include "chatd/tool/mcp_tools.h"
#include "common/limits.h"

enum mcp_asked { MCP_ASKED_NOTHING, MCP_ASKED_INITIALIZE, MCP_ASKED_DISCOVER, MCP_ASKED_LIST };

/* What an answer has brought. Where something was appended to out, it is to be sent. */
enum mcp_step {
	MCP_STEP_FOREIGN, /* it is no answer to what was asked here */
	MCP_STEP_MORE,	  /* one step further; out holds the next request */
	MCP_STEP_OPENED,  /* era is known now, out asks for the tools */
	MCP_STEP_LISTED,  /* tools is the new list */
	MCP_STEP_KEPT,	  /* no new list; tools is what it was */
	MCP_STEP_FAILED	  /* why says what is wrong; there is no going on */
};

/* Embedded; {.server = name} is one that nothing was asked yet. */
struct mcp_dialogue {
	const char *server; /* borrowed */
	long long last_id;  /* of any request to this server; others count it up too */
	enum mcp_era era;
	enum mcp_asked asked; /* at most one request at a time */
	long long asked_id;
	bool says_tools;	      /* the server declared to have tools */
	bool is_listed;		      /* this process has listed its tools once */
	unsigned pages;		      /* read of fresh */
	struct mcp_tools tools;	      /* owned: the last whole list */
	struct mcp_tools fresh;	      /* owned: the one that is being read */
	char why[LIMIT_TOOL_WHY + 1]; /* goes behind the server's name */
};

void mcp_dialogue_fini(struct mcp_dialogue *d);
/* Begins from the start, with a new process: appends the first request. tools stays. */
void mcp_dialogue_open(struct mcp_dialogue *d, struct buf *out);
/* Asks for the tools once more; not while something else is asked. */
void mcp_dialogue_list(struct mcp_dialogue *d, struct buf *out);
enum mcp_step mcp_dialogue_answer(struct mcp_dialogue *d, const struct jsonrpc_message *m,
				  struct buf *out);
