/*
 * stored_reply.c - answers that leave only after the commit that makes them true. See
 * stored_reply.h.
 */
#include "chatd/worker/stored_reply.h"

#include <stdlib.h>

#include "common/cleanup.h"
#include "common/require.h"

/* An answer that waits for its commit. The link is named by id: it may be gone by then. */
struct pending_reply {
	struct worker *worker;
	uint64_t link_id, req;
	json_t *body; /* owned */
};

static void on_stored(void *arg, bool ok)
{
	auto_free struct pending_reply *p = arg;
	struct link *l = link_find(p->worker, p->link_id);

	if (!l)
		json_decref(p->body);
	else if (ok)
		link_reply(l, p->req, p->body);
	else {
		json_decref(p->body);
		link_reply_fault(l, p->req, FAULT_LOG_UNAVAILABLE, NULL);
	}
}

void stored_reply(struct worker *w, struct session *s, struct link *l, uint64_t req, json_t *body)
{
	struct pending_reply *p = calloc(1, sizeof(*p));

	REQUIRE(p);
	p->worker = w;
	p->link_id = link_id(l);
	p->req = req;
	p->body = body;
	event_log_after(w->log, &s->log, on_stored, p);
}
