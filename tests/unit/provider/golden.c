/*
 * golden.c - the recorded cases under tests/golden/providers. See golden.h.
 */
#include "tests/unit/provider/golden.h"

#include <dirent.h>

#include "tests/unit/provider/run_cases.h"

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void one(const char *provider, const char *file, size_t stem,
		void (*fn)(const struct golden *g, void *arg), void *arg)
{
	struct golden g = {.body = BUF_INIT};
	char path[1024];
	json_error_t error;

	ck_assert_uint_lt(strlen(provider) + 1 + stem, sizeof(g.name));
	(void)strcat(strcpy(g.name, provider), "/");
	(void)strncat(g.name, file, stem);
	(void)snprintf(path, sizeof(path), "%s/%s/%s", golden_dir(), provider, file);
	read_file(&g.body, path);
	(void)snprintf(path, sizeof(path), "%s/%s.expect.json", golden_dir(), g.name);
	g.expect = json_load_file(path, 0, &error);
	ck_assert_msg(g.expect, "%s: %s", path, error.text);
	fn(&g, arg);
	json_decref(g.expect);
	buf_fini(&g.body);
}

int golden_each(const char *suffix, void (*fn)(const struct golden *g, void *arg), void *arg)
{
	struct dirent **providers, **files;
	int n_providers = scandir(golden_dir(), &providers, NULL, by_name);
	int count = 0;

	ck_assert_int_ge(n_providers, 0);
	for (int i = 0; i < n_providers; i++) {
		char dir[1024];
		int n_files = 0;

		(void)snprintf(dir, sizeof(dir), "%s/%s", golden_dir(), providers[i]->d_name);
		if (providers[i]->d_name[0] != '.' && !strchr(providers[i]->d_name, '.'))
			n_files = scandir(dir, &files, NULL, by_name);
		for (int k = 0; k < n_files; k++) {
			const char *name = files[k]->d_name;
			size_t n = strlen(name);

			if (n > strlen(suffix) && strcmp(name + n - strlen(suffix), suffix) == 0) {
				one(providers[i]->d_name, name, n - strlen(suffix), fn, arg);
				count++;
			}
			free(files[k]);
		}
		if (n_files > 0)
			free(files);
		free(providers[i]);
	}
	free(providers);
	return count;
}
