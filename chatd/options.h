/*
 * options.h - chatd.conf, read and checked as a whole.
 *
 * Supervisor and workers read the same file; a worker reads it again on SIGHUP. Unknown sections
 * and keys are errors. Whatever is wrong is one line that names file, line and key.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chatd/provider/provider.h"
#include "chatd/tool/tool_conf.h"
#include "common/conf.h"

enum on_crash { ON_CRASH_RESUME, ON_CRASH_INTERRUPT };

struct options {
	/* [log] */
	char *log_path;
	bool durability_full; /* durability = full | normal */
	/* [bus] */
	char *bus_dir;
	char *bus_user;	 /* user whose streamerd may connect besides our own; NULL: none */
	char *bus_group; /* the same for the members of a group */
	/* [workers] */
	int workers;		 /* count = auto | N; auto: one per CPU, at most 4 */
	int64_t drain_ms;	 /* drain_timeout */
	int max_turns;		 /* running turns of one worker */
	int max_turns_per_owner; /* of them, and of queued ones, of one owner */
	enum on_crash on_crash;
	bool exclusive; /* an owner has one active session */
	/* [defaults] */
	char *provider; /* name of a [provider] section; never NULL: the only one if none is named
			 */
	char *model;	/* NULL: the provider's own */
	char *system;	/* NULL: none */
	/* [retention]; 0: for ever, no limit */
	int64_t keep_deltas_ms, keep_sessions_ms;
	int64_t max_size; /* bytes */
	/* [provider NAME], at least one, in the order of the file */
	struct provider_conf **providers; /* owned references */
	size_t n_providers;
	/* [tools NAME], in the order of the file */
	struct tool_conf **tools; /* owned references */
	size_t n_tools;
	/* [general] log_level */
	char *log_level; /* NULL: info */
};

/* NULL with *e filled in if the file, or a key file that it names, is wrong. */
struct options *options_load(const char *file, struct conf_error *e);
void options_free(struct options *o); /* NULL is fine */
/* What can't change while chatd runs (log, bus, workers) is in o as it is in `running`. */
void options_keep(struct options *o, const struct options *running);
/* Borrowed; NULL if there is none of that name. An empty name, or NULL, means the default. */
struct provider_conf *options_provider(const struct options *o, const char *name);
