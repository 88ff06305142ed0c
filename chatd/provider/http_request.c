/*
 * http_request.c - what is POSTed to a provider. See http_request.h.
 */
#include "chatd/provider/http_request.h"

#include <stdlib.h>
#include <string.h>

#include "common/require.h"
#include "common/secret.h"

void http_request_fini(struct http_request *r)
{
	free(r->url);
	for (size_t i = 0; i < r->n_headers; i++)
		secret_free(r->headers[i]);
	buf_fini(&r->body);
	*r = (struct http_request){0};
}

void http_request_header(struct http_request *r, const char *name, const char *value)
{
	struct buf line = BUF_INIT;

	REQUIRE(r->n_headers < HTTP_REQUEST_HEADERS);
	/* at once in its full size: growing would leave copies of the key behind */
	buf_reserve(&line, strlen(name) + strlen(value) + 2);
	buf_adds(&line, name);
	buf_adds(&line, ": ");
	buf_adds(&line, value);
	r->headers[r->n_headers++] = buf_steal(&line, NULL);
}
