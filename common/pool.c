/*
 * pool.c - several processes of one kind: started, watched, replaced, stopped. See pool.h.
 *
 *	            timer              'R'
 *	 BACKOFF ──────────> STARTING ─────> READY
 *	  │  ^ ^  could not     │ │  │        │ │ │
 *	  │  │ └─── start,  ────┘ │  │  exit  │ │ │
 *	  │  │      or exit       │  └────────┼─┼─┼──> BACKOFF
 *	  │  │                    │ silent    │ │
 *	  │  │ exit               v           │ │
 *	  │  └────────────────── HUNG <───────┘ │
 *	  │                       │             │ pool_stop()
 *	  │ pool_stop()           v             v          exit
 *	  └───────────> DEAD    STOPPING <──────┴── ...  ───────> DEAD
 *
 * BACKOFF is also how a link begins, with no wait. HUNG: SIGABRT was sent (so that there is a core
 * to look at), SIGKILL follows. Listening sockets are the parent's and outlive workers: who
 * connects meanwhile waits in the backlog.
 *
 * It owns what fails here, so unlike the rest of common/ it logs that itself.
 *
 * Whether a worker is silent is judged after reading what it had sent, and not at all when the
 * judge itself was late (SIGSTOP, a machine that slept): else it would kill the innocent.
 */
#include "common/pool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/require.h"

struct pool_link {
	struct pool *pool; /* the owner */
	unsigned index;
	enum link_state state;
	int64_t since;		/* when it came to this state */
	pid_t pid;		/* 0: no process */
	int control;		/* owned; -1: none */
	int64_t heard;		/* last byte from it, or its start */
	unsigned attempt;	/* starts since it was last healthy */
	int signal_pending;	/* for pool_signal() while STARTING */
	unsigned long jobs;	/* that run in it, as it last told ... */
	unsigned long number;	/* ... and what of the next telling was read */
	struct event *readable; /* of control; owned */
	struct event *timer;	/* BACKOFF: start; HUNG, STOPPING: SIGKILL; owned */
};

struct pool {
	struct event_base *base; /* borrowed */
	const char *noun;	 /* borrowed for ever */
	struct pool_times times;
	struct pool_ops ops;
	void *arg;
	bool stopping, told_stopped, told_hopeless;
	struct event *tick; /* owned */
	int64_t tick_ms, last_tick;
	unsigned n;
	struct pool_link links[];
};

static const struct {
	const char *name;
	unsigned next; /* bits of states */
} states[LINK_STATE_N] = {
	[LINK_BACKOFF] = {"BACKOFF", 1U << LINK_STARTING | 1U << LINK_DEAD},
	[LINK_STARTING] = {"STARTING", 1U << LINK_READY | 1U << LINK_BACKOFF | 1U << LINK_HUNG |
					       1U << LINK_STOPPING},
	[LINK_READY] = {"READY", 1U << LINK_BACKOFF | 1U << LINK_HUNG | 1U << LINK_STOPPING},
	[LINK_HUNG] = {"HUNG", 1U << LINK_BACKOFF | 1U << LINK_STOPPING},
	[LINK_STOPPING] = {"STOPPING", 1U << LINK_DEAD},
	[LINK_DEAD] = {"DEAD", 0},
};

const char *link_state_name(enum link_state s)
{
	return states[s].name;
}

int link_may(enum link_state from, enum link_state to)
{
	return (states[from].next >> to & 1U) != 0;
}

/* "worker.ready" */
static const char *named(const struct pool_link *l, const char *what)
{
	static char event[48];

	(void)snprintf(event, sizeof(event), "%s.%s", l->pool->noun, what);
	return event;
}

static void check(const struct pool_link *l)
{
	bool lives = l->state != LINK_BACKOFF && l->state != LINK_DEAD;

	REQUIRE(lives == (l->pid > 0));
	REQUIRE(lives == (l->control >= 0));
	REQUIRE(!l->pool->stopping || l->state == LINK_STOPPING || l->state == LINK_DEAD);
}

static void move(struct pool_link *l, enum link_state to)
{
	REQUIRE(link_may(l->state, to));
	log_debug(named(l, "state"), "%s=%u %s -> %s", l->pool->noun, l->index,
		  states[l->state].name, states[to].name);
	l->state = to;
	l->since = clock_mono_ms();
}

static void arm(struct pool_link *l, int64_t ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

	REQUIRE(event_add(l->timer, &tv) == 0);
}

/* To the process as it is known; one that ended but isn't reaped yet takes no harm. */
static void send_signal(const struct pool_link *l, int sig)
{
	if (kill(l->pid, sig) < 0)
		log_warning(named(l, "signal_failed"), "%s=%u pid=%d signal=%d error=\"%s\"",
			    l->pool->noun, l->index, (int)l->pid, sig, strerror(errno));
}

static void drop_control(struct pool_link *l)
{
	if (l->readable)
		event_free(l->readable);
	l->readable = NULL;
	if (l->control >= 0)
		(void)close(l->control);
	l->control = -1;
}

static void tell_jobs(struct pool_link *l)
{
	bool changed = l->state == LINK_READY && l->jobs != l->number;

	l->jobs = l->number;
	if (changed)
		l->pool->ops.changed(l->pool->arg);
}

static void on_byte(struct pool_link *l, char c)
{
	l->heard = clock_mono_ms();
	if (c >= '0' && c <= '9') {
		l->number = l->number < 100000000 ? l->number * 10 + (unsigned long)(c - '0') : 0;
		return;
	}
	if (c == 'H')
		tell_jobs(l);
	l->number = 0;
	if (c != 'R' || l->state != LINK_STARTING)
		return;
	log_notice(named(l, "ready"), "%s=%u pid=%d ms=%lld", l->pool->noun, l->index, (int)l->pid,
		   (long long)(l->heard - l->since));
	move(l, LINK_READY);
	if (l->signal_pending)
		send_signal(l, l->signal_pending);
	l->signal_pending = 0;
	l->pool->ops.changed(l->pool->arg);
}

static void read_control(struct pool_link *l)
{
	char bytes[256];
	ssize_t n;

	while ((n = read(l->control, bytes, sizeof(bytes))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			on_byte(l, bytes[i]);
	}
	/* At its end the worker is ending as well: SIGCHLD tells; if it doesn't, silence will. */
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		(void)event_del(l->readable);
}

static void on_control(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	read_control(arg);
}

static void start(struct pool_link *l)
{
	struct pool *p = l->pool;
	int64_t wait;
	pid_t pid;
	int r = p->ops.start(p->arg, l->index, &pid, &l->control);

	if (r < 0) {
		wait = backoff_ms(l->attempt++, p->times.respawn_min, p->times.respawn_max,
				  backoff_random());
		log_error(named(l, "start_failed"), "%s=%u error=\"%s\" retry_ms=%lld",
			  l->pool->noun, l->index, strerror(-r), (long long)wait);
		arm(l, wait);
		return;
	}
	l->pid = pid;
	l->jobs = l->number = 0;
	l->signal_pending = 0;
	l->heard = clock_mono_ms();
	l->readable = event_new(p->base, l->control, EV_READ | EV_PERSIST, on_control, l);
	REQUIRE(l->readable);
	(void)event_add(l->readable, NULL); /* if epoll has no room, check_silence() reads it */
	move(l, LINK_STARTING);
	check(l);
	log_info(named(l, "started"), "%s=%u pid=%d", l->pool->noun, l->index, (int)pid);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct pool_link *l = arg;

	(void)fd;
	(void)what;
	if (l->state == LINK_BACKOFF) {
		start(l);
		return;
	}
	REQUIRE(l->pid > 0);
	log_error(named(l, "killed"), "%s=%u pid=%d state=%s", l->pool->noun, l->index, (int)l->pid,
		  states[l->state].name);
	send_signal(l, SIGKILL);
}

static void check_silence(struct pool_link *l, int64_t now)
{
	int64_t limit = l->pool->times.hang;

	if (l->state != LINK_STARTING && l->state != LINK_READY)
		return;
	if (l->state == LINK_STARTING && l->pool->times.start)
		limit = l->pool->times.start;
	read_control(l);
	if (now - l->heard < limit)
		return;
	log_error(named(l, "hung"), "%s=%u pid=%d silent_ms=%lld", l->pool->noun, l->index,
		  (int)l->pid, (long long)(now - l->heard));
	move(l, LINK_HUNG);
	send_signal(l, SIGABRT);
	arm(l, l->pool->times.abort);
	l->pool->ops.changed(l->pool->arg);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct pool *p = arg;
	int64_t now = clock_mono_ms();
	bool late = now - p->last_tick > 3 * p->tick_ms;

	(void)fd;
	(void)what;
	p->last_tick = now;
	for (unsigned i = 0; i < p->n; i++) {
		if (late)
			p->links[i].heard = now;
		check_silence(&p->links[i], now);
	}
}

static void tell_if_stopped(struct pool *p)
{
	if (!p->stopping || p->told_stopped)
		return;
	for (unsigned i = 0; i < p->n; i++) {
		if (p->links[i].state != LINK_DEAD)
			return;
	}
	p->told_stopped = true;
	p->ops.stopped(p->arg);
}

static void log_exit(const struct pool_link *l, pid_t pid, int status, int64_t retry_ms)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	if (l->state == LINK_DEAD)
		log_notice(named(l, "stopped"), "%s=%u pid=%d status=%d signal=%d", l->pool->noun,
			   l->index, (int)pid, code, sig);
	else if (code == 0)
		log_notice(named(l, "ended"), "%s=%u pid=%d retry_ms=%lld", l->pool->noun, l->index,
			   (int)pid, (long long)retry_ms);
	else
		log_error(named(l, "died"), "%s=%u pid=%d status=%d signal=%d retry_ms=%lld",
			  l->pool->noun, l->index, (int)pid, code, sig, (long long)retry_ms);
}

static void gone(struct pool_link *l, int status)
{
	struct pool *p = l->pool;
	pid_t pid = l->pid;
	int64_t wait = -1;

	read_control(l); /* it may have been ready for a moment */
	drop_control(l);
	(void)event_del(l->timer);
	l->pid = 0;
	if (l->state == LINK_STOPPING) {
		move(l, LINK_DEAD);
		check(l);
		log_exit(l, pid, status, wait);
		return;
	}
	if (l->state == LINK_READY && clock_mono_ms() - l->since >= p->times.healthy)
		l->attempt = 0;
	move(l, LINK_BACKOFF);
	check(l);
	if (!(WIFEXITED(status) && WEXITSTATUS(status) == EX_CONFIG)) {
		wait = backoff_ms(l->attempt++, p->times.respawn_min, p->times.respawn_max,
				  backoff_random());
		arm(l, wait);
	}
	log_exit(l, pid, status, wait);
	p->ops.changed(p->arg);
	if (wait < 0 && !p->told_hopeless) {
		p->told_hopeless = true;
		p->ops.hopeless(p->arg, WEXITSTATUS(status));
	}
}

void pool_reap(struct pool *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		struct pool_link *l = &p->links[i];
		int status;

		if (l->pid > 0 && waitpid(l->pid, &status, WNOHANG) == l->pid)
			gone(l, status);
	}
	tell_if_stopped(p);
}

void pool_signal(struct pool *p, int sig)
{
	for (unsigned i = 0; i < p->n; i++) {
		struct pool_link *l = &p->links[i];

		if (l->state == LINK_READY)
			send_signal(l, sig);
		else if (l->state == LINK_STARTING)
			l->signal_pending = sig; /* it may have no handler yet */
	}
}

static void stop_link(struct pool_link *l)
{
	if (l->state == LINK_BACKOFF) {
		(void)event_del(l->timer);
		move(l, LINK_DEAD);
	} else if (l->state != LINK_DEAD) {
		bool hung = l->state == LINK_HUNG; /* its SIGKILL is under way already */

		move(l, LINK_STOPPING);
		send_signal(l, SIGTERM);
		if (!hung)
			arm(l, l->pool->times.stop);
	}
	check(l);
}

void pool_stop(struct pool *p)
{
	bool again = p->stopping;

	p->stopping = true;
	for (unsigned i = 0; i < p->n; i++) {
		if (!again)
			stop_link(&p->links[i]);
		else if (p->links[i].pid > 0)
			send_signal(&p->links[i], SIGKILL);
	}
	tell_if_stopped(p);
}

struct pool *pool_new(struct event_base *base, const char *noun, const struct pool_times *times,
		      unsigned n, const struct pool_ops *ops, void *arg)
{
	struct pool *p = calloc(1, sizeof(*p) + n * sizeof(p->links[0]));
	struct timeval tv;

	REQUIRE(p && n > 0);
	p->base = base;
	p->noun = noun;
	p->times = *times;
	p->ops = *ops;
	p->arg = arg;
	p->n = n;
	p->tick_ms = times->hang / 4 < 1000 ? times->hang / 4 : 1000;
	p->last_tick = clock_mono_ms();
	tv = (struct timeval){p->tick_ms / 1000, p->tick_ms % 1000 * 1000};
	p->tick = event_new(base, -1, EV_PERSIST, on_tick, p);
	REQUIRE(p->tick && event_add(p->tick, &tv) == 0);
	for (unsigned i = 0; i < n; i++) {
		struct pool_link *l = &p->links[i];

		*l = (struct pool_link){
			.pool = p, .index = i, .state = LINK_BACKOFF, .control = -1};
		l->timer = evtimer_new(base, on_timer, l);
		REQUIRE(l->timer);
		arm(l, 0);
	}
	return p;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < p->n; i++) {
		struct pool_link *l = &p->links[i];

		if (l->pid > 0) {
			send_signal(l, SIGKILL);
			(void)waitpid(l->pid, NULL, 0); /* it is ours and was killed: it ends */
		}
		drop_control(l);
		event_free(l->timer);
	}
	event_free(p->tick);
	free(p);
}

unsigned pool_ready(const struct pool *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->n; i++)
		n += p->links[i].state == LINK_READY;
	return n;
}

unsigned long pool_jobs(const struct pool *p)
{
	unsigned long n = 0;

	for (unsigned i = 0; i < p->n; i++)
		n += p->links[i].state == LINK_READY ? p->links[i].jobs : 0;
	return n;
}

unsigned pool_size(const struct pool *p)
{
	return p->n;
}

bool pool_stopping(const struct pool *p)
{
	return p->stopping;
}

enum link_state pool_state(const struct pool *p, unsigned index)
{
	REQUIRE(index < p->n);
	return p->links[index].state;
}

pid_t pool_pid(const struct pool *p, unsigned index)
{
	REQUIRE(index < p->n);
	return p->links[index].pid;
}
