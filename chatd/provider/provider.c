/*
 * provider.c - the table of provider types, their configuration, and the doors to an asking.
 * See provider.h.
 *
 * A type is one line of `types`. What a section must say is checked here as a whole, when the
 * configuration is read; the key is read at the same time and kept in memory only: it goes into
 * a request's header and nowhere else, and is wiped with the last reference (PRV-6).
 */
#include "chatd/provider/provider.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chatd/provider/anthropic.h"
#include "chatd/provider/asking.h"
#include "chatd/provider/demo.h"
#include "chatd/provider/openai.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/require.h"
#include "common/secret.h"

#define DEMO_RATE 40 /* chunks a second: about as fast as one reads */

static const struct type {
	const char *name;
	const struct protocol *protocol; /* NULL: not over HTTP */
	const char *base_url;		 /* default; NULL: must be said */
	bool needs_model;
} types[] = {
	{"openai", &(const struct protocol){DIALECT_OPENAI, openai_request}, NULL, false},
	{"anthropic", &(const struct protocol){DIALECT_ANTHROPIC, anthropic_request},
	 ANTHROPIC_BASE_URL, true},
	{"demo", NULL, NULL, false},
};

static const struct type *type_of(const struct provider_conf *c)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (c->type && strcmp(c->type, types[i].name) == 0)
			return &types[i];
	}
	return NULL;
}

/* --- configuration --- */

struct provider_conf *provider_conf_new(const char *name)
{
	struct provider_conf *c = calloc(1, sizeof(*c));

	REQUIRE(c);
	c->name = str_dup(str_of(name));
	c->refs = 1;
	c->stream_options = true;
	c->tools = true;
	c->max_retries = LIMIT_RETRIES;
	c->connect_ms = LIMIT_CONNECT_MS;
	c->first_byte_ms = LIMIT_FIRST_BYTE_MS;
	c->idle_ms = LIMIT_IDLE_MS;
	c->rate = DEMO_RATE;
	return c;
}

struct provider_conf *provider_conf_ref(struct provider_conf *c)
{
	c->refs++;
	return c;
}

void provider_conf_unref(struct provider_conf *c)
{
	if (!c || --c->refs > 0)
		return;
	free(c->name);
	free(c->type);
	free(c->base_url);
	free(c->model);
	free(c->models);
	free(c->api_key_file);
	free(c->api_key_env);
	free(c->api_version);
	free(c->thinking);
	free(c->extra);
	secret_free(c->api_key);
	free(c);
}

static const char *check_base_url(struct provider_conf *c, const char *otherwise)
{
	size_t n;
	const char *host;

	if ((!c->base_url || !*c->base_url) && otherwise) {
		free(c->base_url);
		c->base_url = str_dup(str_of(otherwise));
	}
	if (!c->base_url || !*c->base_url)
		return "is missing";
	if (strncmp(c->base_url, "http://", 7) != 0 && strncmp(c->base_url, "https://", 8) != 0)
		return "must start with http:// or https://";
	host = strstr(c->base_url, "://") + 3;
	if (strcspn(host, "/") == 0)
		return "names no host";
	if (strpbrk(host, "@?# \t"))
		return "must be scheme, host and path alone: no user, query, fragment or blank";
	n = strlen(c->base_url);
	while (n > 0 && c->base_url[n - 1] == '/')
		c->base_url[--n] = '\0';
	return NULL;
}

static const char *check_extra(const struct provider_conf *c)
{
	json_t *auto_json o = NULL;

	if (!c->extra || !*c->extra)
		return NULL;
	o = json_read(c->extra, strlen(c->extra), NULL, 0);
	if (!json_is_object(o))
		return "must be a JSON object";
	if (json_object_get(o, "stream") || json_object_get(o, "messages"))
		return "can't replace \"stream\" or \"messages\"";
	return NULL;
}

static const char *check_thinking(const struct provider_conf *c)
{
	char *end;
	long budget;

	if (!c->thinking || !*c->thinking || strcmp(c->thinking, "adaptive") == 0)
		return NULL;
	budget = strtol(c->thinking, &end, 10);
	if (*end || budget < 1024 || budget > 1000000)
		return "must be empty, adaptive, or a budget of 1024 to 1000000 tokens";
	if (c->max_tokens > 0 && budget >= c->max_tokens)
		return "must be less than max_tokens";
	return NULL;
}

static const char *check_times(const struct provider_conf *c, const char **ret_key)
{
	*ret_key = "connect_timeout";
	if (c->connect_ms <= 0)
		return "must be more than 0";
	*ret_key = "first_byte_timeout";
	if (c->first_byte_ms <= 0)
		return "must be more than 0";
	*ret_key = "idle_timeout";
	if (c->idle_ms <= 0)
		return "must be more than 0";
	return NULL;
}

static const char *file_trouble(int error)
{
	switch (error) {
	case ENOENT:
		return "there is no such file";
	case EACCES:
		return "the file can't be read: permission denied";
	case EISDIR:
		return "it is a folder, not a file";
	case ENODATA:
		return "the file is empty";
	case EMSGSIZE:
		return "the file is too long for a key";
	default:
		return "the file can't be read";
	}
}

static const char *read_key(struct provider_conf *c, const char **ret_key)
{
	bool file = c->api_key_file && *c->api_key_file;
	bool env = c->api_key_env && *c->api_key_env;

	*ret_key = "api_key_env";
	if (file && env)
		return "can't stand beside api_key_file";
	secret_free(c->api_key);
	c->api_key = NULL;
	if (file) {
		*ret_key = "api_key_file";
		c->api_key = secret_read(c->api_key_file);
		if (!c->api_key)
			return file_trouble(errno);
	} else if (env) {
		const char *v = getenv(c->api_key_env);

		if (!v || !*v)
			return "there is no such environment variable, or it is empty";
		c->api_key = str_dup(str_of(v));
	}
	for (const char *p = c->api_key; p && *p; p++) {
		/* it becomes part of a header line */
		if (*p <= ' ' || *p > '~')
			return "the key holds a blank or a character that no key has";
	}
	return NULL;
}

const char *provider_conf_finish(struct provider_conf *c, const char **ret_key)
{
	const struct type *t = type_of(c);
	const char *why;

	*ret_key = "type";
	if (!t)
		return c->type ? "must be openai, anthropic or demo" : "is missing";
	if (!t->protocol)
		return NULL;
	*ret_key = "base_url";
	why = check_base_url(c, t->base_url);
	if (why)
		return why;
	*ret_key = "model";
	if (t->needs_model && !(c->model && *c->model))
		return "is missing";
	*ret_key = "extra";
	why = check_extra(c);
	if (why)
		return why;
	*ret_key = "thinking";
	why = check_thinking(c);
	if (why)
		return why;
	why = check_times(c, ret_key);
	if (why)
		return why;
	if (!c->api_version || !*c->api_version) {
		free(c->api_version);
		c->api_version = str_dup(str_of(ANTHROPIC_VERSION));
	}
	*ret_key = "api_version";
	if (strspn(c->api_version, "0123456789-") != strlen(c->api_version))
		return "must be a date like 2023-06-01";
	return read_key(c, ret_key);
}

int provider_conf_offers(const struct provider_conf *c, const char *model)
{
	const char *p = c->models;
	size_t n = strlen(model);

	if (c->model && strcmp(c->model, model) == 0)
		return 1;
	if (!p || !*p)
		return 1;
	while (*p) {
		size_t len;

		p += strspn(p, ", \t");
		len = strcspn(p, ", \t");
		if (len == n && len > 0 && memcmp(p, model, n) == 0)
			return 1;
		p += len;
	}
	return 0;
}

int provider_conf_knows(const struct provider_conf *c, const char *model)
{
	if (strcmp(c->type, "demo") != 0 || !*model || strcmp(model, "demo") == 0)
		return 1;
	if (c->models && *c->models)
		return provider_conf_offers(c, model);
	return c->model && strcmp(c->model, model) == 0;
}

/* --- askings --- */

struct provider_env *provider_env_new(struct event_base *base)
{
	struct provider_env *e = calloc(1, sizeof(*e));

	REQUIRE(e);
	e->base = base;
	e->pool = transfer_pool_new(base);
	return e;
}

void provider_env_free(struct provider_env *e)
{
	if (!e)
		return;
	transfer_pool_free(e->pool);
	free(e);
}

static void add_count(int64_t *sum, int64_t n)
{
	if (n >= 0)
		*sum = (*sum < 0 ? 0 : *sum) + n;
}

void provider_usage_add(struct provider_usage *sum, const struct provider_usage *u)
{
	if (!u->known)
		return;
	sum->known = true;
	add_count(&sum->input, u->input);
	add_count(&sum->output, u->output);
	add_count(&sum->cache_read, u->cache_read);
	add_count(&sum->cache_write, u->cache_write);
}

struct asking *provider_ask(struct provider_env *e, const struct question *q,
			    const struct answer_ops *ops, void *arg)
{
	const struct type *t = type_of(q->conf);

	REQUIRE(t); /* provider_conf_finish() has seen to it */
	if (!t->protocol)
		return demo_asking_new(e, q, ops, arg);
	return http_asking_new(e, t->protocol, q, ops, arg);
}

void asking_cancel(struct asking *a)
{
	if (a)
		a->class->cancel(a);
}

void asking_pause(struct asking *a, bool paused)
{
	a->class->pause(a, paused);
}
