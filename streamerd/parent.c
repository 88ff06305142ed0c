/*
 * parent.c - the process that holds the listening sockets and keeps serving processes running. See
 * parent.h.
 *
 *	systemd ── sockets ──> parent ── fork, exec ──> serving process 0 .. n-1
 *	                         │  listening sockets, shared memory, a control socket each
 *	                         └─ READY, STATUS, WATCHDOG
 *
 * Each serving process has all of the listening sockets and accepts from them; so has the parent,
 * which never does. While one dies and is started anew, the others take what comes, or it waits in
 * the backlog: nobody is refused (DUR-8). There is a parent even for one process, for that.
 *
 *	SIGTERM, SIGINT  SIGTERM to all, later SIGKILL; again: SIGKILL at once
 *	SIGHUP           check the config; good: they re-read it, bad: all stays as it is
 *	SIGCHLD          reap
 *
 * At the end the sockets are closed at once. If systemd holds them as well, who connects then waits
 * for the next streamerd; if not, is refused until it listens.
 *
 * The watchdog is fed from the loop that does the work. If the parent itself is killed, serving
 * processes see the end of their control sockets and end in order.
 */
#include "streamerd/parent.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/pool.h"
#include "common/require.h"
#include "streamerd/listeners.h"
#include "streamerd/shared.h"

#define N_SIGNALS 4

_Static_assert(1 + LIMIT_LISTENERS <= SPAWN_FDS, "all sockets can be passed");

struct parent {
	const struct parent_setup *setup; /* borrowed */
	struct listeners listeners;
	int shared_fd;		 /* owned */
	struct event_base *base; /* owned, like all that follows */
	struct event *signals[N_SIGNALS];
	struct event *watchdog; /* NULL if systemd wants none */
	struct pool *pool;
	bool told_ready;
	int status; /* what parent_run() returns */
};

/* --- the line to systemd; without one all of this does nothing --- */

static void notify_state(struct parent *p)
{
	unsigned ready = pool_ready(p->pool);
	unsigned n = pool_size(p->pool);

	if (pool_stopping(p->pool))
		return;
	if (ready == n)
		(void)sd_notifyf(0, "STATUS=%lu viewers, %u processes", pool_jobs(p->pool), n);
	else
		(void)sd_notifyf(0, "STATUS=%lu viewers, only %u of %u processes serve",
				 pool_jobs(p->pool), ready, n);
	if (ready < n || p->told_ready)
		return;
	p->told_ready = true;
	(void)sd_notify(0, "READY=1");
	log_notice("streamerd.ready", "processes=%u version=%s", n, CHATD_VERSION);
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)sd_notify(0, "WATCHDOG=1");
}

static void watchdog_start(struct parent *p)
{
	struct timeval tv;
	uint64_t usec;

	if (sd_watchdog_enabled(0, &usec) <= 0)
		return;
	tv.tv_sec = (time_t)(usec / 2 / 1000000);
	tv.tv_usec = (suseconds_t)(usec / 2 % 1000000);
	p->watchdog = event_new(p->base, -1, EV_PERSIST, on_watchdog, NULL);
	REQUIRE(p->watchdog && event_add(p->watchdog, &tv) == 0);
}

/* --- the pool --- */

static int on_start(void *arg, unsigned index, pid_t *ret_pid, int *ret_control)
{
	const struct parent *p = arg;
	int fds[1 + LIMIT_LISTENERS];
	unsigned n = p->listeners.n;

	fds[0] = p->shared_fd;
	memcpy(fds + 1, p->listeners.fds, n * sizeof(fds[0]));
	return spawn_process(&p->setup->spawn, index, fds, 1 + n, ret_pid, ret_control);
}

/* Who has no process holds no connection and no viewer. */
static void forget_dead(const struct parent *p)
{
	for (unsigned i = 0; i < pool_size(p->pool); i++) {
		int r = pool_pid(p->pool, i) ? 0 : shared_forget(p->shared_fd, i);

		if (r < 0)
			log_error("process.forget", "process=%u error=\"%s\"", i, strerror(-r));
	}
}

static void on_changed(void *arg)
{
	forget_dead(arg);
	notify_state(arg);
}

static void on_stopped(void *arg)
{
	struct parent *p = arg;

	(void)event_base_loopbreak(p->base);
}

static void stop(struct parent *p)
{
	(void)sd_notify(0, "STOPPING=1\nSTATUS=answers in flight are waited for");
	listeners_close(&p->listeners);
	pool_stop(p->pool);
}

static void on_hopeless(void *arg, int status)
{
	struct parent *p = arg;

	log_error("streamerd.hopeless", "status=%d a process can't work with this config", status);
	p->status = status;
	if (!pool_stopping(p->pool))
		stop(p);
}

/* --- signals --- */

static void reload(struct parent *p)
{
	const struct parent_setup *setup = p->setup;
	struct conf_error e;

	if (pool_stopping(p->pool))
		return;
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());
	if (setup->recheck(setup->recheck_arg, &e) < 0)
		log_error("conf.refused", "error=\"%s\"", e.text);
	else
		pool_signal(p->pool, SIGHUP);
	if (p->told_ready)
		(void)sd_notify(0, "READY=1");
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct parent *p = arg;

	if (sig == SIGCHLD) {
		pool_reap(p->pool);
	} else if (sig == SIGHUP) {
		reload(p);
	} else {
		log_notice("streamerd.stopping", "signal=%d", (int)sig);
		stop(p);
	}
}

static void signals_start(struct parent *p)
{
	static const int numbers[N_SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};

	for (int i = 0; i < N_SIGNALS; i++) {
		p->signals[i] = evsignal_new(p->base, numbers[i], on_signal, p);
		REQUIRE(p->signals[i] && event_add(p->signals[i], NULL) == 0);
	}
}

/* --- life --- */

static void loop(struct parent *p)
{
	static const struct pool_times times = {
		.respawn_min = LIMIT_RESPAWN_MIN_MS,
		.respawn_max = LIMIT_RESPAWN_MAX_MS,
		.healthy = LIMIT_RESPAWN_HEALTHY_MS,
		.hang = LIMIT_WORKER_HANG_MS,
		.abort = LIMIT_WORKER_ABORT_MS,
		.stop = LIMIT_PROCESS_STOP_MS,
	};
	static const struct pool_ops ops = {on_start, on_changed, on_stopped, on_hopeless};

	p->base = event_base_new();
	REQUIRE(p->base);
	signals_start(p); /* before the first child */
	watchdog_start(p);
	p->pool = pool_new(p->base, "process", &times, (unsigned)p->setup->options->processes, &ops,
			   p);
	(void)event_base_dispatch(p->base); /* ends by loopbreak in on_stopped() */
	pool_free(p->pool);
	if (p->watchdog)
		event_free(p->watchdog);
	for (int i = 0; i < N_SIGNALS; i++)
		event_free(p->signals[i]);
	event_base_free(p->base);
}

int parent_run(const struct parent_setup *setup)
{
	struct parent p = {.setup = setup, .shared_fd = shared_new()};

	if (p.shared_fd < 0) {
		log_error("streamerd.start", "error=\"%s\"", strerror(-p.shared_fd));
		return EXIT_FAILURE;
	}
	p.status = listeners_open(&p.listeners, setup->options);
	if (p.status == 0) {
		(void)snprintf(setup->listen_arg, SPAWN_INDEX_SIZE, "%u", p.listeners.n);
		loop(&p);
	}
	listeners_close(&p.listeners);
	(void)close(p.shared_fd);
	log_notice("streamerd.stopped", "status=%d", p.status);
	return p.status;
}
