/*
 * stats.c - `chatctl stats`: what the log holds, and what the workers do.
 *
 * The log's half needs no daemon; a worker that does not answer is shown as that.
 */
#include <stdio.h>

#include "chatd/ctl/act.h"
#include "chatd/ctl/log_reader.h"
#include "chatd/ctl/rows.h"

static const char turns_sql[] =
	"SELECT state, count(*) AS turns, sum(input_tokens) AS input_tokens, "
	"sum(output_tokens) AS output_tokens FROM turns GROUP BY state";
static const char log_sql[] =
	"SELECT (SELECT count(*) FROM sessions WHERE removed_at IS NULL) AS sessions, "
	"(SELECT count(*) FROM messages) AS messages, "
	"(SELECT count(*) FROM prompts WHERE state = 'open') AS open_prompts, "
	"(SELECT max(row) FROM events) AS last_event_row, "
	"(SELECT page_count FROM pragma_page_count()) * (SELECT page_size FROM pragma_page_size()) "
	"AS log_bytes, (SELECT freelist_count FROM pragma_freelist_count()) * "
	"(SELECT page_size FROM pragma_page_size()) AS free_bytes";

static json_t *worker(const struct ctl *c, unsigned i, unsigned *workers)
{
	auto_buf struct buf body = BUF_INIT;
	struct msg m = {.type = MSG_STATUS};
	const char *why;
	struct bus_client *b = bus_client_open_worker(c->bus_dir, i, &why);
	json_t *o = NULL;

	if (!b)
		return json_pack("{s:i, s:s}", "worker", (int)i, "error", why);
	*workers = bus_client_workers(b);
	m.status.req = bus_client_req(b);
	if (bus_client_ask(b, &m, &body) == FAULT_NONE)
		o = json_read(body.data, body.len, NULL, 0);
	bus_client_close(b);
	return o ? o : json_pack("{s:i, s:s}", "worker", (int)i, "error", "no answer");
}

static json_t *workers(const struct ctl *c)
{
	json_t *all = json_array();
	unsigned n = 1;

	for (unsigned i = 0; i < n; i++)
		(void)json_array_append_new(all, worker(c, i, &n));
	return all;
}

static void print_object(const json_t *o)
{
	const char *key;
	json_t *v;

	json_object_foreach ((json_t *)o, key, v)
		(void)printf("%-16s %lld\n", key, (long long)json_integer_value(v));
}

int stats_main(struct ctl *c, int argc, char **argv)
{
	static const struct option options[] = {CTL_OPTIONS};
	auto_json json_t *all = json_object();
	struct log_reader r;
	int status = CTL_OK;

	if (ctl_getopt(c, argc, argv, options) != -1 || optind != argc)
		return ctl_fail("usage: chatctl stats [--json]");
	if (ctl_locate(c) != 0)
		return CTL_FAILED;
	if (log_reader_open(&r, c->log_path) == 0) {
		auto_stmt sqlite3_stmt *log = log_reader_query(&r, log_sql, "");
		auto_stmt sqlite3_stmt *turns = log_reader_query(&r, turns_sql, "");

		(void)json_object_set_new(all, "log", rows_read_one(&r, log, NULL));
		(void)json_object_set_new(all, "turns", rows_read(&r, turns, NULL));
	}
	if (r.failed)
		status = ctl_fail("%s: %s", c->log_path, r.why);
	log_reader_close(&r);
	if (status != CTL_OK)
		return status;
	(void)json_object_set_new(all, "workers", workers(c));
	if (c->json) {
		rows_print_json(all);
		return CTL_OK;
	}
	print_object(json_get(all, "log"));
	(void)putchar('\n');
	rows_print(json_get(all, "turns"), "state turns input_tokens output_tokens", "no turns");
	(void)putchar('\n');
	rows_print(json_get(all, "workers"),
		   "worker turns_active sessions_loaded turns_done turns_failed events_stored "
		   "commits provider_errors error",
		   "no workers");
	return CTL_OK;
}
