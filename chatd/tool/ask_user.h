/*
 * ask_user.h - the built-in tool by which a model asks the person. Pure.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "chatd/tool/toolbox.h"

const struct tool *ask_user_tool(void); /* server "builtin", name "ask_user"; schema and all */

/*
 * Makes the questions of a prompt from a model's input (already fits the schema): an array of
 * {"id","question","options":[{"label","description"}],"multiple","free_text"}; ids are made where
 * absent, a question without options is one for free text unless it says otherwise; duplicates and
 * impossible questions (neither options nor free text) are an error. New reference, or NULL with a
 * readable reason.
 */
json_t *ask_user_questions(const json_t *input, char *error, size_t error_size);

/*
 * Does {"answers": {...}} fit the questions? Every question answered and no others, a single one by
 * a string, a multiple one by an array of strings (empty: none of them), each an option's label
 * unless free_text; no text is empty, longer than LIMIT_ANSWER_TEXT or given twice. NULL if it
 * fits, else a readable reason (static buffer).
 */
const char *ask_user_check(const json_t *questions, const json_t *answer);
/* The same for a permission: {"allow": bool, "remember"?: "session"}. */
const char *permission_check(const json_t *answer);

/* What the model is told: the answers as text. malloc'ed. */
char *ask_user_result(const json_t *questions, const json_t *answer);
