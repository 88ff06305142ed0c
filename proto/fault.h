/*
 * fault.h - THE table of what can go wrong in a way that a client is told.
 *
 * Codes are stable: scripts and clients match on them. Each has the HTTP status that carries it
 * when a call fails, and a default message. FAULT_NONE is success. `error` and `warning` events
 * use the same codes. Numbers go over the bus; they are never reused.
 */
#pragma once

/* number, NAME, code, HTTP status, default message */
#define FAULTS(F)                                                                                  \
	F(0, NONE, "none", 200, "")                                                                \
	/* requests */                                                                             \
	F(1, BAD_REQUEST, "bad_request", 400, "the request is malformed")                          \
	F(2, BAD_JSON, "bad_json", 400, "the body is not valid JSON in UTF-8")                     \
	F(3, BAD_FIELD, "bad_field", 400, "a field is missing, unknown or of the wrong type")      \
	F(4, EMPTY_CONTENT, "empty_content", 400, "content is empty")                              \
	F(5, UNKNOWN_PROVIDER, "unknown_provider", 400, "there is no such provider")               \
	F(6, UNKNOWN_MODEL, "unknown_model", 400, "the provider does not offer this model")        \
	F(7, UNAUTHORIZED, "unauthorized", 401, "a valid token is needed")                         \
	F(8, FOREIGN_ORIGIN, "foreign_origin", 403, "this origin is not allowed")                  \
	F(9, NOT_FOUND, "not_found", 404, "there is nothing here")                                 \
	F(10, SESSION_NOT_FOUND, "session_not_found", 404, "there is no such session")             \
	F(11, PROMPT_NOT_FOUND, "prompt_not_found", 404, "there is no such prompt")                \
	F(12, METHOD_NOT_ALLOWED, "method_not_allowed", 405,                                       \
	  "this route does not take this method")                                                  \
	F(13, ALREADY_PROCESSING, "already_processing", 409, "the session is processing a turn")   \
	F(14, NOT_PROCESSING, "not_processing", 409, "the session is not processing a turn")       \
	F(15, TURN_MISMATCH, "turn_mismatch", 409, "another turn is running")                      \
	F(16, ALREADY_RESOLVED, "already_resolved", 409, "the prompt has been resolved")           \
	F(17, TOO_LARGE, "too_large", 413, "the body is too large")                                \
	F(18, UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", 415,                               \
	  "the body must be application/json")                                                     \
	F(19, FOREIGN_HOST, "foreign_host", 421, "this Host is not served here")                   \
	F(20, BAD_ANSWER, "bad_answer", 422, "the answer does not fit the prompt")                 \
	F(21, IDEMPOTENCY_MISMATCH, "idempotency_mismatch", 422,                                   \
	  "this key came with another body")                                                       \
	F(22, TOO_MANY, "too_many", 429, "a limit is reached")                                     \
	F(23, HEAD_TOO_LARGE, "head_too_large", 431, "the request head is too large")              \
	F(24, INTERNAL, "internal", 500, "something broke on our side")                            \
	F(25, WORKER_UNAVAILABLE, "worker_unavailable", 503,                                       \
	  "the worker of this session is not reachable")                                           \
	F(26, LOG_UNAVAILABLE, "log_unavailable", 503,                                             \
	  "the log can't be written or read at the moment")                                        \
	F(27, OVERLOADED, "overloaded", 503, "too many turns are running")                         \
	F(28, REQUEST_TIMEOUT, "request_timeout", 408, "the request took too long to arrive")      \
	F(29, URI_TOO_LONG, "uri_too_long", 414, "the request target is too long")                 \
	/* 30 was length_required: a body without a length is an empty one */                      \
	F(31, NOT_IMPLEMENTED, "not_implemented", 501, "this is not spoken here")                  \
	F(32, HTTP_VERSION, "http_version", 505, "HTTP/1.0 or HTTP/1.1, please")                   \
	F(33, EXPECTATION_FAILED, "expectation_failed", 417, "this expectation can't be met")      \
	/* turns: codes of `error` events */                                                       \
	F(40, PERSIST_ERROR, "persist_error", 503, "storing the turn failed")                      \
	F(41, PROVIDER_UNREACHABLE, "provider_unreachable", 502, "the provider can't be reached")  \
	F(42, PROVIDER_TIMEOUT, "provider_timeout", 504, "the provider did not answer in time")    \
	F(43, PROVIDER_ERROR, "provider_error", 502, "the provider refused or failed")             \
	F(44, PROVIDER_TRUNCATED, "provider_truncated", 502, "the provider's answer broke off")    \
	F(45, PROVIDER_PROTOCOL, "provider_protocol", 502, "the provider's answer can't be read")  \
	F(46, ANSWER_TOO_LARGE, "answer_too_large", 502, "the answer is over the limit")           \
	F(47, WORKER_CRASHED, "worker_crashed", 500, "the worker died while the turn was running") \
	F(48, TOO_MANY_ROUNDS, "too_many_rounds", 500, "the turn called tools too many times")     \
	/* codes of `warning` events */                                                            \
	F(60, PROVIDER_RETRY, "provider_retry", 200, "the provider failed and is asked again")     \
	F(61, REFUSAL, "refusal", 200, "the model refused")                                        \
	F(62, TOOL_SERVER_DOWN, "tool_server_down", 200, "a tool server does not run")             \
	F(63, CALLS_NOT_RUN, "calls_not_run", 200, "tool calls were received but not run")

enum fault {
#define F(num, name, code, status, text) FAULT_##name = num,
	FAULTS(F)
#undef F
};

const char *fault_code(enum fault f); /* "already_processing"; "internal" if unknown */
int fault_status(enum fault f);	      /* 409; 500 if unknown */
const char *fault_message(enum fault f);
int fault_is_known(unsigned long n); /* 1 if a row of the table */
