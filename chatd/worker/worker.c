/*
 * worker.c - the chatd worker's life: set-up, the pass, signals, drain, tear-down. See worker.h.
 *
 * The supervisor's line (control_fd): we write 'R' once we are ready and the number of running
 * turns with an 'H' every two seconds; its end means that the supervisor is gone, which we take as
 * SIGTERM that does not wait: its successor may be starting another of our number, which waits for
 * us (takeover.h).
 *
 * Stopping: no new turns; running ones may end until drain_timeout; the rest is handed over: the
 * next worker takes it up from the log. A second SIGTERM does not wait.
 */
#include "chatd/worker/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chatd/worker/exclusive.h"
#include "chatd/worker/keeper.h"
#include "chatd/worker/key_claim.h"
#include "chatd/worker/link.h"
#include "chatd/worker/metrics.h"
#include "chatd/worker/peer.h"
#include "chatd/worker/publisher.h"
#include "chatd/worker/recover.h"
#include "chatd/worker/stall.h"
#include "chatd/worker/takeover.h"
#include "chatd/worker/turn.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/require.h"
#include "common/sock.h"

struct process {
	struct worker worker;
	int listen_fd, control_fd; /* owned */
	int lock_fd;		   /* owned: takeover.h; -1: not had */
	struct event *accept, *accept_pause, *control, *heartbeat, *drain;
	struct event *sigterm, *sigint, *sighup;
	int64_t drain_ms;
	int64_t drain_until; /* monotonic ms; 0: not draining */
	bool quit;
};

/* --- what the log tells --- */

static void on_committed(void *arg, struct log_session *ls, const struct chat_event *e)
{
	publish((struct session *)ls, e);
}

static void on_stale(void *arg, struct log_session *ls, uint64_t generation)
{
	session_lost((struct session *)ls);
}

static void on_stalled(void *arg, const char *why)
{
	struct process *p = arg;

	if (why) {
		stall_begins(&p->worker);
		return;
	}
	stall_ends(&p->worker);
	/* what could not be taken up before */
	event_active(p->heartbeat, EV_TIMEOUT, 1);
}

static const struct event_log_ops log_ops = {on_committed, on_stale, on_stalled};

/* --- the bus socket --- */

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	static struct log_limit lines;
	struct process *p = arg;

	for (int i = 0; i < 16; i++) {
		int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (conn >= 0) {
			link_new(&p->worker, conn);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			static const struct timeval pause = {0, 100000};

			if (log_allowed(&lines, 1))
				log_error("bus.accept", "why=\"%s\"", strerror(errno));
			if (event_add(p->accept_pause, &pause) == 0) /* else: at once again */
				(void)event_del(p->accept);
		}
		return;
	}
}

static void on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval pause = {0, 100000};
	struct process *p = arg;

	if (event_add(p->accept, NULL) < 0) /* no memory in the kernel: later */
		REQUIRE(event_add(p->accept_pause, &pause) == 0);
}

/* --- the supervisor's line --- */

static void say(struct process *p, const char *bytes)
{
	if (p->control_fd >= 0 &&
	    send(p->control_fd, bytes, strlen(bytes), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
	    errno != EAGAIN)
		log_debug("control.write", "why=\"%s\"", strerror(errno));
}

/* "12H": alive, with twelve turns running. */
static void on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
	struct process *p = arg;
	char beat[24];

	(void)snprintf(beat, sizeof(beat), "%zuH", p->worker.n_turns);
	say(p, beat);
	if (!p->worker.stopping && !event_log_is_stalled(p->worker.log))
		(void)recover(&p->worker); /* tells what it can't; the next beat tries again */
}

static void stop(struct process *p)
{
	static const struct timeval tick = {0, 50000};

	if (p->drain_until) {
		p->drain_until = clock_mono_ms();
		return;
	}
	log_notice("worker.stopping", "turns=%zu", p->worker.n_turns);
	p->worker.stopping = true;
	p->drain_until = clock_mono_ms() + p->drain_ms;
	REQUIRE(event_add(p->drain, &tick) == 0); /* wakes the loop, which looks at the time */
}

static void on_control(evutil_socket_t fd, short what, void *arg)
{
	struct process *p = arg;
	char c[16];
	ssize_t n = read(fd, c, sizeof(c));

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	(void)event_del(p->control);
	log_warning("worker.orphaned", "the supervisor is gone");
	stop(p);
	p->drain_until = clock_mono_ms();
}

static void on_stop_signal(evutil_socket_t sig, short what, void *arg)
{
	stop(arg);
}

/* What a reload takes up is what turns look at; the rest needs a restart, and says so. */
static void warn_of_unapplied(const struct options *now, const struct options *next)
{
	bool log = strcmp(now->log_path, next->log_path) != 0 ||
		   now->durability_full != next->durability_full;
	bool bus = strcmp(now->bus_dir, next->bus_dir) != 0;
	bool workers = now->workers != next->workers;
	bool tools = now->n_tools != next->n_tools;

	if (log || bus || workers || tools)
		log_warning("config.needs_restart", "sections=%s%s%s%s", log ? "log " : "",
			    bus ? "bus " : "", workers ? "workers " : "", tools ? "tools" : "");
}

static void on_reload(evutil_socket_t sig, short what, void *arg)
{
	struct process *p = arg;
	struct conf_error e;
	struct options *o = options_load(p->worker.config_file, &e);

	if (!o) {
		log_error("config.rejected", "why=\"%s\"", e.text);
		return;
	}
	if (p->worker.index == 0)
		warn_of_unapplied(p->worker.options, o);
	options_keep(o, p->worker.options);
	options_free(p->worker.options);
	p->worker.options = o;
	if (o->log_level)
		(void)log_set_level(o->log_level); /* checked by options_load() */
	keeper_hurry(p->worker.keeper);
	log_notice("config.reloaded", "providers=%zu", o->n_providers);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	/* waking the loop is all */
}

/* --- set-up, run, tear-down --- */

static struct event *must(struct event *ev)
{
	REQUIRE(ev);
	return ev;
}

/* The demo provider comes with a tool to show. */
static bool has_demo(const struct options *o)
{
	for (size_t i = 0; i < o->n_providers; i++) {
		if (strcmp(o->providers[i]->type, "demo") == 0)
			return true;
	}
	return false;
}

/* Each turn has a connection to its provider: what the system allows is wanted. */
static void raise_file_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return;
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r) < 0)
		log_warning("worker.files", "why=\"%s\"", strerror(errno));
}

/* Nothing is read before the loop runs, which is after recovery. */
static bool arm(struct process *p)
{
	static const struct timeval beat = {LIMIT_HEARTBEAT_WORKER_MS / 1000, 0};

	return event_add(p->accept, NULL) == 0 && event_add(p->sigterm, NULL) == 0 &&
	       event_add(p->sigint, NULL) == 0 && event_add(p->sighup, NULL) == 0 &&
	       (!p->control ||
		(event_add(p->control, NULL) == 0 && event_add(p->heartbeat, &beat) == 0));
}

static int set_up(struct process *p)
{
	struct worker *w = &p->worker;
	const char *why;
	int r;

	w->base = event_base_new();
	REQUIRE(w->base);
	TAILQ_INIT(&w->maybe_idle);
	TAILQ_INIT(&w->turns);
	TAILQ_INIT(&w->dirty);
	LIST_INIT(&w->links);
	LIST_INIT(&w->fresh_keys);
	LIST_INIT(&w->pokes);
	LIST_INIT(&w->take_overs);
	p->lock_fd = takeover(w->options->bus_dir, w->index);
	w->keys_fd = key_claim_open(w->options->bus_dir);
	r = event_log_open(w->base, w->options->log_path, w->options->durability_full, &log_ops, p,
			   &w->log, &why);
	if (r != 0) {
		log_error("log.open", "path=%s why=\"%s\"", w->options->log_path, why);
		return r > 0 ? 78 : 75; /* 78: nothing to try again; 75: try again later */
	}
	w->env = provider_env_new(w->base);
	w->toolbox = toolbox_new(w->base, w->options->tools, w->options->n_tools);
	if (has_demo(w->options))
		toolbox_add_demo(w->toolbox);
	p->accept = must(event_new(w->base, p->listen_fd, EV_READ | EV_PERSIST, on_accept, p));
	p->accept_pause = must(evtimer_new(w->base, on_accept_again, p));
	p->heartbeat = must(event_new(w->base, -1, EV_PERSIST, on_heartbeat, p));
	p->drain = must(event_new(w->base, -1, EV_PERSIST, on_tick, p));
	w->keeper = keeper_new(w);
	w->metrics = metrics_new();
	p->sigterm = must(evsignal_new(w->base, SIGTERM, on_stop_signal, p));
	p->sigint = must(evsignal_new(w->base, SIGINT, on_stop_signal, p));
	p->sighup = must(evsignal_new(w->base, SIGHUP, on_reload, p));
	if (p->control_fd >= 0)
		p->control = must(
			event_new(w->base, p->control_fd, EV_READ | EV_PERSIST, on_control, p));
	if (!arm(p)) {
		log_error("worker.events", "why=\"%s\"", strerror(errno));
		return 75;
	}
	if (!event_log_is_stalled(w->log) && recover(w) < 0) /* else: once it can be written */
		return 75;
	event_log_commit(w->log);
	return 0;
}

static void pass(struct worker *w)
{
	turns_flush(w);
	event_log_commit(w->log);
	stall_check(w);
	sessions_sweep(w);
}

static void run(struct process *p)
{
	struct worker *w = &p->worker;

	while (!p->drain_until || ((w->n_turns > 0 || event_log_is_stalled(w->log)) &&
				   clock_mono_ms() < p->drain_until)) {
		if (event_base_loop(w->base, EVLOOP_ONCE) < 0) {
			log_error("loop.failed", "why=\"%s\"", strerror(errno));
			return;
		}
		pass(w);
	}
}

static void free_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

static void hand_over(struct worker *w)
{
	struct turn *t;

	while ((t = TAILQ_FIRST(&w->turns)))
		turn_hand_over(t);
}

static void tear_down(struct process *p)
{
	struct worker *w = &p->worker;

	hand_over(w);
	if (w->log) { /* the last commit, and what it lets us say */
		event_log_commit(w->log);
		(void)event_base_loop(w->base, EVLOOP_NONBLOCK);
	}
	hand_over(w); /* an answer to a prompt may just have come in */
	event_log_free(w->log);
	w->log = NULL;
	keeper_free(w->keeper);
	if (p->lock_fd >= 0) /* nothing is written any more: the next one may begin */
		(void)close(p->lock_fd);
	if (w->keys_fd >= 0)
		(void)close(w->keys_fd);
	links_free(w);
	peers_free(w);
	exclusive_free(w);
	sessions_free(w);
	toolbox_free(w->toolbox);
	metrics_free(w->metrics);
	provider_env_free(w->env);
	free_event(p->accept);
	free_event(p->accept_pause);
	free_event(p->control);
	free_event(p->heartbeat);
	free_event(p->drain);
	free_event(p->sigterm);
	free_event(p->sigint);
	free_event(p->sighup);
	event_base_free(w->base);
	options_free(w->options);
	(void)close(p->listen_fd);
	if (p->control_fd >= 0)
		(void)close(p->control_fd);
}

int worker_main(struct options *o, const char *config_file, unsigned index, unsigned count,
		int listen_fd, int control_fd)
{
	static char who[32];
	struct process p = {.listen_fd = listen_fd, .control_fd = control_fd, .lock_fd = -1};
	int status;

	(void)snprintf(who, sizeof(who), "worker.%u", index);
	log_set_who(who);
	(void)signal(SIGPIPE, SIG_IGN);
	p.worker.options = o;
	p.drain_ms = o->drain_ms; /* as the supervisor has it */
	p.worker.config_file = config_file;
	p.worker.index = index;
	p.worker.count = count;
	if (sock_nonblock(listen_fd) < 0 || (control_fd >= 0 && sock_nonblock(control_fd) < 0)) {
		log_error("worker.fds", "listen=%d control=%d: not inherited", listen_fd,
			  control_fd);
		return 71;
	}
	raise_file_limit();
	status = set_up(&p);
	if (status == 0) {
		log_notice("worker.ready", "log=%s durability=%s", o->log_path,
			   o->durability_full ? "full" : "normal");
		say(&p, "R");
		run(&p);
		log_notice("worker.stopped", "turns_left=%zu", p.worker.n_turns);
	}
	tear_down(&p);
	return status;
}
