/*
 * main.c - streamerd: HTTP and SSE to the world, the bus to the workers.
 *
 *	streamerd -c FILE [--check] [--version]
 *
 * One thread, one event loop. It holds no keys and opens no database (PRC-2): whoever takes it over
 * can see what passes through and nothing that is stored.
 *
 * Start: options, tokens, sockets, then READY; workers are reached as they come up. End, on SIGTERM
 * or SIGINT: nothing new is accepted, streams end cleanly (their viewers come back to the next
 * process with their cursors), answers in flight get a moment, exit 0. SIGHUP reads tokens,
 *origins, hosts, the viewers' limit and the log level again; if the file is wrong, what was stays.
 */
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/json.h"
#include "common/log.h"
#include "common/require.h"
#include "common/sock.h"
#include "streamerd/app.h"
#include "streamerd/http/http_peer.h"
#include "streamerd/shared.h"
#include "streamerd/stats.h"

#define EXIT_CONFIG    78   /* EX_CONFIG of sysexits.h */
#define EXIT_USAGE     64   /* EX_USAGE */
#define DRAIN_MS       5000 /* for answers in flight when we go down */
#define SPARE_FILES    64   /* descriptors kept for everything that is no connection */
#define LISTEN_BACKLOG 4096

struct args {
	const char *conf_file;
	bool check;
};

struct process {
	struct app app;
	struct event *signals[3]; /* owned */
	struct event *watchdog;	  /* owned, may be NULL */
	struct event *drained;	  /* owned: looks whether everything has ended */
	int64_t drain_ticks;
};

static int usage(void)
{
	(void)fprintf(stderr, "usage: streamerd -c FILE [--check] [--version]\n");
	return EXIT_USAGE;
}

/* 0 go on, or the exit status + 1. */
static int parse_args(int argc, char **argv, struct args *a)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--version") == 0) {
			(void)printf("streamerd %s\n", CHATD_VERSION);
			return EXIT_SUCCESS + 1;
		} else if (strcmp(argv[i], "--check") == 0) {
			a->check = true;
		} else if (strcmp(argv[i], "-c") == 0 && i + 1 < argc && !a->conf_file) {
			a->conf_file = argv[++i];
		} else {
			return usage() + 1;
		}
	}
	return a->conf_file ? 0 : usage() + 1;
}

/* Options and tokens; 0, or -1 with *e filled in. */
static int load(const char *file, struct options **ret_options, struct auth **ret_auth,
		struct conf_error *e)
{
	struct options *o = options_load(file, e);

	if (!o)
		return -1;
	*ret_auth = auth_new(o, file, e);
	if (!*ret_auth) {
		options_free(o);
		return -1;
	}
	*ret_options = o;
	return 0;
}

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

	if (load(app->conf_file, &options, &auth, &e) < 0) {
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

static void on_term(evutil_socket_t sig, short what, void *arg)
{
	struct process *p = arg;
	struct timeval tick = {0, 10 * 1000};

	if (p->drain_ticks > 0) {
		(void)event_base_loopbreak(p->app.base); /* asked twice: at once, then */
		return;
	}
	log_notice("streamerd.stopping", "signal=%d", (int)sig);
	(void)sd_notify(0, "STOPPING=1"); /* nobody to tell if it fails */
	p->drain_ticks = DRAIN_MS / 10;
	http_server_drain(p->app.http);
	hub_drain(p->app.hub);
	(void)event_add(p->drained, &tick);
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)sd_notify(0, "WATCHDOG=1");
}

/* As many descriptors as we may have; connections must fit into them. */
static void raise_files(struct options *o)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return;
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r) < 0)
		log_warning("limits.files", "error=\"%s\"", strerror(errno));
	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur <= 2 * SPARE_FILES)
		return;
	if ((rlim_t)o->max_connections > r.rlim_cur - SPARE_FILES) {
		log_warning("limits.connections", "configured=%d possible=%llu", o->max_connections,
			    (unsigned long long)r.rlim_cur - SPARE_FILES);
		o->max_connections = (int)(r.rlim_cur - SPARE_FILES);
	}
}

static void log_address(int fd, const char *name)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);
	char host[INET6_ADDRSTRLEN] = "?";

	if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0 && ss.ss_family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)&ss;

		(void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		log_notice("http.listening", "address=%s:%u", host, ntohs(in->sin_port));
	} else if (ss.ss_family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;

		(void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		log_notice("http.listening", "address=[%s]:%u", host, ntohs(in6->sin6_port));
	} else {
		log_notice("http.listening", "address=\"%s\"", log_safe(name));
	}
}

static int listen_all(struct app *app)
{
	const struct names *l = &app->options->listen;

	for (size_t i = 0; i < l->n; i++) {
		const char *path = options_unix_path(l->v[i]);
		int fd = path ? sock_listen_unix(path, 0660, LISTEN_BACKLOG)
			      : sock_listen_tcp(l->v[i], LISTEN_BACKLOG, 0);

		if (fd < 0) {
			log_error("http.listen", "address=\"%s\" error=\"%s\"", log_safe(l->v[i]),
				  strerror(-fd));
			return -1;
		}
		log_address(fd, l->v[i]);
		http_server_listen(app->http, fd);
	}
	return 0;
}

static int bus_uid(const struct options *o, uid_t *ret)
{
	const struct passwd *pw;

	*ret = (uid_t)-1;
	if (!o->bus_user)
		return 0;
	pw = getpwnam(o->bus_user);
	if (!pw) {
		log_error("conf.refused", "error=\"[bus] user: there is no user %s\"",
			  log_safe(o->bus_user));
		return -1;
	}
	*ret = pw->pw_uid;
	return 0;
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

static int start(struct process *p, uid_t peer_uid)
{
	struct app *app = &p->app;
	const struct options *o = app->options;
	struct http_conf hc = {.max_body = o->max_body,
			       .max_connections = o->max_connections,
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
	static const int sigs[] = {SIGTERM, SIGINT, SIGHUP};
	auto_free struct http_net *proxies = NULL;
	uint64_t watchdog_us;

	app->tickets = tickets_new(shared_tickets());
	app->hub = hub_new(app->base, on_viewer_ended, app);
	app->backend = backend_new(app->base, o->bus_dir, peer_uid, &app_backend_ops, app);
	hub_set_backend(app->hub, app->backend);
	hc.proxies = proxies = proxies_of(o);
	app->http = http_server_new(app->base, &hc, &app_http_ops, app);
	apply(app);
	for (int i = 0; i < 3; i++) {
		p->signals[i] = evsignal_new(app->base, sigs[i], i == 2 ? on_hup : on_term,
					     i == 2 ? (void *)app : (void *)p);
		REQUIRE(p->signals[i]);
		(void)event_add(p->signals[i], NULL);
	}
	p->drained = event_new(app->base, -1, EV_PERSIST, on_drained, p);
	REQUIRE(p->drained);
	if (sd_watchdog_enabled(0, &watchdog_us) > 0) {
		struct timeval tv = {(time_t)(watchdog_us / 2 / 1000000),
				     (suseconds_t)(watchdog_us / 2 % 1000000)};

		p->watchdog = event_new(app->base, -1, EV_PERSIST, on_watchdog, p);
		REQUIRE(p->watchdog);
		(void)event_add(p->watchdog, &tv);
	}
	return listen_all(app);
}

/* The reverse of start. */
static void stop(struct process *p)
{
	struct app *app = &p->app;

	for (int i = 0; i < 3; i++) {
		if (p->signals[i])
			event_free(p->signals[i]);
	}
	if (p->watchdog)
		event_free(p->watchdog);
	if (p->drained)
		event_free(p->drained);
	hub_free(app->hub);
	backend_free(app->backend);
	http_server_free(app->http);
	tickets_free(app->tickets);
}

static int run(struct app app, uid_t peer_uid)
{
	struct process p = {.app = app};
	struct event_config *cfg = event_config_new();
	int status = EXIT_FAILURE;

	REQUIRE(cfg);
	(void)event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK); /* one thread */
	p.app.base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	REQUIRE(p.app.base);
	if (start(&p, peer_uid) == 0) {
		(void)sd_notify(0, "READY=1"); /* without systemd there is nobody to tell */
		log_notice("streamerd.ready", "version=%s", CHATD_VERSION);
		status = event_base_dispatch(p.app.base) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	stop(&p);
	event_base_free(p.app.base);
	auth_free(p.app.auth);
	options_free(p.app.options);
	log_notice("streamerd.stopped", "status=%d", status);
	return status;
}

int main(int argc, char **argv)
{
	struct args args = {0};
	struct app app = {0};
	struct conf_error e;
	uid_t peer_uid;
	int r = parse_args(argc, argv, &args);

	if (r > 0)
		return r - 1;
	json_require_memory();
	if (sodium_init() < 0) {
		log_error("streamerd.start", "error=\"libsodium can't be used\"");
		return EXIT_FAILURE;
	}
	if (load(args.conf_file, &app.options, &app.auth, &e) < 0) {
		(void)fprintf(stderr, "<3>%s\n", e.text);
		return EXIT_CONFIG;
	}
	app.conf_file = args.conf_file;
	if (args.check || bus_uid(app.options, &peer_uid) < 0) {
		auth_free(app.auth);
		options_free(app.options);
		return args.check ? EXIT_SUCCESS : EXIT_CONFIG;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	raise_files(app.options);
	return run(app, peer_uid);
}
