/*
 * http_answer.h - the answering half of a connection; inside the layer only.
 */
#pragma once

#include "streamerd/http/http_conn.h"

/* Of an answer that the layer gives itself. */
#define HTTP_REFUSAL_HEADERS                 \
	"Content-Type: application/json\r\n" \
	"Cache-Control: no-store\r\n"        \
	"X-Content-Type-Options: nosniff\r\n"

/*
 * Answers c->request and frees it. close: the connection ends afterwards in any case. c is then
 * IDLE, WRITING, LINGER or CLOSED.
 */
void http_answer(struct http_conn *c, int status, const char *headers, struct str body, bool close);
/* As a refusal of the layer, with the body that ops->refuse makes. */
void http_answer_refuse(struct http_conn *c, enum fault fault, const char *detail);
/* WRITING: sends on. */
void http_answer_flush(struct http_conn *c);
