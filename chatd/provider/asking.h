/*
 * asking.h - what the kinds of askings have in common, and the one that goes over HTTP.
 */
#pragma once

#include "chatd/provider/provider_request.h"
#include "chatd/provider/provider.h"
#include "chatd/provider/reply.h"
#include "chatd/provider/transfer.h"

struct provider_env {
	struct event_base *base;    /* borrowed */
	struct transfer_pool *pool; /* owned */
};

/* How one kind of asking does what provider.h promises of all. */
struct asking_class {
	void (*cancel)(struct asking *a);
	void (*pause)(struct asking *a, bool paused);
};

/* First member of each kind's own struct. */
struct asking {
	const struct asking_class *class;
};

/* What differs between providers that are asked over HTTP. */
struct protocol {
	enum dialect dialect;
	void (*request)(struct provider_request *r,
			const struct question *q); /* fills an empty r */
};

struct asking *http_asking_new(struct provider_env *e, const struct protocol *p,
			       const struct question *q, const struct answer_ops *ops, void *arg);
