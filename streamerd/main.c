/*
 * main.c - the streamerd program: argv in, one of two processes out.
 *
 *	streamerd -c FILE [--check]
 *					the parent: holds sockets, starts serving processes
 *	streamerd -c FILE --process N --processes M --sockets K
 *					serving process N of M; started by the parent only, with
 *					the descriptors that parent.h names
 *
 * It holds no keys and opens no database (PRC-2): whoever takes it over can see what passes through
 * and nothing that is stored.
 *
 * Exit status: 0 in order; 64 wrong usage; 78 a config that can't be worked with; anything else is
 *a failure that a restart may cure.
 */
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "common/limits.h"
#include "common/early_signal.h"
#include "common/json.h"
#include "common/log.h"
#include "common/secret.h"
#include "streamerd/app.h"
#include "streamerd/parent.h"
#include "streamerd/serve.h"

struct args {
	const char *conf_file;
	bool check;
	int process, processes, sockets; /* -1: not given */
	int auth_mode;			 /* the parent's; -1: not given */
};

static const char usage_text[] =
	"usage: streamerd -c FILE [--check]\n"
	"  -c, --config FILE  the config file\n"
	"      --check        only check it: no output and exit status 0 if it is fine\n"
	"      --version      print the version\n"
	"  -h, --help         print this\n";

static int usage(void)
{
	(void)fprintf(stderr, "streamerd: wrong usage (see streamerd --help)\n");
	return EX_USAGE;
}

static bool take_number(const char *s, int max, int *ret)
{
	return conf_count(s, ret) == NULL && *ret <= max;
}

/* 0 go on, or the exit status + 1. */
static int parse_args(int argc, char **argv, struct args *a)
{
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--version") == 0) {
			(void)printf("streamerd %s\n", CHATD_VERSION);
			return EXIT_SUCCESS + 1;
		} else if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
			(void)fputs(usage_text, stdout);
			return EXIT_SUCCESS + 1;
		} else if (strcmp(argv[i], "--check") == 0) {
			a->check = true;
		} else if ((strcmp(argv[i], "-c") == 0 || strcmp(argv[i], "--config") == 0) &&
			   i + 1 < argc && !a->conf_file) {
			a->conf_file = argv[++i];
		} else if ((strcmp(argv[i], "--process") == 0 &&
			    take_number(value, LIMIT_PROCESSES, &a->process)) ||
			   (strcmp(argv[i], "--processes") == 0 &&
			    take_number(value, LIMIT_PROCESSES, &a->processes)) ||
			   (strcmp(argv[i], "--sockets") == 0 &&
			    take_number(value, LIMIT_LISTENERS, &a->sockets)) ||
			   (strcmp(argv[i], "--auth-mode") == 0 &&
			    take_number(value, AUTH_JWT, &a->auth_mode))) {
			i++;
		} else {
			return usage() + 1;
		}
	}
	if (!a->conf_file || (a->process < 0) != (a->processes < 0) ||
	    (a->process < 0) != (a->sockets < 0) || (a->process < 0) != (a->auth_mode < 0) ||
	    (a->process >= 0 && a->process >= a->processes))
		return usage() + 1;
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

static void warn_of_access(const struct options *o, const struct auth *auth, bool again)
{
	const char *name = o->auth_mode == AUTH_TOKENS ? o->tokens_file
			   : o->auth_mode == AUTH_JWT  ? o->jwt_keys_file
						       : NULL;

	if (auth_lets_nobody_in(auth))
		log_warning("auth.empty", "file=\"%s\" it holds no token: nobody can come in",
			    log_safe(name));
	if (again && name && secret_is_credential(name))
		log_warning("auth.credential",
			    "file=\"%s\" a copy made at the start: a change there needs a restart",
			    log_safe(name));
}

/* The parent's question at SIGHUP. */
static int recheck(void *arg, struct conf_error *e)
{
	const struct args *a = arg;
	struct options *o;
	struct auth *auth;

	if (app_load(a->conf_file, &o, &auth, e) < 0)
		return -1;
	if (o->log_level)
		(void)log_set_level(o->log_level); /* checked when it was read */
	warn_of_access(o, auth, true);
	auth_free(auth);
	options_free(o);
	return 0;
}

static int run_parent(const struct options *o, struct args *a)
{
	char process[SPAWN_INDEX_SIZE], processes[SPAWN_INDEX_SIZE], sockets[SPAWN_INDEX_SIZE];
	char auth_mode[SPAWN_INDEX_SIZE];
	char *argv[] = {"streamerd",   "-c",	  (char *)a->conf_file, "--process", process,
			"--processes", processes, "--sockets",		sockets,     "--auth-mode",
			auth_mode,     NULL};
	struct parent_setup setup = {.options = o,
				     .spawn = {.argv = argv, .index_arg = process},
				     .listen_arg = sockets,
				     .recheck = recheck,
				     .recheck_arg = a};

	(void)snprintf(processes, sizeof(processes), "%d", o->processes);
	(void)snprintf(auth_mode, sizeof(auth_mode), "%d", (int)o->auth_mode);
	return parent_run(&setup);
}

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Takes over what app has. */
static int run_process(struct app *app, const struct args *a, uid_t peer_uid)
{
	int fds[LIMIT_LISTENERS];
	struct serve_setup setup = {.conf_file = app->conf_file,
				    .options = app->options,
				    .auth = app->auth,
				    .peer_uid = peer_uid,
				    .index = (unsigned)a->process,
				    .processes = (unsigned)a->processes,
				    .shared_fd = SERVING_SHARED_FD,
				    .listen_fds = fds,
				    .n_listen = (unsigned)a->sockets,
				    .control_fd = SERVING_LISTEN_FD + a->sockets};

	for (int i = 0; i < a->sockets; i++) {
		fds[i] = SERVING_LISTEN_FD + i;
		if (!is_socket(fds[i]))
			return usage();
	}
	if (!is_socket(setup.control_fd))
		return usage();
	(void)prctl(PR_SET_NAME, "streamerd-serve"); /* for ps */
	return serve_run(&setup);
}

/* One of several processes must not let in whom the others turn away: it waits for the restart. */
static int refuse_mode(void)
{
	log_error("conf.refused", "error=\"[auth] mode has changed: that needs a restart\"");
	return EX_TEMPFAIL;
}

int main(int argc, char **argv)
{
	struct args args = {.process = -1, .processes = -1, .sockets = -1, .auth_mode = -1};
	struct app app = {0};
	struct conf_error e;
	uid_t peer_uid;
	int r = parse_args(argc, argv, &args);

	if (r > 0)
		return r - 1;
	if (args.process < 0 && !args.check)
		early_signal_exits();
	json_require_memory();
	if (sodium_init() < 0) {
		log_error("streamerd.start", "error=\"libsodium can't be used\"");
		return EXIT_FAILURE;
	}
	if (app_load(args.conf_file, &app.options, &app.auth, &e) < 0) {
		(void)fprintf(stderr, "<3>%s\n", e.text);
		/* the parent has read it before: a process's trouble may pass */
		return args.process >= 0 ? EX_TEMPFAIL : EX_CONFIG;
	}
	app.conf_file = args.conf_file;
	if (app.options->log_level)
		(void)log_set_level(app.options->log_level); /* checked when it was read */
	if (args.process < 0)
		warn_of_access(app.options, app.auth, false); /* once, for all processes */
	if (args.check)
		r = EXIT_SUCCESS;
	else if (bus_uid(app.options, &peer_uid) < 0)
		r = args.process >= 0 ? EX_TEMPFAIL : EX_CONFIG;
	else if (args.process >= 0 && (int)app.options->auth_mode != args.auth_mode)
		r = refuse_mode();
	else if (args.process >= 0)
		return run_process(&app, &args, peer_uid);
	else
		r = run_parent(app.options, &args);
	auth_free(app.auth);
	options_free(app.options);
	return r;
}
