/*
 * auth.h - who is asking.
 *
 * With mode none everybody is the owner "local". With mode tokens a request needs
 * "Authorization: Bearer TOKEN"; the file holds a line `owner:sha256-hex` for each token, so that
 * who reads it can't use it.
 */
#pragma once

#include <stddef.h>

#include "common/buf.h"
#include "common/conf.h"

#define AUTH_OWNER_LEN 64 /* longest owner's name */

struct auth;

struct auth *auth_new(void); /* mode none */
/* Reads the tokens. NULL with *e filled in if the file is wrong. */
struct auth *auth_load(const char *tokens_file, struct conf_error *e);
void auth_free(struct auth *a); /* NULL is fine */

/*
 * The owner for the value of an Authorization header (p == NULL: there is none); NULL: nobody.
 * Borrowed. Takes the same time whichever token is right.
 */
const char *auth_owner(const struct auth *a, struct str authorization);
