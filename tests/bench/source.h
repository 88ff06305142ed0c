/*
 * source.h - where the events of a fan-out benchmark go in.
 *
 * Sessions are numbered from 0 and named by source_session_name(). An event of a session has a
 * seq, counting from 1 without a hole, and the monotonic time in µs at which it was made; its
 * payload follows from the two alone, so none has to be kept.
 *
 *	source_bus    is a chatd worker to streamerd: listens on DIR/worker-0.sock, answers
 *	              subscribe, get_snapshot and replay, and sends events to who subscribed
 *	source_post   sends each event as a POST /pub/NAME on one kept connection, pipelined, and
 *	              reads the answers: for nchan and for the bare hub
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "tests/bench/poller.h"

#define SOURCE_EVENT_BYTES 120 /* of a payload, whatever else a server puts around it */
#define SOURCE_NAME_LEN	   24

struct source;

struct source_ops {
	/* The newest event of the session is to go out; may gather until flush. */
	void (*publish)(struct source *s, unsigned session);
	void (*flush)(struct source *s);
	size_t (*unsent)(const struct source *s); /* bytes that wait here; 0: all handed over */
	void (*free)(struct source *s);
};

struct source {
	const struct source_ops *ops;
	struct poller *poller; /* borrowed */
	unsigned n_sessions;
	uint64_t *seqs;	   /* owned: the newest of each session */
	int64_t **made_us; /* owned: of each event of each session, by seq - 1 */
};

struct source *source_bus_new(struct poller *p, unsigned n_sessions, const char *dir);
struct source *source_post_new(struct poller *p, unsigned n_sessions, int port);
void source_free(struct source *s);

/* Makes the session's next event, now. */
void source_make(struct source *s, unsigned session, int64_t now_us);
void source_flush(struct source *s);

void source_session_name(unsigned session, char out[SOURCE_NAME_LEN]);
/* The number in a name, or -1. */
int source_session_number(const char *name, size_t n);
/* Exactly SOURCE_EVENT_BYTES, a JSON object that holds "@SEQ MADE_US ". */
void source_payload(uint64_t seq, int64_t made_us, char out[SOURCE_EVENT_BYTES]);

/* For the implementations. */
void source_init(struct source *s, const struct source_ops *ops, struct poller *p,
		 unsigned n_sessions);
