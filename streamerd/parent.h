/*
 * parent.h - the process that holds the listening sockets and keeps serving processes running.
 *
 * It reads nothing that came from the network: its input is its config, signals, its children's
 * exit statuses, and single bytes on their control sockets.
 */
#pragma once

#include "common/conf.h"
#include "common/spawn.h"
#include "streamerd/options.h"

/* What a serving process finds where; behind the last listening socket comes the control socket. */
#define SERVING_SHARED_FD SPAWN_FIRST_FD
#define SERVING_LISTEN_FD (SPAWN_FIRST_FD + 1)

/* All borrowed. */
struct parent_setup {
	const struct options *options;
	struct spawn_how spawn;
	char *listen_arg; /* SPAWN_INDEX_SIZE bytes, one of spawn.argv: the number of sockets */
	/* At SIGHUP: is the config (still) good? 0, or -1 with *e filled in. */
	int (*recheck)(void *arg, struct conf_error *e);
	void *recheck_arg;
};

/*
 * Runs until SIGTERM or SIGINT (a second one cuts it short). Returns the exit status: 0 in order,
 * 78 if config and sockets do not fit together, 73 if an address can not be had.
 */
int parent_run(const struct parent_setup *setup);
