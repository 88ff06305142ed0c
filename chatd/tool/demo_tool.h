/*
 * demo_tool.h - the built-in tool of the demo provider: it rolls dice.
 *
 * It needs no process and no network, and asks for permission by default: a newcomer meets a
 * permission prompt within the first minute.
 */
#pragma once

#include <stdbool.h>

#include "chatd/tool/toolbox.h"

/* Server "demo", name "roll_dice", {sides?: 2..1000, count?: 1..20}; one die of 6 sides if unsaid.
 */
const struct tool *demo_tool(void);
/* Rolls. malloc'ed text; *ret_is_error if the arguments don't fit, which the text then says. */
char *demo_tool_run(struct str arguments, bool *ret_is_error);
