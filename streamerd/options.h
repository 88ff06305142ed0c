/*
 * options.h - streamerd.conf, read and checked as a whole.
 *
 * Unknown sections and keys are errors. Whatever is wrong is one line that names file, line and
 * key. On SIGHUP the file is read again; what can change then are the tokens or keys and what is
 * demanded of tokens, the lists of origins and hosts, max_viewers_per_owner and the log level.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"

enum auth_mode { AUTH_NONE, AUTH_TOKENS, AUTH_JWT };

/* A comma-separated list. */
struct names {
	char **v; /* owned, with owned strings */
	size_t n;
};

struct options {
	/* [http] */
	struct names listen; /* "127.0.0.1:8080", "[::1]:8080", "unix:/run/streamerd/http.sock" */
	bool listen_is_default; /* the file does not say */
	int processes;		/* that serve */
	int64_t max_body;	/* bytes */
	/* of all processes together */
	int max_connections; /* viewers included */
	int max_connections_per_address;
	int max_viewers_per_owner;
	struct names trusted_proxies;		     /* as http_net_parse() reads them */
	int64_t head_ms, body_ms, idle_ms, write_ms; /* *_timeout */
	/* [bus] */
	char *bus_dir;
	char *bus_user; /* user whose chatd is believed besides our own; NULL: none */
	/* [auth] */
	enum auth_mode auth_mode;
	char *tokens_file;
	char *jwt_keys_file;
	char *jwt_issuer; /* NULL: any */
	struct names jwt_audience;
	int64_t jwt_leeway_ms;
	struct names allowed_origins;
	struct names allowed_hosts;
	/* [general] */
	char *log_level;
};

/* NULL with *e filled in if the file is wrong. */
struct options *options_load(const char *file, struct conf_error *e);
void options_free(struct options *o); /* NULL is fine */
/* Replaces the default of `listen` by these. */
void options_set_listen(struct options *o, const char *const *names, unsigned n);
/* The path of a "unix:" address, or NULL. Borrows. */
const char *options_unix_path(const char *listen);
