/*
 * demo.c - the built-in provider. See demo.h.
 *
 * An answer is a script, made when the question comes and played by a timer:
 *
 *	question --> script: [reasoning "..."] [text "..."] ... [fail]  --> timer --> deltas, done
 *
 * A step is told in pieces: words with the blanks behind them, or runs of `size` bytes. How many
 * pieces are due follows from the time since the start (without pauses), so the rate holds however
 * late the loop comes; one pass of the loop tells at most BURST, so that a fast demo leaves room
 * for everybody else. A new kind of step is a line in `enum step_kind` and a case in play().
 *
 * There is nothing to retry and nothing to wait for: the only states are playing and ended.
 */
#include "chatd/provider/demo.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/require.h"

#define BURST	    64 /* chunks of one pass */
#define MAX_STEPS   16
#define QUOTED	    600 /* bytes of the message that are quoted */
#define TICK_MIN_MS 5	/* a faster rate tells several chunks a tick */

enum step_kind { STEP_REASONING, STEP_TEXT, STEP_FILL, STEP_FAIL };

struct step {
	enum step_kind kind;
	struct buf text; /* REASONING, TEXT: what to say. FILL: one chunk of it */
	size_t chunks;	 /* FILL: how many times */
};

struct demo_asking {
	struct asking base;
	struct provider_conf *conf; /* a reference */
	const struct answer_ops *ops;
	void *arg;
	struct event *timer;
	struct step steps[MAX_STEPS];
	size_t n_steps, step;
	size_t at;	    /* bytes, or chunks, of the current step that were told */
	int64_t started_ms; /* monotonic; moved on by pauses */
	int64_t told;	    /* chunks */
	int64_t words_in, words_out;
	bool in_word; /* the last byte told was part of a word */
	bool paused;
	bool busy, ended;
};

/* --- the script --- */

static struct buf *add_step(struct demo_asking *d, enum step_kind kind)
{
	struct step *s = &d->steps[d->n_steps++];

	REQUIRE(d->n_steps <= MAX_STEPS);
	s->kind = kind;
	return &s->text;
}

/* The message as a Markdown quotation, cut to a bearable length. */
static void quote(struct buf *b, struct str message)
{
	size_t n = message.n > QUOTED ? json_utf8_prefix(message.p, QUOTED) : message.n;

	buf_adds(b, "> ");
	for (size_t i = 0; i < n; i++) {
		buf_addc(b, message.p[i]);
		if (message.p[i] == '\n')
			buf_adds(b, "> ");
	}
	buf_adds(b, n < message.n ? " …\n\n" : "\n\n");
}

static void write_tour(struct demo_asking *d, struct str message)
{
	struct buf *b = add_step(d, STEP_REASONING);

	buf_adds(b, "Somebody is trying this out. "
		    "There is no model behind me, so I will not pretend to be clever. "
		    "I will say what is going on here, and what is worth trying.");
	b = add_step(d, STEP_TEXT);
	buf_adds(b, "## Hello! This is the demo provider\n\nYou wrote:\n\n");
	quote(b, message);
	buf_adds(b, "No model reads it: this text is a script that is played word by word. "
		    "Everything around it is real, though.\n\n"
		    "### What you are looking at\n\n"
		    "- **The turn runs in a server process.** A `chatd` worker took your message, "
		    "stored it, "
		    "and only then answered *accepted*.\n"
		    "- **Each piece is on disk before you see it.** What is on your screen can't "
		    "get lost.\n"
		    "- **This page is only a window.** `streamerd` shows you what is stored, and "
		    "goes on from "
		    "there as it grows.\n\n"
		    "### Things to try while I am talking\n\n"
		    "1. **Reload the page.** You will be back at this very word.\n"
		    "2. **Open it in a second window.** Both show the same.\n"
		    "3. **Pull the plug.** Close the window, wait, come back: I will have gone on "
		    "without you.\n"
		    "4. **Kill a worker** if you dare. It comes back and says what became of the "
		    "turn.\n"
		    "5. **Press stop.** That, and nothing else, ends a turn.\n\n"
		    "### Now a real model\n\nAdd a section like this to `chatd.conf`:\n\n"
		    "```ini\n"
		    "[provider local]\n"
		    "type = openai\n"
		    "base_url = http://127.0.0.1:8081/v1\n"
		    "model = qwen3\n"
		    "```\n\n"
		    "and name it in `[defaults]`. Any server that speaks OpenAI's chat completions "
		    "will do. "
		    "Have fun!\n");
}

/* "demo: chunks=N size=M" or "demo: error". False: it is an ordinary message. */
static bool write_command(struct demo_asking *d, const char *message)
{
	unsigned long chunks, size;
	struct buf *b;
	char *end;

	if (strcmp(message, "demo: error") == 0) {
		b = add_step(d, STEP_TEXT);
		buf_adds(b, "This answer will not end well, because you asked for that. ");
		(void)add_step(d, STEP_FAIL);
		return true;
	}
	if (strncmp(message, "demo: chunks=", 13) != 0)
		return false;
	chunks = strtoul(message + 13, &end, 10);
	if (strncmp(end, " size=", 6) != 0)
		return false;
	size = strtoul(end + 6, &end, 10);
	if (*end || chunks == 0 || size == 0 || chunks > DEMO_MAX_CHUNKS || size > DEMO_MAX_SIZE)
		return false;
	b = add_step(d, STEP_FILL);
	for (unsigned long i = 1; i < size; i++)
		buf_addc(b, i % 8 == 0 ? ' ' : (char)('a' + i % 26));
	buf_addc(b, size % 80 == 79 ? '\n' : ' ');
	d->steps[d->n_steps - 1].chunks = chunks;
	return true;
}

static void last_user_message(struct buf *out, const json_t *messages)
{
	for (size_t i = json_array_size(messages); i > 0; i--) {
		const json_t *m = json_array_get(messages, i - 1);
		const char *role = json_get_str(m, "role");
		const json_t *content = json_get(m, "content");
		const json_t *part;
		size_t k;

		if (!role || strcmp(role, "user") != 0)
			continue;
		if (json_is_string(content))
			buf_add(out, json_string_value(content), json_string_length(content));
		json_array_foreach (content, k, part) {
			const json_t *text = json_get(part, "text");

			if (json_is_string(text))
				buf_add(out, json_string_value(text), json_string_length(text));
		}
		return;
	}
}

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

static void finish(struct demo_asking *d, bool failed)
{
	struct provider_result r = {
		.fault = failed ? FAULT_PROVIDER_ERROR : FAULT_NONE,
		.error = {.http_status = failed ? 500 : 0,
			  .type = failed ? "demo_error" : NULL,
			  .message = failed ? "the demo fails because it was asked to" : NULL,
			  .retry_after_ms = -1},
		.stop_reason = failed ? NULL : "stop",
		.usage = {true, d->words_in, d->words_out, -1, -1},
	};

	d->ended = true;
	d->ops->done(d->arg, &r);
}

static void say(struct demo_asking *d, bool reasoning, const char *p, size_t n)
{
	d->told++;
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
	struct step *s = &d->steps[d->step];
	const char *p;
	size_t n;

	if (d->step == d->n_steps) {
		finish(d, false);
		return;
	}
	switch (s->kind) {
	case STEP_REASONING:
	case STEP_TEXT:
		p = s->text.data + d->at;
		n = piece_length(p, s->text.len - d->at);
		d->at += n;
		if (d->at == s->text.len)
			next_step(d);
		say(d, s->kind == STEP_REASONING, p, n);
		break;
	case STEP_FILL:
		if (++d->at == s->chunks)
			next_step(d);
		say(d, false, s->text.data, s->text.len);
		break;
	case STEP_FAIL:
		finish(d, true);
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
	for (size_t i = 0; i < d->n_steps; i++)
		buf_fini(&d->steps[i].text);
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
	struct buf auto_buf message = BUF_INIT;
	bool in_word = false;

	REQUIRE(d);
	d->base.class = &demo_class;
	d->conf = provider_conf_ref(q->conf);
	d->ops = ops;
	d->arg = arg;
	last_user_message(&message, q->messages);
	d->words_in = count_words(message.data, message.len, &in_word);
	if (!write_command(d, buf_str(&message)))
		write_tour(d, (struct str){message.data, message.len});
	d->timer = event_new(e->base, -1, 0, on_timer, d);
	REQUIRE(d->timer);
	d->started_ms = clock_mono_ms();
	arm(d);
	return &d->base;
}
