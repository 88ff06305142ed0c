/*
 * options.c - chatd.conf, read and checked as a whole. See options.h.
 *
 * One table says which keys there are. Parsers check a value alone, at its line; finish() checks
 * what only the whole can show (a default provider that isn't there, a missing path, a key file
 * that can't be read) and names the line of the key or section that is to blame.
 *
 * A set of options is never changed once loaded: a reload builds a new one, and what still uses a
 * provider of the old one holds a reference to it.
 */
#include "chatd/options.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/log.h"
#include "common/require.h"

#define DEFAULT_DRAIN_MS 30000
#define MAX_AUTO_WORKERS 4  /* SQLite has one writer at a time: more gain nothing by themselves */
#define MAX_BUS_DIR	 80 /* the rest of a socket's 107 bytes is for "/worker-63.sock" */
#define MAX_DRAIN_MS	 86400000

static char *copy(const char *s)
{
	char *p = strdup(s);

	REQUIRE(p);
	return p;
}

static const char *parse_word(const char *value, void *field)
{
	return *value ? conf_string(value, field) : "must not be empty";
}

static const char *parse_bus_dir(const char *value, void *field)
{
	if (strlen(value) > MAX_BUS_DIR)
		return "must be a path of at most 80 bytes: a socket's name has to fit behind it";
	return parse_word(value, field);
}

static const char *parse_user(const char *value, void *field)
{
	if (!getpwnam(value))
		return "no such user";
	return conf_string(value, field);
}

static const char *parse_group(const char *value, void *field)
{
	if (!getgrnam(value))
		return "no such group";
	return conf_string(value, field);
}

static const char *parse_durability(const char *value, void *field)
{
	if (strcmp(value, "full") != 0 && strcmp(value, "normal") != 0)
		return "must be full or normal";
	*(bool *)field = strcmp(value, "full") == 0;
	return NULL;
}

static const char *parse_confine(const char *value, void *field)
{
	bool yes = false;

	if (strcmp(value, "auto") == 0)
		*(enum tool_confine *)field = CONFINE_AUTO;
	else if (conf_bool(value, &yes))
		return "must be auto, yes or no";
	else
		*(enum tool_confine *)field = yes ? CONFINE_YES : CONFINE_NO;
	return NULL;
}

static const char *parse_workers(const char *value, void *field)
{
	static const char why[] = "must be auto or a number from 1 to 64";
	int n = 0;

	_Static_assert(LIMIT_WORKERS == 64, "the text above names the limit");
	if (strcmp(value, "auto") != 0 && (conf_count(value, &n) || n < 1 || n > LIMIT_WORKERS))
		return why;
	*(int *)field = n;
	return NULL;
}

static const char *parse_max_turns(const char *value, void *field)
{
	int n;

	if (conf_count(value, &n) || n < 1)
		return "must be a whole number of at least 1";
	*(int *)field = n;
	return NULL;
}

static const char *parse_drain(const char *value, void *field)
{
	int64_t ms;
	const char *why = conf_seconds(value, &ms);

	if (why)
		return why;
	if (ms > MAX_DRAIN_MS)
		return "must be at most 1d";
	*(int64_t *)field = ms;
	return NULL;
}

static const char *parse_on_crash(const char *value, void *field)
{
	if (strcmp(value, "resume") != 0 && strcmp(value, "interrupt") != 0)
		return "must be resume or interrupt";
	*(enum on_crash *)field =
		strcmp(value, "resume") == 0 ? ON_CRASH_RESUME : ON_CRASH_INTERRUPT;
	return NULL;
}

static const char *parse_log_level(const char *value, void *field)
{
	enum log_level now = log_max;
	int r = log_set_level(value);

	log_max = now; /* a check must not change it */
	return r < 0 ? "must be error, warning, notice, info or debug" : conf_string(value, field);
}

static const char *parse_policy(const char *value, void *field)
{
	static const char *const names[] = {"allow", "ask", "deny"}; /* as the enum */

	for (int i = 0; i < 3; i++) {
		if (strcmp(value, names[i]) == 0) {
			*(enum tool_permission *)field = (enum tool_permission)i;
			return NULL;
		}
	}
	return "must be ask, allow or deny";
}

static const char *parse_read_only(const char *value, void *field)
{
	struct tool_conf *t = field;

	t->read_only_set = true;
	return parse_policy(value, &t->read_only);
}

#define OPT(section, key, parse, field)                              \
	{                                                            \
		section, key, parse, offsetof(struct options, field) \
	}
#define PROV(key, parse, field)                                                 \
	{                                                                       \
		"provider *", key, parse, offsetof(struct provider_conf, field) \
	}
#define TOOL(key, parse, field)                                          \
	{                                                                \
		"tools *", key, parse, offsetof(struct tool_conf, field) \
	}

static const struct conf_key keys[] = {
	OPT("general", "log_level", parse_log_level, log_level),
	OPT("log", "path", parse_word, log_path),
	OPT("log", "durability", parse_durability, durability_full),
	OPT("bus", "dir", parse_bus_dir, bus_dir),
	OPT("bus", "user", parse_user, bus_user),
	OPT("bus", "group", parse_group, bus_group),
	OPT("workers", "count", parse_workers, workers),
	OPT("workers", "drain_timeout", parse_drain, drain_ms),
	OPT("workers", "max_turns", parse_max_turns, max_turns),
	OPT("workers", "max_turns_per_owner", parse_max_turns, max_turns_per_owner),
	OPT("workers", "on_crash", parse_on_crash, on_crash),
	OPT("workers", "exclusive", conf_bool, exclusive),
	OPT("retention", "keep_deltas", conf_seconds, keep_deltas_ms),
	OPT("retention", "keep_sessions", conf_seconds, keep_sessions_ms),
	OPT("retention", "max_size", conf_bytes, max_size),
	OPT("defaults", "provider", parse_word, provider),
	OPT("defaults", "model", conf_text, model),
	OPT("defaults", "system", conf_text, system),
	PROV("type", parse_word, type),
	PROV("base_url", parse_word, base_url),
	PROV("model", conf_text, model),
	PROV("models", conf_text, models),
	PROV("api_key_file", parse_word, api_key_file),
	PROV("api_key_env", parse_word, api_key_env),
	PROV("api_version", parse_word, api_version),
	PROV("thinking", conf_string, thinking),
	PROV("extra", conf_string, extra),
	PROV("max_tokens", conf_count, max_tokens),
	PROV("stream_options", conf_bool, stream_options),
	PROV("tools", conf_bool, tools),
	PROV("max_retries", conf_count, max_retries),
	PROV("connect_timeout", conf_seconds, connect_ms),
	PROV("first_byte_timeout", conf_seconds, first_byte_ms),
	PROV("idle_timeout", conf_seconds, idle_ms),
	PROV("rate", conf_count, rate),
	TOOL("command", parse_word, command),
	TOOL("permission", parse_policy, permission),
	TOOL("allow_tools", conf_string, allow_tools),
	TOOL("ask_tools", conf_string, ask_tools),
	TOOL("deny_tools", conf_string, deny_tools),
	TOOL("timeout", conf_seconds, timeout_ms),
	TOOL("env", conf_string, env),
	TOOL("cwd", parse_word, cwd),
	TOOL("confine", parse_confine, confine),
	{"tools *", "read_only", parse_read_only, 0}, /* it sets two fields */
};

static void *named_provider(struct options *o, const char *name)
{
	struct provider_conf **more;

	for (size_t i = 0; i < o->n_providers; i++) {
		if (strcmp(o->providers[i]->name, name) == 0)
			return o->providers[i];
	}
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	more = reallocarray(o->providers, o->n_providers + 1, sizeof(*more));
	REQUIRE(more);
	o->providers = more;
	o->providers[o->n_providers] = provider_conf_new(name);
	return o->providers[o->n_providers++];
}

static void *named_tool(struct options *o, const char *name, const char **why)
{
	struct tool_conf **more;

	for (size_t i = 0; i < o->n_tools; i++) {
		if (strcmp(o->tools[i]->name, name) == 0)
			return o->tools[i];
	}
	if (o->n_tools == LIMIT_TOOL_SERVERS) {
		*why = "there can be at most 16 tool servers";
		return NULL;
	}
	_Static_assert(LIMIT_TOOL_SERVERS == 16, "the text above names the limit");
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	more = reallocarray(o->tools, o->n_tools + 1, sizeof(*more));
	REQUIRE(more);
	o->tools = more;
	o->tools[o->n_tools] = tool_conf_new(name);
	return o->tools[o->n_tools++];
}

static void *named(void *base, const char *kind, const char *name, const char **why)
{
	if (strpbrk(name, " ")) {
		*why = "a name is one word of letters, digits, dots, - and _";
		return NULL;
	}
	return strcmp(kind, "provider") == 0 ? named_provider(base, name)
					     : named_tool(base, name, why);
}

static int finish_provider(struct provider_conf *c, const char *file, struct conf_error *e)
{
	char section[64];
	const char *key = "type";
	const char *why = provider_conf_finish(c, &key);

	if (!why)
		return 0;
	(void)snprintf(section, sizeof(section), "provider %s", c->name); /* at most 48 bytes */
	conf_complain(e, file, section, key ? key : "type", why);
	return -1;
}

static int finish_tool(struct tool_conf *t, const char *file, struct conf_error *e)
{
	char section[64];
	const char *key = NULL;
	const char *why = tool_conf_finish(t, &key);

	if (!why)
		return 0;
	(void)snprintf(section, sizeof(section), "tools %s", t->name);
	conf_complain(e, file, section, key, why);
	return -1;
}

/* Is it where a service keeps what is its own, and nobody works on files? */
static bool is_service_place(const char *path)
{
	static const char *const places[] = {"/etc/", "/run/", "/var/run/", "/var/lib/"};

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		if (strncmp(path, places[i], strlen(places[i])) == 0)
			return true;
	}
	return false;
}

/*
 * In the folders above a hidden file a server can make nothing (box.h). In /var/lib it has no
 * business; but of a log in somebody's home or /tmp those folders are where the tools are to work,
 * so there a hidden log would break them. There only "confine = yes" hides it.
 */
static void hide(struct tool_conf *t, const char *path)
{
	if (t->confine == CONFINE_YES || is_service_place(path))
		tool_conf_hide(t, path);
	else
		t->open = t->confine == CONFINE_AUTO;
}

/* What is ours alone: the log, the bus and the keys are out of a tool server's reach. */
static void hide_from_tool(const struct options *o, struct tool_conf *t)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");

	hide(t, o->log_path);
	hide(t, o->bus_dir);
	if (credentials && *credentials == '/')
		hide(t, credentials);
	for (size_t i = 0; i < o->n_providers; i++) {
		if (o->providers[i]->api_key_file && *o->providers[i]->api_key_file == '/')
			hide(t, o->providers[i]->api_key_file);
	}
}

static int auto_workers(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > MAX_AUTO_WORKERS ? MAX_AUTO_WORKERS : (int)n;
}

/* Checks it as a whole and fills in what follows from the rest. */
static int finish(struct options *o, const char *file, struct conf_error *e)
{
	if (!o->log_path) {
		conf_complain(e, file, "log", "path", "is missing: where the event log is kept");
		return -1;
	}
	if (o->n_providers == 0) {
		conf_complain(e, file, "defaults", "provider",
			      "there is no [provider NAME] section; one is needed");
		return -1;
	}
	for (size_t i = 0; i < o->n_providers; i++) {
		if (finish_provider(o->providers[i], file, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < o->n_tools; i++) {
		if (finish_tool(o->tools[i], file, e) < 0)
			return -1;
	}
	if (!o->provider && o->n_providers > 1) {
		conf_complain(e, file, "defaults", "provider",
			      "is missing: there are several providers, which is the default?");
		return -1;
	}
	if (!o->provider)
		o->provider = copy(o->providers[0]->name);
	if (!options_provider(o, NULL)) {
		conf_complain(e, file, "defaults", "provider", "there is no provider of that name");
		return -1;
	}
	if (o->model && !provider_conf_offers(options_provider(o, NULL), o->model)) {
		conf_complain(e, file, "defaults", "model",
			      "the default provider does not offer it");
		return -1;
	}
	if (!o->bus_dir)
		o->bus_dir = copy("/run/chatd");
	for (size_t i = 0; i < o->n_tools; i++)
		hide_from_tool(o, o->tools[i]);
	if (o->workers == 0)
		o->workers = auto_workers();
	return 0;
}

struct options *options_load(const char *file, struct conf_error *e)
{
	static const struct conf_schema schema = {keys, sizeof(keys) / sizeof(*keys), named};
	struct options *o = calloc(1, sizeof(*o));

	REQUIRE(o);
	o->durability_full = true;
	o->drain_ms = DEFAULT_DRAIN_MS;
	o->max_turns = LIMIT_TURNS;
	o->max_turns_per_owner = LIMIT_TURNS_OWNER;
	o->keep_deltas_ms = LIMIT_KEEP_DELTAS_MS;
	o->keep_sessions_ms = LIMIT_KEEP_SESSIONS_MS;
	o->max_size = LIMIT_MAX_SIZE;
	if (conf_load(file, &schema, o, e) < 0 || finish(o, file, e) < 0) {
		options_free(o);
		return NULL;
	}
	return o;
}

void options_free(struct options *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->n_providers; i++)
		provider_conf_unref(o->providers[i]);
	for (size_t i = 0; i < o->n_tools; i++)
		tool_conf_unref(o->tools[i]);
	free(o->providers);
	free(o->tools);
	free(o->log_path);
	free(o->bus_dir);
	free(o->bus_user);
	free(o->bus_group);
	free(o->provider);
	free(o->model);
	free(o->system);
	free(o->log_level);
	free(o);
}

static void keep_text(char **field, const char *value)
{
	char *copied = copy(value);

	free(*field);
	*field = copied;
}

void options_keep(struct options *o, const struct options *running)
{
	keep_text(&o->log_path, running->log_path);
	keep_text(&o->bus_dir, running->bus_dir);
	o->durability_full = running->durability_full;
	o->workers = running->workers;
}

struct provider_conf *options_provider(const struct options *o, const char *name)
{
	if (!name || !*name)
		name = o->provider;
	for (size_t i = 0; i < o->n_providers; i++) {
		if (strcmp(o->providers[i]->name, name) == 0)
			return o->providers[i];
	}
	return NULL;
}
