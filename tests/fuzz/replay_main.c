/*
 * replay_main.c - runs a fuzz target over every file of a corpus folder, as a test.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run(const char *dir, const char *name)
{
	char path[4096];
	FILE *f;
	uint8_t *data = NULL;
	long size;
	int ok = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "rb");
	if (!f)
		return 0;
	if (fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) >= 0 && fseek(f, 0, SEEK_SET) == 0) {
		data = malloc((size_t)size + 1);
		if (data && fread(data, 1, (size_t)size, f) == (size_t)size) {
			(void)LLVMFuzzerTestOneInput(data, (size_t)size);
			ok = 1;
		}
	}
	free(data);
	(void)fclose(f);
	return ok;
}

int main(int argc, char **argv)
{
	DIR *d = argc == 2 ? opendir(argv[1]) : NULL;
	struct dirent *e;
	int n = 0;

	if (!d) {
		(void)fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
		return 1;
	}
	while ((e = readdir(d))) {
		if (e->d_name[0] != '.')
			n += run(argv[1], e->d_name);
	}
	(void)closedir(d);
	(void)printf("%d inputs\n", n);
	return n > 0 ? 0 : 1;
}
