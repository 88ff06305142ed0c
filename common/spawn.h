/*
 * spawn.h - fork and exec of one of several processes of a kind, of our own program.
 *
 * The process starts with a clean slate: fds 0 (/dev/null), 1, 2, then what it is given from
 * SPAWN_FIRST_FD on, behind that its end of a control socket, and no other; default signal
 * dispositions, nothing blocked; a process group of its own, so that a Ctrl-C at the parent's
 * terminal reaches it only through the parent; the parent's environment without systemd's notify
 * and watchdog variables.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#define SPAWN_FIRST_FD	 3
#define SPAWN_FDS	 32 /* descriptors that can be passed */
#define SPAWN_INDEX_SIZE 16

/* What to exec. Borrowed. */
struct spawn_how {
	const char *exe; /* NULL: the program that runs now, also if its file was replaced */
	char **argv;	 /* ends in NULL; one of its strings is: */
	char *index_arg; /* SPAWN_INDEX_SIZE bytes that spawn_process() writes the index into */
};

/*
 * Starts process `index`; it finds fds[i] as SPAWN_FIRST_FD + i, and the control socket as
 * SPAWN_FIRST_FD + n. 0, with the pid and our end of the control socket (non-blocking,
 * close-on-exec; the caller owns both); or -errno. A failing exec shows as exit status 127.
 */
int spawn_process(const struct spawn_how *how, unsigned index, const int *fds, unsigned n,
		  pid_t *ret_pid, int *ret_control);
