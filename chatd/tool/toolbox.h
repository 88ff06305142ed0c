/*
 * toolbox.h - the tools of one worker: its MCP servers, and those that are built in.
 *
 * The toolbox starts every configured server at once, keeps it running (restart with back-off) and
 * knows its tools. A turn takes the list, decides by tool_policy.h, and runs calls; a call ends
 * exactly once, whatever its server does: answers, fails, dies, hangs, floods or talks nonsense.
 *
 * Names: a tool is (server, name). Models see one flat name of [A-Za-z0-9_-]{1,64}: "server__name",
 * shortened and made unique where it must be; toolbox_find() maps it back.
 */
#pragma once

#include <event2/event.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

struct tool_conf; /* options.h: one [tools NAME] */
struct toolbox;
struct tool_call;

/* What is known of one tool. Borrowed from the toolbox; valid until the next pass of the loop. */
struct tool {
	const char *server;	/* name of the [tools NAME] section, or "builtin" */
	const char *name;	/* the server's own name for it */
	const char *model_name; /* what models see */
	const char *description;
	const json_t *schema;	/* of its input: a JSON object */
	bool read_only, idempotent, destructive; /* hints, with MCP's defaults where absent */
};

/* Starts the servers. confs are borrowed and must outlive it. */
struct toolbox *toolbox_new(struct event_base *base, struct tool_conf *const *confs, size_t n);
/* Ends all servers in order: stdin closed, TERM, KILL, whole process groups. Blocks for at most ~2 s. */
void toolbox_free(struct toolbox *t);

/*
 * 1 once every server is ready or has failed for now (a server that is still starting after
 * LIMIT_TOOL_START_MS counts as failed). `ready` is called at the pass when that becomes true, for
 * everybody who waits; cancel with toolbox_forget().
 */
int toolbox_is_settled(const struct toolbox *t);
void toolbox_when_settled(struct toolbox *t, void (*ready)(void *arg), void *arg);
void toolbox_forget(struct toolbox *t, void *arg);

/* Names of servers that are not ready, and why: a JSON array of {"server","why"}. New reference. */
json_t *toolbox_down(const struct toolbox *t);

/* The tools as a provider wants them (provider.h): a JSON array of {"name","description","parameters"}
 * under their model names, denied ones left out. New reference. */
json_t *toolbox_list(const struct toolbox *t);

const struct tool *toolbox_find(const struct toolbox *t, const char *model_name); /* NULL if unknown */
const struct tool *toolbox_get(const struct toolbox *t, const char *server, const char *name);

struct tool_result {
	struct str text;      /* for the model and the viewers; whole UTF-8, cut to LIMIT_TOOL_RESULT and saying so */
	bool is_error;
	bool uncertain;	      /* the server died or fell silent: the call may have had its effect */
};

struct tool_call_ops {
	/* progress in [0,1] or -1 if unknown; message may be NULL */
	void (*progress)(void *arg, double progress, const char *message);
	/* The end, once; the call is gone after it. Never inside toolbox_call(). */
	void (*done)(void *arg, const struct tool_result *r);
};

/* Runs a call. arguments: the bytes that the model sent, a JSON object. Never fails; `done` tells. */
struct tool_call *toolbox_call(struct toolbox *t, const char *server, const char *name,
			       struct str arguments, const struct tool_call_ops *ops, void *arg);
/* Tells the server to stop and forgets the call: no callback comes any more. NULL is fine. */
void tool_call_cancel(struct tool_call *c);
