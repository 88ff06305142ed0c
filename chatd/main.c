/*
 * main.c - the chatd program: argv in, one of two processes out.
 *
 *	chatd -c FILE			the supervisor
 *	chatd -c FILE --check		checks FILE and ends
 *	chatd -c FILE --worker N --workers M
 *					worker N of M; started by the supervisor only, with a
 *listening socket as fd 3 and a control socket as fd 4
 *
 * Exit status: 0 in order; 64 wrong usage; 78 a config or a database that this program can't work
 * with (starting it again would not help); anything else is a failure that a restart may cure.
 *
 * Nothing here knows what a supervisor or a worker does.
 */
#include <getopt.h>
#include <stdio.h>
#include <libgen.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "chatd/options.h"
#include "chatd/supervisor/supervisor.h"
#include "chatd/worker/worker.h"
#include "common/limits.h"
#include "common/early_signal.h"
#include "common/json.h"
#include "common/log.h"

struct args {
	const char *config;
	bool check;
	int worker;  /* -1: this is not one */
	int workers; /* 0: not given */
	/* a worker's, from its supervisor: the file may say otherwise by now */
	const char *log_path, *bus_dir, *durability;
};

static const char usage_text[] =
	"usage: chatd -c FILE [--check]\n"
	"  -c, --config FILE  the config file\n"
	"      --check        only check it: no output and exit status 0 if it is fine\n"
	"      --version      print the version\n"
	"  -h, --help         print this\n";

static int usage_error(const char *why)
{
	(void)fprintf(stderr, "chatd: %s (see chatd --help)\n", why);
	return EX_USAGE;
}

/* A number in 0..LIMIT_WORKERS, or -1. */
static int small_number(const char *s)
{
	int n;

	return conf_count(s, &n) || n > LIMIT_WORKERS ? -1 : n;
}

/* Returns -1 to go on, or the exit status. */
static int parse_args(int argc, char **argv, struct args *a)
{
	enum {
		OPT_CHECK = 256,
		OPT_WORKER,
		OPT_WORKERS,
		OPT_LOG,
		OPT_DURABILITY,
		OPT_BUS,
		OPT_VERSION
	};
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, OPT_CHECK},
		{"worker", required_argument, NULL, OPT_WORKER},
		{"workers", required_argument, NULL, OPT_WORKERS},
		{"log", required_argument, NULL, OPT_LOG},
		{"durability", required_argument, NULL, OPT_DURABILITY},
		{"bus", required_argument, NULL, OPT_BUS},
		{"version", no_argument, NULL, OPT_VERSION},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	*a = (struct args){.worker = -1};
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:h", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			a->config = optarg;
			break;
		case OPT_CHECK:
			a->check = true;
			break;
		case OPT_WORKER:
			a->worker = small_number(optarg);
			if (a->worker < 0)
				return usage_error("--worker wants a small number");
			break;
		case OPT_WORKERS:
			a->workers = small_number(optarg);
			if (a->workers < 1)
				return usage_error("--workers wants a small number");
			break;
		case OPT_LOG:
			a->log_path = optarg;
			break;
		case OPT_DURABILITY:
			a->durability = optarg;
			break;
		case OPT_BUS:
			a->bus_dir = optarg;
			break;
		case OPT_VERSION:
			(void)puts("chatd " CHATD_VERSION);
			return 0;
		case 'h':
			(void)fputs(usage_text, stdout);
			return 0;
		case ':':
			return usage_error("an option lacks its value");
		default:
			return usage_error("unknown option");
		}
	}
	if (optind < argc)
		return usage_error("unexpected argument");
	if (!a->config)
		return usage_error("-c FILE is missing");
	if ((a->worker >= 0) != (a->workers > 0) || (a->workers && a->worker >= a->workers))
		return usage_error("--worker N needs --workers M with N < M");
	if ((a->worker >= 0) != (a->log_path && a->bus_dir && a->durability))
		return usage_error("--log, --durability and --bus are for workers");
	return -1;
}

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Takes over o. */
static int run_worker(struct options *o, const struct args *a)
{
	const struct options running = {
		.log_path = (char *)(uintptr_t)a->log_path,
		.bus_dir = (char *)(uintptr_t)a->bus_dir,
		.durability_full = strcmp(a->durability, "full") == 0,
		.workers = a->workers,
	};

	static char who[24]; /* the log borrows it for ever */

	if (!is_socket(WORKER_LISTEN_FD) || !is_socket(WORKER_CONTROL_FD))
		return usage_error("--worker is for the supervisor, which passes two sockets");
	(void)snprintf(who, sizeof(who), "worker.%d", a->worker);
	log_set_who(who);
	(void)prctl(PR_SET_NAME, "chatd-worker"); /* for ps */
	options_keep(o, &running);
	return worker_main(o, a->config, (unsigned)a->worker, (unsigned)a->workers,
			   WORKER_LISTEN_FD, WORKER_CONTROL_FD);
}

/* The supervisor's question at SIGHUP. */
static int recheck(void *arg, struct conf_error *e)
{
	const struct args *a = arg;
	struct options *o = options_load(a->config, e);

	if (!o)
		return -1;
	if (o->log_level)
		(void)log_set_level(o->log_level); /* checked by options_load() */
	options_free(o);
	return 0;
}

static int run_supervisor(const struct options *o, struct args *a)
{
	char workers[16];
	char worker[16];
	char *argv[] = {"chatd",
			"-c",
			(char *)a->config,
			"--workers",
			workers,
			"--worker",
			worker,
			"--log",
			o->log_path,
			"--durability",
			o->durability_full ? "full" : "normal",
			"--bus",
			o->bus_dir,
			NULL};
	struct supervisor_setup setup = {
		.bus_dir = o->bus_dir,
		.workers = (unsigned)o->workers,
		.drain_ms = o->drain_ms,
		.spawn = {.argv = argv, .index_arg = worker},
		.recheck = recheck,
		.recheck_arg = a,
	};

	(void)snprintf(workers, sizeof(workers), "%d", o->workers);
	return supervisor_run(&setup);
}

/* The log's folder is made if it is missing: else only workers would notice, again and again. */
static int make_folder(const struct options *o, const char *config)
{
	char *path = strdup(o->log_path);
	const char *dir;
	struct stat st;
	int r = -1;

	if (!path)
		return -1;
	dir = dirname(path);
	if (stat(dir, &st) == 0 ? S_ISDIR(st.st_mode) : mkdir(dir, 0750) == 0)
		r = 0;
	else
		(void)fprintf(stderr, "<3>%s: [log] path: %s: %s\n", config, dir, strerror(errno));
	free(path);
	return r;
}

int main(int argc, char **argv)
{
	struct args a;
	struct conf_error e;
	struct options *o;
	int status = parse_args(argc, argv, &a);

	if (status >= 0)
		return status;
	if (a.worker < 0 && !a.check)
		early_signal_exits();
	/* what we hold is nobody's to read, not even our own user's: keys may be in the environment
	 */
	(void)prctl(PR_SET_DUMPABLE, 0);
	json_require_memory();
	o = options_load(a.config, &e);
	if (!o) {
		(void)fprintf(stderr, "<3>%s\n", e.text);
		/* the supervisor has read it before: a worker's trouble may pass */
		return a.worker >= 0 ? EX_TEMPFAIL : EX_CONFIG;
	}
	if (o->log_level)
		(void)log_set_level(o->log_level); /* checked by options_load() */
	if (a.worker >= 0 && !a.check)
		return run_worker(o, &a);
	if (a.check)
		status = 0;
	else if (make_folder(o, a.config) < 0)
		status = EX_CONFIG;
	else
		status = run_supervisor(o, &a);
	options_free(o);
	return status;
}
