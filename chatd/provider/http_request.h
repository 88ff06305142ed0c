/*
 * http_request.h - what is POSTed to a provider: URL, header lines, body.
 */
#pragma once

#include "common/buf.h"

#define HTTP_REQUEST_HEADERS 8

struct http_request {
	char *url; /* owned, like the header lines */
	char *headers[HTTP_REQUEST_HEADERS];
	size_t n_headers;
	struct buf body;
};

/* Embedded in its owner; zero-initialised is empty. fini wipes the header lines: they hold keys. */
void http_request_fini(struct http_request *r);
void http_request_header(struct http_request *r, const char *name, const char *value);
