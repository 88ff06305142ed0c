/*
 * http.h - the HTTP/1.1 server layer of streamerd, directly on libevent.
 *
 * What it is: listeners, connections, a strict head parser, bodies by Content-Length, replies,
 * keep-alive, deadlines and limits. What it is not: TLS, HTTP/2, chunked request bodies, proxying,
 * files. It knows nothing about chat.
 *
 * The life of a request
 *	1. A connection is accepted. At max_connections the one that has been idle for longest is
 *	   closed for it; if none is idle it waits in the kernel's backlog until one ends, here or
 *	   in a process that shares the limit. An
 *	   address that has max_per_address gets 429 and is closed.
 *	2. Head and body are read, each under an absolute deadline. Whatever is malformed, too large
 *	   or too slow is answered by the layer itself, through ops->refuse, and the connection
 *closed. A connection on which no byte of a request came in time is closed without an answer.
 *	3. ops->request(arg, req) is called with the whole request.
 *	4. The handler answers exactly once, inside the call or later, with http_reply() or
 *	   http_take(). The request stays valid until then, even if the peer has gone; it is gone
 *	   afterwards.
 *
 * Callbacks run from the event loop only, never inside http_reply() and the like, but for
 *`answered`. Requests that a client sends ahead on one connection are served one after the other.
 *
 * http_take() hands the socket over for a stream: the connection object ends, the new owner has the
 * file descriptor and writes the response head itself. That is how a viewer comes to cost a small
 * struct and a socket.
 *
 * Everything is refused that RFC 9112 says must be, and what smuggling is made of: see
 * http_head.h.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "proto/fault.h"

struct http_net;
struct http_server;
struct http_request;
struct quota;

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_PATCH,
	HTTP_OTHER, /* any other token */
};

struct http_conf {
	int64_t max_body;    /* bytes */
	int max_connections; /* open at once, with those taken by http_take() */
	int max_per_address; /* of them, from one address; see http_peer.h for what counts as one */
	int max_sockets;     /* of them, in this server */
	/* Where both are counted, with those of other processes that share it. Borrowed. */
	struct quota *quota;
	/* Proxies, whose own connections are not counted so, and whose X-Forwarded-For is believed
	 */
	const struct http_net *proxies;
	size_t n_proxies;
	int64_t head_ms, body_ms, idle_ms, write_ms; /* deadlines, see limits.h */
	/*
	 * Where to keep what http_server_connections() and the functions of these names tell, so
	 * that others can read it, and counters go on from what is there; NULL: in the server.
	 */
	uint64_t *connections, *times_full, *times_crowded, *times_unread;
};

struct http_ops {
	/* A whole request. */
	void (*request)(void *arg, struct http_request *req);
	/*
	 * The layer refuses a request: appends a body (JSON) for fault to `body`. Content type is
	 * application/json. `detail` is static text.
	 */
	void (*refuse)(void *arg, enum fault fault, const char *detail, struct buf *body);
	/*
	 * After each request that was answered (also by the layer) or ended without an answer
	 * (status 0: the peer left first, or http_drop()), for a log line; not after http_take().
	 * Called inside http_reply(); may read req and must not answer any request. Of one that was
	 * refused before it was whole only method, path and peer can be known, and the former two
	 * may be empty. May be NULL.
	 */
	void (*answered)(void *arg, const struct http_request *req, int status, size_t body_bytes);
	/*
	 * A connection waits that another process might take as well: true leaves it to them for
	 * LIMIT_HTTP_YIELD_MS. Then LIMIT_HTTP_UNASKED are taken without asking. May be NULL.
	 */
	bool (*yields)(void *arg);
};

/* conf, with its proxies, and ops are copied. */
struct http_server *http_server_new(struct event_base *base, const struct http_conf *conf,
				    const struct http_ops *ops, void *arg);
/*
 * Stops accepting, closes idle connections (after LIMIT_HTTP_FRESH_MS also those that never sent
 * anything), answers what has begun to arrive and closes after each answer; after write_ms closes
 * what is not with a handler. http_server_connections() tells when it is over ...
 */
void http_server_drain(struct http_server *s);
/* ... and this ends everything. The caller must have answered or dropped all requests (REQUIREd),
 * and may not be inside a callback. NULL is fine. */
void http_server_free(struct http_server *s);
/* Adds a listening socket (owned from then on). May be called several times. */
void http_server_listen(struct http_server *s, int fd);
/* Open connections of the layer, without those handed over. */
size_t http_server_connections(const struct http_server *s);
/* How often accepting stopped because max_connections was reached and none was idle. */
uint64_t http_server_times_full(const struct http_server *s);
/* How many connections were turned away because their address had max_per_address. */
uint64_t http_server_times_crowded(const struct http_server *s);
/* How many answers were cut off because LIMIT_HTTP_UNSENT was reached. */
uint64_t http_server_times_unread(const struct http_server *s);
/* A socket that http_take() handed over was closed: it counts against no limit any more. */
void http_server_taken_ended(struct http_server *s, int fd);

/* --- reading a request; all borrowed, valid as long as the request --- */
enum http_method http_method(const struct http_request *r);
const char *http_method_name(const struct http_request *r);
/* Decoded path: starts with '/', no "." or ".." segment, no control character, no empty segment
 * inside; valid UTF-8. "*" for OPTIONS of the server as a whole. */
struct str http_path(const struct http_request *r);
/* Value of a query parameter, percent-decoded, of its first occurrence; p == NULL if absent. */
struct str http_query(const struct http_request *r, const char *name);
/* Value of a header, trimmed; p == NULL if absent. Name in any case. Repeated ones are not joined:
 * the first. */
struct str http_header(const struct http_request *r, const char *name);
int http_header_count(const struct http_request *r, const char *name);
struct str http_body(const struct http_request *r);
/* "127.0.0.1:53412", or "unix"; behind a proxy that is believed, whom it names: "192.0.2.1". */
const char *http_peer(const struct http_request *r);
/* 1 once the peer is known to have left: an answer would reach nobody. A peer that has only shut
 * its side (EOF behind a whole request) has not: see http_conn.c. */
int http_is_gone(const struct http_request *r);
/* The handler's own mark on the request (owner name, route …), for `answered`. Borrowed. */
void http_set_note(struct http_request *r, const char *note);
const char *http_note(const struct http_request *r);
/* The peer has left before the answer: called at most once, never inside the setter, also if it had
 * left before. The handler must still answer (or http_drop()). gone == NULL takes it back. */
void http_on_gone(struct http_request *r, void (*gone)(void *arg), void *arg);

/* --- answering: exactly one of --- */
/*
 * Sends a complete response. headers: complete lines, each ending in CRLF ("" for none);
 * Content-Length, Connection and Date are the layer's. For HEAD, 204 and 304 the body is left out.
 * body is copied. Nothing that a client wrote may stand in headers unchecked.
 */
void http_reply(struct http_request *r, int status, const char *headers, struct str body);
/* Takes the socket: returns the file descriptor, non-blocking, that the caller now owns. Bytes that
 * the client sent behind its request are thrown away. *ret_http10: 1 for HTTP/1.0 (may be NULL). -1
 * if the peer has gone; the request has ended then, too. The socket counts against the limits until
 * http_server_taken_ended() is told its number. */
int http_take(struct http_request *r, int *ret_http10);
/* Closes the connection without an answer. */
void http_drop(struct http_request *r);

const char *http_reason(int status); /* "Not Found" */
