/*
 * spawn.c - fork and exec of one of several processes of a kind. See spawn.h.
 *
 * Exec'ed, not only forked: the process has an address space without the parent's past in it, laid
 * out anew each time (who can crash it again and again learns nothing about the next one), and is
 * seen in ps as what it is. One that is restarted in the middle of an upgrade of the package must
 * be of the same version as its parent: see own_exe().
 *
 * No PR_SET_PDEATHSIG: when the parent dies the control socket ends, which a process takes for
 * "stop in order". Between fork and exec only what is safe there is called; the parent has one
 * thread.
 */
#include "common/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/require.h"
#include "common/sock.h"

/*
 * The name of the running program; /proc/self/exe itself once that name is another file's. Not
 * always the latter: under valgrind it is valgrind.
 */
static const char *own_exe(char out[PATH_MAX])
{
	static const char self[] = "/proc/self/exe";
	static const char gone[] = " (deleted)";
	ssize_t n = readlink(self, out, PATH_MAX - 1);

	if (n < (ssize_t)sizeof(gone) || n == PATH_MAX - 1)
		return self;
	out[n] = '\0';
	return strcmp(out + n - (sizeof(gone) - 1), gone) == 0 ? self : out;
}

static void reset_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		(void)sigaction(s, &dfl,
				NULL); /* fails for KILL, STOP and libc's own: as it should */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Puts them in their places and closes all else. 0 or -1. */
static int place_fds(const int *fds, unsigned n, int control_fd)
{
	int end = SPAWN_FIRST_FD + (int)n + 1;
	int copies[SPAWN_FDS + 1];
	int null = open("/dev/null", O_RDONLY);

	/* first out of the way of each other's places; the copies go with the rest below */
	for (unsigned i = 0; i <= n; i++) {
		copies[i] = fcntl(i < n ? fds[i] : control_fd, F_DUPFD, end);
		if (copies[i] < 0)
			return -1;
	}
	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		return -1;
	for (unsigned i = 0; i <= n; i++) {
		if (dup2(copies[i], SPAWN_FIRST_FD + (int)i) < 0)
			return -1;
	}
	return close_range((unsigned)end, ~0U, 0);
}

static _Noreturn void child(const struct spawn_how *how, const int *fds, unsigned n, int control_fd)
{
	char own[PATH_MAX];
	const char *exe = how->exe ? how->exe : own_exe(own);

	(void)setpgid(0, 0); /* can fail only for a session leader, which a fresh child isn't */
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	if (place_fds(fds, n, control_fd) == 0) {
		reset_signals();
		(void)execv(exe, how->argv);
	}
	_exit(127);
}

int spawn_process(const struct spawn_how *how, unsigned index, const int *fds, unsigned n,
		  pid_t *ret_pid, int *ret_control)
{
	auto_close int ours = -1;
	auto_close int theirs = -1;
	int pair[2];
	sigset_t all, old;
	pid_t pid;
	int r;

	REQUIRE(n <= SPAWN_FDS);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	r = sock_nonblock(ours);
	if (r < 0)
		return r;
	(void)snprintf(how->index_arg, SPAWN_INDEX_SIZE, "%u", index);
	/* blocked, so that none of the parent's handlers runs in the child before the reset */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	r = -errno;
	if (pid == 0)
		child(how, fds, n, theirs);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		return r;
	*ret_pid = pid;
	*ret_control = steal_fd(&ours);
	return 0;
}
