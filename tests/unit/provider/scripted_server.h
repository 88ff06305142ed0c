/*
 * scripted_server.h - an HTTP server on loopback, in the process and on the loop of the test.
 *
 * Request number i is answered with play number i; the last one goes for all that follow.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>

#include "common/buf.h"

enum after { AFTER_CLOSE, AFTER_HOLD, AFTER_RESET };

struct play {
	const char *bytes; /* sent as they are; NULL: close without a word */
	size_t n;	   /* 0: strlen(bytes) */
	enum after after;  /* HOLD keeps the connection open */
};

struct scripted_server {
	struct event_base *base;
	struct evconnlistener *listener;
	const struct play *plays;
	int n_plays;
	char url[64]; /* "http://127.0.0.1:PORT" */
	int requests; /* seen as a whole */
	int accepted;
	int closed_by_peer;
	struct buf request; /* the last one, head and body */
	struct connection *connections;
};

void scripted_server_start(struct scripted_server *s, struct event_base *base,
			   const struct play *plays, int n_plays);
void scripted_server_stop(struct scripted_server *s);
size_t
scripted_server_unsent(const struct scripted_server *s); /* bytes that the peer does not take */
