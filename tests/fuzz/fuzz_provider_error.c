/*
 * fuzz_provider_error.c - any error answer gives a bounded error that can be shown.
 *
 * The input is a status (two bytes), header lines up to an empty one, and the body.
 */
#include "chatd/provider/provider_error.h"

#include <stdint.h>
#include <string.h>

#include "chatd/provider/retry.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *s)
{
	size_t n = s ? strlen(s) : 0;
	json_t *v = s ? json_string(s) : NULL; /* only of whole characters */

	REQUIRE(n <= LIMIT_ERROR_TEXT && (!s || (n > 0 && v)));
	json_decref(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data + 2;
	struct answer_head head = {0};
	struct problem problem = {0};
	int64_t wait_ms = 0;
	const char *nl;
	size_t n;

	if (size < 2)
		return 0;
	n = size - 2;
	answer_head_set(&head, (data[0] << 8 | data[1]) % 600);
	while (n > 0 && (nl = memchr(p, '\n', n))) {
		size_t len = (size_t)(nl - p);

		answer_head_add(&head, p, len + 1);
		p += len + 1;
		n -= len + 1;
		if (len == 0)
			break;
	}
	provider_error_from_http(&problem, &head, p, n, 1795341600000);
	check_text(problem.error.type);
	check_text(problem.error.code);
	check_text(problem.error.message);
	check_text(problem.error.request_id);
	REQUIRE(problem.error.message && problem.fault == FAULT_PROVIDER_ERROR);
	REQUIRE(problem.error.retry_after_ms >= -1);
	if (retry_decide(&problem.error, 1, 2, false, 7, &wait_ms))
		REQUIRE(wait_ms > 0 && wait_ms <= LIMIT_RETRY_AFTER_MS);
	problem_hide(&problem, "key");
	problem_fini(&problem);
	answer_head_fini(&head);
	return 0;
}
