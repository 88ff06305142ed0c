/*
 * listener.c - somebody who asks a provider and notes what is told. See listener.h.
 */
#include "tests/unit/provider/listener.h"

#include "common/clock.h"
#include "tests/unit/provider/run_cases.h"

static void copy(char *out, size_t size, const char *s)
{
	(void)snprintf(out, size, "%s", s ? s : "");
}

static void act(struct listener *l, enum moment now)
{
	if (l->pause_at == now)
		asking_pause(l->asking, true);
	if (l->cancel_at == now) {
		asking_cancel(l->asking);
		l->asking = NULL;
	}
}

static void on_text(void *arg, const char *p, size_t n)
{
	struct listener *l = arg;

	ck_assert_uint_gt(n, 0);
	buf_add(&l->text, p, n);
	l->texts++;
	act(l, AT_TEXT);
}

static void on_reasoning(void *arg, const char *p, size_t n)
{
	struct listener *l = arg;

	buf_add(&l->reasoning, p, n);
	act(l, AT_REASONING);
}

static void on_usage(void *arg, const struct provider_usage *u)
{
	struct listener *l = arg;

	ck_assert(u->known);
	l->usages++;
	l->usage_so_far = *u;
}

static void on_retry(void *arg, const struct provider_error *e, int64_t wait_ms)
{
	struct listener *l = arg;

	l->retries++;
	l->retry_wait_ms = wait_ms;
	l->retry_status = e->http_status;
	act(l, AT_RETRY);
}

static void on_done(void *arg, const struct provider_result *r)
{
	struct listener *l = arg;

	l->dones++;
	l->fault = r->fault;
	l->http_status = r->error.http_status;
	copy(l->type, sizeof(l->type), r->error.type);
	copy(l->code, sizeof(l->code), r->error.code);
	copy(l->message, sizeof(l->message), r->error.message);
	copy(l->stop_reason, sizeof(l->stop_reason), r->stop_reason);
	l->retry_after_ms = r->error.retry_after_ms;
	l->retryable = r->error.retryable;
	l->n_calls = r->n_calls;
	l->usage = r->usage;
	act(l, AT_DONE);
	l->asking = NULL;
}

static const struct answer_ops ops = {on_text, on_reasoning, on_usage, on_retry, on_done};

static void set(char **field, const char *value)
{
	free(*field);
	*field = value ? str_dup(str_of(value)) : NULL;
}

void listener_init(struct listener *l, const char *type, const char *base_url)
{
	const char *key, *why;

	memset(l, 0, sizeof(*l));
	l->base = event_base_new();
	l->env = provider_env_new(l->base);
	l->conf = provider_conf_new("test");
	set(&l->conf->type, type);
	set(&l->conf->base_url, base_url);
	set(&l->conf->model, "m");
	l->conf->max_retries = 0;
	why = provider_conf_finish(l->conf, &key);
	ck_assert_msg(!why, "%s: %s", key, why);
}

void listener_fini(struct listener *l)
{
	asking_cancel(l->asking);
	provider_env_free(l->env);
	provider_conf_unref(l->conf);
	event_base_free(l->base);
	buf_fini(&l->text);
	buf_fini(&l->reasoning);
}

void listener_ask(struct listener *l, const char *message)
{
	json_t *messages = json_pack("[{s:s, s:s}]", "role", "user", "content", message);
	struct question q = {.conf = l->conf, .messages = messages};

	ck_assert(messages);
	l->asking = provider_ask(l->env, &q, &ops, l);
	json_decref(messages);
	ck_assert_int_eq(l->texts + l->dones + l->retries, 0); /* nothing inside the call */
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
}

static bool run_until(struct listener *l, const int *counter, int n, int64_t ms)
{
	struct event *tick = event_new(l->base, -1, EV_PERSIST, on_tick, NULL);
	struct timeval every = {0, 5000};
	int64_t deadline = clock_mono_ms() + ms;
	bool reached;

	(void)event_add(tick, &every);
	while (!(reached = counter && *counter >= n) && clock_mono_ms() < deadline)
		(void)event_base_loop(l->base, EVLOOP_ONCE);
	event_free(tick);
	return reached;
}

void listener_wait(struct listener *l, const int *counter, int n)
{
	ck_assert_msg(run_until(l, counter, n, 20000), "it does not come");
}

void listener_idle(struct listener *l, int ms)
{
	(void)run_until(l, NULL, 0, ms);
}
