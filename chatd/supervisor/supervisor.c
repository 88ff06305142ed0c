/*
 * supervisor.c - the process that holds the bus sockets and keeps workers running.
 * See supervisor.h.
 *
 * Owns: the lock on the bus dir, one listening socket for each worker (they outlive workers, so a
 * connection made while one restarts waits in the backlog), the loop, the pool, and the line to
 * systemd. Set-up happens in that order, teardown in the reverse.
 *
 *	SIGTERM, SIGINT  stop: workers get drain_timeout, then a little more, then SIGKILL
 *	                 (again: SIGKILL at once; what a worker had accepted is on disk)
 *	SIGHUP           check the config; good: workers re-read it, bad: all stays as it is
 *	SIGCHLD          reap
 *
 * The watchdog is fed from a timer of the same loop that does the work, so it bites if that is
 * stuck. If the supervisor itself is killed, workers see the end of their control sockets and
 * stop in order, and the lock goes with the process.
 *
 * Deliberately not here: anything that accepts, reads or knows a message. The number of workers
 * stays what it was at the start, since sessions are hashed over it.
 */
#include "chatd/supervisor/supervisor.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/pool.h"
#include "common/require.h"
#include "common/sock.h"

#define N_SIGNALS 4

struct supervisor {
	const struct supervisor_setup *setup; /* borrowed */
	int lock;
	unsigned starts[LIMIT_WORKERS]; /* of each worker */
	int listen_fds[LIMIT_WORKERS];	/* owned; -1: none */
	struct event_base *base;	/* owned, like all that follows */
	struct event *signals[N_SIGNALS];
	struct event *watchdog; /* NULL if systemd wants none */
	struct pool *pool;
	bool told_ready;
	int status; /* what supervisor_run() returns */
};

static void socket_path(const struct supervisor *s, unsigned i, char out[PATH_MAX])
{
	(void)snprintf(out, PATH_MAX, "%s/worker-%u.sock", s->setup->bus_dir,
		       i); /* length is checked by bind */
}

/* --- the line to systemd; without one all of this does nothing --- */

static void notify_state(struct supervisor *s)
{
	unsigned ready = pool_ready(s->pool);
	unsigned n = pool_size(s->pool);

	if (pool_stopping(s->pool))
		return;
	if (ready == n)
		(void)sd_notifyf(0, "STATUS=%lu turns running, %u workers", pool_jobs(s->pool), n);
	else
		(void)sd_notifyf(0, "STATUS=%lu turns running, only %u of %u workers ready",
				 pool_jobs(s->pool), ready, n);
	if (ready < n || s->told_ready)
		return;
	s->told_ready = true;
	(void)sd_notify(0, "READY=1");
	log_notice("chatd.ready", "workers=%u bus=\"%s\" version=" CHATD_VERSION, n,
		   log_safe(s->setup->bus_dir));
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	(void)sd_notify(0, "WATCHDOG=1");
}

static void watchdog_start(struct supervisor *s)
{
	struct timeval tv;
	uint64_t usec;

	if (sd_watchdog_enabled(0, &usec) <= 0)
		return;
	tv.tv_sec = (time_t)(usec / 2 / 1000000);
	tv.tv_usec = (suseconds_t)(usec / 2 % 1000000);
	s->watchdog = event_new(s->base, -1, EV_PERSIST, on_watchdog, NULL);
	REQUIRE(s->watchdog && event_add(s->watchdog, &tv) == 0);
}

/* --- what the pool tells --- */

static int on_start(void *arg, unsigned index, pid_t *ret_pid, int *ret_control)
{
	struct supervisor *s = arg;
	char starts[24];

	/* for its metrics: it can't know how often its number was started */
	(void)snprintf(starts, sizeof(starts), "%u", ++s->starts[index]);
	if (setenv("CHATD_STARTS", starts, 1) < 0)
		return -errno;
	return spawn_process(&s->setup->spawn, index, &s->listen_fds[index], 1, ret_pid,
			     ret_control);
}

static void on_changed(void *arg)
{
	notify_state(arg);
}

static void on_stopped(void *arg)
{
	struct supervisor *s = arg;

	(void)event_base_loopbreak(s->base);
}

static void stop(struct supervisor *s)
{
	(void)sd_notify(0, "STOPPING=1\nSTATUS=waiting for running turns");
	pool_stop(s->pool);
}

static void on_hopeless(void *arg, int status)
{
	struct supervisor *s = arg;

	log_error("chatd.hopeless", "status=%d a worker can't work with this config or database",
		  status);
	s->status = status;
	if (!pool_stopping(s->pool))
		stop(s);
}

/* --- signals --- */

static void reload(struct supervisor *s)
{
	const struct supervisor_setup *setup = s->setup;
	struct conf_error e;

	if (pool_stopping(s->pool))
		return;
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());
	if (setup->recheck(setup->recheck_arg, &e) < 0) {
		log_error("chatd.reload_refused", "error=\"%s\" nothing changes", log_safe(e.text));
	} else {
		log_notice("chatd.reload", "workers=%u", pool_ready(s->pool));
		pool_signal(s->pool, SIGHUP);
	}
	if (s->told_ready)
		(void)sd_notify(0, "READY=1");
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct supervisor *s = arg;

	(void)what;
	if (sig == SIGCHLD) {
		pool_reap(s->pool);
	} else if (sig == SIGHUP) {
		reload(s);
	} else {
		log_notice("chatd.stop", "signal=%d", (int)sig);
		stop(s);
	}
}

static void signals_start(struct supervisor *s)
{
	static const int numbers[N_SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};

	for (int i = 0; i < N_SIGNALS; i++) {
		s->signals[i] = evsignal_new(s->base, numbers[i], on_signal, s);
		REQUIRE(s->signals[i] && event_add(s->signals[i], NULL) == 0);
	}
}

/* --- the bus dir --- */

/* 0, or the exit status, logged. */
static int take_lock(struct supervisor *s)
{
	const char *dir = s->setup->bus_dir;
	char path[PATH_MAX];

	if (mkdir(dir, 0750) < 0 && errno != EEXIST) {
		log_error("bus.mkdir_failed", "dir=\"%s\" error=\"%s\"", log_safe(dir),
			  strerror(errno));
		return EX_CANTCREAT;
	}
	if (snprintf(path, sizeof(path), "%s/chatd.lock", dir) >= (int)sizeof(path)) {
		log_error("bus.lock_failed", "dir=\"%s\" error=\"name too long\"", log_safe(dir));
		return EX_CANTCREAT;
	}
	/* The file stays when we end: to remove it would let two others lock two files of one name.
	 */
	s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock < 0) {
		log_error("bus.lock_failed", "file=\"%s\" error=\"%s\"", log_safe(path),
			  strerror(errno));
		return EX_CANTCREAT;
	}
	if (flock(s->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	log_error("bus.busy", "dir=\"%s\" another chatd holds it", log_safe(dir));
	return EX_TEMPFAIL;
}

static int listen_all(struct supervisor *s)
{
	char path[PATH_MAX];

	for (unsigned i = 0; i < s->setup->workers; i++) {
		int fd;

		socket_path(s, i, path);
		fd = sock_listen_unix(path, 0660, SOMAXCONN);
		if (fd < 0) {
			log_error("bus.listen_failed", "socket=\"%s\" error=\"%s\"", log_safe(path),
				  strerror(-fd));
			return EX_CANTCREAT;
		}
		s->listen_fds[i] = fd;
	}
	return 0;
}

static void unlisten_all(struct supervisor *s)
{
	char path[PATH_MAX];

	for (unsigned i = 0; i < LIMIT_WORKERS; i++) {
		if (s->listen_fds[i] < 0)
			continue;
		socket_path(s, i, path);
		(void)unlink(path); /* somebody else may have tidied up */
		(void)close(s->listen_fds[i]);
	}
}

static void loop(struct supervisor *s)
{
	const struct supervisor_setup *setup = s->setup;
	struct pool_times times = {
		.respawn_min = LIMIT_RESPAWN_MIN_MS,
		.respawn_max = LIMIT_RESPAWN_MAX_MS,
		.healthy = LIMIT_RESPAWN_HEALTHY_MS,
		.start = LIMIT_WORKER_START_MS,
		.hang = LIMIT_WORKER_HANG_MS,
		.abort = LIMIT_WORKER_ABORT_MS,
		.stop = setup->drain_ms + LIMIT_WORKER_STOP_MS,
	};
	static const struct pool_ops ops = {on_start, on_changed, on_stopped, on_hopeless};

	s->base = event_base_new();
	REQUIRE(s->base);
	signals_start(s); /* before the first child */
	watchdog_start(s);
	s->pool = pool_new(s->base, "worker", &times, setup->workers, &ops, s);
	(void)event_base_dispatch(s->base); /* ends by loopbreak in on_stopped() */
	pool_free(s->pool);
	if (s->watchdog)
		event_free(s->watchdog);
	for (int i = 0; i < N_SIGNALS; i++)
		event_free(s->signals[i]);
	event_base_free(s->base);
}

int supervisor_run(const struct supervisor_setup *setup)
{
	struct supervisor s = {.setup = setup, .lock = -1};

	REQUIRE(setup->workers >= 1 && setup->workers <= LIMIT_WORKERS);
	for (unsigned i = 0; i < LIMIT_WORKERS; i++)
		s.listen_fds[i] = -1;
	s.status = take_lock(&s);
	if (s.status == 0)
		s.status = listen_all(&s);
	if (s.status == 0)
		loop(&s);
	unlisten_all(&s);
	if (s.lock >= 0)
		(void)close(s.lock);
	log_notice("chatd.end", "status=%d", s.status);
	return s.status;
}
