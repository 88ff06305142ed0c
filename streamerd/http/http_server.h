/*
 * http_server.h - what connections need of their server; inside the layer only. See http.h for the
 * outside.
 */
#pragma once

#include <event2/event.h>

#include "streamerd/http/http.h"
#include "streamerd/http/http_conn.h"

struct event_base *http_server_base(const struct http_server *s);
const struct http_conf *http_server_conf(const struct http_server *s);
int http_server_is_draining(const struct http_server *s);
char *
http_server_scratch(struct http_server *s); /* LIMIT_HTTP_READ bytes, valid until the next read */

/* The handler's callbacks. */
void http_server_request(struct http_server *s, struct http_request *r);
void http_server_refuse(struct http_server *s, enum fault fault, const char *detail,
			struct buf *body);
void http_server_answered(struct http_server *s, const struct http_request *r, int status,
			  size_t body_bytes);

/* Addresses and counts. */
bool http_server_trusts(const struct http_server *s, const union http_addr *addr);
/* c's socket is handed over: it is counted on, by its number. */
void http_server_took(struct http_server *s, struct http_conn *c, int fd);
/* c keeps so many bytes of an answer. False if that is more than all connections may. */
bool http_server_keeps(struct http_server *s, struct http_conn *c, size_t bytes);

/* The life of a connection. */
void http_server_add(struct http_server *s, struct http_conn *c);
void http_server_remove(struct http_server *s, struct http_conn *c); /* it holds no socket now */
/* It waits for another request: it may be closed to make room for a new connection. */
void http_server_set_idle(struct http_server *s, struct http_conn *c, bool idle);
/* http_conn_resume() in the next pass of the loop; again before that is fine. */
void http_server_defer(struct http_server *s, struct http_conn *c);
