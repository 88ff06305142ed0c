/*
 * fuzz_tool_input.c - any schema (up to the first line end) and any arguments (behind it): they
 * fit, or there is a reason in whole characters.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "chatd/tool/tool_input.h"
#include "common/json.h"
#include "common/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
	size_t n = end ? size - (size_t)(end + 1 - data) : 0;
	char why[64] = "";
	char *copy;
	json_t *schema, *v, *reason;

	if (!end)
		return 0;
	copy = malloc(n ? n : 1); /* exactly n bytes: the sanitizer sees any look beyond */
	REQUIRE(copy);
	memcpy(copy, end + 1, n);
	schema = json_read((const char *)data, (size_t)(end - data), NULL, 0);
	v = tool_input_check((struct str){copy, n}, schema, why, sizeof(why));
	REQUIRE(v ? json_is_object(v) : *why != '\0');
	reason = json_string(why); /* which it is only of whole characters */
	REQUIRE(reason);
	json_decref(reason);
	json_decref(v);
	json_decref(schema);
	free(copy);
	return 0;
}
