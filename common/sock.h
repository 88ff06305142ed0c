/*
 * sock.h - Unix and TCP sockets, non-blocking and close-on-exec.
 *
 * Functions return a file descriptor that the caller owns, or -errno.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/*
 * Listens at path; a stale socket file is replaced, another kind of file is -EEXIST.
 * mode is set before anyone can connect.
 */
int sock_listen_unix(const char *path, mode_t mode, int backlog);
/* Starts to connect. The connection may still be under way (EINPROGRESS is not an error). */
int sock_connect_unix(const char *path);
/* Listens at "host:port" with a numeric host ("127.0.0.1:8080", "[::1]:0"); reuseport as given. */
int sock_listen_tcp(const char *host_port, int backlog, int reuseport);
/* The uid at the other end of a connected Unix socket: 0, or -errno. */
int sock_peer_uid(int fd, uid_t *ret_uid);
/*
 * Is the process at the other end in the group, by its main one or another? Within a user namespace
 * that knows few users (systemd's PrivateUsers=) the uid of a peer may read as nobody's, while a
 * group that is known there is told.
 */
bool sock_peer_in_group(int fd, gid_t group);
int sock_nonblock(int fd); /* sets O_NONBLOCK and FD_CLOEXEC; 0 or -errno */
/* 1 if "host:port" names a loopback address. */
int sock_is_loopback(const char *host_port);
#define SOCK_NAME_LEN 128
/* Where a socket is bound: "127.0.0.1:8080", "[::1]:8080", "unix:/path", or "?". */
void sock_name(int fd, char out[SOCK_NAME_LEN]);
/* 1 if the socket is bound to "host:port" or "unix:/path". */
int sock_is_at(int fd, const char *address);
