/*
 * test_tool_policy.c - may this call run?
 */
#include "chatd/tool/tool_policy.h"

#include "chatd/tool/ask_user.h"
#include "chatd/tool/demo_tool.h"
#include "tests/unit/common/run_case.h"

#define NONE -1

/* TOL-2, SEC-6: the tool's own line, then read_only, then the server's permission */
static const struct {
	int permission, read_only; /* NONE: not in the section */
	const char *allow, *ask, *deny;
	bool only_reads;
	enum tool_permission want;
} t[] = {
	{NONE, NONE, NULL, NULL, NULL, false, TOOL_ASK},
	{NONE, NONE, NULL, NULL, NULL, true, TOOL_ASK}, /* the hint alone changes nothing */
	{NONE, TOOL_ALLOW, NULL, NULL, NULL, true, TOOL_ALLOW},
	{NONE, TOOL_ALLOW, NULL, NULL, NULL, false, TOOL_ASK},
	{TOOL_ALLOW, NONE, NULL, NULL, NULL, false, TOOL_ALLOW},
	{TOOL_ALLOW, TOOL_ASK, NULL, NULL, NULL, true, TOOL_ASK},
	{TOOL_DENY, NONE, NULL, NULL, NULL, true, TOOL_DENY},
	{TOOL_DENY, TOOL_ALLOW, NULL, NULL, NULL, true, TOOL_DENY}, /* a server's word is no pass */
	{TOOL_DENY, TOOL_ASK, NULL, NULL, NULL, true, TOOL_DENY},
	{TOOL_DENY, TOOL_ALLOW, "act", NULL, NULL, true, TOOL_ALLOW},
	{TOOL_DENY, NONE, "x, act", NULL, NULL, false, TOOL_ALLOW},
	{TOOL_ALLOW, TOOL_ALLOW, NULL, "act", NULL, true, TOOL_ASK},
	{TOOL_ALLOW, TOOL_ALLOW, NULL, NULL, " act ,x", true, TOOL_DENY},
	{TOOL_ASK, NONE, "ac", "actor", "x act", false, TOOL_ASK}, /* names are whole */
};

START_TEST(the_most_particular_word_counts)
{
	struct tool_conf *c = tool_conf_new("s");
	struct tool tool = {.server = "s", .name = "act", .read_only = t[_i].only_reads};
	const char *key;

	if (t[_i].permission != NONE)
		c->permission = (enum tool_permission)t[_i].permission;
	c->read_only_set = t[_i].read_only != NONE;
	if (c->read_only_set)
		c->read_only = (enum tool_permission)t[_i].read_only;
	c->command = strdup("x");
	c->allow_tools = t[_i].allow ? strdup(t[_i].allow) : NULL;
	c->ask_tools = t[_i].ask ? strdup(t[_i].ask) : NULL;
	c->deny_tools = t[_i].deny ? strdup(t[_i].deny) : NULL;
	ck_assert_ptr_null(tool_conf_finish(c, &key));
	ck_assert_int_eq(tool_policy(c, &tool), t[_i].want);
	tool_conf_unref(c);
}
END_TEST

START_TEST(built_in_tools_ask_unless_they_only_read)
{
	ck_assert_int_eq(tool_policy(NULL, ask_user_tool()), TOOL_ALLOW);
	ck_assert_int_eq(tool_policy(NULL, demo_tool()), TOOL_ASK);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("tool_policy");

	tcase_add_loop_test(tc, the_most_particular_word_counts, 0, (int)(sizeof(t) / sizeof(*t)));
	tcase_add_test(tc, built_in_tools_ask_unless_they_only_read);
	return run_case("tool_policy", tc);
}
