/*
 * tool_home.c - what a tool server finds around it. See tool_home.h.
 *
 * The environment is an allow-list: whatever the service manager or a shell gave chatd (provider
 * keys, NOTIFY_SOCKET, CREDENTIALS_DIRECTORY, LD_PRELOAD) stays here, unless an operator names it
 * for this server. Later words of `env` win over earlier ones and over the list.
 *
 * The folder is for servers whose section names none. It lasts as long as the server is configured
 * and running, over its restarts, and is removed with whatever the server left in it; links in it
 * are removed, not followed.
 */
#include "chatd/tool/tool_home.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/require.h"

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

char *tool_folder_new(void)
{
	const char *tmp = getenv("TMPDIR");
	struct buf b = BUF_INIT;

	buf_addf(&b, "%s/chatd-tool-XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp");
	if (!mkdtemp((char *)(uintptr_t)buf_str(&b))) {
		buf_fini(&b);
		return NULL;
	}
	return buf_steal(&b, NULL);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	(void)remove(path); /* what can't be removed stays behind, and the rest goes on */
	return 0;
}

void tool_folder_free(char *path)
{
	if (!path)
		return;
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	free(path);
}
