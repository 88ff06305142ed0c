/*
 * child.h - one process of a tool server: its start, its three pipes, its end.
 *
 * A child runs in a session and process group of its own, with an environment that is made for it,
 * no descriptors but its pipes, and dies when we do.
 */
#pragma once

#include <event2/event.h>
#include <stddef.h>
#include <sys/types.h>

struct box;
struct child;

/* How to start one. Everything is borrowed during child_start(). */
struct child_how {
	char *const *argv; /* argv[0] is looked up in the PATH of env */
	char *const *env;  /* "NAME=VALUE", NULL at the end: all that the child gets */
	const char *cwd;
	const struct box *box; /* prepared; NULL: none */
};

/* Callbacks come from the loop, never inside a function of this file. */
struct child_ops {
	void (*output)(void *arg, const char *p, size_t n); /* from its stdout */
	void (*errors)(void *arg, const char *p, size_t n); /* from its stderr */
	/* It closed its stdout and still ran LIMIT_TOOL_DEAF_MS later. */
	void (*deaf)(void *arg);
	/*
	 * It is gone and reaped, and so is its whole process group; all that it had written was
	 * handed over before. status is wait(2)'s. Only child_free() may follow.
	 */
	void (*gone)(void *arg, int status);
};

/* 0 and *ret_child, or -errno (of exec(2) too, e.g. -ENOENT). */
int child_start(struct event_base *base, const struct child_how *how, const struct child_ops *ops,
		void *arg, struct child **ret_child);
/*
 * Ends a child that was reaped or not; one that still runs is killed with its group and waited for,
 * without callbacks. May be called inside a callback of the child. NULL is fine.
 */
void child_free(struct child *c);

/* Queues bytes for its stdin. Bytes for a child that no longer reads are dropped. */
void child_write(struct child *c, const char *p, size_t n);
size_t child_queued(const struct child *c); /* bytes that it hasn't taken yet */
pid_t child_pid(const struct child *c);

/*
 * Ends it in order: closes its stdin once what is queued has been written, after LIMIT_TOOL_EOF_MS
 * SIGTERM to its group, after LIMIT_TOOL_TERM_MS SIGKILL. `gone` tells. Output still comes.
 */
void child_stop(struct child *c);
/* The same for several at once, and waits for them: at most both limits together, a little more
 * where the machine is slow to kill. No callbacks. NULLs are fine. */
void child_stop_all(struct child *const *children, size_t n);

/* "ended with status 1", "was ended by signal 9 (Killed)", in one of two static buffers. */
const char *child_how_it_ended(int status);
