/*
 * provider_request.h - what is POSTed to a provider: URL, header lines, body.
 */
#pragma once

#include "common/buf.h"

#define PROVIDER_REQUEST_HEADERS 8 /* anthropic has six, with the trace */

struct provider_request {
	char *url; /* owned, like the header lines */
	char *headers[PROVIDER_REQUEST_HEADERS];
	size_t n_headers;
	struct buf body;
};

/* Embedded in its owner; zero-initialised is empty. fini wipes the header lines: they hold keys. */
void provider_request_fini(struct provider_request *r);
void provider_request_header(struct provider_request *r, const char *name, const char *value);
