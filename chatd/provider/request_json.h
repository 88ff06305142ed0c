/*
 * request_json.h - what the request bodies of all dialects have in common. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "chatd/provider/provider.h"

/* Writes the members of a JSON object, leaving out those that `extra` overrides. */
struct members {
	struct buf *out;
	json_t *extra; /* owned, or NULL */
	bool any;
};

void members_begin(struct members *m, struct buf *out, const struct provider_conf *conf);
/* Writes `"key":`. False: extra has its own, write no value. */
bool members_key(struct members *m, const char *key);
void members_end(struct members *m); /* extra's members, and the brace */

/* The tool message that answers the call `id` of the assistant message number i; NULL if none does.
 */
const json_t *request_result(const json_t *messages, size_t i, const char *id);
/* What the model is told about a call that has no result. */
extern const char request_no_result[];
/* The blocks to send back with an assistant message, if they are of this dialect; borrowed. */
json_t *request_echo(const json_t *message, const char *dialect);
