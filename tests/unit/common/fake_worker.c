/*
 * fake_worker.c - stands in for a worker in the supervisor's tests.
 *
 *	fake_worker HOW INDEX
 *
 * HOW: "good" says R, then H; it ends with 0 on SIGTERM or when its control socket ends, and with
 *42 on SIGHUP. "clean" is the same but ready only if it was started with a clean slate. "die" is
 * ready and then fails. "silent" is ready and says no more; "deaf" ignores SIGTERM and SIGABRT as
 * well. "never" doesn't even get ready. "config" ends with 78.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/spawn.h"

#define LISTEN_FD  SPAWN_FIRST_FD
#define CONTROL_FD (SPAWN_FIRST_FD + 1)

static volatile sig_atomic_t got_hup;

static void on_term(int sig)
{
	(void)sig;
	_exit(0);
}

static void on_hup(int sig)
{
	(void)sig;
	got_hup = 1;
}

static void say(char c)
{
	if (write(CONTROL_FD, &c, 1) != 1)
		_exit(0); /* the supervisor is gone */
}

static int is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* 0 if the slate is clean, else the number of what is not. */
static int what_is_dirty(void)
{
	sigset_t blocked;
	char link[64];
	ssize_t n = readlink("/proc/self/fd/0", link, sizeof(link) - 1);

	if (n < 0 || strncmp(link, "/dev/null", (size_t)n) != 0)
		return 1;
	if (!is_socket(LISTEN_FD) || !is_socket(CONTROL_FD))
		return 2;
	for (int fd = CONTROL_FD + 1; fd < 256; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			return 3;
	}
	(void)sigprocmask(SIG_SETMASK, NULL, &blocked);
	for (int s = 1; s < 32; s++) {
		struct sigaction now;

		if (sigismember(&blocked, s))
			return 4;
		if (s == SIGSEGV || s == SIGBUS || s == SIGFPE || s == SIGILL)
			continue; /* a sanitizer in this very program has handlers for these */
		if (sigaction(s, NULL, &now) == 0 && now.sa_handler != SIG_DFL)
			return 5;
	}
	if (getpgrp() != getpid())
		return 6;
	if (getenv("NOTIFY_SOCKET") || getenv("WATCHDOG_USEC"))
		return 7;
	return 0;
}

static void serve(int beats)
{
	struct pollfd end = {.fd = CONTROL_FD, .events = POLLIN};

	for (;;) {
		int r = poll(&end, 1, beats ? 20 : -1);

		if (r > 0)
			_exit(0); /* the supervisor writes nothing: this is the end */
		if (got_hup)
			_exit(42); /* what a test can see of a SIGHUP */
		for (const char *c = "12H"; beats && *c; c++)
			say(*c);
	}
}

int main(int argc, char **argv)
{
	const char *how = argc == 3 ? argv[1] : "";

	if (strcmp(how, "clean") == 0) {
		int dirty = what_is_dirty();

		if (dirty)
			return 100 + dirty;
	}
	(void)signal(SIGTERM, strcmp(how, "deaf") == 0 ? SIG_IGN : on_term);
	(void)signal(SIGABRT, strcmp(how, "deaf") == 0 ? SIG_IGN : SIG_DFL);
	(void)signal(SIGHUP, on_hup);
	if (strcmp(how, "config") == 0)
		return 78;
	if (strcmp(how, "never") != 0)
		say('R');
	if (strcmp(how, "die") == 0)
		return 1;
	serve(strcmp(how, "good") == 0 || strcmp(how, "clean") == 0);
	return 0;
}
