/*
 * spawn.h - fork and exec of one worker.
 *
 * The worker starts with a clean slate: fds 0 (/dev/null), 1, 2, 3 (its listening socket), 4 (its
 * end of the control socket) and no other; default signal dispositions, nothing blocked; a
 * process group of its own, so that a Ctrl-C at the supervisor's terminal reaches it only through
 * the supervisor; the supervisor's environment without systemd's notify and watchdog variables.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#define SPAWN_LISTEN_FD	 3
#define SPAWN_CONTROL_FD 4
#define SPAWN_INDEX_SIZE 16

/* What to exec. Borrowed. */
struct spawn_how {
	const char *exe; /* NULL: the program that runs now, also if its file was replaced */
	char **argv;	 /* ends in NULL; one of its strings is: */
	char *index_arg; /* SPAWN_INDEX_SIZE bytes that spawn_worker() writes the index into */
};

/*
 * Starts worker `index`. 0, with the pid and our end of the control socket (non-blocking,
 * close-on-exec; the caller owns both); or -errno. A failing exec shows as exit status 127.
 */
int spawn_worker(const struct spawn_how *how, unsigned index, int listen_fd, pid_t *ret_pid,
		 int *ret_control);
