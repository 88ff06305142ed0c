/*
 * sock.c - Unix and TCP sockets. See sock.h.
 */
#include "common/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"

static int unix_addr(const char *path, struct sockaddr_un *sa)
{
	size_t n = strlen(path);

	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	if (n >= sizeof(sa->sun_path))
		return -ENAMETOOLONG;
	memcpy(sa->sun_path, path, n + 1);
	return 0;
}

/* Only ever a socket: a path that was mistyped must not cost a file. */
static int remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int sock_listen_unix(const char *path, mode_t mode, int backlog)
{
	auto_close int fd = -1;
	struct sockaddr_un sa;
	mode_t old;
	int r = unix_addr(path, &sa);

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = remove_stale(path);
	if (r < 0)
		return r;
	old = umask(0777 & ~mode);
	r = bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ? -errno : 0;
	(void)umask(old);
	if (r < 0)
		return r;
	if (listen(fd, backlog) < 0)
		return -errno;
	return steal_fd(&fd);
}

int sock_connect_unix(const char *path)
{
	auto_close int fd = -1;
	struct sockaddr_un sa;
	int r = unix_addr(path, &sa);

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 && errno != EINPROGRESS)
		return -errno;
	return steal_fd(&fd);
}

static int tcp_addr(const char *host_port, struct sockaddr_storage *ss, socklen_t *len)
{
	char host[64];
	const char *colon = strrchr(host_port, ':');
	const char *start = host_port;
	size_t n;
	char *end;
	long port;

	if (!colon || colon == host_port)
		return -EINVAL;
	port = strtol(colon + 1, &end, 10);
	if (colon[1] < '0' || colon[1] > '9' || *end || port > 65535)
		return -EINVAL;
	n = (size_t)(colon - start);
	if (*start == '[' && n > 2 && start[n - 1] == ']') {
		start++;
		n -= 2;
	}
	if (n >= sizeof(host))
		return -EINVAL;
	memcpy(host, start, n);
	host[n] = '\0';
	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, host, &((struct sockaddr_in *)ss)->sin_addr) == 1) {
		ss->ss_family = AF_INET;
		((struct sockaddr_in *)ss)->sin_port = htons((uint16_t)port);
		*len = sizeof(struct sockaddr_in);
		return 0;
	}
	if (inet_pton(AF_INET6, host, &((struct sockaddr_in6 *)ss)->sin6_addr) == 1) {
		ss->ss_family = AF_INET6;
		((struct sockaddr_in6 *)ss)->sin6_port = htons((uint16_t)port);
		*len = sizeof(struct sockaddr_in6);
		return 0;
	}
	return -EINVAL;
}

int sock_listen_tcp(const char *host_port, int backlog, int reuseport)
{
	auto_close int fd = -1;
	struct sockaddr_storage ss;
	socklen_t len;
	int one = 1;
	int r = tcp_addr(host_port, &ss, &len);

	if (r < 0)
		return r;
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return -errno;
	if (reuseport && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, backlog) < 0)
		return -errno;
	return steal_fd(&fd);
}

int sock_peer_uid(int fd, uid_t *ret_uid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	*ret_uid = cred.uid;
	return 0;
}

bool sock_peer_in_group(int fd, gid_t group)
{
	struct ucred cred;
	gid_t groups[256]; /* a process with more of them is no daemon of ours */
	socklen_t cred_len = sizeof(cred), len = sizeof(groups);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_len) == 0 && cred.gid == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(*groups); i++) {
		if (groups[i] == group)
			return true;
	}
	return false;
}

int sock_nonblock(int fd)
{
	int fl = fcntl(fd, F_GETFL);

	if (fl < 0 || fcntl(fd, F_SETFL, fl | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

int sock_is_loopback(const char *host_port)
{
	struct sockaddr_storage ss;
	socklen_t len;

	if (tcp_addr(host_port, &ss, &len) < 0)
		return 0;
	if (ss.ss_family == AF_INET)
		return (ntohl(((struct sockaddr_in *)&ss)->sin_addr.s_addr) >> 24) == 127;
	return IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&ss)->sin6_addr) != 0;
}

union addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	struct sockaddr_storage ss;
};

static void write_name(const union addr *a, char out[SOCK_NAME_LEN])
{
	char host[INET6_ADDRSTRLEN] = "?";

	(void)snprintf(out, SOCK_NAME_LEN, "?");
	if (a->sa.sa_family == AF_INET) {
		(void)inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof(host));
		(void)snprintf(out, SOCK_NAME_LEN, "%s:%u", host, ntohs(a->in.sin_port));
	} else if (a->sa.sa_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof(host));
		(void)snprintf(out, SOCK_NAME_LEN, "[%s]:%u", host, ntohs(a->in6.sin6_port));
	} else if (a->sa.sa_family == AF_UNIX && a->un.sun_path[0]) {
		(void)snprintf(out, SOCK_NAME_LEN, "unix:%s", a->un.sun_path);
	}
}

void sock_name(int fd, char out[SOCK_NAME_LEN])
{
	union addr a = {.ss = {.ss_family = AF_UNSPEC}};
	socklen_t len = sizeof(a) - 1; /* so that a path ends in NUL */

	(void)getsockname(fd, &a.sa, &len); /* if not, its name is "?" */
	write_name(&a, out);
}

int sock_is_at(int fd, const char *address)
{
	union addr want = {.ss = {.ss_family = AF_UNSPEC}};
	char name[SOCK_NAME_LEN], wanted[SOCK_NAME_LEN];
	socklen_t len;

	sock_name(fd, name);
	if (strcmp(name, address) == 0)
		return 1;
	if (tcp_addr(address, &want.ss, &len) < 0)
		return 0;
	write_name(&want, wanted); /* one address may be written in several ways */
	return strcmp(name, wanted) == 0;
}
