/*
 * secret.h - reading a key without letting it leak.
 */
#pragma once

#include <stddef.h>

/* Where a relative name is looked up: in $CREDENTIALS_DIRECTORY (systemd's LoadCredential=), if
 * there is one. malloc'ed. */
char *secret_path(const char *path);
/*
 * Reads the first line of a file of at most 8 KiB, found as secret_path() says, without its line
 * end. Returns a malloc'ed string that the caller ends with secret_free(), or NULL with errno set
 * (EMSGSIZE too long, ENODATA empty).
 */
char *secret_read(const char *path);
void secret_free(char *s); /* wipes, then frees; NULL is fine */
