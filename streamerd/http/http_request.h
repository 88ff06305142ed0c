/*
 * http_request.h - one request, from its first byte to its answer; inside the layer only.
 *
 * Owned by its connection, which makes it when the first byte arrives and frees it when the request
 * has been answered. Handlers see it through http.h.
 */
#pragma once

#include "common/buf.h"
#include "streamerd/http/http_head.h"
#include "streamerd/http/http_peer.h"

struct http_conn;

struct http_request {
	struct http_conn *conn; /* borrowed: its owner */
	struct http_head head;	/* its spans mean bytes of raw */
	size_t head_bytes;	/* 0 until the head is whole */
	struct buf raw;		/* owned: head and body, once both are whole; empty before */
	struct buf path;	/* owned: decoded */
	struct buf query;	/* owned: decoded records */
	char peer[HTTP_PEER_LEN];
	const char *note; /* borrowed from the handler, or NULL */
	bool gone;	  /* the peer has left */
	void (*on_gone)(void *arg);
	void *on_gone_arg;
};

struct http_request *http_request_new(struct http_conn *conn);
void http_request_free(struct http_request *r); /* NULL is fine */

/*
 * To be called when the head is whole: decodes path and query out of the head's bytes at p. NULL if
 * fine, else why not (static text).
 */
const char *http_request_set_head(struct http_request *r, const char *p, size_t head_bytes);
