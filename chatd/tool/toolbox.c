/*
 * toolbox.c - the tools of one worker. See toolbox.h.
 *
 * It owns the servers (mcp_server.c) and is where they meet what is built in; it knows no protocol
 * and no process. What a turn asks for is looked up, checked and handed on; what can't be run is
 * told as the result of a call that has ended before it began, so that a turn knows only one way in
 * which calls end.
 *
 * There is nothing to reload here: a worker that reads a new configuration goes on with its
 * toolbox, and a new one comes with the next worker.
 */
#include "chatd/tool/toolbox.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/tool/ask_user.h"
#include "chatd/tool/box.h"
#include "chatd/tool/demo_tool.h"
#include "chatd/tool/mcp_server.h"
#include "chatd/tool/tool_home.h"
#include "chatd/tool/tool_policy.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/require.h"

#define BUILT_IN 2 /* tools of ours, which are always among those that are offered */

struct waiter {
	void (*ready)(void *arg);
	void *arg;
	TAILQ_ENTRY(waiter) link;
};
TAILQ_HEAD(waiters, waiter);

struct toolbox {
	struct mcp_server **servers; /* owned */
	size_t n;
	bool has_demo;
	struct mcp_calls built_in; /* calls that ended before they began, of no server */
	struct waiters waiters;	   /* owned */
	struct event *settled;	   /* active when waiters are to be told */
};

int toolbox_is_settled(const struct toolbox *t)
{
	for (size_t i = 0; i < t->n; i++) {
		if (!mcp_server_is_settled(t->servers[i]))
			return 0;
	}
	return 1;
}

static void on_changed(void *arg)
{
	struct toolbox *t = arg;

	if (!TAILQ_EMPTY(&t->waiters) && toolbox_is_settled(t))
		event_active(t->settled, EV_TIMEOUT, 1);
}

static void on_settled(evutil_socket_t fd, short what, void *arg)
{
	struct toolbox *t = arg;
	struct waiter *w = TAILQ_FIRST(&t->waiters);
	struct waiter told;

	(void)fd;
	(void)what;
	if (!w)
		return; /* forgotten meanwhile */
	told = *w;
	TAILQ_REMOVE(&t->waiters, w, link);
	free(w);
	on_changed(t); /* for the next one, who may be forgotten by this one */
	told.ready(told.arg);
}

struct toolbox *toolbox_new(struct event_base *base, struct tool_conf *const *confs, size_t n)
{
	struct toolbox *t = calloc(1, sizeof(*t));

	REQUIRE(t && n <= LIMIT_TOOL_SERVERS);
	TAILQ_INIT(&t->waiters);
	t->settled = evtimer_new(base, on_settled, t);
	t->servers = calloc(n + 1, sizeof(struct mcp_server *));
	REQUIRE(t->settled && t->servers);
	mcp_calls_init(&t->built_in, base, "builtin", LIMIT_TOOL_CALL_MS, NULL, NULL);
	tool_folder_sweep();
	if (n > 0 && box_landlock() == 0)
		log_warning("tool.unconfined",
			    "this kernel has no Landlock: tools can read the log and keys");
	if (n > 0 && !box_filters())
		log_warning("tool.unconfined", "no filter for this processor: tools can connect to "
					       "the bus and other Unix sockets");
	for (; t->n < n; t->n++) {
		if (confs[t->n]->open)
			log_notice("tool.open",
				   "server=%s the log, the bus or a key is in its reach: not all "
				   "are in /var/lib, /run, /etc; confine = yes hides them anywhere",
				   confs[t->n]->name);
		t->servers[t->n] = mcp_server_new(base, confs[t->n], on_changed, t);
	}
	return t;
}

void toolbox_free(struct toolbox *t)
{
	struct child *children[LIMIT_TOOL_SERVERS];
	struct waiter *w, *next;

	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		children[i] = mcp_server_child(t->servers[i]);
	child_stop_all(children, t->n);
	for (size_t i = 0; i < t->n; i++)
		mcp_server_free(t->servers[i]);
	mcp_calls_fini(&t->built_in);
	for (w = TAILQ_FIRST(&t->waiters); w; w = next) {
		next = TAILQ_NEXT(w, link);
		free(w);
	}
	event_free(t->settled);
	free(t->servers);
	free(t);
}

void toolbox_add_demo(struct toolbox *t)
{
	t->has_demo = true;
}

void toolbox_when_settled(struct toolbox *t, void (*ready)(void *arg), void *arg)
{
	struct waiter *w = calloc(1, sizeof(*w));

	REQUIRE(w);
	w->ready = ready;
	w->arg = arg;
	TAILQ_INSERT_TAIL(&t->waiters, w, link);
	on_changed(t); /* if it is settled already, the loop tells */
}

void toolbox_forget(struct toolbox *t, void *arg)
{
	struct waiter *w, *next;

	for (w = TAILQ_FIRST(&t->waiters); w; w = next) {
		next = TAILQ_NEXT(w, link);
		if (w->arg != arg)
			continue;
		TAILQ_REMOVE(&t->waiters, w, link);
		free(w);
	}
}

json_t *toolbox_down(const struct toolbox *t)
{
	json_t *list = json_array();

	REQUIRE(list);
	for (size_t i = 0; i < t->n; i++) {
		const struct mcp_server *s = t->servers[i];

		if (!mcp_server_takes_calls(s))
			(void)json_array_append_new(list, json_pack("{s:s,s:s}", "server",
								    mcp_server_conf(s)->name, "why",
								    mcp_server_why(s)));
	}
	return list;
}

/* ---- names ---- */

static struct mcp_server *find_server(const struct toolbox *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++) {
		if (strcmp(mcp_server_conf(t->servers[i])->name, name) == 0)
			return t->servers[i];
	}
	return NULL;
}

const struct tool_conf *toolbox_conf(const struct toolbox *t, const char *server)
{
	const struct mcp_server *s = find_server(t, server);

	return s ? mcp_server_conf(s) : NULL;
}

static bool is_tool(const struct tool *tool, const char *server, const char *name)
{
	return strcmp(tool->server, server) == 0 && strcmp(tool->name, name) == 0;
}

const struct tool *toolbox_get(const struct toolbox *t, const char *server, const char *name)
{
	const struct mcp_server *s = find_server(t, server);

	if (s)
		return mcp_tools_find(mcp_server_tools(s), name);
	if (is_tool(ask_user_tool(), server, name))
		return ask_user_tool();
	return t->has_demo && is_tool(demo_tool(), server, name) ? demo_tool() : NULL;
}

const struct tool *toolbox_find(const struct toolbox *t, const char *model_name)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct mcp_tools *tools = mcp_server_tools(t->servers[i]);

		for (size_t k = 0; k < tools->n; k++) {
			if (strcmp(tools->v[k].model_name, model_name) == 0)
				return &tools->v[k];
		}
	}
	if (t->has_demo && strcmp(demo_tool()->model_name, model_name) == 0)
		return demo_tool();
	return strcmp(ask_user_tool()->model_name, model_name) == 0 ? ask_user_tool() : NULL;
}

/* Offers a tool, unless it is denied or its name for models is another tool's. */
static void offer(const struct toolbox *t, json_t *list, const struct tool_conf *conf,
		  const struct tool *tool)
{
	json_t *o;

	if (tool_policy(conf, tool) == TOOL_DENY || toolbox_find(t, tool->model_name) != tool)
		return;
	o = json_pack("{s:s,s:s,s:O}", "name", tool->model_name, "description", tool->description,
		      "parameters", tool->schema);
	REQUIRE(o);
	(void)json_array_append_new(list, o);
}

json_t *toolbox_list(const struct toolbox *t)
{
	json_t *list = json_array();

	REQUIRE(list);
	for (size_t i = 0; i < t->n; i++) {
		const struct mcp_server *s = t->servers[i];
		const struct mcp_tools *tools = mcp_server_tools(s);

		if (!mcp_server_takes_calls(s))
			continue;
		for (size_t k = 0; k < tools->n && json_array_size(list) < LIMIT_TOOLS - BUILT_IN;
		     k++)
			offer(t, list, mcp_server_conf(s), &tools->v[k]);
	}
	if (t->has_demo)
		offer(t, list, NULL, demo_tool());
	offer(t, list, NULL, ask_user_tool());
	return list;
}

/* ---- calls ---- */

/* A call that can't be made, and why. */
__attribute__((format(printf, 4, 5))) static struct tool_call *
refuse(struct toolbox *t, const struct tool_call_ops *ops, void *arg, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	struct tool_call *call;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	call = mcp_call_ended(&t->built_in, (struct str){b.data, b.len}, true, ops, arg);
	buf_fini(&b);
	return call;
}

static struct tool_call *call_demo(struct toolbox *t, struct str arguments,
				   const struct tool_call_ops *ops, void *arg)
{
	bool is_error;
	char *text = demo_tool_run(arguments, &is_error);
	struct tool_call *call = mcp_call_ended(&t->built_in, str_of(text), is_error, ops, arg);

	free(text);
	return call;
}

static bool is_object(struct str arguments)
{
	json_t *v = json_read(arguments.p, arguments.n, NULL, 0);
	bool r = json_is_object(v);

	json_decref(v);
	return r;
}

struct tool_call *toolbox_call(struct toolbox *t, const char *server, const char *name,
			       struct str arguments, const struct tool_call_ops *ops, void *arg)
{
	struct mcp_server *s = find_server(t, server);

	if (arguments.n == 0)
		arguments = str_of("{}");
	if (t->has_demo && is_tool(demo_tool(), server, name))
		return call_demo(t, arguments, ops, arg);
	if (!s)
		return refuse(t, ops, arg, "There is no tool \"%s\" of a server \"%s\".", name,
			      server);
	if (!is_object(arguments))
		return refuse(t, ops, arg, "The arguments are not a JSON object.");
	if (!mcp_server_takes_calls(s))
		return refuse(t, ops, arg, "The call was not made: the tool server \"%s\" %s.",
			      server, mcp_server_why(s));
	if (!mcp_tools_find(mcp_server_tools(s), name))
		return refuse(t, ops, arg, "The tool server \"%s\" has no tool \"%s\".", server,
			      name);
	return mcp_call_new(mcp_server_calls(s), name, arguments, ops, arg);
}
