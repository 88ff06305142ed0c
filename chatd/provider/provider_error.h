/*
 * provider_error.h - what a provider says when it fails, in all its forms. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "chatd/provider/answer_head.h"
#include "chatd/provider/problem.h"

/*
 * Is o (a chunk or a body) an error? Then type, code and message are put into p, with
 * FAULT_PROVIDER_ERROR, the given status and `retryable` as an error in a stream deserves it.
 * Takes {"error": {...}}, {"error": "text"}, {"detail": ...}, {"message": ...}, and the first
 * of an array of those. `bare`: a lone "detail" or "message" counts too.
 */
bool provider_error_read(struct problem *p, const json_t *o, int http_status, bool bare);

/*
 * The answer had an error status. Fills p with what the body says, retry decision and
 * Retry-After. A body that is not JSON gives a short message of our own and no type or code.
 * now_ms: wall time, for a Retry-After that is a date.
 */
void provider_error_from_http(struct problem *p, const struct answer_head *head, const char *body,
			      size_t n, int64_t now_ms);

/* The wait that the headers ask for in ms, -1 if none. */
int64_t provider_error_retry_after(const struct answer_head *head, int64_t now_ms);
