/*
 * toolbox.h - the tools of one worker: its MCP servers, and those that are built in.
 *
 * The toolbox starts every configured server at once, keeps it running (restart with back-off) and
 * knows its tools. A turn takes the list, decides by tool_policy.h, and runs calls; a call ends
 * exactly once, whatever its server does: answers, fails, dies, hangs, floods or talks nonsense.
 *
 * Names: a tool is (server, name). Models see one flat name of [A-Za-z0-9_-]{1,64}: "server__name",
 * shortened and made unique where it must be; toolbox_find() maps it back. Two tools are built in:
 * ("builtin", "ask_user"), which models see as ask_user and which the turn carries out itself by
 * raising a prompt, and ("demo", "roll_dice"), there only after toolbox_add_demo().
 */
#pragma once

#include <event2/event.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

struct tool_conf; /* tool_conf.h: one [tools NAME] */
struct toolbox;
struct tool_call;

/* What is known of one tool. Borrowed from the toolbox; valid until the next pass of the loop. */
struct tool {
	const char *server;	/* name of the [tools NAME] section, "builtin" or "demo" */
	const char *name;	/* the server's own name for it */
	const char *model_name; /* what models see */
	const char *description;
	const json_t *schema; /* of its input: a JSON object */
	/* hints, with MCP's defaults where absent */
	bool read_only, idempotent, destructive;
};

/* Starts the servers. Takes a reference of each conf. No callback runs inside the call. */
struct toolbox *toolbox_new(struct event_base *base, struct tool_conf *const *confs, size_t n);
/*
 * Ends all servers in order: stdin closed, TERM, KILL, whole process groups. Blocks for at most
 * ~2 s. Calls that are still open are forgotten: cancel them first. NULL is fine.
 */
void toolbox_free(struct toolbox *t);
/* Makes the built-in demo tool known and listed: for a worker that has a provider of type demo. */
void toolbox_add_demo(struct toolbox *t);

/*
 * 1 once every server has been ready, or has failed, for the first time (a server that is still
 * starting after LIMIT_TOOL_START_MS has failed). Later restarts don't unsettle it: a turn never
 * waits for a server that crashed. `ready` is called once, at the pass when that becomes true (the
 * next one if it is true already), for everybody who waits; cancel with toolbox_forget().
 */
int toolbox_is_settled(const struct toolbox *t);
void toolbox_when_settled(struct toolbox *t, void (*ready)(void *arg), void *arg);
void toolbox_forget(struct toolbox *t, void *arg);

/*
 * Names of servers that are not ready, and why (printable ASCII of at most LIMIT_TOOL_WHY bytes): a
 * JSON array of {"server","why"}. New reference.
 */
json_t *toolbox_down(const struct toolbox *t);

/*
 * The tools as a provider wants them (provider.h): a JSON array of
 * {"name","description","parameters"} under their model names, denied ones left out, at most
 * LIMIT_TOOLS, in the order of the configuration and ask_user last. New reference.
 */
json_t *toolbox_list(const struct toolbox *t);

/* NULL if unknown. Tools of a server that is down are known as long as it was ready once. */
const struct tool *toolbox_find(const struct toolbox *t, const char *model_name);
const struct tool *toolbox_get(const struct toolbox *t, const char *server, const char *name);
/* What tool_policy() wants: the section of a server. NULL for built-in ones. Borrowed. */
const struct tool_conf *toolbox_conf(const struct toolbox *t, const char *server);

struct tool_result {
	/* For the model and the viewers; whole UTF-8 without NUL, cut to LIMIT_TOOL_RESULT (and
	 * saying so). */
	struct str text;
	bool is_error;
	/* The server died, fell silent or sent what can't be read: the call may have had its
	 * effect. Never set for a call that was not sent. */
	bool uncertain;
};

struct tool_call_ops {
	/* progress in [0,1] or -1 if unknown; message (whole UTF-8) may be NULL. At most one every
	 * LIMIT_TOOL_PROGRESS_MS. May be NULL. */
	void (*progress)(void *arg, double progress, const char *message);
	/* The end, once; the call is gone after it. Never inside toolbox_call(). */
	void (*done)(void *arg, const struct tool_result *r);
};

/*
 * Runs a call. arguments: the bytes that the model sent, a JSON object (empty counts as {}); they
 * are copied and reach the server as they are. Never fails: `done` tells. A call to a server that
 * is being (re)started waits for it; one whose server has failed to start ends at once.
 */
struct tool_call *toolbox_call(struct toolbox *t, const char *server, const char *name,
			       struct str arguments, const struct tool_call_ops *ops, void *arg);
/*
 * Tells the server to stop and forgets the call: no callback comes any more. NULL is fine. May be
 * called inside any callback of ours, but not for a call whose `done` has begun.
 */
void tool_call_cancel(struct tool_call *c);
