/*
 * asking.c - asking a provider over HTTP, from the first try to the result. See provider.h.
 *
 *	            connected          first byte            end, error, [DONE]
 *	CONNECTING ----------> WAITING ----------> STREAMING -------------------> DRAINING
 *	    ^  |                  |                    |                             |  |
 *	    |  | failed           | failed, cut        | over HTTP: an error body    |  |
 *	    |  '------------------'--------------------'---------------------------->'  |
 *	    |                                                                        |  |
 *	    '------- BACKOFF <------- may be tried again ----------------------------'  |
 *	                                                               no, or all well  v
 *	                                                                              ENDED
 *
 * In: bytes and outcomes from transfer.c. Out: deltas, `retry`, one `done`. The mapping of bytes is
 * reply.c's, the decision to try again is retry.c's; here is the order of things:
 *
 *   - DRAINING means that the body is over (or nothing in it matters any more) and the last deltas
 *     are being told; a pause may hold it there. Only then is the outcome looked at, so a failure
 *never overtakes the text that came before it.
 *   - Nothing was told yet and the failure allows it: BACKOFF, and a new try with the same request.
 *     After the first delta there is no way back: the person has read it (PRV-4). A time-out while
 *     waiting for the first byte is not tried again either: it has cost minutes, and the provider
 *may be at work on that very request.
 *   - The end of the stream without the provider's word that it is done is a failure (FAF-7), even
 *     if all that came looks fine. With that word, a lost connection does no harm.
 *
 * The owner is whoever called provider_ask(), until `done` or asking_cancel(). A callback may
 * cancel: `busy` is up while one may be on the stack, and the memory goes when it is down again.
 */
#include "chatd/provider/asking.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/provider/provider_error.h"
#include "chatd/provider/retry.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/require.h"

enum asking_state { CONNECTING, WAITING, STREAMING, DRAINING, BACKOFF, ENDED };

#define TO(state) (1u << (state))

static const struct {
	const char *name;
	unsigned next; /* states that may follow */
} states[] = {
	[CONNECTING] = {"connecting", TO(WAITING) | TO(DRAINING) | TO(ENDED)},
	[WAITING] = {"waiting", TO(STREAMING) | TO(DRAINING) | TO(ENDED)},
	[STREAMING] = {"streaming", TO(DRAINING) | TO(ENDED)},
	[DRAINING] = {"draining", TO(BACKOFF) | TO(ENDED)},
	[BACKOFF] = {"backoff", TO(CONNECTING) | TO(ENDED)},
	[ENDED] = {"ended", 0},
};

struct http_asking {
	struct asking base;
	enum asking_state state;
	struct provider_env *env;	 /* borrowed */
	struct provider_conf *conf;	 /* a reference */
	const struct protocol *protocol; /* static */
	const struct answer_ops *ops;
	void *arg;
	char *session_id, *turn_id;	 /* owned; for log lines */
	struct provider_request request; /* the same for each try */
	struct event *timer;		 /* end of BACKOFF; going on after a pause in DRAINING */
	/* this try */
	struct transfer *transfer; /* owned; NULL once it is over */
	struct reply reply;
	struct answer_head head;
	struct buf error_body;	     /* of an answer with an error status */
	struct provider_usage spent; /* of the tries before this one */
	struct provider_usage usage; /* as last told: spent and what this try said of itself */
	int tries;
	bool told; /* a delta reached the listener */
	bool paused;
	int busy; /* callbacks on the stack */
};

static void start(struct http_asking *a);

static void move(struct http_asking *a, enum asking_state to)
{
	REQUIRE(states[a->state].next & TO(to));
	log_debug("asking.state", "session=%s turn=%s provider=%s try=%d from=%s to=%s",
		  a->session_id, a->turn_id, a->conf->name, a->tries, states[a->state].name,
		  states[to].name);
	a->state = to;
}

static void destroy(struct http_asking *a)
{
	reply_fini(&a->reply);
	answer_head_fini(&a->head);
	buf_fini(&a->error_body);
	provider_request_fini(&a->request);
	event_free(a->timer);
	provider_conf_unref(a->conf);
	free(a->session_id);
	free(a->turn_id);
	free(a);
}

static void enter(struct http_asking *a)
{
	a->busy++;
}

static void leave(struct http_asking *a)
{
	if (--a->busy == 0 && a->state == ENDED)
		destroy(a);
}

/* Tells the deltas that wait. True: none is left, and whoever listens still wants more. */
static bool drain(struct http_asking *a)
{
	enum delta_kind kind;
	struct str text;

	while (a->state != ENDED && !a->paused) {
		if (!answer_next(&a->reply.answer, &kind, &text))
			return true;
		a->told = true;
		if (kind == DELTA_TEXT)
			a->ops->text(a->arg, text.p, text.n);
		else
			a->ops->reasoning(a->arg, text.p, text.n);
	}
	return false;
}

static struct provider_usage sum_usage(const struct http_asking *a)
{
	struct provider_usage sum = a->spent;

	provider_usage_add(&sum, &a->reply.answer.usage);
	return sum;
}

static bool same_usage(const struct provider_usage *a, const struct provider_usage *b)
{
	return a->input == b->input && a->output == b->output && a->cache_read == b->cache_read &&
	       a->cache_write == b->cache_write;
}

static void tell_usage(struct http_asking *a)
{
	struct provider_usage sum = sum_usage(a);

	if (same_usage(&sum, &a->usage))
		return;
	a->usage = sum;
	a->ops->usage(a->arg, &sum);
}

static void drop_transfer(struct http_asking *a)
{
	if (a->transfer)
		transfer_cancel(a->transfer);
	a->transfer = NULL;
}

static void end(struct http_asking *a)
{
	struct provider_result result;

	answer_result(&a->reply.answer, &result);
	result.usage = sum_usage(a);
	move(a, ENDED);
	a->ops->done(a->arg, &result);
}

static void try_again(struct http_asking *a, int64_t wait_ms)
{
	struct timeval tv = {wait_ms / 1000, (wait_ms % 1000) * 1000};

	move(a, BACKOFF);
	a->ops->retry(a->arg, &a->reply.answer.problem.error, wait_ms);
	if (a->state == BACKOFF)
		REQUIRE(event_add(a->timer, &tv) == 0);
}

/* In DRAINING: tells what is left, then decides. */
static void conclude(struct http_asking *a)
{
	struct problem *p = &a->reply.answer.problem;
	int64_t wait_ms = 0;

	if (!drain(a))
		return;
	problem_hide(p, a->conf->api_key);
	if (p->fault != FAULT_NONE && retry_decide(&p->error, a->tries, a->conf->max_retries,
						   a->told, backoff_random(), &wait_ms))
		try_again(a, wait_ms);
	else
		end(a);
}

/* The answer to an HTTP error status is complete, or as much of it as is wanted. */
static void conclude_http_error(struct http_asking *a)
{
	provider_error_from_http(&a->reply.answer.problem, &a->head, a->error_body.data,
				 a->error_body.len, clock_wall_ms());
	drop_transfer(a);
	move(a, DRAINING);
	conclude(a);
}

/* The body is over, or what follows does not matter. */
static void conclude_stream(struct http_asking *a)
{
	drop_transfer(a);
	move(a, DRAINING);
	reply_end(&a->reply);
	conclude(a);
}

static bool is_success(const struct http_asking *a)
{
	return a->head.status >= 200 && a->head.status <= 299;
}

/* --- from transfer.c --- */

static void on_connected(void *arg)
{
	move(arg, WAITING);
}

static void on_head(void *arg, const struct answer_head *head)
{
	struct http_asking *a = arg;

	answer_head_set(&a->head, head->status);
	buf_add(&a->head.lines, head->lines.data, head->lines.len);
}

static void on_error_data(struct http_asking *a, const char *p, size_t n)
{
	if (n > LIMIT_ERROR_BODY - a->error_body.len)
		n = LIMIT_ERROR_BODY - a->error_body.len;
	buf_add(&a->error_body, p, n);
	if (a->error_body.len == LIMIT_ERROR_BODY)
		conclude_http_error(a);
}

static size_t on_stream_data(struct http_asking *a, const char *p, size_t n)
{
	size_t left = n;

	while (drain(a)) {
		if (a->reply.answer.over) {
			conclude_stream(a);
			break;
		}
		if (left == 0)
			break;
		(void)reply_feed(&a->reply, &p, &left);
		tell_usage(a);
	}
	return n - left;
}

static size_t on_data(void *arg, const char *p, size_t n)
{
	struct http_asking *a = arg;
	size_t taken = n;

	enter(a);
	if (a->state == WAITING && n > 0)
		move(a, STREAMING);
	if (is_success(a))
		taken = on_stream_data(a, p, n);
	else if (n > 0)
		on_error_data(a, p, n);
	leave(a);
	return taken;
}

static void set_transfer_problem(struct http_asking *a, enum transfer_outcome how, const char *why)
{
	struct problem *p = &a->reply.answer.problem;
	int status = a->head.status;
	enum fault fault = FAULT_PROVIDER_UNREACHABLE;
	bool retryable = false;

	switch (how) {
	case TRANSFER_OK: /* was dealt with */
	case TRANSFER_UNTRUSTED:
		break;
	case TRANSFER_UNREACHABLE:
		retryable = true;
		break;
	case TRANSFER_NO_CONNECTION:
		fault = FAULT_PROVIDER_TIMEOUT;
		retryable = true;
		break;
	case TRANSFER_NO_FIRST_BYTE:
	case TRANSFER_IDLE:
		fault = FAULT_PROVIDER_TIMEOUT;
		break;
	case TRANSFER_BROKEN:
		retryable = true;
		if (status) {
			problem_set(p, FAULT_PROVIDER_TRUNCATED, status, str_of("truncated"),
				    str_of(NULL), str_of(why));
			p->error.retryable = retryable;
			return;
		}
		break;
	case TRANSFER_GARBLED:
	case TRANSFER_TOO_LARGE:
		fault = FAULT_PROVIDER_PROTOCOL;
		break;
	}
	problem_ours(p, fault, status, "%s", why);
	p->error.retryable = retryable;
}

static void on_end(void *arg, enum transfer_outcome how, const char *why)
{
	struct http_asking *a = arg;
	struct answer *answer = &a->reply.answer;

	a->transfer = NULL;
	enter(a);
	if (a->head.status && !is_success(a)) {
		/* however it ended: the status says enough */
		conclude_http_error(a);
	} else {
		move(a, DRAINING);
		if (how != TRANSFER_OK && !answer->finished)
			set_transfer_problem(a, how, why);
		reply_end(&a->reply);
		conclude(a);
	}
	leave(a);
}

static const struct transfer_ops transfer_ops = {on_connected, on_head, on_data, on_end};

/* --- from the loop and the owner --- */

static void start(struct http_asking *a)
{
	struct transfer_request req = {
		.url = a->request.url,
		.headers = (const char *const *)a->request.headers,
		.n_headers = a->request.n_headers,
		.body = {a->request.body.data, a->request.body.len},
		.connect_ms = a->conf->connect_ms,
		.first_byte_ms = a->conf->first_byte_ms,
		.idle_ms = a->conf->idle_ms,
		.max_bytes = LIMIT_STREAM,
	};

	a->tries++;
	a->spent = sum_usage(a);
	reply_fini(&a->reply);
	reply_init(&a->reply, a->protocol->dialect);
	answer_head_set(&a->head, 0);
	buf_clear(&a->error_body);
	a->transfer = transfer_start(a->env->pool, &req, &transfer_ops, a);
	transfer_pause(a->transfer, a->paused);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct http_asking *a = arg;

	enter(a);
	if (a->state == BACKOFF) {
		move(a, CONNECTING);
		start(a);
	} else if (a->state == DRAINING) {
		conclude(a);
	}
	leave(a);
}

static void cancel(struct asking *base)
{
	struct http_asking *a = (struct http_asking *)base;

	if (a->state == ENDED)
		return; /* inside its own `done` */
	(void)event_del(a->timer);
	drop_transfer(a);
	enter(a);
	move(a, ENDED);
	leave(a);
}

static void pause(struct asking *base, bool paused)
{
	struct http_asking *a = (struct http_asking *)base;

	if (a->state == ENDED || a->paused == paused)
		return;
	a->paused = paused;
	if (a->transfer)
		transfer_pause(a->transfer, paused);
	else if (!paused && a->state == DRAINING)
		event_active(a->timer, EV_TIMEOUT, 1);
}

static const struct asking_class http_class = {cancel, pause};

static char *copy_or_dash(const char *s)
{
	return str_dup(str_of(s ? s : "-"));
}

struct asking *http_asking_new(struct provider_env *e, const struct protocol *p,
			       const struct question *q, const struct answer_ops *ops, void *arg)
{
	struct http_asking *a = calloc(1, sizeof(*a));

	REQUIRE(a);
	a->base.class = &http_class;
	a->env = e;
	a->conf = provider_conf_ref(q->conf);
	a->protocol = p;
	a->ops = ops;
	a->arg = arg;
	a->session_id = copy_or_dash(q->session_id);
	a->turn_id = copy_or_dash(q->turn_id);
	a->timer = event_new(e->base, -1, 0, on_timer, a);
	REQUIRE(a->timer);
	p->request(&a->request, q);
	reply_init(&a->reply, p->dialect);
	a->spent = a->usage = (struct provider_usage){false, -1, -1, -1, -1};
	start(a);
	return &a->base;
}
