/*
 * provider_request.c - what is POSTed to a provider. See provider_request.h.
 */
#include "chatd/provider/provider_request.h"

#include <stdlib.h>
#include <string.h>

#include "common/require.h"
#include "common/secret.h"

void provider_request_fini(struct provider_request *r)
{
	free(r->url);
	for (size_t i = 0; i < r->n_headers; i++)
		secret_free(r->headers[i]);
	buf_fini(&r->body);
	*r = (struct provider_request){0};
}

void provider_request_header(struct provider_request *r, const char *name, const char *value)
{
	struct buf line = BUF_INIT;

	REQUIRE(r->n_headers < PROVIDER_REQUEST_HEADERS);
	/* at once in its full size: growing would leave copies of the key behind */
	buf_reserve(&line, strlen(name) + strlen(value) + 2);
	buf_adds(&line, name);
	buf_adds(&line, ": ");
	buf_adds(&line, value);
	r->headers[r->n_headers++] = buf_steal(&line, NULL);
}
