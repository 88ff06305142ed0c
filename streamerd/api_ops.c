/*
 * api_ops.c - what operators ask: /healthz, /readyz, /metrics.
 *
 * healthz says that this process answers. readyz asks every worker for its status: ready is when
 * all are reached and each can write its log. metrics are the sums over all serving
 * processes, whichever is asked, and the sums of the workers' own; a worker that does not answer is
 * left out of the sums and shows in chatd_workers_up.
 */
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/require.h"
#include "streamerd/app.h"
#include "streamerd/reply.h"
#include "streamerd/shared.h"

/* One request that waits for the status of every worker. */
struct gather {
	struct app *app;
	struct http_request *req;
	void (*done)(struct gather *g);
	unsigned open;	   /* answers that are still to come, and one while asking */
	unsigned answered; /* workers that did */
	unsigned writable; /* of them, those whose log can be written */
	json_t *sums;	   /* owned: name → number, or array of numbers */
};

static void add_number(json_t *sums, const char *name, const json_t *value)
{
	json_t *sum = json_object_get(sums, name);

	if (!json_is_integer(value) || strcmp(name, "worker") == 0)
		return;
	if (sum)
		(void)json_integer_set(sum, json_integer_value(sum) + json_integer_value(value));
	else
		(void)json_object_set_new(sums, name, json_integer(json_integer_value(value)));
}

static void add_array(json_t *sums, const char *name, const json_t *values)
{
	json_t *sum = json_object_get(sums, name);
	const json_t *value;
	size_t i;

	if (!json_is_array(values))
		return;
	if (!sum) {
		sum = json_array();
		(void)json_object_set_new(sums, name, sum);
	}
	json_array_foreach (values, i, value) {
		json_t *old = json_array_get(sum, i);

		if (old)
			(void)json_integer_set(old,
					       json_integer_value(old) + json_integer_value(value));
		else
			(void)json_array_append_new(sum, json_integer(json_integer_value(value)));
	}
}

static void add_status(struct gather *g, struct str body)
{
	auto_json json_t *status = json_read(body.p, body.n, NULL, 0);
	const char *name;
	json_t *value;

	g->answered++;
	if (json_is_true(json_object_get(status, "log_writable")))
		g->writable++;
	json_object_foreach (status, name, value) {
		add_number(g->sums, name, value);
		add_array(g->sums, name, value);
	}
}

static void one_less(struct gather *g)
{
	if (--g->open > 0)
		return;
	g->done(g);
	json_decref(g->sums);
	free(g);
}

static void on_status(void *arg, const struct msg *answer, enum fault why)
{
	struct gather *g = arg;

	if (answer && answer->type == MSG_REPLY && answer->reply.fault == FAULT_NONE)
		add_status(g, answer->reply.body);
	one_less(g);
}

static void gather(struct app *app, struct http_request *req, void (*done)(struct gather *g))
{
	struct gather *g = calloc(1, sizeof(*g));

	REQUIRE(g);
	g->app = app;
	g->req = req;
	g->done = done;
	g->sums = json_object();
	g->open = 1;
	for (unsigned i = 0; i < backend_workers(app->backend); i++) {
		struct msg m = {.type = MSG_STATUS};

		if (backend_call(app->backend, i, &m, on_status, g))
			g->open++;
	}
	one_less(g);
}

void api_healthz(struct app *app, struct http_request *req, const struct call_info *info)
{
	reply_json(app->options, req, 200, str_of("{\"status\":\"ok\"}"));
}

static void ready_done(struct gather *g)
{
	unsigned workers = backend_workers(g->app->backend);
	auto_buf struct buf b = BUF_INIT;

	if (workers == 0 || g->answered < workers) {
		reply_fault(g->app->options, g->req, FAULT_WORKER_UNAVAILABLE,
			    workers ? "not every worker is reachable"
				    : "no worker has been reached",
			    NULL);
	} else if (g->writable < workers) {
		reply_fault(g->app->options, g->req, FAULT_LOG_UNAVAILABLE, NULL, NULL);
	} else {
		buf_addf(&b, "{\"status\":\"ready\",\"workers\":%u}", workers);
		reply_json(g->app->options, g->req, 200, (struct str){b.data, b.len});
	}
}

void api_readyz(struct app *app, struct http_request *req, const struct call_info *info)
{
	gather(app, req, ready_done);
}

static void add_help(struct buf *b, const char *prefix, const char *name, const char *type,
		     const char *help)
{
	if (*help)
		buf_addf(b, "# HELP %s_%s %s\n", prefix, name, help);
	buf_addf(b, "# TYPE %s_%s %s\n", prefix, name, type);
}

static void add_own(struct buf *b)
{
	const char *last = "";
	struct stats sum;

	shared_sum(&sum);
#define S(name, type, labels, metric, help)                                          \
	if (strcmp(last, metric) != 0)                                               \
		add_help(b, "streamerd", metric, type, help);                        \
	last = metric;                                                               \
	buf_addf(b, "streamerd_%s%s%s%s %llu\n", metric, *labels ? "{" : "", labels, \
		 *labels ? "}" : "", (unsigned long long)sum.name);
	STATS(S)
#undef S
}

/* Of the workers' numbers, those that go down again; the others are counters. */
static const char *const gauges[] = {"turns_active", "sessions_loaded", "wal_pages"};

static bool is_gauge(const char *name)
{
	for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
		if (strcmp(gauges[i], name) == 0)
			return true;
	}
	return false;
}

/* Upper bounds of the workers' commit_buckets, in seconds. */
static const char *const commit_bounds[] = {"0.00025", "0.0005", "0.001", "0.0025",
					    "0.005",   "0.01",	 "0.05",  "+Inf"};

/* commit_buckets and commit_us_sum as a Prometheus histogram. */
static void add_commits(struct buf *b, const json_t *sums)
{
	const json_t *buckets = json_object_get(sums, "commit_buckets");
	long long us = 0, count = 0;

	if (!json_is_array(buckets))
		return;
	(void)json_get_int(sums, "commit_us_sum", &us); /* 0 if absent */
	add_help(b, "chatd", "commit_seconds", "histogram", "time that a commit took");
	for (size_t i = 0; i < sizeof(commit_bounds) / sizeof(commit_bounds[0]); i++) {
		count += json_integer_value(json_array_get(buckets, i));
		buf_addf(b, "chatd_commit_seconds_bucket{le=\"%s\"} %lld\n", commit_bounds[i],
			 count);
	}
	buf_addf(b, "chatd_commit_seconds_sum %.6f\nchatd_commit_seconds_count %lld\n",
		 (double)us / 1e6, count);
}

static void metrics_done(struct gather *g)
{
	auto_buf struct buf b = BUF_INIT;
	const char *name;
	json_t *value;

	add_own(&b);
	add_help(&b, "chatd", "workers", "gauge", "workers that chatd has");
	buf_addf(&b, "chatd_workers %u\n", backend_workers(g->app->backend));
	add_help(&b, "chatd", "workers_up", "gauge", "workers that answered");
	buf_addf(&b, "chatd_workers_up %u\n", g->answered);
	add_help(&b, "chatd", "workers_writable", "gauge", "workers that can write the log");
	buf_addf(&b, "chatd_workers_writable %u\n", g->writable);
	json_object_foreach (g->sums, name, value) {
		const char *suffix = is_gauge(name) ? "" : "_total";

		if (!json_is_integer(value) || strcmp(name, "commit_us_sum") == 0)
			continue;
		buf_addf(&b, "# TYPE chatd_%s%s %s\nchatd_%s%s %lld\n", name, suffix,
			 *suffix ? "counter" : "gauge", name, suffix,
			 (long long)json_integer_value(value));
	}
	add_commits(&b, g->sums);
	reply_with(g->app->options, g->req, 200, "text/plain; version=0.0.4; charset=utf-8",
		   "Cache-Control: no-store\r\n", (struct str){b.data, b.len});
}

void api_metrics(struct app *app, struct http_request *req, const struct call_info *info)
{
	gather(app, req, metrics_done);
}
