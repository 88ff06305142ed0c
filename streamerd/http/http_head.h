/*
 * http_head.h - a request head, parsed strictly. Pure: bytes in, struct out.
 *
 * Line by line and incremental: called with all bytes of the request so far, it goes on where it
 * stopped. A line is judged when it is whole, so how the bytes were cut makes no difference to the
 * outcome. Positions are spans relative to the first byte of the request: the caller may move the
 * bytes afterwards.
 *
 * What it refuses, beyond what does not follow the grammar of RFC 9112, and why
 *	bare LF, bare CR, control bytes, NUL, obs-fold	two parsers see two different messages
 *	space before ':' or before the first field	the same
 *	no, two or odd Host (HTTP/1.0: none is fine)	routing by another name than ours
 *	a Host that differs from an absolute target's	the same
 *	a Content-Length that is not one line of digits	request smuggling
 *	any Transfer-Encoding (501; with a length 400)	chunked bodies are not spoken here
 *	Expect other than 100-continue (417)		RFC 9110, 10.1.1
 *	CONNECT (501), "*" without OPTIONS, https://	we are no proxy
 *	HTTP/x other than 1.0 and 1.1 (505)		there is no other HTTP/1 to speak
 *	"Host: name:" with no port behind the colon	legal, but nobody sends it
 * and what is over a limit: 414 for the target, 431 for the head. One empty line (CRLF) in front of
 * the request line is tolerated, as RFC 9112, 2.2 asks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/limits.h"
#include "proto/fault.h"
#include "streamerd/http/http.h"

struct http_span {
	uint16_t at, len;
};

struct http_field {
	struct http_span name, value; /* value without the white space around it */
};

enum http_head_stage { HTTP_HEAD_START, HTTP_HEAD_START_AGAIN, HTTP_HEAD_FIELDS };

/* Zero-initialised before the first call. */
struct http_head {
	/* the parser's own: how far it has come */
	size_t line; /* start of the line that is not yet whole */
	size_t seen; /* there is no LF in [line, seen) */
	enum http_head_stage stage;
	unsigned n_host, n_length, n_encoding;
	bool asks_close, asks_keep, bad_expect;
	struct http_span authority; /* of an absolute target; len 0: none */

	/* valid after HTTP_HEAD_WHOLE */
	enum http_method method;
	char method_name[LIMIT_HTTP_METHOD + 1]; /* also valid after a refusal; may be "" */
	int minor;				 /* 0 or 1 */
	bool keep_alive;			 /* the peer wants to go on after this request */
	bool expect_continue;	/* ... wants to see a 100 before it sends the body */
	int64_t length;		/* bytes of the body; 0 if none is announced */
	struct http_span path;	/* raw; len 0 means "/"; "*" for OPTIONS */
	struct http_span query; /* raw, behind the '?'; len 0 if there is none */
	struct http_span host;	/* host[:port]; len 0 only in HTTP/1.0 */
	struct http_field fields[LIMIT_HTTP_HEADERS];
	size_t n_fields;

	/* valid after HTTP_HEAD_REFUSED */
	enum fault fault;
	const char *detail; /* static text */
};

enum http_head_outcome {
	HTTP_HEAD_MORE,	   /* call again with more bytes behind the same ones */
	HTTP_HEAD_WHOLE,   /* *ret_used bytes are the head, the body starts there */
	HTTP_HEAD_REFUSED, /* h->fault says how; the connection can't go on */
};

enum http_head_outcome http_head_parse(struct http_head *h, const char *p, size_t n,
				       size_t *ret_used);

/* The field of that name (any case) with that index among its equals, or NULL. */
const struct http_field *http_head_find(const struct http_head *h, const char *p, const char *name,
					size_t index);
