/*
 * tool_home.h - what a tool server finds around it: its environment and its working folder.
 */
#pragma once

#include "chatd/tool/tool_conf.h"

/*
 * The environment of a server, malloc'ed (tool_env_free()): PATH, HOME, LANG and TMPDIR of ours,
 * and what the section's `env` says. Nothing else: no keys, no CREDENTIALS_DIRECTORY.
 */
char **tool_env_new(const struct tool_conf *c);
void tool_env_free(char **env); /* NULL is fine */

/* A private folder of mode 0700 under TMPDIR or /tmp, "chatd-tool-XXXXXX". */
struct tool_folder {
	char *path; /* owned; NULL if there is none */
	int fd;	    /* owned: the lock that says that it is in use */
};

int tool_folder_new(struct tool_folder *f);   /* 0 or -errno; then path is NULL */
void tool_folder_fini(struct tool_folder *f); /* removes it with all that is in it */
/* Removes the folders of our user that nobody uses any more: a worker that was killed left them. */
void tool_folder_sweep(void);
