/*
 * listener.h - somebody who asks a provider and notes what is told, for tests.
 */
#pragma once

#include <stdbool.h>

#include "chatd/provider/provider.h"

/* Where the listener cancels, or pauses, by itself. */
enum moment { NEVER, AT_TEXT, AT_REASONING, AT_RETRY, AT_DONE };

struct listener {
	struct event_base *base;
	struct provider_env *env;
	struct provider_conf *conf;
	struct asking *asking; /* NULL once it is over */
	enum moment cancel_at, pause_at;
	/* what was told */
	struct buf text, reasoning;
	int texts, retries, dones;
	int64_t retry_wait_ms;
	int retry_status;
	enum fault fault;
	int http_status;
	char type[64], code[64], message[512], stop_reason[64];
	int64_t retry_after_ms;
	bool retryable;
	size_t n_calls;
	int usages; /* times that `usage` was told */
	struct provider_usage usage, usage_so_far;
};

/* A loop, an environment and a configuration of that type; no retries, short time-outs. */
void listener_init(struct listener *l, const char *type, const char *base_url);
void listener_fini(struct listener *l);
/* Asks with one user message. */
void listener_ask(struct listener *l, const char *message);
/* Runs the loop until *counter is at least n; fails the test after 20 s. */
void listener_wait(struct listener *l, const int *counter, int n);
/* Runs the loop for that long. */
void listener_idle(struct listener *l, int ms);
