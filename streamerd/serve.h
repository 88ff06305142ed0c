/*
 * serve.h - one serving process: HTTP and SSE to the world, the bus to the workers.
 */
#pragma once

#include <sys/types.h>

struct auth;
struct options;

/* Consumed by serve_run(), but for conf_file. */
struct serve_setup {
	const char *conf_file;
	struct options *options;
	struct auth *auth;
	uid_t peer_uid;		   /* of a chatd that is believed besides our own; -1: none */
	unsigned index, processes; /* which of how many */
	int shared_fd;		   /* shared_new() */
	const int *listen_fds;
	unsigned n_listen;
	int control_fd; /* to the parent */
};

/*
 * Runs until SIGTERM or SIGINT, or until the parent is gone. Returns the exit status: 0 in order,
 * 75 if it can't begin (trying again may help).
 */
int serve_run(const struct serve_setup *setup);
