/*
 * metrics.c - what a worker counts for operators. See metrics.h.
 *
 * Series of labels that are only known at run time are kept as the JSON that is told, so there is
 * one form; numbers of fixed names stay where they are counted (worker_stats, event_log_stats,
 * retention_stats) and are put beside them when somebody asks.
 */
#include "chatd/worker/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/worker/keeper.h"
#include "chatd/worker/link.h"
#include "chatd/worker/session.h"
#include "common/json.h"
#include "common/require.h"

struct metrics {
	json_t *models; /* set of "provider\nmodel" that have labels of their own; owned like all */
	json_t *turns, *turn_us, *turn_errors, *tokens;
	json_t *requests, *first_us, *request_us, *retries;
	json_t *calls, *call_us;
	int64_t restarts;
};

/* Upper bounds in µs: of what takes a model's time, and of what takes a disk's. */
static const int64_t model_bounds[] = {50000,	100000,	  250000,   500000,   1000000,	 2500000,
				       5000000, 10000000, 30000000, 60000000, 120000000, 600000000};
static const int64_t commit_bounds[] = {250, 500, 1000, 2500, 5000, 10000, 50000};
static const int64_t batch_bounds[] = {1, 2, 5, 10, 50, 100, 500};
#define N(array) (sizeof(array) / sizeof((array)[0]))
_Static_assert(N(commit_bounds) + 1 == N(((struct event_log_stats *)0)->commit_buckets),
	       "as counted");
_Static_assert(N(batch_bounds) + 1 == N(((struct event_log_stats *)0)->batch_buckets),
	       "as counted");

struct metrics *metrics_new(void)
{
	struct metrics *m = calloc(1, sizeof(*m));
	const char *starts = getenv("CHATD_STARTS"); /* the supervisor's count for our number */

	REQUIRE(m);
	m->restarts = starts ? strtoll(starts, NULL, 10) - 1 : 0;
	m->models = json_object();
	m->turns = json_pack("{s:i, s:i, s:i}", "outcome=\"done\"", 0, "outcome=\"aborted\"", 0,
			     "outcome=\"error\"", 0);
	m->turn_us = json_object();
	m->turn_errors = json_object();
	m->tokens = json_object();
	m->requests = json_object();
	m->first_us = json_object();
	m->request_us = json_object();
	m->retries = json_object();
	m->calls = json_object();
	m->call_us = json_object();
	return m;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	json_decref(m->models);
	json_decref(m->turns);
	json_decref(m->turn_us);
	json_decref(m->turn_errors);
	json_decref(m->tokens);
	json_decref(m->requests);
	json_decref(m->first_us);
	json_decref(m->request_us);
	json_decref(m->retries);
	json_decref(m->calls);
	json_decref(m->call_us);
	free(m);
}

/* --- labels and series --- */

/* name="value", the value escaped as Prometheus wants it. */
static void label(struct buf *b, const char *name, const char *value)
{
	buf_addf(b, "%s%s=\"", b->len ? "," : "", name);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			buf_addc(b, '\\');
		if (*value == '\n')
			buf_adds(b, "\\n");
		else
			buf_addc(b, *value);
	}
	buf_addc(b, '"');
}

static void add(json_t *series, struct buf *labels, int64_t n)
{
	json_t *have = json_object_get(series, buf_str(labels));

	if (have)
		(void)json_integer_set(have, json_integer_value(have) + n);
	else
		(void)json_object_set_new(series, buf_str(labels), json_integer(n));
}

static void add_at(json_t *array, size_t i, int64_t n)
{
	json_t *have = json_array_get(array, i);

	(void)json_integer_set(have, json_integer_value(have) + n);
}

/* One observation: counted in the first bucket whose bound it does not exceed. */
static void observe(json_t *series, struct buf *labels, int64_t us)
{
	json_t *h = json_object_get(series, buf_str(labels));
	size_t i = 0;

	if (!h) {
		h = json_array();
		for (size_t k = 0; k < N(model_bounds) + 2; k++)
			(void)json_array_append_new(h, json_integer(0));
		(void)json_object_set_new(series, buf_str(labels), h);
	}
	while (i < N(model_bounds) && us > model_bounds[i])
		i++;
	add_at(h, i, 1);
	add_at(h, N(model_bounds) + 1, us);
}

static void model_labels(struct metrics *m, struct buf *b, const char *provider, const char *model)
{
	auto_buf struct buf key = BUF_INIT;

	buf_addf(&key, "%s\n%s", provider, model);
	if (!json_object_get(m->models, buf_str(&key))) {
		if (json_object_size(m->models) >= LIMIT_METRIC_MODELS)
			model = "other";
		else
			(void)json_object_set_new(m->models, buf_str(&key), json_true());
	}
	label(b, "provider", provider);
	label(b, "model", model);
}

/* --- what happens --- */

void metrics_turn(struct metrics *m, const char *provider, const char *model, const char *outcome,
		  const char *error_code, int64_t ms, const struct provider_usage *usage)
{
	const struct {
		const char *kind;
		int64_t n;
	} tokens[] = {{"input", usage->input},
		      {"output", usage->output},
		      {"cache_read", usage->cache_read},
		      {"cache_write", usage->cache_write}};
	auto_buf struct buf by_outcome = BUF_INIT;
	auto_buf struct buf by_code = BUF_INIT;

	label(&by_outcome, "outcome", outcome);
	add(m->turns, &by_outcome, 1);
	observe(m->turn_us, &by_outcome, ms * 1000);
	if (error_code) {
		label(&by_code, "code", error_code);
		add(m->turn_errors, &by_code, 1);
	}
	for (size_t i = 0; i < N(tokens); i++) {
		auto_buf struct buf b = BUF_INIT;

		if (tokens[i].n <= 0)
			continue;
		label(&b, "kind", tokens[i].kind);
		model_labels(m, &b, provider, model);
		add(m->tokens, &b, tokens[i].n);
	}
}

void metrics_asked(struct metrics *m, const char *provider, enum fault fault, int64_t first_us,
		   int64_t us)
{
	auto_buf struct buf by_provider = BUF_INIT;
	auto_buf struct buf by_outcome = BUF_INIT;

	label(&by_provider, "provider", provider);
	label(&by_outcome, "provider", provider);
	label(&by_outcome, "outcome", fault == FAULT_NONE ? "answered" : fault_code(fault));
	add(m->requests, &by_outcome, 1);
	if (first_us >= 0)
		observe(m->first_us, &by_provider, first_us);
	observe(m->request_us, &by_provider, us);
}

void metrics_retry(struct metrics *m, const char *provider)
{
	auto_buf struct buf b = BUF_INIT;

	label(&b, "provider", provider);
	add(m->retries, &b, 1);
}

void metrics_call(struct metrics *m, const char *server, const char *status, int64_t ms)
{
	auto_buf struct buf by_status = BUF_INIT;
	auto_buf struct buf by_server = BUF_INIT;

	label(&by_status, "server", *server ? server : "none");
	label(&by_status, "status", status);
	add(m->calls, &by_status, 1);
	label(&by_server, "server", *server ? server : "none");
	observe(m->call_us, &by_server, ms * 1000);
}

/* --- what is told --- */

/* series: taken over. */
static json_t *family(json_t *all, const char *name, const char *type, const char *help,
		      json_t *series)
{
	json_t *f = json_pack("{s:s, s:s, s:s, s:o}", "name", name, "type", type, "help", help,
			      "series", series);

	REQUIRE(f);
	(void)json_array_append_new(all, f);
	return f;
}

static json_t *histogram(json_t *all, const char *name, const char *help, json_t *series,
			 const int64_t *bounds, size_t n)
{
	json_t *f = family(all, name, "histogram", help, series);
	json_t *le = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(le, json_integer(bounds[i]));
	(void)json_object_set_new(f, "le", le);
	return f;
}

static void in_seconds(json_t *f)
{
	(void)json_object_set_new(f, "unit", json_string("us"));
}

/* As it is now: what is counted on meanwhile must not change what is being told. */
static json_t *now(const json_t *series)
{
	json_t *copy = json_deep_copy(series);

	REQUIRE(copy);
	return copy;
}

static void tell_labelled(json_t *all, const struct metrics *m)
{
	(void)family(all, "turns_total", "counter", "turns that ended, by outcome", now(m->turns));
	(void)family(all, "turn_errors_total", "counter", "turns that failed, by code",
		     now(m->turn_errors));
	(void)family(all, "tokens_total", "counter", "tokens of turns that ended", now(m->tokens));
	(void)family(all, "provider_requests_total", "counter",
		     "questions to providers, by what came of them", now(m->requests));
	(void)family(all, "provider_retries_total", "counter", "tries after the first one",
		     now(m->retries));
	(void)family(all, "tool_calls_total", "counter", "tool calls that were settled",
		     now(m->calls));
	in_seconds(histogram(all, "turn_seconds", "from a turn's start to its end", now(m->turn_us),
			     model_bounds, N(model_bounds)));
	in_seconds(histogram(all, "provider_first_token_seconds",
			     "from a question to the first delta, retries included",
			     now(m->first_us), model_bounds, N(model_bounds)));
	in_seconds(histogram(all, "provider_request_seconds",
			     "from a question to the end of its answer, retries included",
			     now(m->request_us), model_bounds, N(model_bounds)));
	in_seconds(histogram(all, "tool_call_seconds",
			     "from a call to its result; waiting for people included",
			     now(m->call_us), model_bounds, N(model_bounds)));
}

static json_t *buckets(const uint64_t *counts, size_t n, uint64_t sum)
{
	json_t *h = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(h, json_integer((json_int_t)counts[i]));
	(void)json_array_append_new(h, json_integer((json_int_t)sum));
	return json_pack("{s:o}", "", h);
}

static void tell_log(json_t *all, const struct event_log_stats *s)
{
	in_seconds(histogram(all, "commit_seconds", "a commit, with its sync and any checkpoint",
			     buckets(s->commit_buckets, N(s->commit_buckets), s->commit_us_sum),
			     commit_bounds, N(commit_bounds)));
	(void)histogram(all, "commit_events", "events in one commit",
			buckets(s->batch_buckets, N(s->batch_buckets), s->events), batch_bounds,
			N(batch_bounds));
}

/* Numbers of fixed names: name, type, unit ("" or "us"), help, value. */
struct plain {
	const char *name, *type, *unit, *help;
	uint64_t value;
};

static void tell_plain(json_t *all, const struct plain *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		json_t *f = family(all, p[i].name, p[i].type, p[i].help,
				   json_pack("{s:I}", "", (json_int_t)p[i].value));

		if (*p[i].unit)
			in_seconds(f);
	}
}

static void tell_work(json_t *all, struct worker *w, const struct event_log_stats *l)
{
	const struct worker_stats *s = &w->stats;
	const struct plain plain[] = {
		{"turns_started_total", "counter", "", "turns that were started", s->turns_started},
		{"turns_resumed_total", "counter", "", "turns that were taken up after a restart",
		 s->turns_resumed},
		{"turns_running", "gauge", "", "turns that run", w->n_turns},
		{"sessions_loaded", "gauge", "", "sessions in memory", HASH_COUNT(w->sessions)},
		{"requests_total", "counter", "", "requests from streamerds", s->requests},
		{"events_stored_total", "counter", "", "events committed", l->events},
		{"event_bytes_total", "counter", "", "bytes of their payloads", l->bytes},
		{"events_published_total", "counter", "", "events sent to streamerds",
		 s->events_published},
		{"log_failures_total", "counter", "", "commits that failed", l->failures},
		{"log_read_failures_total", "counter", "", "reads that failed", query_failures()},
		{"log_pending_events", "gauge", "", "events that wait for a commit",
		 l->pending_events},
		{"log_pending_bytes", "gauge", "", "bytes that wait for a commit",
		 l->pending_bytes},
		{"log_stalled", "gauge", "", "1 while the log can't be written",
		 event_log_is_stalled(w->log)},
		{"checkpoints_total", "counter", "", "checkpoints", l->checkpoints},
		{"checkpoint_seconds_total", "counter", "us", "time spent in checkpoints",
		 l->checkpoint_us_sum},
		{"wal_bytes", "gauge", "", "size of the WAL after the last commit",
		 (uint64_t)l->wal_pages * 4096},
		{"bus_queue_bytes", "gauge", "", "bytes that streamerds have not taken yet",
		 links_queued(w)},
		{"worker_restarts_total", "counter", "", "workers that were started again",
		 (uint64_t)w->metrics->restarts},
	};

	tell_plain(all, plain, N(plain));
}

/* What only the log knows. What can't be read is left out: a 0 would be wrong. */
static void tell_read(json_t *all, struct worker *w)
{
	int64_t used, file, waiting, queued;

	if (query_open_turns(event_log_db(w->log), &waiting, &queued) == 1) {
		const struct plain turns[] = {
			{"turns_waiting", "gauge", "", "turns that wait for a person",
			 (uint64_t)waiting},
			{"turns_queued", "gauge", "", "messages that wait behind a turn",
			 (uint64_t)queued},
		};

		tell_plain(all, turns, N(turns));
	}
	if (keeper_size(w->keeper, &used, &file) == 0) {
		const struct plain sizes[] = {
			{"db_bytes", "gauge", "", "size of the database", (uint64_t)file},
			{"db_used_bytes", "gauge", "", "of it in use, as max_size counts it",
			 (uint64_t)used},
		};

		tell_plain(all, sizes, N(sizes));
	}
}

/* What concerns the log as a whole: worker 0 tells it for all. */
static void tell_whole(json_t *all, struct worker *w)
{
	const struct retention_stats *r = keeper_stats(w->keeper);
	const struct plain plain[] = {
		{"retention_rounds_total", "counter", "", "rounds of retention", r->rounds},
		{"retention_events_total", "counter", "", "events it took out", r->events},
		{"retention_turns_total", "counter", "", "turns it folded", r->turns_folded},
		{"retention_sessions_total", "counter", "", "sessions it removed",
		 r->sessions_removed},
		{"retention_given_back_bytes_total", "counter", "", "bytes given back to the disk",
		 r->pages_given_back * 4096},
		{"retention_seconds_total", "counter", "us", "time spent in its transactions",
		 r->us},
		{"retention_slice_max_seconds", "gauge", "us", "the longest of them", r->us_max},
		{"retention_failures_total", "counter", "", "rounds that failed", r->failures},
	};

	tell_read(all, w);
	tell_plain(all, plain, N(plain));
}

json_t *metrics_json(struct worker *w)
{
	const struct event_log_stats *l = event_log_stats(w->log);
	json_t *all = json_array();

	(void)family(all, "build_info", "gauge", "1; the label says which version runs",
		     json_pack("{s:i}", "version=\"" CHATD_VERSION "\"", 1));
	tell_labelled(all, w->metrics);
	tell_log(all, l);
	tell_work(all, w, l);
	if (w->index == 0)
		tell_whole(all, w);
	return all;
}
