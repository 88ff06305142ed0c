/*
 * serve.c - one serving process: HTTP and SSE to the world, the bus to the workers. See serve.h.
 *
 * One thread, one event loop. Connections are accepted once all workers have been reached, so that
 * a restart turns nobody away with a 503 who would only have had to wait a moment; if they can't be
 * reached within LIMIT_SERVE_WAIT_MS, without them. The parent is told 'R' then, and 'H' now and
 * then, so that it notices a process that hangs. The end of that line means that the parent is
 * gone: then we go as well, in order, so that the next streamerd finds the addresses free.
 *
 * The end, on SIGTERM: nothing new is accepted, streams end cleanly (their viewers come back, to
 * another process or the next streamerd, with their cursors), answers in flight get a moment, exit
 * 0. SIGHUP reads tokens, origins, hosts, the viewers' limit and the log level again; if the file
 * is wrong, what was stays.
 */
#include "streamerd/serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/require.h"
#include "common/sock.h"
#include "streamerd/app.h"
#include "streamerd/http/http_peer.h"
#include "streamerd/listeners.h"
#include "streamerd/shared.h"

#define DRAIN_MS    5000 /* for answers in flight when we go down */
#define SPARE_FILES 64	 /* descriptors kept for everything that is no connection */
#define N_SIGNALS   3

struct process {
	struct app app;
	int control;			  /* owned: the line to the parent */
	struct event *signals[N_SIGNALS]; /* owned, like all that follows */
	struct event *parent;		  /* what comes on that line */
	struct event *beat;		  /* says 'H', and how many viewers there are */
	struct event *begin; /* looks whether the workers are reached; NULL: has begun */
	const struct serve_setup *setup; /* borrowed */
	int64_t begin_by;		 /* monotonic ms */
	struct event *drained;		 /* looks whether everything has ended */
	int64_t drain_ticks;
	int max_sockets; /* connections that we may have descriptors for */
};

static void apply(struct app *app)
{
	if (app->options->log_level)
		(void)log_set_level(app->options->log_level); /* checked when it was read */
	hub_set_max_viewers(app->hub, app->options->max_viewers_per_owner);
}

/* The name and path of a socket can't be changed while it is open: those stay as they were. */
static void on_hup(evutil_socket_t sig, short what, void *arg)
{
	struct app *app = arg;
	struct options *options;
	struct auth *auth;
	struct conf_error e;
	struct names listen;
	char *dir;

	if (app_load(app->conf_file, &options, &auth, &e) < 0) {
		log_error("conf.refused", "error=\"%s\"", e.text);
		return;
	}
	/* what is open was opened under the old mode, and may be open to the world (SEC-1) */
	if (options->auth_mode != app->options->auth_mode) {
		log_error("conf.refused", "error=\"[auth] mode: needs a restart\"");
		auth_free(auth);
		options_free(options);
		return;
	}
	listen = options->listen; /* the sockets stay, and so does what is allowed as Host */
	options->listen = app->options->listen;
	app->options->listen = listen;
	dir = options->bus_dir; /* the backend goes on using the old string */
	options->bus_dir = app->options->bus_dir;
	app->options->bus_dir = dir;
	auth_free(app->auth); /* it borrows the options */
	options_free(app->options);
	app->options = options;
	app->auth = auth;
	apply(app);
	log_notice("conf.reloaded", "file=\"%s\"", log_safe(app->conf_file));
}

static void on_drained(evutil_socket_t fd, short what, void *arg)
{
	struct process *p = arg;

	if (http_server_connections(p->app.http) == 0 || --p->drain_ticks <= 0)
		(void)event_base_loopbreak(p->app.base);
}

static void drain(struct process *p)
{
	struct timeval tick = {0, 10 * 1000};

	p->drain_ticks = DRAIN_MS / 10;
	http_server_drain(p->app.http);
	parked_drain(p->app.parked);
	hub_drain(p->app.hub);
	(void)event_add(p->drained, &tick);
}

static void on_term(evutil_socket_t sig, short what, void *arg)
{
	struct process *p = arg;

	if (p->drain_ticks > 0) {
		(void)event_base_loopbreak(p->app.base); /* asked twice: at once, then */
		return;
	}
	log_debug("serve.stopping", "signal=%d", (int)sig);
	drain(p);
}

static void say(const struct process *p, const char *bytes)
{
	if (send(p->control, bytes, strlen(bytes), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("serve.control", "error=\"%s\"", strerror(errno));
}

static void on_beat(evutil_socket_t fd, short what, void *arg)
{
	char beat[24];

	(void)snprintf(beat, sizeof(beat), "%lluH", (unsigned long long)stats->viewers);
	say(arg, beat);
}

static void on_parent(evutil_socket_t fd, short what, void *arg)
{
	struct process *p = arg;
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT); /* nothing is ever said to us */

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	(void)event_del(p->parent);
	if (p->drain_ticks > 0)
		return;
	log_warning("serve.orphan", "the parent is gone: ending");
	drain(p);
}

/* As many descriptors as we may have. How many connections of all fit into those of this process;
 * the others have as many. */
static int raise_files(const struct options *o, unsigned processes)
{
	rlim_t all = (rlim_t)o->max_connections;
	struct rlimit r;
	rlim_t room;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return o->max_connections;
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r) < 0)
		log_warning("limits.files", "error=\"%s\"", strerror(errno));
	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur <= 2 * SPARE_FILES)
		return o->max_connections;
	room = r.rlim_cur - SPARE_FILES;
	if (all / processes > room)
		log_warning("limits.connections", "configured=%d possible=%llu", o->max_connections,
			    (unsigned long long)room * processes);
	return all > room ? (int)room : o->max_connections;
}

static void on_viewer_ended(void *arg, int fd)
{
	struct app *app = arg;

	http_server_taken_ended(app->http, fd);
}

/* trusted_proxies as the HTTP layer has them; malloc'ed. */
static struct http_net *proxies_of(const struct options *o)
{
	struct http_net *nets = calloc(o->trusted_proxies.n + 1, sizeof(*nets));

	REQUIRE(nets);
	for (size_t i = 0; i < o->trusted_proxies.n; i++)
		REQUIRE(http_net_parse(o->trusted_proxies.v[i], &nets[i])); /* was checked */
	return nets;
}

/* --- beginning --- */

static bool reaches_all(const struct backend *b)
{
	unsigned n = backend_workers(b);

	for (unsigned i = 0; i < n; i++) {
		if (!backend_is_up(b, i))
			return false;
	}
	return n > 0;
}

static void on_begin(evutil_socket_t fd, short what, void *arg)
{
	struct process *p = arg;

	if (p->drain_ticks > 0 || (!reaches_all(p->app.backend) && clock_mono_ms() < p->begin_by))
		return;
	event_free(p->begin);
	p->begin = NULL;
	for (unsigned i = 0; i < p->setup->n_listen; i++)
		http_server_listen(p->app.http, p->setup->listen_fds[i]);
	say(p, "R");
}

static struct event *must(struct event *ev)
{
	REQUIRE(ev);
	return ev;
}

static void start_events(struct process *p)
{
	static const int sigs[N_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
	static const struct timeval beat = {LIMIT_HEARTBEAT_WORKER_MS / 1000, 0};
	static const struct timeval look = {0, 2000};
	struct event_base *base = p->app.base;

	for (int i = 0; i < N_SIGNALS; i++) {
		bool is_hup = sigs[i] == SIGHUP;

		p->signals[i] = must(evsignal_new(base, sigs[i], is_hup ? on_hup : on_term,
						  is_hup ? (void *)&p->app : (void *)p));
		(void)event_add(p->signals[i], NULL);
	}
	p->drained = must(event_new(base, -1, EV_PERSIST, on_drained, p));
	p->beat = must(event_new(base, -1, EV_PERSIST, on_beat, p));
	(void)event_add(p->beat, &beat);
	p->parent = must(event_new(base, p->control, EV_READ | EV_PERSIST, on_parent, p));
	(void)event_add(p->parent, NULL);
	p->begin = must(event_new(base, -1, EV_PERSIST, on_begin, p));
	(void)event_add(p->begin, &look);
}

static void start(struct process *p, const struct serve_setup *setup)
{
	struct app *app = &p->app;
	const struct options *o = app->options;
	struct http_conf hc = {.max_body = o->max_body,
			       .max_connections = o->max_connections,
			       .max_sockets = p->max_sockets,
			       .quota = shared_quota(),
			       .max_per_address = o->max_connections_per_address,
			       .n_proxies = o->trusted_proxies.n,
			       .head_ms = o->head_ms,
			       .body_ms = o->body_ms,
			       .idle_ms = o->idle_ms,
			       .write_ms = o->write_ms,
			       .connections = &stats->connections,
			       .times_full = &stats->full,
			       .times_crowded = &stats->crowded,
			       .times_unread = &stats->unread};
	auto_free struct http_net *proxies = proxies_of(o);

	app->tickets = tickets_new(shared_tickets(), shared_quota());
	app->parked = parked_new(app->base, app_again, app);
	app->hub = hub_new(app->base, on_viewer_ended, app);
	app->backend = backend_new(app->base, o->bus_dir, setup->peer_uid, &app_backend_ops, app);
	hub_set_backend(app->hub, app->backend);
	hc.proxies = proxies;
	app->http = http_server_new(app->base, &hc, &app_http_ops, app);
	apply(app);
	p->setup = setup;
	p->begin_by = clock_mono_ms() + LIMIT_SERVE_WAIT_MS;
	start_events(p);
}

/* The reverse of start(). */
static void stop(struct process *p)
{
	struct app *app = &p->app;

	if (p->begin)
		event_free(p->begin);
	event_free(p->parent);
	event_free(p->beat);
	event_free(p->drained);
	for (int i = 0; i < N_SIGNALS; i++)
		event_free(p->signals[i]);
	hub_free(app->hub);
	backend_free(app->backend);
	parked_free(app->parked);
	http_server_free(app->http);
	tickets_free(app->tickets);
}

static int run(struct process *p, const struct serve_setup *setup)
{
	struct event_config *cfg = event_config_new();
	int r;

	REQUIRE(cfg);
	(void)event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK); /* one thread */
	p->app.base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	REQUIRE(p->app.base);
	start(p, setup);
	r = event_base_dispatch(p->app.base);
	stop(p);
	event_base_free(p->app.base);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int serve_run(const struct serve_setup *setup)
{
	struct process p = {.app = {.conf_file = setup->conf_file,
				    .options = setup->options,
				    .auth = setup->auth},
			    .control = setup->control_fd};
	static char who[24]; /* the log borrows it for ever */
	int status = EX_TEMPFAIL;
	int r = shared_attach(setup->shared_fd, setup->index, setup->processes);

	if (setup->processes > 1) {
		(void)snprintf(who, sizeof(who), "process.%u", setup->index);
		log_set_who(who);
	}
	(void)close(setup->shared_fd);
	if (r < 0 || sock_nonblock(p.control) < 0) {
		log_error("serve.start", "error=\"%s\"", strerror(r < 0 ? -r : errno));
	} else if (listeners_adopt(p.app.options, setup->listen_fds, setup->n_listen) == 0) {
		(void)signal(SIGPIPE, SIG_IGN);
		p.max_sockets = raise_files(p.app.options, setup->processes);
		status = run(&p, setup);
	}
	(void)close(p.control);
	auth_free(p.app.auth); /* it borrows the options */
	options_free(p.app.options);
	return status;
}
