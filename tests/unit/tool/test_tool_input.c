/*
 * test_tool_input.c - do these arguments fit the tool?
 */
#include "chatd/tool/tool_input.h"

#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "tests/unit/common/run_case.h"

#define P(properties) "{\"type\":\"object\",\"properties\":{" properties "}}"

/* FAF-5: the reason is one that a model can act on; NULL where they fit */
static const struct {
	const char *schema, *arguments, *why;
} t[] = {
	{"{}", "{}", NULL},
	{"{}", "", NULL},
	{"{}", " \n\t", NULL},
	{"{}", "{\"a\":1", "not valid JSON: '}' expected near end of file (byte 6)"},
	{"{}", "{} x", "not valid JSON: end of file expected near 'x' (byte 4)"},
	{"{}", "[1]", "must be a JSON object"},
	{"{}", "null", "must be a JSON object"},
	{"{}", "{\"a\":1,\"a\":2}", "not valid JSON: duplicate object key near '\"a\"' (byte 10)"},
	{"{}", "{\"a\":\"\\ud800\"}",
	 "not valid JSON: invalid Unicode '\\uD800' near '\"\\ud800\"' (byte 13)"},
	{P("\"a\":{\"type\":\"string\"}"), "{\"a\":\"x\"}", NULL},
	{P("\"a\":{\"type\":\"string\"}"), "{\"a\":1}", "/a: must be of type string"},
	{P("\"a\":{\"type\":\"number\"}"), "{\"a\":1.5}", NULL},
	{P("\"a\":{\"type\":\"integer\"}"), "{\"a\":2.0}", NULL},
	{P("\"a\":{\"type\":\"integer\"}"), "{\"a\":1.5}", "/a: must be of type integer"},
	{P("\"a\":{\"type\":\"boolean\"}"), "{\"a\":true}", NULL},
	{P("\"a\":{\"type\":\"boolean\"}"), "{\"a\":\"true\"}", "/a: must be of type boolean"},
	{P("\"a\":{\"type\":\"null\"}"), "{\"a\":null}", NULL},
	{P("\"a\":{\"type\":\"object\"}"), "{\"a\":[]}", "/a: must be of type object"},
	{P("\"a\":{\"type\":\"array\"}"), "{\"a\":{}}", "/a: must be of type array"},
	{P("\"a\":{\"type\":[\"string\",\"null\"]}"), "{\"a\":null}", NULL},
	{P("\"a\":{\"type\":[\"string\",\"null\"]}"), "{\"a\":1}",
	 "/a: is of none of the types that are allowed"},
	{P("\"a\":{\"type\":\"of the future\"}"), "{\"a\":1}", NULL},
	{"{\"required\":[\"a\"]}", "{\"a\":null}", NULL},
	{"{\"required\":[\"a\"]}", "{}", "\"a\" is missing"},
	{"{\"required\":[\"a\"]}", "", "\"a\" is missing"},
	{"{\"additionalProperties\":false,\"properties\":{\"a\":{}}}", "{\"a\":1}", NULL},
	{"{\"additionalProperties\":false,\"properties\":{\"a\":{}}}", "{\"b\":1}",
	 "\"b\" is not known"},
	{"{\"additionalProperties\":{\"type\":\"string\"}}", "{\"b\":1}", NULL},
	{P("\"a\":{\"enum\":[\"x\",2]}"), "{\"a\":2.0}", NULL},
	{P("\"a\":{\"enum\":[\"x\",\"y\"]}"), "{\"a\":\"z\"}", "/a: must be one of \"x\", \"y\""},
	{P("\"a\":{\"const\":{\"b\":[1]}}"), "{\"a\":{\"b\":[1]}}", NULL},
	{P("\"a\":{\"const\":\"x\"}"), "{\"a\":\"y\"}", "/a: is not the one value that is allowed"},
	{P("\"a\":{\"minimum\":2,\"maximum\":3}"), "{\"a\":2}", NULL},
	{P("\"a\":{\"minimum\":2,\"maximum\":3}"), "{\"a\":3}", NULL},
	{P("\"a\":{\"minimum\":2,\"maximum\":3}"), "{\"a\":1.99}", "/a: must be at least 2"},
	{P("\"a\":{\"minimum\":2,\"maximum\":3}"), "{\"a\":4}", "/a: must be at most 3"},
	{P("\"a\":{\"maximum\":9007199254740992}"), "{\"a\":9007199254740993}",
	 "/a: must be at most 9.0072e+15"},
	{P("\"a\":{\"minLength\":2,\"maxLength\":3}"), "{\"a\":\"\u00e4\u00e4\u00e4\"}", NULL},
	{P("\"a\":{\"minLength\":2}"), "{\"a\":\"\u00e4\"}", "/a: must have at least 2 characters"},
	{P("\"a\":{\"maxLength\":3}"), "{\"a\":\"abcd\"}", "/a: must have at most 3 characters"},
	{P("\"a\":{\"minItems\":1,\"maxItems\":2}"), "{\"a\":[1,2]}", NULL},
	{P("\"a\":{\"minItems\":1}"), "{\"a\":[]}", "/a: must have at least 1 items"},
	{P("\"a\":{\"maxItems\":2}"), "{\"a\":[1,2,3]}", "/a: must have at most 2 items"},
	{P("\"a\":{\"items\":{\"properties\":{\"b\":{\"type\":\"string\"}}}}"),
	 "{\"a\":[{\"b\":\"x\"},{\"b\":1}]}", "/a/1/b: must be of type string"},
	{P("\"a\":{\"prefixItems\":[{}],\"items\":false}"), "{\"a\":[1]}", NULL},
	{P("\"a\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}"), "{\"a\":null}", NULL},
	{P("\"a\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}"), "{\"a\":1}",
	 "/a: fits none of the forms that are allowed"},
	{P("\"a\":{\"oneOf\":[{\"type\":\"string\"},{\"required\":[\"b\"]}]}"), "{\"a\":{}}",
	 "/a: fits none of the forms that are allowed"},
	{P("\"a\":{\"anyOf\":[]}"), "{\"a\":1}", NULL},
	{P("\"a\":false"), "{\"a\":1}", "/a: must not be there"},
	{P("\"a\":{\"$ref\":\"#/nowhere\",\"format\":\"uri\",\"pattern\":\"^x$\"}"), "{\"a\":1}",
	 NULL},
	/* schemas that make no sense mean nothing */
	{"true", "{\"a\":1}", NULL},
	{"{\"type\":7,\"required\":\"a\",\"properties\":[],\"enum\":{},\"minimum\":\"x\"}",
	 "{\"a\":1}", NULL},
	{P("\"a\":{\"minLength\":-5,\"maxLength\":\"3\"}"), "{\"a\":\"\"}", NULL},
};

START_TEST(arguments_fit_or_the_reason_names_what_and_where)
{
	json_t *schema = json_read(t[_i].schema, strlen(t[_i].schema), NULL, 0);
	char why[300] = "";
	json_t *v;

	ck_assert_ptr_nonnull(schema);
	v = tool_input_check(str_of(t[_i].arguments), schema, why, sizeof(why));
	if (t[_i].why)
		ck_assert_str_eq(why, t[_i].why);
	else
		ck_assert_msg(json_is_object(v), "%s", why);
	ck_assert(!v == !!t[_i].why);
	json_decref(v);
	json_decref(schema);
}
END_TEST

START_TEST(long_names_are_cut_at_whole_characters)
{
	static const char *const schemas[] = {
		"{\"required\":[\"x%s\"]}",
		"{\"properties\":{\"a\":{\"enum\":[\"x%s\"]}}}",
		"{\"properties\":{\"a\":{\"type\":\"string\"},\"x%s\":{}}}",
		"{\"additionalProperties\":false,\"not\":\"%s\"}",
	};
	char name[201] = "";

	for (int i = 0; i < 100; i++)
		strcat(name, "\u00e4");
	for (unsigned i = 0; i < sizeof(schemas) / sizeof(*schemas); i++) {
		struct buf schema = BUF_INIT;
		struct buf arguments = BUF_INIT;
		json_t *s, *reason;
		char why[300];

		buf_addf(&arguments, "{\"a\":1,\"x%s\":1}", name);
		for (const char *c = schemas[i]; *c; c++) {
			if (*c == '%')
				buf_adds(&schema, name), c++;
			else
				buf_addc(&schema, *c);
		}
		s = json_read(schema.data, schema.len, NULL, 0);
		ck_assert_ptr_nonnull(s);
		ck_assert_ptr_null(tool_input_check(i ? (struct str){arguments.data, arguments.len}
						      : str_of("{}"),
						    s, why, sizeof(why)));
		reason = json_string(why); /* takes nothing but UTF-8 */
		ck_assert_ptr_nonnull(reason);
		json_decref(reason);
		json_decref(s);
		buf_fini(&schema);
		buf_fini(&arguments);
	}
}
END_TEST

START_TEST(a_short_buffer_holds_whole_characters)
{
	json_t *schema = json_pack("{s:[s]}", "required", "\u00e4\u00e4\u00e4\u00e4\u00e4");
	char why[7];

	ck_assert_ptr_null(tool_input_check(str_of("{}"), schema, why, sizeof(why)));
	ck_assert_str_eq(why, "\"\u00e4\u00e4");
	json_decref(schema);
}
END_TEST

/* A hostile pair of schema and arguments costs a bounded time, and the rest counts as fitting. */
START_TEST(the_work_of_a_check_is_bounded)
{
	struct buf schema = BUF_INIT;
	struct buf arguments = BUF_INIT;
	char why[300];
	json_t *s, *v;

	buf_adds(&schema, "{\"properties\":{\"a\":{\"items\":{\"anyOf\":[{\"const\":0}");
	for (int i = 0; i < 5000; i++)
		buf_adds(&schema, ",{\"const\":1}");
	buf_adds(&schema, "]}}}}");
	buf_adds(&arguments, "{\"a\":[2");
	for (int i = 0; i < 100000; i++)
		buf_adds(&arguments, ",0");
	buf_adds(&arguments, ",3]}");
	s = json_read(schema.data, schema.len, NULL, 0);
	v = tool_input_check((struct str){arguments.data, arguments.len}, s, why, sizeof(why));
	ck_assert_ptr_null(v); /* the first one is looked at */
	ck_assert_str_eq(why, "/a/0: fits none of the forms that are allowed");
	arguments.data[6] = '0';
	v = tool_input_check((struct str){arguments.data, arguments.len}, s, why, sizeof(why));
	ck_assert_ptr_null(v); /* 100 000 that fit at once leave enough for the last one */
	for (size_t i = 6; i < arguments.len - 2; i += 2)
		arguments.data[i] = '1';
	ck_assert(json_object_get(s, "properties") != NULL);
	json_decref(s);
	schema.data[strcspn(schema.data, "0")] = '7';
	for (size_t i = 0; i + 1 < schema.len; i++) {
		if (schema.data[i] == '1' && i < schema.len - 20)
			schema.data[i] = '8';
	}
	s = json_read(schema.data, schema.len, NULL, 0);
	v = tool_input_check((struct str){arguments.data, arguments.len}, s, why, sizeof(why));
	ck_assert_ptr_nonnull(v); /* 5001 comparisons for each: given up */
	json_decref(v);
	json_decref(s);
	buf_fini(&schema);
	buf_fini(&arguments);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("tool_input");

	tcase_add_loop_test(tc, arguments_fit_or_the_reason_names_what_and_where, 0,
			    (int)(sizeof(t) / sizeof(*t)));
	tcase_add_test(tc, long_names_are_cut_at_whole_characters);
	tcase_add_test(tc, a_short_buffer_holds_whole_characters);
	tcase_add_test(tc, the_work_of_a_check_is_bounded);
	return run_case("tool_input", tc);
}
