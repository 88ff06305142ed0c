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
#include "streamerd/metrics.h"
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
	json_t *families;  /* owned: what they count (metrics.h) */
};

static void add_status(struct gather *g, struct str body)
{
	auto_json json_t *status = json_read(body.p, body.n, NULL, 0);
	long long worker = 0;

	g->answered++;
	if (json_is_true(json_object_get(status, "log_writable")))
		g->writable++;
	(void)json_get_int(status, "worker", &worker); /* 0 if absent */
	metrics_add(g->families, (unsigned)worker, json_object_get(status, "metrics"));
}

static void one_less(struct gather *g)
{
	if (--g->open > 0)
		return;
	g->done(g);
	json_decref(g->families);
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
	g->families = json_object();
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

/* *last: the metric of the line before; lines of one follow each other and have one head. */
static void add_value(struct buf *b, const char **last, const char *type, const char *labels,
		      const char *metric, const char *help, unsigned long long value)
{
	if (strcmp(*last, metric) != 0)
		metrics_head(b, "streamerd", metric, type, help);
	*last = metric;
	buf_addf(b, "streamerd_%s%s%s%s %llu\n", metric, *labels ? "{" : "", labels,
		 *labels ? "}" : "", value);
}

static void add_own(struct buf *b)
{
	const char *last = "";
	struct stats sum;

	shared_sum(&sum);
#define S(name, type, labels, metric, help) \
	add_value(b, &last, type, labels, metric, help, sum.name);
	STATS(S)
#undef S
}

static void metrics_done(struct gather *g)
{
	auto_buf struct buf b = BUF_INIT;

	add_own(&b);
	metrics_head(&b, "streamerd", "build_info", "gauge",
		     "1; the label says which version runs");
	buf_addf(&b, "streamerd_build_info{version=\"%s\"} 1\n", CHATD_VERSION);
	metrics_head(&b, "chatd", "workers", "gauge", "workers that chatd has");
	buf_addf(&b, "chatd_workers %u\n", backend_workers(g->app->backend));
	metrics_head(&b, "chatd", "workers_up", "gauge", "workers that answered");
	buf_addf(&b, "chatd_workers_up %u\n", g->answered);
	metrics_head(&b, "chatd", "workers_writable", "gauge", "workers that can write the log");
	buf_addf(&b, "chatd_workers_writable %u\n", g->writable);
	metrics_write(&b, g->families);
	reply_with(g->app->options, g->req, 200, "text/plain; version=0.0.4; charset=utf-8",
		   "Cache-Control: no-store\r\n", (struct str){b.data, b.len});
}

void api_metrics(struct app *app, struct http_request *req, const struct call_info *info)
{
	gather(app, req, metrics_done);
}
