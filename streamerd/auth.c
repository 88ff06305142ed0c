/*
 * auth.c - who is asking. See auth.h.
 *
 * A token is hashed and the hash compared with every line in constant time, without leaving early.
 * Tokens are random and long, so one round of SHA-256 is enough; passwords are not tokens.
 */
#include "streamerd/auth.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/require.h"

struct token {
	char owner[AUTH_OWNER_LEN + 1];
	unsigned char hash[crypto_hash_sha256_BYTES];
};

struct auth {
	bool open;	      /* mode none */
	struct token *tokens; /* owned */
	size_t n;
};

struct auth *auth_new(void)
{
	struct auth *a = calloc(1, sizeof(*a));

	REQUIRE(a);
	a->open = true;
	return a;
}

void auth_free(struct auth *a)
{
	if (!a)
		return;
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

	if (!colon || colon == line || colon - line > AUTH_OWNER_LEN)
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

struct auth *auth_load(const char *tokens_file, struct conf_error *e)
{
	struct auth *a = calloc(1, sizeof(*a));
	FILE *f = fopen(tokens_file, "re");
	char line[512];
	const char *why = NULL;

	REQUIRE(a);
	if (!f) {
		(void)snprintf(e->text, sizeof(e->text), "%s: %s", tokens_file, strerror(errno));
		free(a);
		return NULL;
	}
	for (int n = 1; !why && fgets(line, sizeof(line), f); n++) {
		trim(line);
		if (*line == '\0' || *line == '#' || *line == ';')
			continue;
		a->tokens = realloc(a->tokens, (a->n + 1) * sizeof(*a->tokens));
		REQUIRE(a->tokens);
		why = parse_line(line, &a->tokens[a->n++]);
		if (why)
			(void)snprintf(e->text, sizeof(e->text), "%s:%d: %s", tokens_file, n, why);
	}
	(void)fclose(f); /* read only: nothing to lose */
	if (why) {
		auth_free(a);
		return NULL;
	}
	return a;
}

const char *auth_owner(const struct auth *a, struct str authorization)
{
	static const char scheme[] = "Bearer ";
	unsigned char hash[crypto_hash_sha256_BYTES];
	const char *owner = NULL;
	struct str token = authorization;

	if (a->open)
		return "local";
	if (token.n < sizeof(scheme) || strncasecmp(token.p, scheme, sizeof(scheme) - 1) != 0)
		return NULL;
	token.p += sizeof(scheme) - 1;
	token.n -= sizeof(scheme) - 1;
	(void)crypto_hash_sha256(hash, (const unsigned char *)token.p, token.n); /* can't fail */
	for (size_t i = 0; i < a->n; i++) {
		if (sodium_memcmp(hash, a->tokens[i].hash, sizeof(hash)) == 0)
			owner = a->tokens[i].owner;
	}
	sodium_memzero(hash, sizeof(hash));
	return owner;
}
