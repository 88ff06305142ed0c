/*
 * stack.h - a real chatd and a real streamerd in a folder of their own, for benchmarks.
 *
 * Whatever goes wrong ends the benchmark with the daemons' words on stderr.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct stack {
	char dir[200]; /* config, sockets, events.db */
	int port;      /* of streamerd on 127.0.0.1 */
	pid_t chatd, streamerd;
};

/*
 * Starts both and waits until they are ready. upstream_port: of the provider "main" (openai);
 * 0: only the demo provider. workers: 0 is auto. Programs come from $CHATD and $STREAMERD.
 */
void stack_start(struct stack *s, const char *top, int upstream_port, int workers);
/* Ends both and removes the folder. */
void stack_stop(struct stack *s);

int stack_connect(const struct stack *s); /* a connected, blocking socket */

/* One request on a kept connection. Returns the status; the body, NUL-terminated, in body. */
int stack_request(int fd, const char *method, const char *target, const char *json, char *body,
		  size_t size);
/* Text of the member of a flat JSON object, copied to out. */
void stack_member(const char *json, const char *name, char *out, size_t size);

/* CPU seconds that chatd, its workers and streamerd have had. */
double stack_cpu(const struct stack *s);
/* p50 of the time in µs that event_log takes to commit one event in the stack's folder. */
double stack_commit_us(const struct stack *s);
