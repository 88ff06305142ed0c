/*
 * reply.c - the form of every answer: JSON, errors, headers. See reply.h.
 *
 * Answers are not to be stored by caches, not to be guessed at by browsers, and not to be read by
 * other origins than the listed ones.
 */
#include "streamerd/reply.h"

#include <string.h>

#include "common/json.h"
#include "streamerd/guard.h"

void reply_add_error(struct buf *b, enum fault fault, const char *message, const char *field)
{
	if (!message)
		message = fault_message(fault);
	buf_adds(b, "{\"error\":{\"code\":\"");
	buf_adds(b, fault_code(fault));
	buf_adds(b, "\",\"message\":");
	json_add_string(b, message, strlen(message));
	if (field && *field) {
		buf_adds(b, ",\"field\":");
		json_add_string(b, field, strlen(field));
	}
	buf_adds(b, "}}");
}

void reply_add_worker_error(struct buf *b, enum fault fault, struct str body)
{
	auto_json json_t *words = body.n ? json_read(body.p, body.n, NULL, 0) : NULL;
	const char *message = json_get_str(words, "message");
	const char *key;
	json_t *value;

	reply_add_error(b, fault, message, NULL);
	b->len -= strlen("}}");
	json_object_foreach (words, key, value) {
		if (strcmp(key, "message") == 0 || strcmp(key, "code") == 0)
			continue;
		buf_addc(b, ',');
		json_add_string(b, key, strlen(key));
		buf_addc(b, ':');
		json_add_value(b, value);
	}
	buf_adds(b, "}}");
}

void reply_with(const struct options *o, struct http_request *req, int status, const char *type,
		const char *headers, struct str body)
{
	auto_buf struct buf h = BUF_INIT;

	if (type)
		buf_addf(&h, "Content-Type: %s\r\n", type);
	buf_adds(&h, "X-Content-Type-Options: nosniff\r\n"
		     "Referrer-Policy: no-referrer\r\n");
	if (!guard_is_listed_origin(o, http_header(req, "Origin")))
		buf_adds(&h, "Cross-Origin-Resource-Policy: same-origin\r\n");
	guard_add_cors(&h, o, http_header(req, "Origin"));
	buf_adds(&h, headers);
	http_reply(req, status, buf_str(&h), body);
}

#define NO_STORE "Cache-Control: no-store\r\n"

void reply_json(const struct options *o, struct http_request *req, int status, struct str body)
{
	reply_with(o, req, status, "application/json", NO_STORE, body);
}

void reply_empty(const struct options *o, struct http_request *req, int status)
{
	reply_with(o, req, status, NULL, NO_STORE, str_of(""));
}

void reply_error_body(const struct options *o, struct http_request *req, enum fault fault,
		      const char *headers, struct str body)
{
	auto_buf struct buf h = BUF_INIT;
	int status = fault_status(fault);

	buf_adds(&h, NO_STORE);
	if (status == 503 || status == 429)
		buf_adds(&h, "Retry-After: 1\r\n");
	buf_adds(&h, headers);
	reply_with(o, req, status, "application/json", buf_str(&h), body);
}

void reply_fault(const struct options *o, struct http_request *req, enum fault fault,
		 const char *message, const char *field)
{
	auto_buf struct buf b = BUF_INIT;

	reply_add_error(&b, fault, message, field);
	reply_error_body(o, req, fault, "", (struct str){b.data, b.len});
}
