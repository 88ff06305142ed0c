/*
 * fanout.c - the load of the fan-out benchmark: source and viewers in one process, one loop.
 *
 *	fanout -k chat -b DIR -p PORT [-s SESSIONS]	streamerd: its worker is here, in DIR
 *	fanout -k nchan|bare -p PORT [-s SESSIONS]	events go in as POST /pub/NAME
 *
 * Commands come one a line on stdin; each is answered with one line of JSON on stdout. fanout.py
 * starts the servers and says what is to be done; so a search for the highest rate, say, runs over
 * connections that stay.
 *
 *	pids PID...              whose CPU time is told by run
 *	open N [AT_ONCE]         N more viewers; answered once they are live
 *	stall N                  N more that never read
 *	run RATE SECONDS [MS]    RATE events/s over all sessions, evenly; then up to MS more for the
 *	                         last to arrive
 *	drop N                   closes N viewers; they keep their cursors
 *	make N                   N events at once to each session
 *	back RATE MS [AT_ONCE]   all that were dropped return at once, events go on at RATE;
 *answered once all caught up, or after MS quiet MS                 reads for so long quit
 *
 * The clock that an event carries is read when it is handed to the source, so what waits there
 * because a server doesn't take it counts as that server's delay. How late the load itself was is
 * told (late_us), and so is its share of its own core.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/require.h"
#include "tests/bench/bench_options.h"
#include "tests/bench/cpu_time.h"
#include "tests/bench/crowd.h"
#include "tests/bench/source.h"

#define AT_ONCE	 256
#define OPEN_MS	 60000
#define DRAIN_MS 3000
#define MAX_PIDS 32
#define US	 1000000.0

struct load {
	struct poller poller;
	struct source *source;
	struct crowd *crowd;
	struct watch commands;
	char line[4096];
	size_t have;
	bool is_over;
	int pids[MAX_PIDS];
	int n_pids;
	double due_us; /* when the next event is, while a rate is on */
	double gap_us; /* 0: none */
	unsigned next_session;
	int64_t late_us;
	uint64_t made;
};

/* Makes what is due by now. */
static void make_due(struct load *l)
{
	int64_t now = clock_mono_us();

	if (l->gap_us <= 0 || l->due_us > (double)now)
		return;
	if ((double)now - l->due_us > (double)l->late_us)
		l->late_us = now - (int64_t)l->due_us;
	for (; l->due_us <= (double)now; l->due_us += l->gap_us) {
		source_make(l->source, l->next_session, now);
		l->next_session = (l->next_session + 1) % l->source->n_sessions;
		l->made++;
	}
	source_flush(l->source);
}

static void turn(struct load *l, int64_t until_us)
{
	int64_t now = clock_mono_us(), until = until_us;

	if (l->gap_us > 0 && l->due_us < (double)until)
		until = (int64_t)l->due_us;
	poller_wait(&l->poller, until > now ? until - now : 0);
	make_due(l);
	crowd_continue(l->crowd);
}

static void rate_on(struct load *l, double rate)
{
	l->gap_us = rate > 0 ? US / rate : 0;
	l->due_us = (double)clock_mono_us();
	l->late_us = 0;
	l->made = 0;
}

static void rate_off(struct load *l)
{
	l->gap_us = 0;
}

static double cpu_of_pids(const struct load *l)
{
	double s = 0;

	for (int i = 0; i < l->n_pids; i++)
		s += cpu_time_of(l->pids[i]);
	return s;
}

/* Until the predicate holds or the time is over; true if it holds. */
static bool turn_until(struct load *l, int64_t until_us, bool (*done)(struct load *))
{
	while (!done(l)) {
		if (clock_mono_us() >= until_us)
			return false;
		turn(l, clock_mono_us() + 5000 < until_us ? clock_mono_us() + 5000 : until_us);
	}
	return true;
}

static bool all_are_live(struct load *l)
{
	return crowd_opening(l->crowd) == 0;
}

static bool all_is_there(struct load *l)
{
	return crowd_missing(l->crowd) == 0;
}

static bool all_caught_up(struct load *l)
{
	struct hist times;
	unsigned behind;

	crowd_caught_up(l->crowd, &times, &behind);
	return behind == 0 && crowd_opening(l->crowd) == 0;
}

/* --- commands --- */

static void open_viewers(struct load *l, unsigned n, unsigned at_once, bool stalled)
{
	int64_t begin = clock_mono_us();
	double cpu = cpu_of_pids(l);
	bool ok;

	crowd_open(l->crowd, n, at_once ? at_once : AT_ONCE, stalled);
	ok = turn_until(l, begin + OPEN_MS * 1000LL, all_are_live);
	(void)printf("{\"ok\":%s,\"live\":%u,\"ms\":%.1f,\"cpu_s\":%.6f}\n", ok ? "true" : "false",
		     crowd_live(l->crowd), (double)(clock_mono_us() - begin) / 1000,
		     cpu_of_pids(l) - cpu);
}

static void print_checks(const struct crowd_counts *n)
{
	(void)printf("\"holes\":%llu,\"doubled\":%llu,\"resets\":%llu,\"ended\":%llu",
		     (unsigned long long)n->holes, (unsigned long long)n->doubled,
		     (unsigned long long)n->resets, (unsigned long long)n->ended);
}

static void run(struct load *l, double rate, double seconds, int drain_ms)
{
	const struct crowd_counts *n = crowd_counts(l->crowd);
	unsigned live = crowd_live(l->crowd);
	uint64_t before = crowd_missing(l->crowd), in_window, missing;
	double cpu = cpu_of_pids(l), own = cpu_time_of(getpid()), took, cpu_window;
	int64_t begin = clock_mono_us(), end;

	crowd_clear(l->crowd);
	rate_on(l, rate);
	while (clock_mono_us() < begin + (int64_t)(seconds * US))
		turn(l, begin + (int64_t)(seconds * US));
	rate_off(l);
	end = clock_mono_us();
	took = (double)(end - begin) / US;
	in_window = n->delivered;
	cpu_window = cpu_of_pids(l) - cpu;
	(void)turn_until(l, end + drain_ms * 1000LL, all_is_there);
	missing = crowd_missing(l->crowd);
	(void)printf("{\"rate\":%.2f,\"seconds\":%.3f,\"live\":%u,\"made\":%llu,\"before\":%llu,"
		     "\"delivered\":%llu,\"in_window\":%llu,\"per_second\":%.1f,\"missing\":%llu,",
		     rate, took, live, (unsigned long long)l->made, (unsigned long long)before,
		     (unsigned long long)n->delivered, (unsigned long long)in_window,
		     (double)in_window / took, (unsigned long long)missing);
	(void)printf("\"p50_us\":%.0f,\"p90_us\":%.0f,\"p99_us\":%.0f,\"max_us\":%lld,"
		     "\"lag_us\":%lld,\"late_us\":%lld,\"unsent\":%zu,",
		     hist_quantile(&n->latency, 0.5), hist_quantile(&n->latency, 0.9),
		     hist_quantile(&n->latency, 0.99), (long long)n->latency.max,
		     (long long)(n->last_us > end ? n->last_us - end : 0), (long long)l->late_us,
		     l->source->ops->unsent(l->source));
	(void)printf("\"bytes\":%llu,\"reads\":%llu,\"cpu_s\":%.6f,\"cpu_window_s\":%.6f,"
		     "\"own_cpu_s\":%.6f,",
		     (unsigned long long)n->bytes, (unsigned long long)n->reads,
		     cpu_of_pids(l) - cpu, cpu_window, cpu_time_of(getpid()) - own);
	print_checks(n);
	(void)printf("}\n");
}

static void make(struct load *l, unsigned each)
{
	for (unsigned i = 0; i < each * l->source->n_sessions; i++)
		source_make(l->source, i % l->source->n_sessions, clock_mono_us());
	source_flush(l->source);
	(void)printf("{\"ok\":true}\n");
}

static void back(struct load *l, double rate, int ms, unsigned at_once)
{
	const struct crowd_counts *n = crowd_counts(l->crowd);
	double cpu = cpu_of_pids(l);
	int64_t begin = clock_mono_us();
	struct hist times;
	unsigned behind;

	crowd_clear(l->crowd);
	rate_on(l, rate);
	crowd_return(l->crowd, at_once ? at_once : AT_ONCE);
	(void)turn_until(l, begin + ms * 1000LL, all_caught_up);
	rate_off(l);
	(void)turn_until(l, clock_mono_us() + DRAIN_MS * 1000LL, all_is_there);
	crowd_caught_up(l->crowd, &times, &behind);
	(void)printf("{\"caught_up\":%llu,\"behind\":%u,\"p50_us\":%.0f,\"p99_us\":%.0f,"
		     "\"max_us\":%lld,\"delivered\":%llu,\"missing\":%llu,\"cpu_s\":%.6f,",
		     (unsigned long long)times.n, behind, hist_quantile(&times, 0.5),
		     hist_quantile(&times, 0.99), (long long)times.max,
		     (unsigned long long)n->delivered, (unsigned long long)crowd_missing(l->crowd),
		     cpu_of_pids(l) - cpu);
	print_checks(n);
	(void)printf("}\n");
}

static void set_pids(struct load *l, char *rest)
{
	char *word, *save = NULL;

	l->n_pids = 0;
	for (word = strtok_r(rest, " ", &save); word && l->n_pids < MAX_PIDS;
	     word = strtok_r(NULL, " ", &save))
		l->pids[l->n_pids++] = atoi(word);
	(void)printf("{\"ok\":true}\n");
}

static void quiet(struct load *l, int ms)
{
	int64_t until = clock_mono_us() + ms * 1000LL;

	while (clock_mono_us() < until)
		turn(l, until);
	(void)printf("{\"ok\":true}\n");
}

static void command(struct load *l, char *line)
{
	char name[16] = "";
	double v[3] = {0};
	int at = 0, n;

	(void)sscanf(line, "%15s%n", name, &at);
	n = sscanf(line + at, "%lf %lf %lf", &v[0], &v[1], &v[2]);
	if (strcmp(name, "pids") == 0)
		set_pids(l, line + at);
	else if (strcmp(name, "open") == 0 && n >= 1)
		open_viewers(l, (unsigned)v[0], (unsigned)v[1], false);
	else if (strcmp(name, "stall") == 0 && n >= 1)
		open_viewers(l, (unsigned)v[0], (unsigned)v[1], true);
	else if (strcmp(name, "run") == 0 && n >= 2)
		run(l, v[0], v[1], n > 2 ? (int)v[2] : DRAIN_MS);
	else if (strcmp(name, "make") == 0 && n >= 1)
		make(l, (unsigned)v[0]);
	else if (strcmp(name, "back") == 0 && n >= 2)
		back(l, v[0], (int)v[1], (unsigned)v[2]);
	else if (strcmp(name, "quiet") == 0 && n >= 1)
		quiet(l, (int)v[0]);
	else if (strcmp(name, "drop") == 0 && n >= 1) {
		crowd_drop(l->crowd, (unsigned)v[0]);
		(void)printf("{\"ok\":true}\n");
	} else if (strcmp(name, "quit") == 0)
		l->is_over = true;
	else
		(void)printf("{\"ok\":false,\"error\":\"no such command\"}\n");
	(void)fflush(stdout);
}

static void on_commands(struct watch *w, uint32_t events)
{
	struct load *l = (struct load *)((char *)w - offsetof(struct load, commands));
	ssize_t n = read(w->fd, l->line + l->have, sizeof(l->line) - 1 - l->have);

	if (n <= 0)
		l->is_over = true;
	else
		l->have += (size_t)n;
}

/* Commands run from here, not from within the poller. */
static void serve(struct load *l)
{
	while (!l->is_over) {
		char *nl = memchr(l->line, '\n', l->have);
		char one[sizeof(l->line)];
		size_t n;

		if (!nl) {
			turn(l, clock_mono_us() + 100000);
			continue;
		}
		n = (size_t)(nl - l->line) + 1;
		memcpy(one, l->line, n);
		one[n - 1] = '\0';
		memmove(l->line, nl + 1, l->have - n);
		l->have -= n;
		command(l, one);
	}
}

int main(int argc, char **argv)
{
	static struct load l;
	const char *dir = NULL, *kind = "";
	int port = 0, sessions = 1;
	enum crowd_server server;
	const struct bench_option options[] = {
		{'k', "chat|nchan|bare", NULL, &kind},
		{'p', "PORT", &port, NULL},
		{'b', "BUS_DIR", NULL, &dir},
		{'s', "SESSIONS", &sessions, NULL},
	};

	bench_options(argc, argv, options, sizeof(options) / sizeof(options[0]));
	server = strcmp(kind, "chat") == 0    ? CROWD_CHAT
		 : strcmp(kind, "nchan") == 0 ? CROWD_NCHAN
					      : CROWD_BARE;
	if (port <= 0 || sessions <= 0 || (server == CROWD_CHAT && !dir) ||
	    (server == CROWD_BARE && strcmp(kind, "bare") != 0)) {
		(void)fprintf(stderr, "fanout: -k and -p are needed, for chat -b too\n");
		return 2;
	}
	(void)poller_raise_limit();
	poller_init(&l.poller);
	l.source = server == CROWD_CHAT ? source_bus_new(&l.poller, (unsigned)sessions, dir)
					: source_post_new(&l.poller, (unsigned)sessions, port);
	l.crowd = crowd_new(&l.poller, l.source, server, port);
	l.commands = (struct watch){.ready = on_commands, .fd = STDIN_FILENO};
	poller_add(&l.poller, &l.commands, EPOLLIN);
	(void)printf("{\"ok\":true}\n");
	(void)fflush(stdout);
	serve(&l);
	crowd_free(l.crowd);
	source_free(l.source);
	poller_fini(&l.poller);
	return 0;
}
