/*
 * rig.h - a toolbox with the misbehaving server of tests/lib behind it.
 *
 * BAD_SERVER in the environment is its path, PYTHON the interpreter. rig_close() checks that
 * nothing is left behind: no process, no descriptor, no folder.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>

#include "chatd/tool/tool_conf.h"
#include "chatd/tool/toolbox.h"

#define RIG_DEADLINE_MS 20000

struct rig {
	struct event_base *base;
	struct toolbox *box;
	struct tool_conf *confs[16];
	size_t n;
	int fds; /* open when it started */
	char tmp[64];
};

struct outcome {
	int n_done;
	int n_progress;
	double last_progress;
	char message[64]; /* of the last progress */
	bool is_error, uncertain;
	char *text; /* owned */
	size_t len;
};

void rig_start(struct rig *r);
/* Adds a section "sN" whose command is the server in that mode; argument may be NULL. */
struct tool_conf *rig_add(struct rig *r, const char *mode, const char *argument);
struct tool_conf *rig_add_command(struct rig *r, const char *command);
void rig_open(struct rig *r); /* makes the toolbox and waits until it is settled */
void rig_close(struct rig *r);

/* Runs the loop until the condition holds; fails the test after the deadline. */
void rig_until(struct rig *r, bool (*holds)(void *arg), void *arg);
/* Runs the loop for so long, for what must not happen. */
void rig_for(struct rig *r, int ms);

extern const struct tool_call_ops outcome_ops; /* arg: a struct outcome */
bool outcome_is_there(void *outcome);
void outcome_fini(struct outcome *o);
/* Makes a call of server "s0" and waits for its end. */
void rig_call(struct rig *r, const char *tool, const char *arguments, struct outcome *o);
