/*
 * child.c - one process of a tool server. See child.h.
 *
 *	RUNNING --child_stop--> CLOSING --stdin closed, LIMIT_TOOL_EOF_MS--> TERMINATING
 *	   |                       |                                     LIMIT_TOOL_TERM_MS
 *	   |                       v                                              v
 *	   +--- it ends ------>  GONE  <------------------------------------- KILLING
 *
 * The start. Between fork and exec only what is safe there is called; the worker has one thread.
 * Whether exec worked is told by a pipe that exec closes: the reading of it is the only wait here,
 * for as long as an exec takes. PR_SET_PDEATHSIG ends the child when we die, whatever kills us.
 *
 * The end. SIGCHLD tells the loop that some child has ended; each one looks whether it was its own,
 * without reaping (no pidfd: valgrind, under which the suites run too, knows none). While the
 * process is dead but not reaped its pid can't be given to another, and that is
 * when its group is killed: what it left behind (npx and shells leave servers) goes with it. Then
 * the pipe is read to its end, so that an answer written just before death counts, then it is
 * reaped, then `gone` is told.
 *
 * Environment, descriptors, umask, signals, core dumps and privileges are those of a stranger:
 * nothing of ours reaches it. It runs as our user nonetheless: what that would let it do to us is
 * the business of box.h. What leaves the group by a session of its own is not followed, but dies
 * with us if it is its child, and stays in the box.
 */
#include "chatd/tool/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "chatd/tool/box.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/require.h"
#include "common/sock.h"

#define READ_SIZE (64 * 1024) /* one read of one child, then it is another's turn */

enum state { RUNNING, CLOSING, TERMINATING, KILLING, GONE };

struct child {
	const struct child_ops *ops; /* borrowed */
	void *arg;
	enum state state;
	pid_t pid;
	/* owned, like all that follows */
	int in, out, err;	/* our ends of its stdin, stdout and stderr; -1 once closed */
	struct event *in_event; /* pending while something is queued */
	struct event *out_event, *err_event, *end_event;
	struct event *timer;
	struct buf queue;
	size_t written; /* of the queue */
	bool *freed;	/* set by child_free() inside a callback */
};

/* ---- the start ---- */

struct pipes {
	int in[2], out[2], err[2], status[2];
};

static void close_all(struct pipes *p)
{
	int *all[] = {p->in, p->out, p->err, p->status};

	for (size_t i = 0; i < 4; i++) {
		for (int k = 0; k < 2; k++) {
			if (all[i][k] >= 0)
				(void)close(all[i][k]); /* pipes: nothing to lose */
			all[i][k] = -1;
		}
	}
}

static int open_all(struct pipes *p)
{
	*p = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
	if (pipe2(p->in, O_CLOEXEC) < 0 || pipe2(p->out, O_CLOEXEC) < 0 ||
	    pipe2(p->err, O_CLOEXEC) < 0 || pipe2(p->status, O_CLOEXEC) < 0)
		return -errno;
	if (sock_nonblock(p->in[1]) < 0 || sock_nonblock(p->out[0]) < 0 ||
	    sock_nonblock(p->err[0]) < 0)
		return -errno;
	return 0;
}

#define STATUS_FD 3
#define BOX_FD	  4

/* The child's ends become 0, 1, 2, then the two above; everything else is closed. */
static int place_fds(const struct pipes *p, const struct box *box)
{
	int ruleset = box && box->ruleset >= 0 ? fcntl(box->ruleset, F_DUPFD, BOX_FD + 1) : -1;
	int in = fcntl(p->in[0], F_DUPFD, BOX_FD + 1);
	int out = fcntl(p->out[1], F_DUPFD, BOX_FD + 1);
	int err = fcntl(p->err[1], F_DUPFD, BOX_FD + 1);
	int status = fcntl(p->status[1], F_DUPFD, BOX_FD + 1);

	if (in < 0 || out < 0 || err < 0 || status < 0)
		return -1;
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0 ||
	    dup3(status, STATUS_FD, O_CLOEXEC) < 0)
		return -1;
	if (box && box->ruleset >= 0 && dup3(ruleset, BOX_FD, O_CLOEXEC) < 0)
		return -1;
	return close_range(box && box->ruleset >= 0 ? BOX_FD + 1 : BOX_FD, ~0U, 0);
}

/* Limits that stay: no core dumps, which hold what it was told, and not the many files we may have.
 */
static void limit_resources(void)
{
	const struct rlimit no_core = {0, 0};
	struct rlimit files;

	(void)setrlimit(RLIMIT_CORE, &no_core);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max > LIMIT_TOOL_FILES) {
		files.rlim_max = LIMIT_TOOL_FILES;
		files.rlim_cur = LIMIT_TOOL_FILES_SOFT;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

static void reset_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		(void)sigaction(s, &dfl, NULL); /* fails for KILL, STOP and libc's own */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child. What fails before STATUS_FD is in place can't be told; exit 127 then says enough.
 */
static _Noreturn void become(const struct child_how *how, const struct pipes *p, pid_t parent)
{
	int error;

	if (place_fds(p, how->box) < 0)
		_exit(127);
	reset_signals();
	(void)setsid(); /* can't fail for a fresh child: it leads no group */
	(void)umask(077);
	limit_resources();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    chdir(how->cwd) == 0 &&
	    (!how->box || box_enter(how->box, how->box->ruleset < 0 ? -1 : BOX_FD) == 0)) {
		if (getppid() != parent)
			_exit(127); /* it died before the death signal was set */
		environ = (char **)(uintptr_t)how->env;
		(void)execvp(how->argv[0], how->argv);
	}
	error = errno;
	(void)!write(STATUS_FD, &error, sizeof(error)); /* if this fails the exit status remains */
	_exit(127);
}

static int fork_child(const struct child_how *how, struct pipes *p, pid_t *ret_pid)
{
	pid_t parent = getpid();
	sigset_t all, old;
	int error = 0;
	ssize_t n;
	pid_t pid;

	/* blocked, so that none of our handlers runs in the child before the reset */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		become(how, p, parent);
	error = pid < 0 ? errno : 0;
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		return -error;
	(void)close(p->status[1]);
	p->status[1] = -1;
	do
		n = read(p->status[0], &error, sizeof(error));
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(error)) {
		(void)waitpid(pid, NULL, 0);
		return error > 0 ? -error : -EIO;
	}
	*ret_pid = pid;
	return 0;
}

/* ---- its pipes ---- */

static void arm(struct child *c, int64_t ms)
{
	const struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

	(void)evtimer_add(c->timer, &tv);
}

static void close_in(struct child *c)
{
	if (c->in < 0)
		return;
	(void)event_del(c->in_event);
	(void)close(c->in); /* its other end sees the end of the file */
	c->in = -1;
	buf_fini(&c->queue);
	c->written = 0;
}

static void on_in(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	(void)what;
	while (c->written < c->queue.len) {
		ssize_t n = write(fd, c->queue.data + c->written, c->queue.len - c->written);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			close_in(c); /* EPIPE: nobody reads any more; its end is told otherwise */
			return;
		}
		c->written += (size_t)n;
	}
	if (c->written == c->queue.len) {
		buf_fini(&c->queue); /* a big one isn't kept */
		c->written = 0;
		if (c->state != RUNNING)
			close_in(c);
		return;
	}
	if (c->written > READ_SIZE) {
		buf_consume(&c->queue, c->written);
		c->written = 0;
	}
	if (event_add(c->in_event, NULL) < 0)
		close_in(c); /* the kernel has no room to watch it: it ends and is started again */
}

static void close_reader(int *fd, struct event *e)
{
	(void)event_del(e);
	(void)close(*fd);
	*fd = -1;
}

/* Reads once and hands it over. False if nothing came, with the pipe closed if it has ended. */
static bool read_some(struct child *c, int *fd, struct event *e,
		      void (*take)(void *arg, const char *p, size_t n))
{
	static char bytes[READ_SIZE];
	ssize_t n;

	do
		n = read(*fd, bytes, sizeof(bytes));
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		close_reader(fd, e);
		return false;
	}
	take(c->arg, bytes, (size_t)n);
	return true;
}

static void on_out(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;
	bool freed = false;

	(void)fd;
	(void)what;
	c->freed = &freed;
	if (!read_some(c, &c->out, c->out_event, c->ops->output) && c->out < 0 &&
	    c->state == RUNNING)
		arm(c, LIMIT_TOOL_DEAF_MS); /* if it is about to end, that is the better reason */
	if (!freed)
		c->freed = NULL;
}

static void on_err(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;
	bool freed = false;

	(void)fd;
	(void)what;
	c->freed = &freed;
	(void)read_some(c, &c->err, c->err_event, c->ops->errors);
	if (!freed)
		c->freed = NULL;
}

/* ---- the end ---- */

static void signal_group(const struct child *c, int sig)
{
	(void)kill(-c->pid, sig); /* ESRCH if nobody is left, which is what we want */
}

/* Reads what is left in a pipe that nobody writes to any more. False if the child was freed. */
static bool drain(struct child *c, int *fd, struct event *e,
		  void (*take)(void *arg, const char *p, size_t n), const bool *freed)
{
	/* a process that left the group may hold the other end and write for ever */
	size_t most = LIMIT_TOOL_LINE / READ_SIZE;

	while (most-- > 0 && *fd >= 0 && read_some(c, fd, e, take)) {
		if (*freed)
			return false;
	}
	return true;
}

/* Has it ended? It stays to be reaped. */
static bool is_dead(const struct child *c)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == c->pid;
}

static void on_sigchld(evutil_socket_t sig, short what, void *arg)
{
	struct child *c = arg;
	bool freed = false;
	int status = 0;

	(void)sig;
	(void)what;
	if (!is_dead(c))
		return;		  /* it was another one */
	signal_group(c, SIGKILL); /* before it is reaped: its pid is still its own */
	c->freed = &freed;
	if (!drain(c, &c->err, c->err_event, c->ops->errors, &freed) ||
	    !drain(c, &c->out, c->out_event, c->ops->output, &freed))
		return;
	c->freed = NULL;
	(void)event_del(c->end_event);
	(void)event_del(c->timer);
	(void)waitpid(c->pid, &status, 0);
	c->state = GONE;
	close_in(c);
	c->ops->gone(c->arg, status);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	(void)fd;
	(void)what;
	if (c->state == RUNNING) {
		c->ops->deaf(c->arg);
	} else if (c->state == CLOSING) {
		c->state = TERMINATING;
		close_in(c); /* it did not even read what was queued */
		signal_group(c, SIGTERM);
		arm(c, LIMIT_TOOL_TERM_MS);
	} else if (c->state == TERMINATING) {
		c->state = KILLING;
		signal_group(c, SIGKILL);
	}
}

void child_stop(struct child *c)
{
	if (c->state != RUNNING)
		return;
	c->state = CLOSING;
	if (c->queue.len == 0)
		close_in(c);
	arm(c, LIMIT_TOOL_EOF_MS);
}

/* Waits until all have ended (without reaping them), or for ms. */
static bool wait_for(struct child *const *children, size_t n, int64_t ms)
{
	const struct timespec pause = {0, 2000000};
	int64_t until = clock_mono_ms() + ms;

	for (size_t i = 0; i < n; i++) {
		while (children[i] && children[i]->state != GONE && !is_dead(children[i])) {
			if (clock_mono_ms() >= until)
				return false;
			(void)nanosleep(&pause, NULL);
		}
	}
	return true;
}

void child_stop_all(struct child *const *children, size_t n)
{
	static const struct {
		int sig;
		int64_t ms;
	} steps[] = {{0, LIMIT_TOOL_EOF_MS}, {SIGTERM, LIMIT_TOOL_TERM_MS}, {SIGKILL, 1000}};

	for (size_t i = 0; i < n; i++) {
		if (children[i])
			close_in(children[i]);
	}
	for (size_t s = 0; s < sizeof(steps) / sizeof(*steps); s++) {
		for (size_t i = 0; i < n && steps[s].sig; i++) {
			if (children[i] && children[i]->state != GONE)
				signal_group(children[i], steps[s].sig);
		}
		if (wait_for(children, n, steps[s].ms))
			return;
	}
}

/* ---- from birth to death ---- */

static struct event *event_or_die(struct event *e)
{
	REQUIRE(e);
	return e;
}

int child_start(struct event_base *base, const struct child_how *how, const struct child_ops *ops,
		void *arg, struct child **ret_child)
{
	struct child *c;
	struct pipes p;
	pid_t pid = 0;
	int r = open_all(&p);

	if (r == 0)
		r = fork_child(how, &p, &pid);
	if (r < 0) {
		close_all(&p);
		return r;
	}
	c = calloc(1, sizeof(*c));
	REQUIRE(c);
	*c = (struct child){.ops = ops,
			    .arg = arg,
			    .pid = pid,
			    .in = steal_fd(&p.in[1]),
			    .out = steal_fd(&p.out[0]),
			    .err = steal_fd(&p.err[0])};
	close_all(&p);
	c->in_event = event_or_die(event_new(base, c->in, EV_WRITE, on_in, c));
	c->out_event = event_or_die(event_new(base, c->out, EV_READ | EV_PERSIST, on_out, c));
	c->err_event = event_or_die(event_new(base, c->err, EV_READ | EV_PERSIST, on_err, c));
	c->end_event = event_or_die(evsignal_new(base, SIGCHLD, on_sigchld, c));
	c->timer = event_or_die(evtimer_new(base, on_timer, c));
	if (event_add(c->out_event, NULL) < 0 || event_add(c->err_event, NULL) < 0 ||
	    event_add(c->end_event, NULL) < 0) {
		child_free(c); /* unheard, it would only be in the way */
		return -ENOMEM;
	}
	event_active(c->end_event, EV_SIGNAL, 1); /* in case it ended before we listened */
	*ret_child = c;
	return 0;
}

void child_free(struct child *c)
{
	if (!c)
		return;
	if (c->freed)
		*c->freed = true;
	if (c->state != GONE) {
		signal_group(c, SIGKILL);
		(void)waitpid(c->pid, NULL, 0);
	}
	close_in(c);
	if (c->out >= 0)
		close_reader(&c->out, c->out_event);
	if (c->err >= 0)
		close_reader(&c->err, c->err_event);
	event_free(c->timer);
	event_free(c->end_event);
	event_free(c->err_event);
	event_free(c->out_event);
	event_free(c->in_event);
	buf_fini(&c->queue);
	free(c);
}

void child_write(struct child *c, const char *p, size_t n)
{
	if (c->in < 0 || c->state != RUNNING)
		return;
	buf_add(&c->queue, p, n);
	/* from the loop: what is written in one pass goes in one piece */
	event_active(c->in_event, EV_WRITE, 1);
}

size_t child_queued(const struct child *c)
{
	return c->queue.len - c->written;
}

pid_t child_pid(const struct child *c)
{
	return c->pid;
}

const char *child_how_it_ended(int status)
{
	static char text[2][64];
	static unsigned next;
	char *s = text[next++ % 2];

	if (WIFSIGNALED(status))
		(void)snprintf(s, sizeof(text[0]), "was ended by signal %d (%s)", WTERMSIG(status),
			       strsignal(WTERMSIG(status)));
	else
		(void)snprintf(s, sizeof(text[0]), "ended with status %d", WEXITSTATUS(status));
	return s;
}
