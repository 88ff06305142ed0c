/*
 * tool_home.c - what a tool server finds around it. See tool_home.h.
 *
 * The environment is an allow-list: whatever the service manager or a shell gave chatd (provider
 * keys, NOTIFY_SOCKET, CREDENTIALS_DIRECTORY, LD_PRELOAD) stays here, unless an operator names it
 * for this server. Later words of `env` win over earlier ones and over the list.
 *
 * The folder is for servers whose section names none. It lasts over a server's restarts and is
 * removed with whatever the server left in it; links in it are removed, not followed. Who uses one
 * holds a lock on it, which ends with the process however that ends: so a worker that starts can
 * tell the folders that a killed one left behind, and removes them.
 */
#include "chatd/tool/tool_home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/require.h"

#define FOLDER "chatd-tool-"

struct env {
	char **v;
	size_t n;
};

/* Takes over word, "NAME=VALUE". */
static void put(struct env *e, char *word)
{
	size_t name = strcspn(word, "=") + 1;
	char **more;

	for (size_t i = 0; i < e->n; i++) {
		if (strncmp(e->v[i], word, name) == 0) {
			free(e->v[i]);
			e->v[i] = word;
			return;
		}
	}
	more = reallocarray(e->v, e->n + 2, sizeof(*more));
	REQUIRE(more);
	e->v = more;
	e->v[e->n++] = word;
	e->v[e->n] = NULL;
}

static void put_ours(struct env *e, const char *name, const char *otherwise)
{
	const char *value = getenv(name);
	struct buf b = BUF_INIT;

	if (!value)
		value = otherwise;
	if (!value)
		return;
	buf_addf(&b, "%s=%s", name, value);
	put(e, buf_steal(&b, NULL));
}

char **tool_env_new(const struct tool_conf *c)
{
	struct env e = {NULL, 0};

	put_ours(&e, "PATH", "/usr/local/bin:/usr/bin:/bin");
	put_ours(&e, "HOME", NULL);
	put_ours(&e, "LANG", NULL);
	put_ours(&e, "TMPDIR", NULL);
	for (char **w = c->env_words; w && *w; w++) {
		if (strchr(*w, '='))
			put(&e, str_dup(str_of(*w)));
		else
			put_ours(&e, *w, NULL);
	}
	return e.v;
}

void tool_env_free(char **env)
{
	for (char **w = env; w && *w; w++)
		free(*w);
	free(env);
}

static const char *parent(void)
{
	const char *tmp = getenv("TMPDIR");

	return tmp && *tmp == '/' ? tmp : "/tmp";
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	(void)remove(path); /* what can't be removed stays behind, and the rest goes on */
	return 0;
}

static void remove_all(const char *path)
{
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Opens the folder and locks it. The descriptor, or -1 if it is in use, gone, or not ours. */
static int lock_folder(const char *path)
{
	auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat there, locked;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -1;
	/* it may have been swept, and its name given away, before the lock was ours */
	if (fstat(fd, &locked) < 0 || lstat(path, &there) < 0 || locked.st_uid != geteuid() ||
	    there.st_ino != locked.st_ino || there.st_dev != locked.st_dev)
		return -1;
	return steal_fd(&fd);
}

int tool_folder_new(struct tool_folder *f)
{
	*f = (struct tool_folder){NULL, -1};
	/* another worker's sweep may come between the making and the locking: then once more */
	for (int tries = 0; tries < 3; tries++) {
		struct buf b = BUF_INIT;

		buf_addf(&b, "%s/" FOLDER "XXXXXX", parent());
		f->path = buf_steal(&b, NULL);
		if (!mkdtemp(f->path)) {
			int error = errno;

			free(steal(f->path));
			return -error;
		}
		f->fd = lock_folder(f->path);
		if (f->fd >= 0)
			return 0;
		(void)rmdir(f->path);
		free(steal(f->path));
	}
	return -EBUSY;
}

void tool_folder_fini(struct tool_folder *f)
{
	if (!f->path)
		return;
	remove_all(f->path);
	(void)close(f->fd);
	free(f->path);
	*f = (struct tool_folder){NULL, -1};
}

void tool_folder_sweep(void)
{
	DIR *dir = opendir(parent());
	const struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		struct buf path = BUF_INIT;
		int fd;

		if (strncmp(e->d_name, FOLDER, strlen(FOLDER)) != 0)
			continue;
		buf_addf(&path, "%s/%s", parent(), e->d_name);
		fd = lock_folder(buf_str(&path));
		if (fd >= 0) {
			remove_all(buf_str(&path));
			(void)close(fd);
		}
		buf_fini(&path);
	}
	(void)closedir(dir);
}
