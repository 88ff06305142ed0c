/*
 * test_ask_user.c - questions of a model, answers of a person.
 */
#include "chatd/tool/ask_user.h"

#include <stdio.h>
#include <string.h>

#include "chatd/tool/tool_input.h"
#include "common/json.h"
#include "common/limits.h"
#include "tests/unit/common/run_case.h"

static json_t *read_json(const char *s)
{
	json_t *v = json_read(s, strlen(s), NULL, 0);

	ck_assert_msg(v != NULL, "%s", s);
	return v;
}

#define COLOURS "{\"label\":\"red\",\"description\":\"warm\"},{\"label\":\"blue\"}"

/* TOL-3: what is shown is written out in full */
static const struct {
	const char *input, *questions; /* NULL: refused, with the reason */
	const char *why;
} asked[] = {
	{"{\"questions\":[{\"question\":\"Which?\",\"options\":[" COLOURS "]}]}",
	 "[{\"id\":\"q1\",\"question\":\"Which?\",\"options\":[{\"label\":\"red\",\"description\":"
	 "\"warm\"},{\"label\":\"blue\",\"description\":\"\"}],\"multiple\":false,\"free_text\":"
	 "false}]",
	 NULL},
	{"{\"questions\":[{\"question\":\"Why?\"},{\"id\":\"q1\",\"question\":\"When?\","
	 "\"multiple\":true,\"options\":[" COLOURS "],\"free_text\":true},{\"question\":\"?\"}]}",
	 "[{\"id\":\"q2\",\"question\":\"Why?\",\"options\":[],\"multiple\":false,\"free_text\":"
	 "true},{\"id\":\"q1\",\"question\":\"When?\",\"options\":[{\"label\":\"red\","
	 "\"description\":\"warm\"},{\"label\":\"blue\",\"description\":\"\"}],\"multiple\":true,"
	 "\"free_text\":true},{\"id\":\"q3\",\"question\":\"?\",\"options\":[],\"multiple\":false,"
	 "\"free_text\":true}]",
	 NULL},
	{"{\"questions\":[]}", NULL, "questions must hold 1 to 16 questions"},
	{"{}", NULL, "questions must hold 1 to 16 questions"},
	{"{\"questions\":[{\"question\":\"a\",\"id\":\"x\"},{\"question\":\"b\",\"id\":\"x\"}]}",
	 NULL, "question 2: its id stands twice"},
	{"{\"questions\":[{\"question\":\"a\",\"options\":[{\"label\":\"x\"},{\"label\":\"x\"}]}]}",
	 NULL, "option 2: its label stands twice"},
	{"{\"questions\":[{\"question\":\"a\",\"options\":[{\"label\":\"\"}]}]}", NULL,
	 "option 1: it has no label"},
	{"{\"questions\":[{\"question\":\"a\",\"free_text\":false}]}", NULL,
	 "question 1: it has neither options nor free_text"},
	{"{\"questions\":[{\"question\":\"\"}]}", NULL, "question 1: it has no text"},
};

START_TEST(questions_are_written_out_in_full_or_refused_with_a_reason)
{
	json_t *input = read_json(asked[_i].input);
	char why[200] = "";
	json_t *made = ask_user_questions(input, why, sizeof(why));

	if (asked[_i].questions) {
		char *text = json_text(made);

		ck_assert_str_eq(text, asked[_i].questions);
		free(text);
	} else {
		ck_assert_ptr_null(made);
		ck_assert_str_eq(why, asked[_i].why);
	}
	json_decref(made);
	json_decref(input);
}
END_TEST

START_TEST(the_schema_says_what_the_limits_are)
{
	static const char one[] = "{\"question\":\"?\"}";
	struct buf b = BUF_INIT;
	char why[200];
	json_t *v;

	for (int n = LIMIT_QUESTIONS; n <= LIMIT_QUESTIONS + 1; n++) {
		buf_clear(&b);
		buf_adds(&b, "{\"questions\":[");
		for (int i = 0; i < n; i++)
			buf_addf(&b, "%s%s", i ? "," : "", one);
		buf_adds(&b, "]}");
		v = tool_input_check((struct str){b.data, b.len}, ask_user_tool()->schema, why,
				     sizeof(why));
		ck_assert(!v == (n > LIMIT_QUESTIONS));
		json_decref(v);
	}
	buf_fini(&b);
}
END_TEST

static const char questions_text[] =
	"[{\"id\":\"one\",\"question\":\"Which?\",\"options\":[{\"label\":\"red\",\"description\":"
	"\"\"},{\"label\":\"blue\",\"description\":\"\"}],\"multiple\":false,\"free_text\":false},"
	"{\"id\":\"many\",\"question\":\"Which ones?\",\"options\":[{\"label\":\"a\","
	"\"description\":\"\"},{\"label\":\"b\",\"description\":\"\"}],\"multiple\":true,"
	"\"free_text\":false},"
	"{\"id\":\"free\",\"question\":\"Why?\",\"options\":[],\"multiple\":false,\"free_text\":"
	"true}]";

#define A(one, many, free) "{\"answers\":{\"one\":" one ",\"many\":" many ",\"free\":" free "}}"

/* SDC-13: one that doesn't fit leaves the prompt open, whatever is wrong with it */
static const struct {
	const char *answer, *why;
} answers[] = {
	{A("\"red\"", "[\"a\",\"b\"]", "\"because\""), NULL},
	{A("\"blue\"", "[]", "\"x\""), NULL},
	{A("\"green\"", "[]", "\"x\""), "answers.one: is not one of the options"},
	{A("\"\"", "[]", "\"x\""), "answers.one: must not be empty"},
	{A("[\"red\"]", "[]", "\"x\""), "answers.one: must be a string"},
	{A("null", "[]", "\"x\""), "answers.one: must be a string"},
	{A("\"red\"", "\"a\"", "\"x\""), "answers.many: must be an array of strings"},
	{A("\"red\"", "[\"a\",\"c\"]", "\"x\""), "answers.many: is not one of the options"},
	{A("\"red\"", "[\"a\",\"a\"]", "\"x\""), "answers.many: has a value twice"},
	{A("\"red\"", "[1]", "\"x\""), "answers.many: must be a string"},
	{A("\"red\"", "[]", "\"\""), "answers.free: must not be empty"},
	{A("\"red\"", "[]", "7"), "answers.free: must be a string"},
	{"{\"answers\":{\"one\":\"red\",\"many\":[]}}", "answers.free: is missing"},
	{"{\"answers\":{\"one\":\"red\",\"many\":[],\"free\":\"x\",\"more\":1}}",
	 "answers.more: there is no such question"},
	{"{\"answers\":[]}", "must be {\"answers\": {...}}"},
	{"{\"answers\":null}", "must be {\"answers\": {...}}"},
	{"{}", "must be {\"answers\": {...}}"},
	{"[]", "must be {\"answers\": {...}}"},
	{"{\"allow\":true}", "must be {\"answers\": {...}}"},
	{"{\"answers\":{},\"allow\":true}", "must be {\"answers\": {...}}"},
};

START_TEST(an_answer_fits_as_a_whole_or_not_at_all)
{
	json_t *questions = read_json(questions_text);
	json_t *answer = read_json(answers[_i].answer);
	const char *why = ask_user_check(questions, answer);

	if (answers[_i].why)
		ck_assert_str_eq(why, answers[_i].why);
	else
		ck_assert_ptr_null(why);
	json_decref(questions);
	json_decref(answer);
}
END_TEST

START_TEST(a_free_answer_has_a_limit)
{
	json_t *questions = read_json("[{\"id\":\"q\",\"question\":\"?\",\"options\":[],"
				      "\"multiple\":false,\"free_text\":true}]");
	char *text = malloc(LIMIT_ANSWER_TEXT + 2);

	ck_assert_ptr_nonnull(text);
	for (size_t n = LIMIT_ANSWER_TEXT; n <= LIMIT_ANSWER_TEXT + 1; n++) {
		json_t *answer;

		memset(text, 'x', n);
		text[n] = '\0';
		answer = json_pack("{s:{s:s}}", "answers", "q", text);
		ck_assert(!ask_user_check(questions, answer) == (n <= LIMIT_ANSWER_TEXT));
		json_decref(answer);
	}
	free(text);
	json_decref(questions);
}
END_TEST

START_TEST(the_model_is_told_question_and_answer)
{
	json_t *questions = read_json(questions_text);
	json_t *answer = read_json(A("\"red\"", "[\"a\",\"b\"]", "\"so\""));
	char *text = ask_user_result(questions, answer);

	ck_assert_str_eq(text,
			 "Which?\nAnswer: red\n\nWhich ones?\nAnswer: a, b\n\nWhy?\nAnswer: so");
	free(text);
	json_decref(answer);
	answer = read_json(A("\"red\"", "[]", "\"so\""));
	text = ask_user_result(questions, answer);
	ck_assert_ptr_nonnull(strstr(text, "Which ones?\nAnswer: (none of them)"));
	free(text);
	json_decref(answer);
	json_decref(questions);
}
END_TEST

/* SDC-13, TOL-2 */
START_TEST(a_permission_is_answered_by_yes_or_no_and_perhaps_for_the_session)
{
	static const struct {
		const char *answer;
		bool fits;
	} t[] = {
		{"{\"allow\":true}", true},
		{"{\"allow\":false}", true},
		{"{\"allow\":true,\"remember\":\"session\"}", true},
		{"{\"allow\":false,\"remember\":\"session\"}", true},
		{"{\"allow\":1}", false},
		{"{\"allow\":\"true\"}", false},
		{"{\"allow\":null}", false},
		{"{\"remember\":\"session\"}", false},
		{"{\"allow\":true,\"remember\":\"for ever\"}", false},
		{"{\"allow\":true,\"remember\":true}", false},
		{"{\"allow\":true,\"answers\":{}}", false},
		{"{}", false},
		{"[]", false},
		{"true", false},
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(*t); i++) {
		json_t *answer = read_json(t[i].answer);

		ck_assert_msg(!permission_check(answer) == t[i].fits, "%s", t[i].answer);
		json_decref(answer);
	}
	ck_assert_ptr_nonnull(permission_check(NULL));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("ask_user");

	tcase_add_loop_test(t, questions_are_written_out_in_full_or_refused_with_a_reason, 0,
			    (int)(sizeof(asked) / sizeof(*asked)));
	tcase_add_test(t, the_schema_says_what_the_limits_are);
	tcase_add_loop_test(t, an_answer_fits_as_a_whole_or_not_at_all, 0,
			    (int)(sizeof(answers) / sizeof(*answers)));
	tcase_add_test(t, a_free_answer_has_a_limit);
	tcase_add_test(t, the_model_is_told_question_and_answer);
	tcase_add_test(t, a_permission_is_answered_by_yes_or_no_and_perhaps_for_the_session);
	return run_case("ask_user", t);
}
