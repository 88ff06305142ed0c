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

/* A new folder of mode 0700 under TMPDIR or /tmp; malloc'ed path, NULL with errno set. */
char *tool_folder_new(void);
void tool_folder_free(char *path); /* removes it with all that is in it, and path; NULL is fine */
