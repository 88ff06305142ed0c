/*
 * socket_set.h - which of very many sockets can be read or written.
 *
 * libevent wants 128 bytes for each socket, beside whatever it belongs to. Here a socket needs
 * none: all of them are in an epoll set of their own, and the loop watches that set as one
 * descriptor.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <sys/epoll.h>

#define SOCKET_SET_BATCH 64 /* looked at before the loop's other business is */

/* can_read also says that the peer has gone, or that the socket is broken. */
typedef void socket_set_fn(void *arg, bool can_read, bool can_write);

/* Embedded in its hub. */
struct socket_set {
	int fd;		  /* owned */
	struct event *ev; /* owned */
	socket_set_fn *ready;
	struct epoll_event batch[SOCKET_SET_BATCH];
	int n; /* of the batch that is being handed out */
};

/* ready() is called from the loop with the socket's arg, which is never NULL. */
void socket_set_init(struct socket_set *s, struct event_base *base, socket_set_fn *ready);
void socket_set_fini(struct socket_set *s);
/* Waits for it to be readable. fd and arg are borrowed. 0 or -errno: the system has no room. */
int socket_set_add(struct socket_set *s, int fd, void *arg);
/* Waits for it to be writable as well, or no longer. It is in the set. */
void socket_set_want_write(struct socket_set *s, int fd, void *arg, bool wanted);
/* ready() is not called with arg any more. */
void socket_set_remove(struct socket_set *s, int fd, const void *arg);
