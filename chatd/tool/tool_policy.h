/*
 * tool_policy.h - may this call run? Pure.
 */
#pragma once

#include "chatd/tool/tool_conf.h"
#include "chatd/tool/toolbox.h"

/*
 * What the configuration says about a tool: its own line (deny_tools, ask_tools, allow_tools of the
 * section) first, then read_only = allow|ask|deny for tools whose server says that they only read,
 * then the server's `permission`, which is ask by default.
 *
 * c is NULL for built-in tools (toolbox_conf() says so): those that only read may run (ask_user is
 * itself the question), all others ask.
 */
enum tool_permission tool_policy(const struct tool_conf *c, const struct tool *t);
