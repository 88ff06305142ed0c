/*
 * transfer.h - one HTTP POST whose answer comes as a stream.
 *
 * A pool is libcurl's multi interface on a libevent loop. A transfer belongs to whoever started it
 * until it is cancelled or its `end` was called. No callback runs inside a function of this
 * header, nor inside libcurl, so a callback may start, pause and cancel whatever it likes.
 *
 * Fixed: http and https only, HTTP/1.1, no redirects, no compression, no cookies, no proxy (those
 * of the environment are not used either: a stray http_proxy would be handed the keys, and would
 * break models on loopback). Connections are used again.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "chatd/provider/answer_head.h"

enum transfer_outcome {
	TRANSFER_OK,		/* the body came as a whole, whatever the status */
	TRANSFER_UNREACHABLE,	/* no connection: refused, DNS, network */
	TRANSFER_UNTRUSTED,	/* no connection: TLS failed, which another try won't mend */
	TRANSFER_NO_CONNECTION, /* no connection within connect_ms */
	TRANSFER_NO_FIRST_BYTE, /* no byte of the body within first_byte_ms after connecting */
	TRANSFER_IDLE,		/* no byte for idle_ms */
	TRANSFER_BROKEN,	/* the connection was lost before the end */
	TRANSFER_GARBLED,	/* what answered does not speak HTTP */
	TRANSFER_TOO_LARGE,	/* more than max_bytes */
};

struct transfer_request {
	const char *url;
	const char *const *headers; /* "Name: value"; copied */
	size_t n_headers;
	struct str body; /* borrowed until the transfer is gone */
	int64_t connect_ms, first_byte_ms, idle_ms;
	int64_t max_bytes; /* of the answer's body */
};

struct transfer_ops {
	/* The request is being sent. */
	void (*connected)(void *arg);
	/* Once, before any data; borrowed. */
	void (*head)(void *arg, const struct answer_head *head);
	/*
	 * Bytes of the body. Returns how many were taken: all of them, unless the transfer was
	 * paused or cancelled meanwhile; what is left comes again. After each resume it is called
	 * once even if nothing waits (n is 0).
	 */
	size_t (*data)(void *arg, const char *p, size_t n);
	/* The end, once; the transfer is gone. why: for a person, without secrets; "" if all is
	 * well. */
	void (*end)(void *arg, enum transfer_outcome how, const char *why);
};

struct transfer_pool;
struct transfer;

struct transfer_pool *transfer_pool_new(struct event_base *base);
void transfer_pool_free(struct transfer_pool *p); /* after the last transfer; NULL is fine */

struct transfer *transfer_start(struct transfer_pool *p, const struct transfer_request *req,
				const struct transfer_ops *ops, void *arg);
/* Closes the connection unless the answer was complete. No callback comes any more. */
void transfer_cancel(struct transfer *t);
/* While paused nothing is read from the socket (but what libcurl has read already) and no time runs
 * out. */
void transfer_pause(struct transfer *t, bool paused);
