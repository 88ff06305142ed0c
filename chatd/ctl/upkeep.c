/*
 * upkeep.c - `chatctl backup` and `chatctl prune`: the log copied, and the log made smaller.
 *
 * Both work beside a chatd that runs and leave its turns their time; how far they are is shown
 * where a person looks. A Ctrl-C ends them between two slices: a backup leaves nothing, what was
 * pruned stays pruned.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chatd/ctl/ctl.h"
#include "chatd/store/backup.h"
#include "chatd/store/prune.h"
#include "common/conf.h"
#include "common/json.h"
#include "common/limits.h"

#define BAR 40

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = 1;
}

static void catch_signals(void)
{
	struct sigaction a = {.sa_handler = on_signal};

	(void)sigaction(SIGINT, &a, NULL);
	(void)sigaction(SIGTERM, &a, NULL);
}

static bool is_watched(const struct ctl *c)
{
	return !c->json && isatty(STDERR_FILENO);
}

static void end_line(const struct ctl *c)
{
	if (is_watched(c))
		(void)fputc('\n', stderr);
}

/* --- backup --- */

static bool on_copied(void *arg, int64_t done, int64_t all)
{
	static const char full[] = "########################################";
	int n = all > 0 ? (int)(done * BAR / all) : BAR;

	if (is_watched(arg))
		(void)fprintf(stderr, "\r[%.*s%*s] %lld of %lld MiB", n, full, BAR - n, "",
			      (long long)(done >> 20), (long long)(all >> 20));
	return !interrupted;
}

int backup_main(struct ctl *c, int argc, char **argv)
{
	static const struct option options[] = {CTL_OPTIONS};
	const char *why;
	int r;

	if (ctl_getopt(c, argc, argv, options) != -1)
		return CTL_FAILED;
	if (optind + 1 != argc)
		return ctl_fail("usage: chatctl backup FILE");
	if (ctl_locate(c) != 0)
		return CTL_FAILED;
	catch_signals();
	r = backup_run(c->log_path, argv[optind], on_copied, c, &why);
	end_line(c);
	if (r < 0)
		return ctl_fail("%s: %s", argv[optind], interrupted ? "interrupted" : why);
	if (c->json)
		(void)puts("{\"ok\":true}");
	return CTL_OK;
}

/* --- prune --- */

static bool on_pruned(void *arg, const struct retention_stats *done)
{
	if (is_watched(arg))
		(void)fprintf(stderr, "\r%llu turns folded, %llu sessions removed, %llu pages back",
			      (unsigned long long)done->turns_folded,
			      (unsigned long long)done->sessions_removed,
			      (unsigned long long)done->pages_given_back);
	return !interrupted;
}

static void tell(const struct ctl *c, const struct retention_stats *s)
{
	(void)printf(c->json ? "{\"turns_folded\":%llu,\"events_removed\":%llu,"
			       "\"sessions_removed\":%llu,\"pages_given_back\":%llu}\n"
			     : "turns folded      %llu\nevents removed    %llu\n"
			       "sessions removed  %llu\npages given back  %llu\n",
		     (unsigned long long)s->turns_folded, (unsigned long long)s->events,
		     (unsigned long long)s->sessions_removed,
		     (unsigned long long)s->pages_given_back);
}

/* The time or size of an option; false, and it has been said, if it is none. */
static bool parse(const char *name, conf_parse_fn how, int64_t *field)
{
	const char *why = how(optarg, field);

	if (why)
		(void)ctl_fail("--%s %s", name, why);
	return !why;
}

int prune_main(struct ctl *c, int argc, char **argv)
{
	static const struct option options[] = {{"keep-deltas", required_argument, NULL, 'k'},
						{"keep-sessions", required_argument, NULL, 's'},
						{"max-size", required_argument, NULL, 'm'},
						{"vacuum", no_argument, NULL, 'v'},
						CTL_OPTIONS};
	struct retention_policy p = {.keep_keys_ms = LIMIT_KEY_KEEP_MS,
				     .removed_keep_ms = LIMIT_REMOVED_KEEP_MS};
	struct retention_stats done;
	bool vacuum = false, named = false;
	const char *why;
	int o, r;

	while ((o = ctl_getopt(c, argc, argv, options)) != -1) {
		if (o == 'v')
			vacuum = true;
		else if (!(o == 'k' && parse("keep-deltas", conf_seconds, &p.keep_deltas_ms)) &&
			 !(o == 's' && parse("keep-sessions", conf_seconds, &p.keep_sessions_ms)) &&
			 !(o == 'm' && parse("max-size", conf_bytes, &p.max_size)))
			return CTL_FAILED;
		else
			named = true;
	}
	if (optind != argc || (!named && !vacuum))
		return ctl_fail("usage: chatctl prune [--keep-deltas TIME] [--keep-sessions TIME] "
				"[--max-size BYTES] [--vacuum]");
	if (ctl_locate(c) != 0)
		return CTL_FAILED;
	catch_signals();
	r = prune_run(c->log_path, &p, on_pruned, c, &done, &why);
	end_line(c);
	if (r == 0)
		tell(c, &done);
	if (r == 0 && vacuum && !interrupted)
		r = prune_rewrite(c->log_path, &why);
	if (r < 0)
		return ctl_fail("%s: %s", c->log_path, why);
	return interrupted ? CTL_FAILED : CTL_OK;
}
