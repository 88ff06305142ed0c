/*
 * tool_policy.h - may this call run? Pure.
 */
#pragma once

#include "chatd/tool/toolbox.h"

enum tool_permission { TOOL_ALLOW, TOOL_ASK, TOOL_DENY };

/*
 * What the configuration says about a tool: its own line (allow_tools, ask_tools, deny_tools of the
 * section) first, then read_only = allow|ask for tools whose server says that they only read, then
 * the server's `permission`, which is ask by default. c may be NULL for built-in tools.
 */
enum tool_permission tool_policy(const struct tool_conf *c, const struct tool *t);
