/*
 * secret.h - reading a key without letting it leak.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Where a relative name is looked up: in $CREDENTIALS_DIRECTORY (systemd's LoadCredential=), if
 * there is one. malloc'ed. */
char *secret_path(const char *path);
/*
 * Is what secret_path() finds in $CREDENTIALS_DIRECTORY? Then it is a copy that was made when the
 * service started: to read it again finds nothing new.
 */
bool secret_is_credential(const char *path);
/*
 * Reads the first line of a file of at most 8 KiB, found as secret_path() says, without its line
 * end. Returns a malloc'ed string that the caller ends with secret_free(), or NULL with errno set
 * (EMSGSIZE too long, ENODATA empty).
 */
char *secret_read(const char *path);
void secret_free(char *s); /* wipes, then frees; NULL is fine */
