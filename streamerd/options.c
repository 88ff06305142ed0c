/*
 * options.c - streamerd.conf, read and checked as a whole. See options.h.
 *
 * Values are checked where they are read, so that the error has its line. What only two keys
 * together make wrong (an open address without tokens: SEC-1) is checked at the end, and the line
 * of the key that is to blame is looked up.
 */
#include "streamerd/options.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/require.h"
#include "common/sock.h"
#include "streamerd/http/http_peer.h"

static void names_clear(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct names){NULL, 0};
}

static void names_add(struct names *l, struct str s)
{
	l->v = realloc(l->v, (l->n + 1) * sizeof(*l->v));
	REQUIRE(l->v);
	l->v[l->n++] = str_dup(s);
}

/* Splits at commas; each item must pass check (which returns why not). */
static const char *parse_names(const char *value, struct names *l,
			       const char *(*check)(const char *item))
{
	names_clear(l);
	while (*value) {
		const char *why;
		size_t n;

		value += strspn(value, ", \t");
		n = strcspn(value, ",");
		while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
			n--;
		if (n == 0)
			break;
		names_add(l, (struct str){value, n});
		why = check(l->v[l->n - 1]);
		if (why)
			return why;
		value += strcspn(value, ",");
	}
	return l->n ? NULL : "must name at least one";
}

const char *options_unix_path(const char *listen)
{
	return strncmp(listen, "unix:", 5) == 0 ? listen + 5 : NULL;
}

/* "127.0.0.1:8080" or "[::1]:8080", as sock_listen_tcp() takes it. */
static bool is_address(const char *item)
{
	struct in6_addr addr;
	const char *colon = strrchr(item, ':');
	char host[64];
	size_t n = colon ? (size_t)(colon - item) : 0;
	char *end;

	if (n == 0 || n >= sizeof(host) || colon[1] < '0' || colon[1] > '9' ||
	    strtol(colon + 1, &end, 10) > 65535 || *end)
		return false;
	memcpy(host, item, n);
	host[n] = '\0';
	if (host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		return inet_pton(AF_INET6, host + 1, &addr) == 1;
	}
	return inet_pton(AF_INET, host, &addr) == 1;
}

static const char *check_listen(const char *item)
{
	const char *path = options_unix_path(item);

	if (path)
		return *path == '/' ? NULL : "unix: takes an absolute path";
	return is_address(item) ? NULL
				: "must be ADDRESS:PORT with a numeric address, or unix:PATH";
}

static const char *check_origin(const char *item)
{
	const char *host = strstr(item, "://");

	if (!host || host == item || !host[3] || strpbrk(host + 3, "/ ?#@*\""))
		return "must be origins such as https://app.example.org";
	return NULL;
}

static const char *check_host(const char *item)
{
	return strpbrk(item, "/ @?#\"*") ? "must be host names" : NULL;
}

static const char *check_proxy(const char *item)
{
	struct http_net net;

	return http_net_parse(item, &net) ? NULL
					  : "must be addresses, networks as 10.0.0.0/8, or unix";
}

static const char *parse_proxies(const char *value, void *field)
{
	return parse_names(value, field, check_proxy);
}

static const char *parse_listen(const char *value, void *field)
{
	const struct names *l = field;
	const char *why = parse_names(value, field, check_listen);

	return why ? why : l->n > LIMIT_LISTENERS ? "names too many addresses" : NULL;
}

static const char *parse_origins(const char *value, void *field)
{
	return parse_names(value, field, check_origin);
}

static const char *parse_hosts(const char *value, void *field)
{
	return parse_names(value, field, check_host);
}

static const char *parse_mode(const char *value, void *field)
{
	enum auth_mode *mode = field;

	if (strcmp(value, "none") == 0)
		*mode = AUTH_NONE;
	else if (strcmp(value, "tokens") == 0)
		*mode = AUTH_TOKENS;
	else if (strcmp(value, "jwt") == 0)
		*mode = AUTH_JWT;
	else
		return "must be none, tokens or jwt";
	return NULL;
}

static const char *any_name(const char *item)
{
	return NULL;
}

static const char *parse_audience(const char *value, void *field)
{
	return parse_names(value, field, any_name);
}

static const char *parse_leeway(const char *value, void *field)
{
	const char *why = conf_seconds(value, field);

	if (why)
		return why;
	return *(int64_t *)field <= LIMIT_JWT_LEEWAY_MAX_MS ? NULL : "must be at most 5m";
}

static const char *parse_level(const char *value, void *field)
{
	enum log_level now = log_max;
	int r = log_set_level(value);

	log_max = now; /* only tried: it is set when all of the file is fine */
	return r < 0 ? "must be error, warning, notice, info or debug" : conf_string(value, field);
}

static const char *parse_positive(const char *value, void *field)
{
	const char *why = conf_count(value, field);

	return why ? why : *(int *)field > 0 ? NULL : "must be at least 1";
}

static const char *parse_processes(const char *value, void *field)
{
	int *n = field;
	long cores;

	_Static_assert(LIMIT_PROCESSES == 32, "the text below names the limit");
	if (strcmp(value, "auto") == 0) {
		cores = sysconf(_SC_NPROCESSORS_ONLN);
		*n = cores < 1 ? 1 : cores > LIMIT_PROCESSES ? LIMIT_PROCESSES : (int)cores;
		return NULL;
	}
	if (conf_count(value, n) || *n < 1 || *n > LIMIT_PROCESSES)
		return "must be auto or a number from 1 to 32";
	return NULL;
}

static const char *parse_timeout(const char *value, void *field)
{
	const char *why = conf_seconds(value, field);

	return why ? why : *(int64_t *)field >= 100 ? NULL : "must be at least 100ms";
}

static const char *parse_body(const char *value, void *field)
{
	const char *why = conf_bytes(value, field);

	if (why)
		return why;
	return *(int64_t *)field >= 1024 && *(int64_t *)field <= LIMIT_FRAME / 2
		       ? NULL
		       : "must be from 1K to 8M";
}

static const char *parse_dir(const char *value, void *field)
{
	return *value == '/' ? conf_string(value, field) : "must be an absolute path";
}

static const char *parse_user(const char *value, void *field)
{
	return getpwnam(value) ? conf_string(value, field) : "no such user";
}

#define AT(member) offsetof(struct options, member)
static const struct conf_key keys[] = {
	{"http", "listen", parse_listen, AT(listen)},
	{"http", "processes", parse_processes, AT(processes)},
	{"http", "max_body", parse_body, AT(max_body)},
	{"http", "max_connections", parse_positive, AT(max_connections)},
	{"http", "max_connections_per_address", parse_positive, AT(max_connections_per_address)},
	{"http", "trusted_proxies", parse_proxies, AT(trusted_proxies)},
	{"http", "max_viewers_per_owner", parse_positive, AT(max_viewers_per_owner)},
	{"http", "head_timeout", parse_timeout, AT(head_ms)},
	{"http", "body_timeout", parse_timeout, AT(body_ms)},
	{"http", "idle_timeout", parse_timeout, AT(idle_ms)},
	{"http", "write_timeout", parse_timeout, AT(write_ms)},
	{"bus", "dir", parse_dir, AT(bus_dir)},
	{"bus", "user", parse_user, AT(bus_user)},
	{"auth", "mode", parse_mode, AT(auth_mode)},
	{"auth", "tokens_file", conf_string, AT(tokens_file)},
	{"auth", "jwt_keys_file", conf_string, AT(jwt_keys_file)},
	{"auth", "jwt_issuer", conf_string, AT(jwt_issuer)},
	{"auth", "jwt_audience", parse_audience, AT(jwt_audience)},
	{"auth", "jwt_leeway", parse_leeway, AT(jwt_leeway_ms)},
	{"auth", "allowed_origins", parse_origins, AT(allowed_origins)},
	{"auth", "allowed_hosts", parse_hosts, AT(allowed_hosts)},
	{"general", "log_level", parse_level, AT(log_level)},
};

static int wrong(struct conf_error *e, const char *file, const char *section, const char *key,
		 const char *why)
{
	conf_complain(e, file, section, key, why);
	return -1;
}

/* What no single key can be blamed for. */
static int check_whole(const char *file, const struct options *o, struct conf_error *e)
{
	if (o->auth_mode == AUTH_TOKENS && !o->tokens_file)
		return wrong(e, file, "auth", "mode", "tokens needs a tokens_file");
	if (o->auth_mode == AUTH_JWT && !o->jwt_keys_file)
		return wrong(e, file, "auth", "mode", "jwt needs a jwt_keys_file");
	for (size_t i = 0; i < o->listen.n; i++) {
		if (o->auth_mode == AUTH_NONE && !options_unix_path(o->listen.v[i]) &&
		    !sock_is_loopback(o->listen.v[i]))
			return wrong(e, file, "http", "listen",
				     "beyond loopback needs [auth] mode = tokens or jwt");
	}
	return 0;
}

struct options *options_load(const char *file, struct conf_error *e)
{
	static const struct conf_schema schema = {keys, sizeof(keys) / sizeof(keys[0]), NULL};
	struct options *o = calloc(1, sizeof(*o));

	REQUIRE(o);
	o->bus_dir = str_dup(str_of("/run/chatd")); /* where chatd has it unless told otherwise */
	o->processes = 1;
	o->max_body = LIMIT_HTTP_BODY;
	o->max_connections = LIMIT_HTTP_CONNECTIONS;
	o->max_connections_per_address = LIMIT_HTTP_ADDRESS;
	o->max_viewers_per_owner = LIMIT_VIEWERS_OWNER;
	o->head_ms = LIMIT_HTTP_HEAD_MS;
	o->body_ms = LIMIT_HTTP_BODY_MS;
	o->idle_ms = LIMIT_HTTP_IDLE_MS;
	o->write_ms = LIMIT_HTTP_WRITE_MS;
	o->jwt_leeway_ms = LIMIT_JWT_LEEWAY_MS;
	if (conf_load(file, &schema, o, e) < 0 || check_whole(file, o, e) < 0) {
		options_free(o);
		return NULL;
	}
	o->listen_is_default = o->listen.n == 0;
	if (o->listen_is_default)
		names_add(&o->listen, str_of("127.0.0.1:8080"));
	return o;
}

void options_set_listen(struct options *o, const char *const *names, unsigned n)
{
	names_clear(&o->listen);
	for (unsigned i = 0; i < n; i++)
		names_add(&o->listen, str_of(names[i]));
}

void options_free(struct options *o)
{
	if (!o)
		return;
	names_clear(&o->listen);
	names_clear(&o->trusted_proxies);
	names_clear(&o->allowed_origins);
	names_clear(&o->allowed_hosts);
	free(o->bus_dir);
	free(o->bus_user);
	free(o->tokens_file);
	free(o->jwt_keys_file);
	free(o->jwt_issuer);
	names_clear(&o->jwt_audience);
	free(o->log_level);
	free(o);
}
