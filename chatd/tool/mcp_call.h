/*
 * mcp_call.h - the calls to one MCP server. See toolbox.h for what a call promises.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "chatd/tool/jsonrpc.h"
#include "chatd/tool/mcp_message.h"
#include "chatd/tool/toolbox.h"
#include "common/list.h"

TAILQ_HEAD(tool_call_list, tool_call);

/* What the calls need of their server. */
struct mcp_calls_ops {
	long long (*next_id)(void *arg); /* for a request: unique in the life of the server */
	void (*send)(void *arg, const struct buf *message);
	void (*silent)(void *arg); /* a call has timed out */
};

/* All calls to one server. Embedded in it. */
struct mcp_calls {
	struct event_base *base;	 /* borrowed, like all in this part */
	const char *server;		 /* its name, for texts */
	const struct mcp_calls_ops *ops; /* NULL for a set that only holds refusals */
	void *arg;
	int64_t timeout_ms;
	enum mcp_era era;
	bool open; /* the server takes calls right now; set by mcp_calls_open() */
	unsigned n_sent;
	struct tool_call_list queued, begun; /* owned: each call is in one of them */
};

void mcp_calls_init(struct mcp_calls *c, struct event_base *base, const char *server,
		    int64_t timeout_ms, const struct mcp_calls_ops *ops, void *arg);
void mcp_calls_fini(struct mcp_calls *c); /* forgets all calls; no callbacks */

/* The server is ready, in this era: queued calls are sent. */
void mcp_calls_open(struct mcp_calls *c, enum mcp_era era);
/*
 * The server is not ready any more: calls that were sent end as errors, and uncertain; why goes
 * behind its name ("ended with status 1"). With queued_too those that were not sent end as well.
 */
void mcp_calls_close(struct mcp_calls *c, const char *why, bool queued_too);

/* A message that may belong to a call. 1 if it did. */
int mcp_calls_answer(struct mcp_calls *c, const struct jsonrpc_message *m);
/* The answer to id was too long to be read. 1 if there was such a call. */
int mcp_calls_answer_lost(struct mcp_calls *c, long long id);
void mcp_calls_progress(struct mcp_calls *c, const json_t *params);

/* Queues a call and sends it as soon as it may go. arguments: valid JSON; copied. */
struct tool_call *mcp_call_new(struct mcp_calls *c, const char *name, struct str arguments,
			       const struct tool_call_ops *ops, void *arg);
/* A call that has ended before it began; text is copied, whole UTF-8. */
struct tool_call *mcp_call_ended(struct mcp_calls *c, struct str text, bool is_error,
				 const struct tool_call_ops *ops, void *arg);
