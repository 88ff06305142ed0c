/*
 * supervisor.h - the process that holds the bus sockets and keeps workers running.
 *
 * It touches no turn and parses nothing that came from outside: its input is its config, signals,
 * its children's exit statuses, and single bytes on their control sockets.
 */
#pragma once

#include <stdint.h>

#include "common/conf.h"
#include "common/spawn.h"

/* What a worker finds where. */
#define WORKER_LISTEN_FD  SPAWN_FIRST_FD
#define WORKER_CONTROL_FD (SPAWN_FIRST_FD + 1)

/* All borrowed. */
struct supervisor_setup {
	const char *bus_dir; /* made (0750) if it isn't there; its parent must be */
	unsigned workers;    /* 1..LIMIT_WORKERS */
	int64_t drain_ms;    /* what running turns are given at a stop */
	struct spawn_how spawn;
	/* At SIGHUP: is the config (still) good? 0, or -1 with *e filled in. */
	int (*recheck)(void *arg, struct conf_error *e);
	void *recheck_arg;
};

/*
 * Runs until SIGTERM or SIGINT (a second one cuts the drain short). Returns the exit status: 0
 * in order; 75 if another chatd holds the bus dir; 73 if the sockets can't be made; 78 if a worker
 * ended so.
 */
int supervisor_run(const struct supervisor_setup *setup);
