/*
 * mcp_server.c - one MCP server. See mcp_server.h for its states.
 *
 * This file is where a server's process (child.c), its handshake and its list of tools
 * (mcp_dialogue.c) and its calls (mcp_call.c) meet: it starts the process, hands each message to
 * whom it concerns, and when anything is wrong stops the process and starts another after a while.
 * What is wrong is never more than this: the calls in flight end as errors, the reason is kept, one
 * line is logged.
 *
 * Two id spaces. Our requests carry ids that are unique in the life of this object, so that an
 * answer from before a restart can't meet a new call. A server's own requests are answered on the
 * spot, with their id as it came; none is ever open, so there is no table for them.
 *
 * list_changed leads to another reading of the list a moment later: servers send it in bursts.
 *
 * Hanging. A call that times out may be slow or its server dead: then the server is asked something
 * that each one answers (mcp_add_probe); if not a word of any kind comes, it is restarted.
 */
#include "chatd/tool/mcp_server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chatd/tool/box.h"
#include "chatd/tool/last_words.h"
#include "chatd/tool/mcp_dialogue.h"
#include "chatd/tool/tool_home.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/require.h"

struct mcp_server {
	struct event_base *base; /* borrowed, like the next two */
	void (*changed)(void *arg);
	void *arg;
	enum mcp_state state;
	/* owned */
	struct tool_conf *conf;	   /* a reference */
	struct tool_folder folder; /* none until the first start, or if the section names one */
	struct child *child;
	struct event *timer;	   /* start deadline, or back-off */
	struct event *relist;	   /* list_changed is acted on */
	struct event *probe_timer; /* pending while probe is */
	struct jsonrpc_reader reader;
	struct mcp_calls calls;
	struct mcp_dialogue dialogue;
	struct last_words words;
	bool changed_again; /* list_changed came while the list was read */
	unsigned nonsense;  /* lines in a row */
	/* its health */
	unsigned failures; /* in a row */
	bool settled;
	int64_t ready_at;
	char why[LIMIT_TOOL_WHY + 1];
	struct log_limit stderr_limit, odd_limit;
};

const char *mcp_state_name(enum mcp_state state)
{
	static const char *const names[] = {"DOWN", "STARTING", "LISTING", "READY", "STOPPING"};

	return names[state];
}

static void move(struct mcp_server *s, enum mcp_state to)
{
	static const unsigned allowed[] = {
		[MCP_DOWN] = 1U << MCP_STARTING,
		[MCP_STARTING] = 1U << MCP_LISTING | 1U << MCP_STOPPING | 1U << MCP_DOWN,
		[MCP_LISTING] = 1U << MCP_READY | 1U << MCP_STOPPING | 1U << MCP_DOWN,
		[MCP_READY] = 1U << MCP_STOPPING | 1U << MCP_DOWN,
		[MCP_STOPPING] = 1U << MCP_DOWN,
	};

	REQUIRE(allowed[s->state] & 1U << to);
	log_debug("tool.state", "server=%s from=%s to=%s", s->conf->name, mcp_state_name(s->state),
		  mcp_state_name(to));
	s->state = to;
}

static void arm(struct event *e, int64_t ms)
{
	const struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

	(void)evtimer_add(e, &tv);
}

/* ---- going down ---- */

/* Keeps the reason, cut and in printable ASCII: a server's own words may be in it. */
__attribute__((format(printf, 2, 3))) static void set_why(struct mcp_server *s, const char *fmt,
							  ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	(void)snprintf(s->why, sizeof(s->why), "%s", buf_str(&b));
	buf_fini(&b);
	for (char *c = s->why; *c; c++) {
		if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
			*c = ' ';
	}
}

/* What the conversation with the process left behind. Its calls must have been closed. */
static void forget_conversation(struct mcp_server *s)
{
	s->dialogue.asked = MCP_ASKED_NOTHING;
	s->changed_again = false;
	s->nonsense = 0;
	(void)event_del(s->timer);
	(void)event_del(s->relist);
	(void)event_del(s->probe_timer);
}

/* The server is of no use any more: counted, logged and told to those who wait for it. */
static void close_down(struct mcp_server *s)
{
	bool was_ready = s->state == MCP_READY;

	if (was_ready && clock_mono_ms() - s->ready_at >= LIMIT_TOOL_HEALTHY_MS)
		s->failures = 0;
	s->failures++;
	s->settled = true;
	log_warning("tool.down", "server=%s failures=%u why=\"%s\"", s->conf->name, s->failures,
		    log_safe(s->why));
	mcp_calls_close(&s->calls, s->why, !was_ready);
	forget_conversation(s);
}

static void wait_for_restart(struct mcp_server *s)
{
	int64_t ms = backoff_ms(s->failures - 1, LIMIT_TOOL_RETRY_MIN_MS, LIMIT_TOOL_RETRY_MAX_MS,
				backoff_random());

	arm(s->timer, ms);
}

/* Something is wrong with it: stops it. Reads nothing of it any more. */
__attribute__((format(printf, 2, 3))) static void fault(struct mcp_server *s, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	if (s->state == MCP_STOPPING || s->state == MCP_DOWN)
		return;
	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	set_why(s, "%s", buf_str(&b));
	buf_fini(&b);
	close_down(s);
	move(s, MCP_STOPPING);
	child_stop(s->child);
	s->changed(s->arg);
}

static void on_gone(void *arg, int status)
{
	struct mcp_server *s = arg;
	const char *words = last_words(&s->words);

	child_free(s->child);
	s->child = NULL;
	jsonrpc_reader_fini(&s->reader);
	if (s->state != MCP_STOPPING) {
		set_why(s, "%s%s%s", child_how_it_ended(status), *words ? "; its last words: " : "",
			words);
		close_down(s);
	}
	move(s, MCP_DOWN);
	wait_for_restart(s);
	s->changed(s->arg);
}

/* ---- saying ---- */

static void send_message(void *arg, const struct buf *message)
{
	struct mcp_server *s = arg;

	if (!s->child || s->state == MCP_STOPPING)
		return;
	child_write(s->child, message->data, message->len);
	if (child_queued(s->child) > LIMIT_TOOL_QUEUE)
		fault(s, "does not read what it is sent");
}

static void send_and_fini(struct mcp_server *s, struct buf *message)
{
	if (message->len > 0)
		send_message(s, message);
	buf_fini(message);
}

static long long next_id(void *arg)
{
	struct mcp_server *s = arg;

	return ++s->dialogue.last_id;
}

/* A call has timed out: is anybody there? */
static void on_silent(void *arg)
{
	struct mcp_server *s = arg;
	struct buf b = BUF_INIT;

	if (s->state != MCP_READY || evtimer_pending(s->probe_timer, NULL))
		return;
	arm(s->probe_timer, LIMIT_TOOL_PROBE_MS);
	mcp_add_probe(&b, s->dialogue.era, next_id(s));
	send_and_fini(s, &b);
}

static void on_probe_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	fault(arg, "does not react any more");
}

/* ---- the list ---- */

static void start_list(struct mcp_server *s)
{
	struct buf b = BUF_INIT;

	s->changed_again = false;
	mcp_dialogue_list(&s->dialogue, &b);
	send_and_fini(s, &b);
}

/* The new list is whole. */
static void use_list(struct mcp_server *s)
{
	if (s->changed_again)
		arm(s->relist, LIMIT_TOOL_RELIST_MS);
	if (s->state != MCP_LISTING)
		return;
	(void)event_del(s->timer);
	move(s, MCP_READY);
	s->ready_at = clock_mono_ms();
	s->settled = true;
	s->why[0] = '\0';
	log_notice("tool.ready", "server=%s pid=%d tools=%zu left_out=%zu era=%s", s->conf->name,
		   (int)child_pid(s->child), s->dialogue.tools.n, s->dialogue.tools.left_out,
		   s->dialogue.era == MCP_MODERN ? "modern" : "legacy");
	mcp_calls_open(&s->calls, s->dialogue.era);
	s->changed(s->arg);
}

static void on_relist(evutil_socket_t fd, short what, void *arg)
{
	struct mcp_server *s = arg;

	(void)fd;
	(void)what;
	if (s->dialogue.asked == MCP_ASKED_LIST)
		s->changed_again = true; /* a part of the list may be of before */
	else if (s->state == MCP_READY)
		start_list(s);
}

/* ---- hearing ---- */

static void take_answer(struct mcp_server *s, const struct jsonrpc_message *m)
{
	struct buf out = BUF_INIT;
	enum mcp_step step = mcp_dialogue_answer(&s->dialogue, m, &out);

	if (step == MCP_STEP_OPENED)
		move(s, MCP_LISTING);
	send_and_fini(s, &out);
	switch (step) {
	case MCP_STEP_FOREIGN:
		if (!mcp_calls_answer(&s->calls, m) && log_allowed(&s->odd_limit, 10))
			log_debug("tool.stray", "server=%s", s->conf->name); /* late, or nobody's */
		break;
	case MCP_STEP_LISTED:
		use_list(s);
		break;
	case MCP_STEP_FAILED:
		fault(s, "%s", s->dialogue.why);
		break;
	case MCP_STEP_MORE:
	case MCP_STEP_OPENED:
	case MCP_STEP_KEPT:
		break;
	}
}

/* A request of the server: we have declared that we can do nothing, and say so once more. */
static void refuse(struct mcp_server *s, const struct jsonrpc_message *m)
{
	struct buf b = BUF_INIT;

	if (strcmp(m->method, "ping") == 0)
		jsonrpc_add_result(&b, m->id, str_of("{}"));
	else
		jsonrpc_add_error(&b, m->id, JSONRPC_NO_METHOD, "this client offers nothing");
	send_and_fini(s, &b);
}

static void take_notification(struct mcp_server *s, const struct jsonrpc_message *m)
{
	if (strcmp(m->method, "notifications/progress") == 0)
		mcp_calls_progress(&s->calls, m->params);
	else if (strcmp(m->method, "notifications/tools/list_changed") == 0 &&
		 !evtimer_pending(s->relist, NULL))
		arm(s->relist, LIMIT_TOOL_RELIST_MS);
}

static void take_nonsense(struct mcp_server *s)
{
	if (log_allowed(&s->odd_limit, 10))
		log_debug("tool.nonsense", "server=%s", s->conf->name);
	if (++s->nonsense > LIMIT_TOOL_NONSENSE)
		fault(s, "writes what is no MCP message on its standard output");
}

static void take_line(struct mcp_server *s, struct str line)
{
	struct jsonrpc_message m;

	switch (jsonrpc_parse(line, &m)) {
	case JSONRPC_NONSENSE:
		take_nonsense(s);
		jsonrpc_message_fini(&m);
		return;
	case JSONRPC_REQUEST:
		refuse(s, &m);
		break;
	case JSONRPC_NOTIFICATION:
		take_notification(s, &m);
		break;
	case JSONRPC_RESULT:
	case JSONRPC_ERROR:
		take_answer(s, &m);
		break;
	}
	s->nonsense = 0;
	(void)event_del(s->probe_timer); /* a sign of life */
	jsonrpc_message_fini(&m);
}

/* A line that was too long: if it is known what it answered, that has failed. */
static void take_lost_line(struct mcp_server *s, struct str ends)
{
	long long id;

	log_warning("tool.line", "server=%s limit=%d", s->conf->name, LIMIT_TOOL_LINE);
	if (!jsonrpc_id_of_ends(ends, &id))
		return;
	if (s->dialogue.asked != MCP_ASKED_NOTHING && id == s->dialogue.asked_id)
		fault(s, "sends an answer that is too long to be read");
	else
		(void)mcp_calls_answer_lost(&s->calls, id);
}

static void on_output(void *arg, const char *p, size_t n)
{
	struct mcp_server *s = arg;
	struct str in = {p, n};
	struct str line;
	enum jsonrpc_line r;

	while (s->state != MCP_STOPPING &&
	       (r = jsonrpc_read_line(&s->reader, &in, &line)) != JSONRPC_LINE_MORE) {
		if (r == JSONRPC_LINE_READY)
			take_line(s, line);
		else
			take_lost_line(s, line);
	}
}

static void log_stderr(void *arg, const char *text)
{
	struct mcp_server *s = arg;

	if (LOG_LEVEL_DEBUG <= log_max && log_allowed(&s->stderr_limit, 20))
		log_debug("tool.stderr", "server=%s line=\"%s\"", s->conf->name, log_safe(text));
}

static void on_errors(void *arg, const char *p, size_t n)
{
	struct mcp_server *s = arg;

	last_words_add(&s->words, p, n, log_stderr, s);
}

static void on_deaf(void *arg)
{
	fault(arg, "closed its standard output");
}

/* ---- the start ---- */

static int start_child(struct mcp_server *s)
{
	static const struct child_ops ops = {
		.output = on_output, .errors = on_errors, .deaf = on_deaf, .gone = on_gone};
	struct box box = BOX_INIT;
	struct child_how how = {.argv = s->conf->words, .cwd = s->conf->cwd, .box = &box};
	char **env;
	int r;

	if (!how.cwd && !s->folder.path) {
		r = tool_folder_new(&s->folder);
		if (r < 0)
			return r;
	}
	if (!how.cwd)
		how.cwd = s->folder.path;
	r = s->conf->confine != CONFINE_NO ? box_prepare(&box, (const char *const *)s->conf->hidden)
					   : 0;
	if (r < 0)
		return r;
	if (box.left_out)
		log_warning("tool.left_out", "server=%s places=%u not hidden, yet out of its reach",
			    s->conf->name, box.left_out);
	env = tool_env_new(s->conf);
	how.env = env;
	r = child_start(s->base, &how, &ops, s, &s->child);
	tool_env_free(env);
	box_fini(&box);
	return r;
}

static void start(struct mcp_server *s)
{
	struct buf b = BUF_INIT;
	int r = start_child(s);

	if (r < 0) {
		set_why(s, "can't be started: %s", strerror(-r));
		close_down(s);
		wait_for_restart(s);
		s->changed(s->arg);
		return;
	}
	s->words = (struct last_words){0};
	move(s, MCP_STARTING);
	arm(s->timer, LIMIT_TOOL_START_MS);
	mcp_dialogue_open(&s->dialogue, &b);
	send_and_fini(s, &b);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct mcp_server *s = arg;

	(void)fd;
	(void)what;
	if (s->state == MCP_DOWN)
		start(s);
	else
		fault(s, "was not ready within %d seconds%s%s", LIMIT_TOOL_START_MS / 1000,
		      *last_words(&s->words) ? "; its last words: " : "", last_words(&s->words));
}

struct mcp_server *mcp_server_new(struct event_base *base, struct tool_conf *conf,
				  void (*changed)(void *arg), void *arg)
{
	static const struct mcp_calls_ops ops = {
		.next_id = next_id, .send = send_message, .silent = on_silent};
	struct mcp_server *s = calloc(1, sizeof(*s));

	REQUIRE(s);
	s->base = base;
	s->changed = changed;
	s->arg = arg;
	s->conf = tool_conf_ref(conf);
	s->reader.limit = LIMIT_TOOL_LINE;
	s->dialogue.server = conf->name;
	s->timer = evtimer_new(base, on_timer, s);
	s->relist = evtimer_new(base, on_relist, s);
	s->probe_timer = evtimer_new(base, on_probe_timer, s);
	REQUIRE(s->timer && s->relist && s->probe_timer);
	mcp_calls_init(&s->calls, base, conf->name, conf->timeout_ms, &ops, s);
	set_why(s, "is still starting");
	arm(s->timer, 0); /* from the loop: what goes wrong is told by a callback */
	return s;
}

void mcp_server_free(struct mcp_server *s)
{
	if (!s)
		return;
	child_free(s->child);
	mcp_calls_fini(&s->calls);
	mcp_dialogue_fini(&s->dialogue);
	jsonrpc_reader_fini(&s->reader);
	event_free(s->probe_timer);
	event_free(s->relist);
	event_free(s->timer);
	tool_folder_fini(&s->folder);
	tool_conf_unref(s->conf);
	free(s);
}

/* ---- looking at it ---- */

enum mcp_state mcp_server_state(const struct mcp_server *s)
{
	return s->state;
}

bool mcp_server_is_settled(const struct mcp_server *s)
{
	return s->settled;
}

bool mcp_server_takes_calls(const struct mcp_server *s)
{
	return s->state == MCP_READY || (s->settled && s->failures <= 1 && s->dialogue.tools.n > 0);
}

const char *mcp_server_why(const struct mcp_server *s)
{
	return s->why;
}

const struct tool_conf *mcp_server_conf(const struct mcp_server *s)
{
	return s->conf;
}

const struct mcp_tools *mcp_server_tools(const struct mcp_server *s)
{
	return &s->dialogue.tools;
}

struct mcp_calls *mcp_server_calls(struct mcp_server *s)
{
	return &s->calls;
}

struct child *mcp_server_child(const struct mcp_server *s)
{
	return s->child;
}
