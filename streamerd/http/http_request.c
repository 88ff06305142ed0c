/*
 * http_request.c - one request: its making and what a handler may read of it. See http.h.
 *
 * While head and body arrive, the bytes are the connection's, and a request that is refused half
 * way shows the handler's log line only what has been decoded: method, path, peer. Fields and body
 * can be seen once the whole request has been moved here (`raw`), and then they don't move any
 * more, whatever else the connection reads.
 */
#include "streamerd/http/http_request.h"

#include <stdlib.h>
#include <string.h>

#include "common/require.h"
#include "streamerd/http/http_conn.h"
#include "streamerd/http/http_path.h"

struct http_request *http_request_new(struct http_conn *conn)
{
	struct http_request *r = calloc(1, sizeof(*r));

	REQUIRE(r);
	r->conn = conn;
	r->head.method = HTTP_OTHER;
	http_peer_name(&conn->addr, r->peer);
	return r;
}

void http_request_free(struct http_request *r)
{
	if (!r)
		return;
	buf_fini(&r->raw);
	buf_fini(&r->path);
	buf_fini(&r->query);
	free(r);
}

/* Behind a proxy that is believed: whom it saw. Lines of one name are one list (RFC 9110, 5.3), so
 * the last line has the last hop. */
static void set_forwarded(struct http_request *r, const char *p)
{
	const struct http_field *f, *last = NULL;

	for (size_t i = 0; (f = http_head_find(&r->head, p, "X-Forwarded-For", i)); i++)
		last = f;
	if (last) /* what is no address is not believed: the proxy's own stays */
		(void)http_peer_forwarded((struct str){p + last->value.at, last->value.len},
					  r->peer);
}

const char *http_request_set_head(struct http_request *r, const char *p, size_t head_bytes)
{
	const struct http_head *h = &r->head;
	const char *why;

	r->head_bytes = head_bytes;
	if (r->conn->trusted)
		set_forwarded(r, p);
	why = http_path_decode((struct str){p + h->path.at, h->path.len}, &r->path);
	if (why)
		buf_clear(&r->path); /* half decoded: worth nothing, not even in a log line */
	else
		why = http_query_decode((struct str){p + h->query.at, h->query.len}, &r->query);
	return why;
}

enum http_method http_method(const struct http_request *r)
{
	return r->head.method;
}

const char *http_method_name(const struct http_request *r)
{
	return r->head.method_name;
}

struct str http_path(const struct http_request *r)
{
	return (struct str){r->path.data ? r->path.data : "", r->path.len};
}

struct str http_query(const struct http_request *r, const char *name)
{
	return http_query_find((struct str){r->query.data, r->query.len}, name);
}

struct str http_header(const struct http_request *r, const char *name)
{
	const struct http_field *f;

	if (!r->raw.len)
		return (struct str){NULL, 0};
	f = http_head_find(&r->head, r->raw.data, name, 0);
	return f ? (struct str){r->raw.data + f->value.at, f->value.len} : (struct str){NULL, 0};
}

int http_header_count(const struct http_request *r, const char *name)
{
	int n = 0;

	while (r->raw.len && http_head_find(&r->head, r->raw.data, name, (size_t)n))
		n++;
	return n;
}

struct str http_body(const struct http_request *r)
{
	if (r->raw.len <= r->head_bytes)
		return (struct str){"", 0};
	return (struct str){r->raw.data + r->head_bytes, r->raw.len - r->head_bytes};
}

const char *http_peer(const struct http_request *r)
{
	return r->peer;
}

int http_is_gone(const struct http_request *r)
{
	return r->gone;
}

void http_set_note(struct http_request *r, const char *note)
{
	r->note = note;
}

const char *http_note(const struct http_request *r)
{
	return r->note;
}
