/*
 * reply.h - the form of every answer: JSON, errors, headers.
 */
#pragma once

#include "common/buf.h"
#include "proto/fault.h"
#include "streamerd/http/http.h"
#include "streamerd/options.h"

/* Appends {"error":{"code","message","field"?}}. NULL message: the fault's own. field may be NULL.
 */
void reply_add_error(struct buf *b, enum fault fault, const char *message, const char *field);
/*
 * The same from a worker's words: a JSON object {"message"?, more members}, or nothing. What is not
 * such an object is left out.
 */
void reply_add_worker_error(struct buf *b, enum fault fault, struct str body);

/* Each of these answers the request. */
void reply_json(const struct options *o, struct http_request *req, int status, struct str body);
void reply_empty(const struct options *o, struct http_request *req, int status);
void reply_fault(const struct options *o, struct http_request *req, enum fault fault,
		 const char *message, const char *field);
/* More headers: complete lines. type may be NULL (no body). */
void reply_with(const struct options *o, struct http_request *req, int status, const char *type,
		const char *headers, struct str body);
void reply_error_body(const struct options *o, struct http_request *req, enum fault fault,
		      const char *headers, struct str body);
