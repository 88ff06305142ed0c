/*
 * tool_policy.c - may this call run? See tool_policy.h.
 *
 * The most particular word counts: the tool's own, then that for its kind, then that for its
 * server. Of the lists the careful one is looked at first, though a tool that stands in two of
 * them is refused when the configuration is read.
 *
 * What a server says of its own tools is not to be trusted more than the operator trusts the
 * server: that is why readOnlyHint changes nothing unless read_only says so, and never lowers a
 * DENY: what of a denied server may run is named in its lists. "Allow for this
 * session" is an answer of a user and no business of this file: it can only turn ASK into ALLOW,
 * never DENY.
 */
#include "chatd/tool/tool_policy.h"

enum tool_permission tool_policy(const struct tool_conf *c, const struct tool *t)
{
	if (!c)
		return t->read_only ? TOOL_ALLOW : TOOL_ASK;
	if (tool_conf_lists(c->deny_tools, t->name))
		return TOOL_DENY;
	if (tool_conf_lists(c->ask_tools, t->name))
		return TOOL_ASK;
	if (tool_conf_lists(c->allow_tools, t->name))
		return TOOL_ALLOW;
	return t->read_only && c->permission != TOOL_DENY ? c->read_only : c->permission;
}
