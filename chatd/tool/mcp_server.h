/*
 * mcp_server.h - one MCP server: its process, its handshake, its tools, its restarts.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>

#include "chatd/tool/child.h"
#include "chatd/tool/mcp_call.h"
#include "chatd/tool/mcp_tools.h"
#include "chatd/tool/tool_conf.h"

/*
 *	            child started             handshake done             tools listed
 *	DOWN --------------------> STARTING ----------------> LISTING ----------------> READY
 *	 ^ back-off                   |                          |                        |
 *	 |                            +---- too late, refuses, talks nonsense, ... -------+
 *	 |      child gone            v                                                   |
 *	 +------------------------ STOPPING <---------------------------------------------+
 *	 +--------------- it died by itself, in any state -----------------------------------
 */
enum mcp_state { MCP_DOWN, MCP_STARTING, MCP_LISTING, MCP_READY, MCP_STOPPING };

struct mcp_server;

/* `changed` comes from the loop, whenever the state changes; never inside a function of ours. */
struct mcp_server *mcp_server_new(struct event_base *base, struct tool_conf *conf,
				  void (*changed)(void *arg), void *arg);
/* Kills what still runs (toolbox_free() ends it in order before). No callbacks. NULL is fine. */
void mcp_server_free(struct mcp_server *s);

enum mcp_state mcp_server_state(const struct mcp_server *s);
const char *mcp_state_name(enum mcp_state state);
/* Has it been ready once, or failed once? */
bool mcp_server_is_settled(const struct mcp_server *s);
/* Is it ready, or back in a moment: a call may be made, and waits if it has to. */
bool mcp_server_takes_calls(const struct mcp_server *s);
/* Why it is not ready; goes behind its name. Printable ASCII. "" if it is ready. */
const char *mcp_server_why(const struct mcp_server *s);
const struct tool_conf *mcp_server_conf(const struct mcp_server *s);
/* The last list that was complete. Borrowed until the next pass of the loop. */
const struct mcp_tools *mcp_server_tools(const struct mcp_server *s);
struct mcp_calls *mcp_server_calls(struct mcp_server *s);
struct child *mcp_server_child(const struct mcp_server *s); /* NULL if it has none; borrowed */
