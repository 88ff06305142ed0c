/*
 * tool_input.h - do these arguments fit the tool? Pure.
 */
#pragma once

#include "chatd/tool/toolbox.h"

/*
 * Checks the raw bytes against the schema: valid JSON, an object, and the part of JSON Schema that
 * tools use (type, required, properties, items, enum, const, additionalProperties: false, minimum,
 * maximum, minLength, maxLength, minItems, maxItems, anyOf/oneOf as "one fits"); keywords that are
 * not known are taken as fitting. Empty arguments count as {}. Returns the parsed object (new
 * reference), or NULL with a readable reason in error.
 */
json_t *tool_input_check(struct str arguments, const json_t *schema, char *error,
			 size_t error_size);
