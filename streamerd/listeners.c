/*
 * listeners.c - the sockets that streamerd listens on. See listeners.h.
 *
 * One socket for an address, and all serving processes accept from it. The other way, SO_REUSEPORT
 * with a socket for each process, spreads connections by itself, but what waits in the queue of a
 * process that dies is reset by the kernel, and a process that hangs keeps its share of the
 * connections to itself. From one queue any process that lives takes them, and it is there for as
 * long as the parent is; that one process might take more than its share is dealt with where
 * connections are accepted (http_server.c).
 *
 * A predecessor that was killed may hold an address for a moment longer, until its serving
 * processes have noticed: binding is tried again for LIMIT_LISTEN_MS.
 */
#include "streamerd/listeners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/require.h"
#include "common/sock.h"

#define BACKLOG	 4096 /* the kernel caps it at net.core.somaxconn */
#define RETRY_MS 20

static int listen_at(const char *address)
{
	const char *path = options_unix_path(address);

	return path ? sock_listen_unix(path, 0660, BACKLOG) : sock_listen_tcp(address, BACKLOG, 0);
}

static int bind_one(struct listeners *l, const char *address)
{
	int64_t give_up = clock_mono_ms() + LIMIT_LISTEN_MS;
	char name[SOCK_NAME_LEN];
	int fd = listen_at(address);

	while (fd == -EADDRINUSE && clock_mono_ms() < give_up) {
		(void)usleep(RETRY_MS * 1000);
		fd = listen_at(address);
	}
	if (fd < 0) {
		log_error("http.listen", "address=\"%s\" error=\"%s\"", log_safe(address),
			  strerror(-fd));
		return EX_CANTCREAT;
	}
	l->fds[l->n++] = fd;
	sock_name(fd, name);
	log_notice("http.listening", "address=\"%s\"", log_safe(name));
	return 0;
}

/* The index in o->listen, or -1. */
static int index_of(const struct options *o, int fd)
{
	for (size_t i = 0; i < o->listen.n; i++) {
		if (sock_is_at(fd, o->listen.v[i]))
			return (int)i;
	}
	return -1;
}

/* Takes one that was passed. 0 or the exit status. */
static int take_one(struct listeners *l, const struct options *o, int fd, const char *unit_name)
{
	char name[SOCK_NAME_LEN];

	sock_name(fd, name);
	if (l->n == LIMIT_LISTENERS) {
		log_error("http.listen", "error=\"more than %d sockets were passed\"",
			  LIMIT_LISTENERS);
		return EX_CONFIG;
	}
	if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0) {
		log_error("http.listen",
			  "fd=%d name=\"%s\" error=\"not a listening stream socket\"", fd,
			  log_safe(unit_name));
		return EX_CONFIG;
	}
	if (!o->listen_is_default && index_of(o, fd) < 0) {
		log_error("http.listen",
			  "address=\"%s\" name=\"%s\" error=\"was passed, but [http] listen does "
			  "not name it\"",
			  log_safe(name), log_safe(unit_name));
		return EX_CONFIG;
	}
	REQUIRE(sock_nonblock(fd) == 0);
	l->fds[l->n++] = fd;
	log_notice("http.listening", "address=\"%s\" passed_as=\"%s\"", log_safe(name),
		   log_safe(unit_name));
	return 0;
}

static int take_passed(struct listeners *l, const struct options *o)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);
	int status = 0;

	for (int i = 0; i < n; i++) {
		if (status == 0)
			status = take_one(l, o, SD_LISTEN_FDS_START + i, names[i]);
		free(names[i]);
	}
	free(names);
	return status;
}

static bool is_passed(const struct listeners *l, unsigned n, const char *address)
{
	for (unsigned i = 0; i < n; i++) {
		if (sock_is_at(l->fds[i], address))
			return true;
	}
	return false;
}

/* SEC-1 */
static bool may_serve(const struct options *o, int fd)
{
	char name[SOCK_NAME_LEN];

	sock_name(fd, name);
	if (o->auth_mode != AUTH_NONE || options_unix_path(name) || sock_is_loopback(name))
		return true;
	log_error("http.listen",
		  "address=\"%s\" error=\"beyond loopback needs [auth] mode = tokens\"",
		  log_safe(name));
	return false;
}

int listeners_open(struct listeners *l, const struct options *o)
{
	int status = take_passed(l, o);
	unsigned passed = l->n;

	for (unsigned i = 0; status == 0 && i < passed; i++)
		status = may_serve(o, l->fds[i]) ? 0 : EX_CONFIG;
	for (size_t i = 0; status == 0 && i < o->listen.n; i++) {
		if (!(o->listen_is_default && passed) && !is_passed(l, passed, o->listen.v[i]))
			status = bind_one(l, o->listen.v[i]);
	}
	if (status)
		listeners_close(l);
	return status;
}

void listeners_close(struct listeners *l)
{
	while (l->n > 0)
		(void)close(l->fds[--l->n]);
}

int listeners_adopt(struct options *o, const int *fds, unsigned n)
{
	const char *names[LIMIT_LISTENERS];
	char text[LIMIT_LISTENERS][SOCK_NAME_LEN];

	REQUIRE(n <= LIMIT_LISTENERS);
	for (unsigned i = 0; i < n; i++) {
		if (!may_serve(o, fds[i]))
			return -1;
		sock_name(fds[i], text[i]);
		names[i] = text[i];
	}
	if (o->listen_is_default)
		options_set_listen(o, names, n);
	return 0;
}
