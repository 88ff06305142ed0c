/*
 * fuzz_ask_user.c - any input of a model (up to the first line end) and any answer of a person
 * (behind it): questions are whole and can be answered, an answer fits or not, and what fits can be
 * told.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "chatd/tool/ask_user.h"
#include "common/json.h"
#include "common/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_questions(const json_t *questions)
{
	const json_t *q;
	size_t i, k;

	json_array_foreach (questions, i, q) {
		REQUIRE(*json_get_str(q, "id") && *json_get_str(q, "question"));
		REQUIRE(json_array_size(json_get(q, "options")) > 0 ||
			json_is_true(json_get(q, "free_text")));
		REQUIRE(json_is_boolean(json_get(q, "multiple")));
		for (k = 0; k < i; k++)
			REQUIRE(strcmp(json_get_str(q, "id"),
				       json_get_str(json_array_get(questions, k), "id")) != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;
	const char *end = size ? memchr(p, '\n', size) : NULL;
	json_t *input, *answer, *questions;
	char why[100] = "";

	if (!end)
		return 0;
	input = json_read(p, (size_t)(end - p), NULL, 0);
	answer = json_read(end + 1, size - (size_t)(end + 1 - p), NULL, 0);
	questions = ask_user_questions(input, why, sizeof(why));
	REQUIRE(questions || *why);
	check_questions(questions);
	if (questions && !ask_user_check(questions, answer)) {
		char *text = ask_user_result(questions, answer);

		REQUIRE(text && *text);
		free(text);
	}
	if (!permission_check(answer))
		REQUIRE(json_is_boolean(json_get(answer, "allow")));
	json_decref(questions);
	json_decref(answer);
	json_decref(input);
	return 0;
}
