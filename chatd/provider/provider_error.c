/*
 * provider_error.c - what a provider says when it fails, in all its forms. See provider_error.h.
 *
 * There is no common form. Seen in the wild: {"error": {message, type, code}} with a code that is
 * a string, a number or null; {"error": "text", "code": ...}; {"detail": "text"} and {"detail":
 * [{"msg"}]}; {"message", "type", "code"} at the top; an array around one of them; a proxy's HTML
 * page; nothing at all. The content type can't be trusted, so the body is looked at.
 *
 * Retry, as the official libraries do it: `x-should-retry` decides if it is there, else 408, 409,
 * 429 and everything from 500. But no waiting brings money: insufficient_quota is never retried.
 */
#include "chatd/provider/provider_error.h"

#include <curl/curl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "chatd/provider/chunk_json.h"
#include "common/json.h"

static bool is_one_of(const char *s, const char *const *list, size_t n)
{
	for (size_t i = 0; s && i < n; i++) {
		if (strcmp(s, list[i]) == 0)
			return true;
	}
	return false;
}

/* An account that is out of money stays so. */
static bool is_hopeless(const struct provider_error *e)
{
	static const char *const words[] = {"insufficient_quota", "billing_hard_limit_reached",
					    "billing_error"};

	return is_one_of(e->code, words, 3) || is_one_of(e->type, words, 3);
}

static bool status_is_retryable(long status)
{
	return status == 408 || status == 409 || status == 429 || (status >= 500 && status <= 599);
}

/* An error inside a stream has no status of its own: its type, or a code that is a status, decides.
 */
static bool stream_error_is_retryable(const struct provider_error *e)
{
	static const char *const types[] = {
		"overloaded_error", "rate_limit_error", "api_error",
		"timeout_error",    "server_error",	"rate_limit_exceeded",
	};
	long code = e->code ? strtol(e->code, NULL, 10) : 0;

	if (is_hopeless(e))
		return false;
	if (is_one_of(e->type, types, sizeof(types) / sizeof(*types)))
		return true;
	return status_is_retryable(code);
}

/* A code may be a string or a number. */
static struct str code_of(const json_t *v, char *room, size_t size)
{
	if (json_is_integer(v)) {
		(void)snprintf(room, size, "%lld", (long long)json_integer_value(v));
		return str_of(room);
	}
	return json_str(v);
}

/* {"detail": "text"}, or FastAPI's [{"msg": "text", ...}, ...]. */
static struct str detail_of(const json_t *v)
{
	if (json_is_array(v))
		v = json_array_get(v, 0);
	if (json_is_object(v)) {
		const json_t *msg = json_object_get(v, "msg");

		v = msg ? msg : json_object_get(v, "message");
	}
	return json_str(v);
}

static bool is_something(const json_t *v)
{
	return v && !json_is_null(v) && !json_is_false(v) &&
	       !(json_is_string(v) && json_string_length(v) == 0);
}

bool provider_error_read(struct problem *p, const json_t *o, int http_status, bool bare)
{
	const json_t *error, *from;
	struct str message;
	char room[32];

	if (json_is_array(o))
		o = json_array_get(o, 0);
	if (!json_is_object(o))
		return false;
	error = json_object_get(o, "error");
	if (json_is_object(error)) {
		from = error;
		message = json_str(json_object_get(error, "message"));
		if (message.n == 0)
			message = detail_of(json_object_get(error, "detail"));
	} else if (is_something(error)) {
		from = o;
		message = json_str(error);
		if (message.n == 0)
			message = json_str(json_object_get(o, "message"));
	} else if (bare && is_something(json_object_get(o, "detail"))) {
		from = o;
		message = detail_of(json_object_get(o, "detail"));
	} else if (bare && json_is_string(json_object_get(o, "message"))) {
		from = o;
		message = json_str(json_object_get(o, "message"));
	} else {
		return false;
	}
	problem_set(p, FAULT_PROVIDER_ERROR, http_status, json_str(json_object_get(from, "type")),
		    code_of(json_object_get(from, "code"), room, sizeof(room)), message);
	problem_set_request_id(p, json_str(json_object_get(o, "request_id")));
	p->error.retryable = stream_error_is_retryable(&p->error);
	return true;
}

static const char *status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{402, "Payment Required"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{413, "Content Too Large"},
		{415, "Unsupported Media Type"},
		{422, "Unprocessable Content"},
		{429, "Too Many Requests"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
		{529, "Overloaded"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (texts[i].status == status)
			return texts[i].text;
	}
	if (status >= 300 && status < 400)
		return "a redirect, which is not followed";
	return "an unexpected HTTP status";
}

/* Milliseconds out of "1.5" times factor; -1 if it is no such number. 0 counts as absent. */
static int64_t number_ms(const char *s, double factor)
{
	char *end;
	double v = strtod(s, &end);

	while (*end == ' ' || *end == '\t')
		end++;
	if (end == s || *end || !isfinite(v) || v <= 0)
		return -1;
	v *= factor;
	return v < 1e15 ? (int64_t)ceil(v) : (int64_t)1e15;
}

int64_t provider_error_retry_after(const struct answer_head *head, int64_t now_ms)
{
	char value[128];
	int64_t ms = -1;
	time_t at;

	if (answer_head_get(head, "retry-after-ms", value, sizeof(value)))
		ms = number_ms(value, 1);
	if (ms >= 0 || !answer_head_get(head, "retry-after", value, sizeof(value)))
		return ms;
	ms = number_ms(value, 1000);
	/* curl_getdate() also takes lone numbers and words: a date of HTTP starts with a weekday */
	if (ms >= 0 || value[0] < 'A')
		return ms;
	at = curl_getdate(value, NULL);
	if (at == (time_t)-1 || (int64_t)at * 1000 <= now_ms)
		return -1;
	return (int64_t)at * 1000 - now_ms;
}

void provider_error_from_http(struct problem *p, const struct answer_head *head, const char *body,
			      size_t n, int64_t now_ms)
{
	json_t *auto_json o = chunk_json_read(body, n);
	bool retryable = status_is_retryable(head->status);
	char value[256];

	if (!provider_error_read(p, o, head->status, true))
		problem_ours(p, FAULT_PROVIDER_ERROR, head->status, "%d %s", head->status,
			     status_text(head->status));
	if (!p->error.message) {
		/* the form was understood, but there was no text in it */
		p->message = strdup(status_text(head->status));
		p->error.message = p->message;
	}
	if (!p->request_id && (answer_head_get(head, "request-id", value, sizeof(value)) ||
			       answer_head_get(head, "x-request-id", value, sizeof(value))))
		problem_set_request_id(p, str_of(value));
	if (answer_head_get(head, "x-should-retry", value, sizeof(value))) {
		if (strcasecmp(value, "true") == 0)
			retryable = true;
		else if (strcasecmp(value, "false") == 0)
			retryable = false;
	}
	p->error.retryable = retryable && !is_hopeless(&p->error);
	p->error.retry_after_ms = provider_error_retry_after(head, now_ms);
}
