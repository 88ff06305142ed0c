/*
 * test_mcp_tools.c - the tools that a server lists, and their names for models.
 */
#include "chatd/tool/mcp_tools.h"

#include <ctype.h>
#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "tests/unit/common/run_case.h"

START_TEST(names_for_models_are_plain_where_they_can_be)
{
	static const struct {
		const char *server, *name, *want; /* a * stands for the hash */
	} t[] = {
		{"fs", "read_file", "fs__read_file"},
		{"fs", "_x", "fs___x"},
		{"fs", "a__b", "fs__a__b"},
		{"fs_", "x", "fs___x_*"}, /* or it would be that of fs and _x */
		{"a__b", "c", "a__b__c_*"},
		{"fs.2", "x y", "fs_2__x_y_*"},
		{"s", "\u00e4", "s_____*"},
		{"s", "0123456789012345678901234567890123456789012345678901234567890",
		 "s__0123456789012345678901234567890123456789012345678901234567890"},
		{"s", "01234567890123456789012345678901234567890123456789012345678901",
		 "s__0123456789012345678901234567890123456789012345678901_*"},
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(*t); i++) {
		char *name = mcp_tools_model_name(t[i].server, t[i].name);
		size_t n = strcspn(t[i].want, "*");

		ck_assert_msg(strncmp(name, t[i].want, n) == 0, "%s", name);
		ck_assert_uint_eq(strlen(name), n + (t[i].want[n] ? 8 : 0));
		ck_assert_uint_le(strlen(name), 64);
		for (const char *c = name; *c; c++)
			ck_assert(isalnum((unsigned char)*c) || *c == '_' || *c == '-');
		free(name);
	}
}
END_TEST

START_TEST(names_for_models_differ_where_the_tools_do)
{
	static const char *const pairs[][2] = {{"a", "b__c"}, {"a__b", "c"}, {"a_", "b"},
					       {"a", "_b"},   {"a.b", "c"},  {"a-b", "c"},
					       {"a b", "c"},  {"a", "b c"},  {"a", "b.c"}};
	enum { N = sizeof(pairs) / sizeof(*pairs) };
	char *names[N];

	for (int i = 0; i < N; i++) {
		names[i] = mcp_tools_model_name(pairs[i][0], pairs[i][1]);
		for (int k = 0; k < i; k++)
			ck_assert_str_ne(names[i], names[k]);
	}
	for (int i = 0; i < N; i++)
		free(names[i]);
}
END_TEST

static void add(struct mcp_tools *l, const char *text)
{
	json_t *v = json_read(text, strlen(text), NULL, 0);

	ck_assert_ptr_nonnull(v);
	mcp_tools_add(l, "s", v);
	json_decref(v);
}

START_TEST(tools_that_are_not_usable_are_left_out)
{
	struct mcp_tools l = {0};

	add(&l, "{\"tools\":[{\"name\":\"a\"},{\"name\":\"a\"},{\"name\":\"\"},{},7,"
		"{\"name\":\"x\\ny\"},{\"name\":\"x\\u0000y\"},"
		"{\"name\":\"task\",\"execution\":{\"taskSupport\":\"required\"}},"
		"{\"name\":\"maybe\",\"execution\":{\"taskSupport\":\"optional\"}}]}");
	ck_assert_uint_eq(l.n, 2);
	ck_assert_uint_eq(l.left_out, 7);
	ck_assert_str_eq(l.v[1].name, "maybe");
	ck_assert_str_eq(l.v[0].description, "");
	ck_assert_str_eq(json_get_str(l.v[0].schema, "type"), "object");
	ck_assert_ptr_null(mcp_tools_find(&l, "task"));
	add(&l, "{}");
	add(&l, "{\"tools\":{}}");
	ck_assert_uint_eq(l.n, 2);
	mcp_tools_fini(&l);
}
END_TEST

START_TEST(hints_have_the_defaults_of_mcp)
{
	static const struct {
		const char *annotations;
		bool read_only, idempotent, destructive;
	} t[] = {
		{"{}", false, false, true},
		{"{\"readOnlyHint\":true}", true, false, true},
		{"{\"idempotentHint\":true,\"destructiveHint\":false}", false, true, false},
		{"{\"readOnlyHint\":\"true\",\"destructiveHint\":0}", false, false, true},
		{"null", false, false, true},
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct mcp_tools l = {0};
		struct buf b = BUF_INIT;

		buf_addf(&b, "{\"tools\":[{\"name\":\"a\",\"annotations\":%s}]}", t[i].annotations);
		add(&l, buf_str(&b));
		ck_assert_int_eq(l.v[0].read_only, t[i].read_only);
		ck_assert_int_eq(l.v[0].idempotent, t[i].idempotent);
		ck_assert_int_eq(l.v[0].destructive, t[i].destructive);
		buf_fini(&b);
		mcp_tools_fini(&l);
	}
}
END_TEST

START_TEST(sizes_have_limits)
{
	struct mcp_tools l = {0};
	char *text = malloc(LIMIT_TOOL_SCHEMA + 2);
	char name[LIMIT_TOOL_NAME + 2];
	json_t *page;

	ck_assert_ptr_nonnull(text);
	for (size_t more = 0; more < 2; more++) {
		memset(text, 'd', LIMIT_TOOL_SCHEMA + more);
		text[LIMIT_TOOL_SCHEMA + more] = '\0';
		memset(name, 'n', LIMIT_TOOL_NAME + more);
		name[LIMIT_TOOL_NAME + more] = '\0';
		/* {"a":"…"} is 8 bytes more than what stands in it */
		page = json_pack("{s:[{s:s},{s:s,s:s},{s:s,s:{s:s}}]}", "tools", "name", name,
				 "name", more ? "d1" : "d0", "description", text, "name",
				 more ? "s1" : "s0", "inputSchema", "a", text + 8);
		mcp_tools_add(&l, "s", page);
		json_decref(page);
		ck_assert_uint_eq(l.n, 3);
	}
	mcp_tools_fini(&l);
	for (int i = 0; i <= LIMIT_TOOLS; i++) {
		(void)snprintf(name, sizeof(name), "{\"tools\":[{\"name\":\"t%d\"}]}", i);
		add(&l, name);
	}
	ck_assert_uint_eq(l.n, LIMIT_TOOLS);
	ck_assert_uint_eq(l.left_out, 1);
	mcp_tools_fini(&l);
	free(text);
}
END_TEST

/* PRC-5: one schema that no provider reads would fail every question of every turn. */
START_TEST(a_schema_is_nested_up_to_the_limit_and_left_out_one_deeper)
{
	for (int depth = LIMIT_JSON_DEPTH; depth <= LIMIT_JSON_DEPTH + 1; depth++) {
		struct mcp_tools l = {0};
		struct buf b = BUF_INIT;

		buf_adds(&b, "{\"tools\":[{\"name\":\"deep\",\"inputSchema\":");
		for (int i = 1; i < depth; i++)
			buf_adds(&b, "{\"a\":");
		buf_adds(&b, "{}");
		for (int i = 1; i < depth; i++)
			buf_addc(&b, '}');
		buf_adds(&b, "}]}");
		add(&l, buf_str(&b));
		ck_assert_uint_eq(l.n, depth == LIMIT_JSON_DEPTH);
		ck_assert_uint_eq(l.left_out, depth > LIMIT_JSON_DEPTH);
		mcp_tools_fini(&l);
		buf_fini(&b);
	}
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("mcp_tools");

	tcase_add_test(t, names_for_models_are_plain_where_they_can_be);
	tcase_add_test(t, names_for_models_differ_where_the_tools_do);
	tcase_add_test(t, tools_that_are_not_usable_are_left_out);
	tcase_add_test(t, a_schema_is_nested_up_to_the_limit_and_left_out_one_deeper);
	tcase_add_test(t, hints_have_the_defaults_of_mcp);
	tcase_add_test(t, sizes_have_limits);
	return run_case("mcp_tools", t);
}
