/*
 * http_conn.h - one client connection; inside the layer only. http_conn.c tells its life.
 *
 * Owned by the server, on whose lists it is. It frees itself when it has closed.
 */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>

#include "common/buf.h"
#include "common/list.h"
#include "streamerd/http/http_peer.h"
#include "streamerd/http/http_request.h"

struct http_server;

enum http_conn_state {
	HTTP_CONN_IDLE,	   /* no byte of a request */
	HTTP_CONN_HEAD,	   /* some bytes of a head */
	HTTP_CONN_BODY,	   /* the head, not yet the whole body */
	HTTP_CONN_PENDING, /* the handler has the request */
	HTTP_CONN_WRITING, /* the answer waits for room in the socket */
	HTTP_CONN_LINGER,  /* our side is shut; waiting for the peer to have read it */
	HTTP_CONN_CLOSED,  /* no socket any more; freed on the way out of the method */
};

struct http_conn {
	struct http_server *server; /* borrowed: its owner */
	enum http_conn_state state;
	int fd; /* owned; -1 when closed or taken */
	union http_addr addr;
	uint64_t address; /* whose it is counted as, by http_crowd.h; 0: not counted */
	struct event io;
	struct event timer;
	short watching;	  /* what io is added for; 0: not added */
	bool timed;	  /* the deadline of this state has been set */
	bool busy;	  /* a method is on the stack: don't free */
	bool fresh;	  /* no request was answered yet */
	bool trusted;	  /* a proxy whose X-Forwarded-For is believed */
	bool eof;	  /* the peer sends no more */
	bool close;	  /* after the answer that is being written */
	bool deferred;	  /* on the server's list */
	bool idle_listed; /* on the server's list */
	bool handed_over; /* its places under the limits are the socket's now */
	struct buf in;	  /* owned: bytes that no request has taken yet, from in_at on */
	size_t in_at;
	struct buf out; /* owned: the rest of an answer, from out_at on */
	size_t kept;	/* counted by the server as not yet sent */
	size_t out_at;
	size_t progress;	      /* bytes of out that went since the deadline was set */
	size_t lingered;	      /* bytes thrown away */
	struct http_request *request; /* owned; NULL between requests */
	TAILQ_ENTRY(http_conn) all, defer, idle;
};

/* Takes the socket and its places: one of all, one of the address (0: none). The connection lives
 * until it ends itself or the server frees it. */
void http_conn_new(struct http_server *server, int fd, const union http_addr *addr,
		   uint64_t address);
/* Ends it now, without an answer. Not while a handler has its request. */
void http_conn_close(struct http_conn *c);
/* From the server's deferred list: goes on with what is already here. */
void http_conn_resume(struct http_conn *c);

/* --- for http_answer.c --- */
size_t http_conn_buffered(const struct http_conn *c); /* bytes that no request has taken yet */
void http_conn_set_state(struct http_conn *c, enum http_conn_state state);
void http_conn_end_request(struct http_conn *c, int status,
			   size_t body_bytes); /* says so, frees it */
/* Closes the socket, unless it was taken (c->fd is -1 then). c stays until http_conn_leave(). */
void http_conn_give_up(struct http_conn *c);
/* Around whatever may change the state, by the outermost method. */
void http_conn_enter(struct http_conn *c);
void http_conn_leave(struct http_conn *c); /* sets events and deadline, or frees c */
