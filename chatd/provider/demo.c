/*
 * demo.c - the built-in provider. See demo.h.
 *
 * An answer is a script (demo_script.c), made when the question comes and played by a timer:
 *
 *	question --> script: [reasoning "..."] [text "..."] [call] --> timer --> deltas, done
 *
 * A step is told in pieces: words with the blanks behind them, or runs of `size` bytes. How many
 * pieces are due follows from the time since the start (without pauses), so the rate holds however
 * late the loop comes; one pass of the loop tells at most BURST, so that a fast demo leaves room
 * for everybody else. A new kind of step is a line in `enum demo_step_kind` and a case in
 * play().
 *
 * There is nothing to retry and nothing to wait for: the only states are playing and ended.
 */
#include "chatd/provider/demo.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/provider/demo_script.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/require.h"

#define BURST	    64 /* chunks of one pass */
#define TICK_MIN_MS 5  /* a faster rate tells several chunks a tick */

struct demo_asking {
	struct asking base;
	struct provider_conf *conf; /* a reference */
	const struct answer_ops *ops;
	void *arg;
	struct event *timer;
	struct demo_script script;
	size_t step;
	size_t at;	    /* bytes, or chunks, of the current step that were told */
	int64_t started_ms; /* monotonic; moved on by pauses */
	int64_t told;	    /* chunks */
	int64_t words_in, words_out;
	bool in_word; /* the last byte told was part of a word */
	bool paused;
	bool busy, ended;
};

static int64_t count_words(const char *p, size_t n, bool *in_word)
{
	int64_t words = 0;

	for (size_t i = 0; i < n; i++) {
		bool blank = p[i] == ' ' || p[i] == '\n' || p[i] == '\t' || p[i] == '\r';

		if (!blank && !*in_word)
			words++;
		*in_word = !blank;
	}
	return words;
}

/* --- playing it --- */

/* The next piece of a text: a word and the blanks behind it. */
static size_t piece_length(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] != ' ' && p[i] != '\n')
		i++;
	while (i < n && (p[i] == ' ' || p[i] == '\n'))
		i++;
	return i;
}

/* by: the step that ends it, or NULL at the end of the script. */
static void finish(struct demo_asking *d, const struct demo_step *by)
{
	bool failed = by && by->kind == DEMO_FAIL;
	bool calls = by && by->kind == DEMO_CALL;
	char id[ID_LEN];
	struct provider_call call = {.id = id};
	struct provider_result r = {
		.fault = failed ? FAULT_PROVIDER_ERROR : FAULT_NONE,
		.error = {.http_status = failed ? 500 : 0,
			  .type = failed ? "demo_error" : NULL,
			  .message = failed ? "the demo fails because it was asked to" : NULL,
			  .retry_after_ms = -1},
		.stop_reason = failed  ? NULL
			       : calls ? "tool_calls"
				       : "stop",
		.usage = {true, d->words_in, d->words_out, -1, -1},
		.calls = calls ? &call : NULL,
		.n_calls = calls,
	};

	if (calls) {
		id_new("call", id);
		call.name = by->tool;
		call.arguments = (struct str){by->text.data, by->text.len};
	}
	d->ended = true;
	d->ops->done(d->arg, &r);
}

static void say(struct demo_asking *d, bool reasoning, const char *p, size_t n)
{
	if (d->told++ == 0) { /* as real ones do: the question's cost with the first bytes */
		struct provider_usage u = {true, d->words_in, -1, -1, -1};

		d->ops->usage(d->arg, &u);
	}
	d->words_out += count_words(p, n, &d->in_word);
	if (reasoning)
		d->ops->reasoning(d->arg, p, n);
	else
		d->ops->text(d->arg, p, n);
}

static void next_step(struct demo_asking *d)
{
	d->step++;
	d->at = 0;
	d->in_word = false;
}

/* One chunk of the script, or its end. */
static void play(struct demo_asking *d)
{
	const struct demo_step *s = &d->script.steps[d->step];
	const char *p;
	size_t n;

	if (d->step == d->script.n) {
		finish(d, NULL);
		return;
	}
	switch (s->kind) {
	case DEMO_REASONING:
	case DEMO_TEXT:
		p = s->text.data + d->at;
		n = piece_length(p, s->text.len - d->at);
		d->at += n;
		if (d->at == s->text.len)
			next_step(d);
		say(d, s->kind == DEMO_REASONING, p, n);
		break;
	case DEMO_FILL:
		if (++d->at == s->chunks)
			next_step(d);
		say(d, false, s->text.data, s->text.len);
		break;
	case DEMO_FAIL:
	case DEMO_CALL:
		finish(d, s);
		break;
	}
}

static int64_t chunks_due(const struct demo_asking *d)
{
	if (d->conf->rate == 0)
		return d->told + BURST;
	return 1 + (clock_mono_ms() - d->started_ms) * d->conf->rate / 1000;
}

static void arm(struct demo_asking *d)
{
	int64_t ms = 0;
	struct timeval tv;

	if (d->conf->rate > 0) {
		ms = 1000 / d->conf->rate;
		if (ms < TICK_MIN_MS)
			ms = TICK_MIN_MS;
	}
	tv = (struct timeval){ms / 1000, (ms % 1000) * 1000};
	REQUIRE(event_add(d->timer, &tv) == 0);
}

static void destroy(struct demo_asking *d)
{
	demo_script_fini(&d->script);
	event_free(d->timer);
	provider_conf_unref(d->conf);
	free(d);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct demo_asking *d = arg;
	int64_t due = chunks_due(d);

	d->busy = true;
	for (int i = 0; i < BURST && d->told < due && !d->ended && !d->paused; i++)
		play(d);
	d->busy = false;
	if (d->ended)
		destroy(d);
	else if (!d->paused)
		arm(d);
}

static void cancel(struct asking *base)
{
	struct demo_asking *d = (struct demo_asking *)base;

	if (d->ended)
		return; /* inside its own `done`, or cancelled already in this callback */
	d->ended = true;
	if (!d->busy)
		destroy(d);
}

static void pause(struct asking *base, bool paused)
{
	struct demo_asking *d = (struct demo_asking *)base;

	if (d->ended || d->paused == paused)
		return;
	d->paused = paused;
	if (paused) {
		(void)event_del(d->timer);
		return;
	}
	/* as if the told chunks had come in time: no burst makes up for the pause */
	if (d->conf->rate > 0)
		d->started_ms = clock_mono_ms() - d->told * 1000 / d->conf->rate;
	arm(d);
}

static const struct asking_class demo_class = {cancel, pause};

struct asking *demo_asking_new(struct provider_env *e, const struct question *q,
			       const struct answer_ops *ops, void *arg)
{
	struct demo_asking *d = calloc(1, sizeof(*d));
	bool in_word = false;

	REQUIRE(d);
	d->base.class = &demo_class;
	d->conf = provider_conf_ref(q->conf);
	d->ops = ops;
	d->arg = arg;
	demo_script_write(&d->script, q);
	d->words_in = count_words(d->script.message.data, d->script.message.len, &in_word);
	d->timer = event_new(e->base, -1, 0, on_timer, d);
	REQUIRE(d->timer);
	d->started_ms = clock_mono_ms();
	arm(d);
	return &d->base;
}
