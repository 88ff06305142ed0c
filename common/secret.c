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

#include "common/buf.h"
#include "common/cleanup.h"

#define SECRET_MAX 8192

/* Reads up to size bytes; their number, or -1 with errno set. */
static ssize_t read_all(int fd, char *p, size_t size)
{
	size_t n = 0;

	while (n < size) {
		ssize_t r = read(fd, p + n, size - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	return (ssize_t)n;
}

char *secret_path(const char *path)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	struct buf full = BUF_INIT;

	if (path[0] != '/' && dir)
		buf_addf(&full, "%s/", dir);
	buf_adds(&full, path);
	return buf_steal(&full, NULL);
}

bool secret_is_credential(const char *path)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	auto_free char *full = secret_path(path);
	size_t n = dir ? strlen(dir) : 0;

	while (n > 0 && dir[n - 1] == '/')
		n--;
	return n > 0 && strncmp(full, dir, n) == 0 && full[n] == '/';
}

char *secret_read(const char *path)
{
	auto_free char *full = secret_path(path);
	auto_close int fd = -1;
	char line[SECRET_MAX +
		  2]; /* one byte more than allowed shows a longer file; one for the NUL */
	char *s = NULL;
	ssize_t n;
	int error;

	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	n = read_all(fd, line, SECRET_MAX + 1);
	error = errno;
	if (n > SECRET_MAX) {
		error = EMSGSIZE;
	} else if (n >= 0) {
		line[n] = '\0';
		line[strcspn(line, "\r\n")] = '\0';
		s = line[0] ? strdup(line) : NULL;
		error = line[0] ? ENOMEM : ENODATA;
	}
	explicit_bzero(line, sizeof(line));
	if (!s)
		errno = error;
	return s;
}

void secret_free(char *s)
{
	if (!s)
		return;
	explicit_bzero(s, strlen(s));
	free(s);
}
