/*
 * http_reply.h - the head of a response, as bytes. Pure, but for the clock behind Date.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

#define HTTP_DATE_LEN 29 /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* Writes the time (Unix, seconds) as HTTP has it, NUL-terminated. */
void http_date(int64_t wall_s, char out[HTTP_DATE_LEN + 1]);

/* 1 if a response with this status has a body (and so a Content-Length) at all. */
int http_status_has_body(int status);

/* How the connection goes on after the response. */
enum http_after {
	HTTP_AFTER_CLOSE,
	HTTP_AFTER_KEEP,
	HTTP_AFTER_KEEP_OLD, /* as KEEP, to an HTTP/1.0 peer, who must be told */
};

/*
 * Appends status line, Date, Content-Length (if the status has a body), Connection, the caller's
 * complete header lines and the empty line.
 */
void http_reply_head(struct buf *out, int status, const char *headers, size_t body_bytes,
		     enum http_after after, int64_t wall_s);
