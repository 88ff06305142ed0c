/*
 * auth.c - who is asking. See auth.h.
 *
 * A token of ours is hashed and the hash compared with every line in constant time, without leaving
 * early. Tokens are random and long, so one round of SHA-256 is enough; passwords are not tokens. A
 * token of an issuer's is jwt.c's to judge.
 */
#include "streamerd/auth.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"
#include "common/require.h"
#include "common/secret.h"
#include "streamerd/jwt.h"

struct token {
	char owner[LIMIT_OWNER + 1];
	unsigned char hash[crypto_hash_sha256_BYTES];
};

struct auth {
	const struct options *options; /* borrowed */
	struct token *tokens;	       /* owned */
	size_t n;
	struct jwt_keys keys;
	struct jwt_rules rules;
};

void auth_free(struct auth *a)
{
	if (!a)
		return;
	jwt_keys_fini(&a->keys);
	free(a->tokens);
	free(a);
}

static bool is_owner_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("._@-", c));
}

/* "owner:64 hex digits" into t; why not, or NULL. */
static const char *parse_line(const char *line, struct token *t)
{
	const char *colon = strchr(line, ':');
	const char *end;
	size_t n, got;

	if (!colon || colon == line || colon - line > LIMIT_OWNER)
		return "must be owner:sha256-hex";
	n = (size_t)(colon - line);
	for (size_t i = 0; i < n; i++) {
		if (!is_owner_char(line[i]))
			return "an owner's name is of letters, digits and . _ @ -";
	}
	memcpy(t->owner, line, n);
	t->owner[n] = '\0';
	if (sodium_hex2bin(t->hash, sizeof(t->hash), colon + 1, strlen(colon + 1), NULL, &got,
			   &end) < 0 ||
	    got != sizeof(t->hash) || *end)
		return "a token's SHA-256 is 64 hex digits";
	return NULL;
}

static void trim(char *s)
{
	size_t n = strlen(s);

	while (n > 0 && strchr(" \t\r\n", s[n - 1]))
		s[--n] = '\0';
}

/* 0, or -1 with *e filled in. */
static int read_tokens(struct auth *a, const char *path, FILE *f, struct conf_error *e)
{
	char line[512];
	const char *why = NULL;

	for (int n = 1; !why && fgets(line, sizeof(line), f); n++) {
		trim(line);
		if (*line == '\0' || *line == '#' || *line == ';')
			continue;
		a->tokens = realloc(a->tokens, (a->n + 1) * sizeof(*a->tokens));
		REQUIRE(a->tokens);
		why = parse_line(line, &a->tokens[a->n++]);
		if (why)
			(void)snprintf(e->text, sizeof(e->text), "%s:%d: %s", path, n, why);
	}
	if (!why && ferror(f)) { /* a folder, too; half of the tokens is not what was meant */
		(void)snprintf(e->text, sizeof(e->text), "%s: %s", path, strerror(errno));
		return -1;
	}
	return why ? -1 : 0;
}

static int read_keys(struct auth *a, const char *path, FILE *f, struct conf_error *e)
{
	json_error_t error;
	json_t *set = json_loadf(f, JSON_REJECT_DUPLICATES, &error);
	const char *why = set ? jwt_keys_read(set, &a->keys) : NULL;

	json_decref(set);
	if (!set)
		(void)snprintf(e->text, sizeof(e->text), "%s:%d: %s", path, error.line, error.text);
	else if (why)
		(void)snprintf(e->text, sizeof(e->text), "%s: %s", path, why);
	return !set || why ? -1 : 0;
}

struct auth *auth_new(const struct options *o, const char *conf_file, struct conf_error *e)
{
	bool jwt = o->auth_mode == AUTH_JWT;
	const char *name = jwt ? o->jwt_keys_file : o->tokens_file;
	const char *key = jwt ? "jwt_keys_file" : "tokens_file";
	struct conf_error inner; /* what is wrong with the file that the key names */
	auto_free char *path = NULL;
	struct auth *a = calloc(1, sizeof(*a));
	FILE *f;
	int r;

	REQUIRE(a);
	a->options = o;
	a->rules = (struct jwt_rules){o->jwt_issuer, &o->jwt_audience, o->jwt_leeway_ms / 1000};
	if (o->auth_mode == AUTH_NONE)
		return a;
	path = secret_path(name);
	f = fopen(path, "re");
	if (!f) {
		conf_complain(e, conf_file, "auth", key, strerror(errno));
		auth_free(a);
		return NULL;
	}
	r = jwt ? read_keys(a, path, f, &inner) : read_tokens(a, path, f, &inner);
	(void)fclose(f); /* read only: nothing to lose */
	if (r < 0) {
		conf_complain(e, conf_file, "auth", key, inner.text);
		auth_free(a);
		return NULL;
	}
	return a;
}

bool auth_is_open(const struct auth *a)
{
	return a->options->auth_mode == AUTH_NONE;
}

bool auth_lets_nobody_in(const struct auth *a)
{
	return a->options->auth_mode == AUTH_TOKENS && a->n == 0;
}

static const char *check_token(const struct auth *a, struct str token, char owner[LIMIT_OWNER + 1])
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	const char *found = NULL;

	(void)crypto_hash_sha256(hash, (const unsigned char *)token.p, token.n); /* can't fail */
	for (size_t i = 0; i < a->n; i++) {
		if (sodium_memcmp(hash, a->tokens[i].hash, sizeof(hash)) == 0)
			found = a->tokens[i].owner;
	}
	sodium_memzero(hash, sizeof(hash));
	if (!found)
		return "the token is not known";
	memcpy(owner, found, strlen(found) + 1);
	return NULL;
}

const char *auth_check(const struct auth *a, struct str authorization, int64_t now_s,
		       char owner[LIMIT_OWNER + 1])
{
	static const char scheme[] = "Bearer ";
	struct str token = authorization;

	if (auth_is_open(a)) {
		memcpy(owner, "local", sizeof("local"));
		return NULL;
	}
	if (token.n < sizeof(scheme) || strncasecmp(token.p, scheme, sizeof(scheme) - 1) != 0)
		return "a token is needed: Authorization: Bearer TOKEN";
	token.p += sizeof(scheme) - 1;
	token.n -= sizeof(scheme) - 1;
	if (a->options->auth_mode == AUTH_JWT)
		return jwt_check(&a->keys, &a->rules, token, now_s, owner);
	return check_token(a, token, owner);
}
