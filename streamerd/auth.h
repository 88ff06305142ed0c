/*
 * auth.h - who is asking.
 *
 * With mode none everybody is the owner "local". With mode tokens a request needs
 * "Authorization: Bearer TOKEN"; the file holds a line `owner:sha256-hex` for each token, so that
 * who reads it can't use it. With mode jwt the token is one that an issuer signed (jwt.h), and the
 * file holds the issuer's keys.
 */
#pragma once

#include <stdbool.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/limits.h"
#include "streamerd/options.h"

struct auth;

/*
 * Reads what the mode needs. NULL with *e filled in if a file is wrong or can't be read; conf_file
 * is named then. Borrows o, which must live as long.
 */
struct auth *auth_new(const struct options *o, const char *conf_file, struct conf_error *e);
void auth_free(struct auth *a); /* NULL is fine */

/* Everybody is let in. */
bool auth_is_open(const struct auth *a);
/*
 * Mode tokens, and the file holds none: as it is before the first `chatctl token add` and after the
 * last one was revoked, so not wrong, but worth a warning.
 */
bool auth_lets_nobody_in(const struct auth *a);
/*
 * NULL if fine, with the owner; else why not (static text, for the client). authorization: the
 * header's value, p == NULL if there is none. Takes the same time whichever token is right. now_s:
 * Unix time, for tokens that expire.
 */
const char *auth_check(const struct auth *a, struct str authorization, int64_t now_s,
		       char owner[LIMIT_OWNER + 1]);
