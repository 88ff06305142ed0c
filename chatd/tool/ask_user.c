/*
 * ask_user.c - the built-in tool by which a model asks the person. See ask_user.h.
 *
 *	model's input ──ask_user_questions──> questions: stored with the prompt, shown by pages
 *	person's answer + questions ──ask_user_check──> fits, or 422 and the prompt stays open
 *	                            ──ask_user_result──> what the model reads
 *
 * Questions are written out in full (each field of each question), so that a page needs no
 * defaults and an answer given days later is checked against exactly what was shown. An answer is
 * looked at as a whole before any of it counts.
 *
 * Pure, apart from the tool's description, which is built at first use and kept.
 */
#include "chatd/tool/ask_user.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "common/require.h"

#define STR(x)	#x
#define TEXT(x) STR(x)

static const char description[] =
	"Ask the user one or more questions and wait for the answers. Use it when you need a "
	"decision or a fact that only the user has. Give options where the likely answers are "
	"known; set free_text to let the user write an answer of their own as well.";

static const char schema_text[] =
	"{\"type\":\"object\",\"properties\":{\"questions\":{\"type\":\"array\",\"minItems\":1,"
	"\"maxItems\":" TEXT(
		LIMIT_QUESTIONS) ",\"items\":{\"type\":\"object\",\"properties\":{"
				 "\"id\":{\"type\":\"string\",\"maxLength\":" TEXT(
					 LIMIT_ID) ","
						   "\"description\":\"Optional; names the "
						   "answer\"},"
						   "\"question\":{\"type\":\"string\","
						   "\"minLength\":1,"
						   "\"maxLength\":" TEXT(
							   LIMIT_QUESTION_TEXT) "},"
										"\"options\":{"
										"\"type\":"
										"\"array\","
										"\"maxItems\""
										":" TEXT(
											LIMIT_QUESTION_OPTIONS) ",\"items\":{"
														"\"type\":\"object\",\"properties\":{"
														"\"label\":{\"type\":\"string\",\"minLength\":1,"
														"\"maxLength\":" TEXT(
															LIMIT_QUESTION_TEXT) "},"
																	     "\"description\":{\"type\":\"string\","
																	     "\"maxLength\":" TEXT(
																		     LIMIT_QUESTION_TEXT) "}},\"required\":[\"label\"]}},"
																					  "\"multiple\":{\"type\":\"boolean\","
																					  "\"description\":\"Several options may be chosen\"},"
																					  "\"free_text\":{\"type\":\"boolean\","
																					  "\"description\":\"The user may answer in their own words\"}},"
																					  "\"required\":[\"question\"]}}},\"required\":[\"questions\"]}";

const struct tool *ask_user_tool(void)
{
	static struct tool tool = {
		.server = "builtin",
		.name = "ask_user",
		.model_name = "ask_user",
		.description = description,
		.read_only = true, /* it changes nothing, and is itself the question */
		.idempotent = true,
	};

	if (!tool.schema)
		tool.schema = json_read(schema_text, sizeof(schema_text) - 1, NULL, 0);
	REQUIRE(tool.schema);
	return &tool;
}

/* A string without NUL and not empty, as C text; NULL if it is none. */
static const char *text_of(const json_t *v)
{
	const char *s = json_string_value(v);

	return s && *s && strlen(s) == json_string_length(v) ? s : NULL;
}

static const json_t *find_by(const json_t *array, const char *key, const char *value)
{
	const json_t *one;
	size_t i;

	json_array_foreach (array, i, one) {
		const char *s = json_get_str(one, key);

		if (s && strcmp(s, value) == 0)
			return one;
	}
	return NULL;
}

static json_t *make_options(const json_t *from, char *error, size_t error_size)
{
	json_t *made = json_array();
	const json_t *one;
	size_t i;

	REQUIRE(made);
	json_array_foreach (from, i, one) {
		const char *label = text_of(json_get(one, "label"));
		const char *more = text_of(json_get(one, "description"));

		if (!label || find_by(made, "label", label)) {
			(void)snprintf(error, error_size, "option %zu: %s", i + 1,
				       label ? "its label stands twice" : "it has no label");
			json_decref(made);
			return NULL;
		}
		(void)json_array_append_new(made, json_pack("{s:s,s:s}", "label", label,
							    "description", more ? more : ""));
	}
	return made;
}

/* Adds one question, without its id if the model gave none. 0, or -1 with error filled in. */
static int add_question(json_t *made, const json_t *from, char *error, size_t error_size)
{
	const char *id = text_of(json_get(from, "id"));
	const char *text = text_of(json_get(from, "question"));
	const json_t *free_text = json_get(from, "free_text");
	json_t *options, *q;
	bool is_free;

	if (!text || (id && find_by(made, "id", id))) {
		(void)snprintf(error, error_size, "question %zu: %s", json_array_size(made) + 1,
			       text ? "its id stands twice" : "it has no text");
		return -1;
	}
	options = make_options(json_get(from, "options"), error, error_size);
	if (!options)
		return -1;
	is_free = free_text ? json_is_true(free_text) : json_array_size(options) == 0;
	if (!is_free && json_array_size(options) == 0) {
		(void)snprintf(error, error_size,
			       "question %zu: it has neither options nor free_text",
			       json_array_size(made) + 1);
		json_decref(options);
		return -1;
	}
	q = json_pack("{s:s,s:s,s:o,s:b,s:b}", "id", id ? id : "", "question", text, "options",
		      options, "multiple", json_is_true(json_get(from, "multiple")), "free_text",
		      is_free);
	REQUIRE(q);
	(void)json_array_append_new(made, q);
	return 0;
}

/* q1, q2, … for those without one, around the ids that the model gave. */
static void make_ids(json_t *made)
{
	unsigned next = 1;
	json_t *q;
	size_t i;

	json_array_foreach (made, i, q) {
		char id[16];

		if (*json_get_str(q, "id"))
			continue;
		do
			(void)snprintf(id, sizeof(id), "q%u", next++);
		while (find_by(made, "id", id));
		(void)json_object_set_new(q, "id", json_string(id));
	}
}

json_t *ask_user_questions(const json_t *input, char *error, size_t error_size)
{
	const json_t *list = json_get(input, "questions");
	const json_t *one;
	json_t *made;
	size_t i;

	if (json_array_size(list) == 0 || json_array_size(list) > LIMIT_QUESTIONS) {
		(void)snprintf(error, error_size,
			       "questions must hold 1 to " TEXT(LIMIT_QUESTIONS) " questions");
		return NULL;
	}
	made = json_array();
	REQUIRE(made);
	json_array_foreach (list, i, one) {
		if (add_question(made, one, error, error_size) < 0) {
			json_decref(made);
			return NULL;
		}
	}
	make_ids(made);
	return made;
}

/* Is v one acceptable text for the question? NULL, or why not. */
static const char *check_text(const json_t *question, const json_t *v)
{
	const char *s = text_of(v);

	if (!s)
		return json_is_string(v) ? "must not be empty" : "must be a string";
	if (json_string_length(v) > LIMIT_ANSWER_TEXT)
		return "is too long";
	if (find_by(json_get(question, "options"), "label", s))
		return NULL;
	return json_is_true(json_get(question, "free_text")) ? NULL : "is not one of the options";
}

static const char *check_answer(const json_t *question, const json_t *v)
{
	const char *why = NULL;
	const json_t *one;
	size_t i;

	if (!json_is_true(json_get(question, "multiple")))
		return check_text(question, v);
	if (!json_is_array(v))
		return "must be an array of strings";
	if (json_array_size(v) > LIMIT_QUESTION_OPTIONS + 1)
		return "has too many values";
	json_array_foreach (v, i, one) {
		why = check_text(question, one);
		for (size_t k = 0; !why && k < i; k++) {
			if (json_equal(one, json_array_get(v, k)))
				why = "has a value twice";
		}
		if (why)
			return why;
	}
	return NULL;
}

static const char *complain(const char *id, const char *why)
{
	static char text[160];

	(void)snprintf(text, sizeof(text), "answers.%.*s: %s",
		       (int)json_utf8_prefix(id, strnlen(id, 80)), id, why);
	return text;
}

const char *ask_user_check(const json_t *questions, const json_t *answer)
{
	const json_t *answers = json_get(answer, "answers");
	const json_t *q;
	size_t i;
	void *at;

	if (!json_is_object(answers) || json_object_size(answer) != 1)
		return "must be {\"answers\": {...}}";
	json_array_foreach (questions, i, q) {
		const char *id = json_get_str(q, "id");
		const json_t *v = json_object_get(answers, id ? id : "");
		const char *why = v ? check_answer(q, v) : "is missing";

		if (why)
			return complain(id ? id : "", why);
	}
	/* jansson's own macro wants an object that is not const */
	for (at = json_object_iter((json_t *)(uintptr_t)answers); at;
	     at = json_object_iter_next((json_t *)(uintptr_t)answers, at)) {
		if (!find_by(questions, "id", json_object_iter_key(at)))
			return complain(json_object_iter_key(at), "there is no such question");
	}
	return NULL;
}

const char *permission_check(const json_t *answer)
{
	const json_t *remember = json_object_get(answer, "remember");

	if (!json_is_object(answer) || !json_is_boolean(json_object_get(answer, "allow")))
		return "must be {\"allow\": true or false}";
	if (json_object_size(answer) != (remember ? 2U : 1U))
		return "has members that are not known";
	if (remember &&
	    (!json_is_string(remember) || strcmp(json_string_value(remember), "session") != 0))
		return "remember: must be \"session\"";
	return NULL;
}

char *ask_user_result(const json_t *questions, const json_t *answer)
{
	const json_t *answers = json_get(answer, "answers");
	struct buf b = BUF_INIT;
	const json_t *q, *one;
	size_t i, k;

	json_array_foreach (questions, i, q) {
		const json_t *v = json_object_get(answers, json_get_str(q, "id"));

		buf_addf(&b, "%s%s\nAnswer: ", i ? "\n\n" : "", json_get_str(q, "question"));
		if (json_is_string(v))
			buf_adds(&b, json_string_value(v));
		if (json_is_array(v) && json_array_size(v) == 0)
			buf_adds(&b, "(none of them)");
		json_array_foreach (v, k, one) {
			buf_addf(&b, "%s%s", k ? ", " : "", json_string_value(one));
		}
	}
	return buf_steal(&b, NULL);
}
