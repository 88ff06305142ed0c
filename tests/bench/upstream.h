/*
 * upstream.h - a scripted OpenAI-style provider in a process of its own.
 *
 * Every request gets a stream of deltas at a steady rate until the stop; each delta's text is the
 * monotonic clock in µs at which it was handed to the kernel, and a blank.
 */
#pragma once

#include <sys/types.h>

struct upstream {
	pid_t pid;
	int port;
	struct upstream_shared *shared; /* with the child */
};

void upstream_start(struct upstream *u, int events_per_second);
int upstream_streams(const struct upstream *u); /* that run now */
unsigned long upstream_sent(const struct upstream *u);
/* All streams end. */
void upstream_end_streams(struct upstream *u);
/* New streams are answered with a head and nothing more until upstream_go_on(). */
void upstream_hold(struct upstream *u);
void upstream_go_on(struct upstream *u);
void upstream_stop(struct upstream *u);
