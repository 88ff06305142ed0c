/*
 * tool_conf.h - one [tools NAME] of chatd.conf: a server of tools, and what its tools may do.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tool_permission { TOOL_ALLOW, TOOL_ASK, TOOL_DENY };

/* CONFINE_AUTO: in the box, and of our files those are hidden that lie where only services keep
 * theirs (options.c says where). CONFINE_YES: all of them, wherever they are. */
enum tool_confine { CONFINE_NO, CONFINE_AUTO, CONFINE_YES };

/* Reference-counted: a toolbox keeps the ones that it was made with. Texts are owned. */
struct tool_conf {
	char *name;    /* of the section; "builtin" and "demo" are taken */
	char *command; /* words as a shell would split them, with quotes; never given to one */
	enum tool_permission permission; /* permission = ask | allow | deny; ask is the default */
	enum tool_permission read_only;	 /* for tools that say they only read; default: permission;
					    lowers no DENY */
	bool read_only_set;
	char *allow_tools, *ask_tools,
		*deny_tools; /* "a, b": tools by their own names; NULL: none */
	int64_t timeout_ms;  /* timeout: a call that is silent for so long has failed */
	char *env;	     /* NAME=VALUE, or NAME to pass ours through; words like command's */
	char *cwd;	     /* working folder, absolute; NULL: a private temporary one */
	char **words;	     /* of command, NULL at the end; made by tool_conf_finish() */
	char **env_words;    /* of env, likewise; each one is checked to be one of the two forms */
	enum tool_confine confine; /* auto | yes | no: its processes are in the box of box.h */
	char **hidden; /* files that are out of reach in it, NULL at the end; never NULL itself */
	bool open;     /* some of our files are in its reach, for it is CONFINE_AUTO */
	int refs;
};

struct tool_conf *tool_conf_new(const char *name); /* with defaults; refs 1 */
struct tool_conf *tool_conf_ref(struct tool_conf *c);
void tool_conf_unref(struct tool_conf *c);		    /* NULL is fine */
void tool_conf_hide(struct tool_conf *c, const char *path); /* absolute; copied */
/* Checks it as a whole; again after a change. NULL if fine, else why not (static text); *ret_key
 * names the key. */
const char *tool_conf_finish(struct tool_conf *c, const char **ret_key);
/* Does the comma list (NULL: an empty one) hold the name? */
bool tool_conf_lists(const char *list, const char *name);
