/*
 * test_mcp_result.c - what a call brought, as text.
 */
#include "chatd/tool/mcp_result.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "tests/unit/common/run_case.h"

#define PARTS(parts) "{\"content\":[" parts "]}"
#define TEXT(t)	     "{\"type\":\"text\",\"text\":\"" t "\"}"

/* TOL-4 */
static const struct {
	const char *result, *text;
	bool is_error;
} t[] = {
	{PARTS(TEXT("a")), "a", false},
	{PARTS(TEXT("a") "," TEXT("b")), "a\nb", false},
	{PARTS(TEXT("a\\u0000b")), "a\ufffdb", false},
	{"{\"content\":[" TEXT("no") "],\"isError\":true}", "no", true},
	{"{\"content\":[],\"structuredContent\":{\"a\":[1]}}", "{\"a\":[1]}", false},
	{"{\"structuredContent\":{\"a\":1}}", "{\"a\":1}", false},
	{"{\"content\":[" TEXT("t") "],\"structuredContent\":{\"a\":1}}", "t", false},
	{PARTS("{\"type\":\"image\",\"mimeType\":\"image/png\",\"data\":\"AAAAAAAA\"}"),
	 "[image image/png, 6 bytes]", false},
	{PARTS("{\"type\":\"audio\",\"data\":7}"), "[audio of unknown type, 0 bytes]", false},
	{PARTS("{\"type\":\"resource\",\"resource\":{\"uri\":\"f:a\",\"text\":\"x\"}}"),
	 "[resource f:a]\nx", false},
	{PARTS("{\"type\":\"resource\",\"resource\":{\"uri\":\"f:a\",\"blob\":\"AAAA\","
	       "\"mimeType\":\"a/b\"}}"),
	 "[resource f:a] [data a/b, 3 bytes]", false},
	{PARTS("{\"type\":\"resource\"}"),
	 "[resource without a name] [data of unknown type, 0 bytes]", false},
	{PARTS("{\"type\":\"resource_link\",\"uri\":\"u\",\"name\":\"n\"}"), "[link u n]", false},
	{PARTS("{\"type\":\"hologram\"}"), "[content of the unknown type \"hologram\"]", false},
	{PARTS("7,null,{\"type\":\"text\"}"),
	 "[content of the unknown type \"\"]\n[content of the unknown type \"\"]\n"
	 "[content of the unknown type \"text\"]",
	 false},
	{"{}", "", false},
	{"{\"content\":\"x\",\"isError\":1}", "", false},
};

START_TEST(every_kind_of_content_becomes_text)
{
	json_t *result = json_read(t[_i].result, strlen(t[_i].result), NULL, 0);
	struct mcp_text text = {.limit = 1000};

	ck_assert_ptr_nonnull(result);
	ck_assert_int_eq(mcp_result_text(result, &text), t[_i].is_error);
	ck_assert_str_eq(buf_str(&text.text), t[_i].text);
	buf_fini(&text.text);
	json_decref(result);
}
END_TEST

/* TOL-4: at the limit, one past it, and with a character across it */
START_TEST(a_text_beyond_the_limit_is_cut_at_a_whole_character_and_says_so)
{
	for (size_t n = 990; n < 1010; n++) {
		for (size_t piece = 1; piece < 2000; piece = piece * 7) {
			struct mcp_text text = {.limit = 1000};
			struct buf all = BUF_INIT;
			char note[100];

			while (all.len < n)
				buf_adds(&all, all.len + 2 <= n ? "\u00e4" : "x");
			for (size_t i = 0; i < n; i += piece)
				mcp_text_add(&text, all.data + i, piece < n - i ? piece : n - i);
			mcp_text_finish(&text);
			ck_assert_uint_le(text.text.len, 1000);
			if (n <= 1000) {
				ck_assert_uint_eq(text.text.len, n);
				ck_assert_int_eq(memcmp(text.text.data, all.data, n), 0);
			} else {
				(void)snprintf(
					note, sizeof(note),
					"\u00e4\n[cut here: these are the first 904 of %zu bytes]",
					n);
				ck_assert_ptr_nonnull(strstr(buf_str(&text.text), note));
			}
			buf_fini(&all);
			buf_fini(&text.text);
		}
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("mcp_result");

	tcase_add_loop_test(tc, every_kind_of_content_becomes_text, 0,
			    (int)(sizeof(t) / sizeof(*t)));
	tcase_add_test(tc, a_text_beyond_the_limit_is_cut_at_a_whole_character_and_says_so);
	return run_case("mcp_result", tc);
}
