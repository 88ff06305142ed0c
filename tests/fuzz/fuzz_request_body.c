/*
 * fuzz_request_body.c - the bodies that clients send.
 *
 * What is taken must be what the worker relies on: content and metadata are JSON of the promised
 * kind, ids and names have no control characters. What is refused names a fault.
 */
#include <string.h>

#include "common/id.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/require.h"
#include "streamerd/request_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(struct str s)
{
	REQUIRE(s.n <= LIMIT_KEY);
	for (size_t i = 0; i < s.n; i++)
		REQUIRE((unsigned char)s.p[i] >= 0x20 && s.p[i] != 0x7f);
}

static void message(struct str body)
{
	struct body_error e = {.fault = FAULT_NONE};
	struct message_body m;
	json_t *v;

	if (request_body_message(str_of("application/json"), body, &m, &e) < 0) {
		REQUIRE(e.fault != FAULT_NONE && *e.message);
		REQUIRE(json_utf8_prefix(e.field, strlen(e.field)) == strlen(e.field));
		return;
	}
	v = json_read(m.content.data, m.content.len, NULL, 0);
	REQUIRE(json_is_string(v) || json_is_array(v));
	json_decref(v);
	if (m.metadata.len) {
		v = json_read(m.metadata.data, m.metadata.len, NULL, 0);
		REQUIRE(json_is_object(v));
		json_decref(v);
	}
	REQUIRE(m.session_id.n == 0 || id_is_plausible(m.session_id.p, m.session_id.n));
	check_name(m.provider);
	check_name(m.model);
	message_body_fini(&m);
}

static void stop(struct str body)
{
	struct body_error e = {.fault = FAULT_NONE};
	struct abort_body a;

	if (request_body_abort(str_of("application/json"), body, &a, &e) < 0) {
		REQUIRE(e.fault != FAULT_NONE && *e.message);
		return;
	}
	REQUIRE(a.turn_id.n == 0 || id_is_plausible(a.turn_id.p, a.turn_id.n));
	abort_body_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str body = {(const char *)data, size};

	message(body);
	stop(body);
	return 0;
}
