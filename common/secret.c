/*
 * secret.c - reading a key without letting it leak. See secret.h.
 */
#include "common/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"

char *secret_read(const char *path)
{
	auto_close int fd = -1;
	char line[8193];
	char full[4096];
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	size_t n = 0;
	char *s;

	if (path[0] != '/' && dir) {
		if (snprintf(full, sizeof(full), "%s/%s", dir, path) >= (int)sizeof(full)) {
			errno = ENAMETOOLONG;
			return NULL;
		}
		path = full;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	for (;;) {
		ssize_t r = read(fd, line + n, sizeof(line) - 1 - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return NULL;
		if (r == 0)
			break;
		n += (size_t)r;
		if (n == sizeof(line) - 1) {
			errno = EMSGSIZE;
			return NULL;
		}
	}
	line[n] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	s = line[0] ? strdup(line) : NULL;
	if (!s)
		errno = line[0] ? ENOMEM : ENODATA;
	explicit_bzero(line, sizeof(line));
	return s;
}

void secret_free(char *s)
{
	if (!s)
		return;
	explicit_bzero(s, strlen(s));
	free(s);
}
