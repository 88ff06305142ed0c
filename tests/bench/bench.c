/*
 * bench.c - numbers of a benchmark. See bench.h.
 *
 * A benchmark ends the process when the machine doesn't let it measure: there is no one to tell.
 */
#include "tests/bench/bench.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/require.h"

void samples_add(struct samples *s, double v)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 1024;
		s->v = realloc(s->v, s->cap * sizeof(*s->v));
		REQUIRE(s->v);
	}
	s->v[s->n++] = v;
}

void samples_fini(struct samples *s)
{
	free(s->v);
	memset(s, 0, sizeof(*s));
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double samples_quantile(struct samples *s, double q)
{
	size_t i;

	if (s->n == 0)
		return 0;
	qsort(s->v, s->n, sizeof(*s->v), by_size);
	i = (size_t)(q * (double)s->n);
	return s->v[i < s->n ? i : s->n - 1];
}

static void cpu_name(char *name, size_t size)
{
	char line[256];
	FILE *f = fopen("/proc/cpuinfo", "re");

	(void)snprintf(name, size, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		const char *at = strchr(line, ':');

		if (strncmp(line, "model name", 10) == 0 && at) {
			(void)snprintf(name, size, "%.*s", (int)strcspn(at + 2, "\n"), at + 2);
			break;
		}
	}
	if (f)
		(void)fclose(f);
}

static const char *fs_name(const char *dir)
{
	struct statfs fs;

	if (statfs(dir, &fs) < 0)
		return "unknown";
	switch ((unsigned long)fs.f_type) {
	case 0xef53:
		return "ext4";
	case 0x58465342:
		return "xfs";
	case 0x9123683e:
		return "btrfs";
	case 0x01021994:
		return "tmpfs";
	case 0x794c7630:
		return "overlay";
	default:
		return "other";
	}
}

double bench_sync_us(const char *dir, int n)
{
	static char block[4096];
	struct samples s = {0};
	char path[256];
	double p50;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/sync.probe", dir);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0);
	for (int i = 0; i < n; i++) {
		int64_t start = clock_mono_us();

		memset(block, i, sizeof(block));
		REQUIRE(write(fd, block, sizeof(block)) == (ssize_t)sizeof(block));
		REQUIRE(fdatasync(fd) == 0);
		samples_add(&s, (double)(clock_mono_us() - start));
	}
	(void)close(fd);
	(void)unlink(path);
	p50 = samples_quantile(&s, 0.5);
	samples_fini(&s);
	return p50;
}

json_t *bench_machine(const char *dir)
{
	char cpu[128], now[CLOCK_ISO_LEN + 1];
	struct utsname u;

	cpu_name(cpu, sizeof(cpu));
	REQUIRE(uname(&u) == 0);
	clock_iso(clock_wall_ms(), now);
	return json_pack("{s:s, s:I, s:s, s:s, s:s, s:f, s:s}", "cpu", cpu, "cores",
			 (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "kernel", u.release, "sqlite",
			 sqlite3_libversion(), "file_system", fs_name(dir), "sync_4k_us",
			 bench_sync_us(dir, 200), "date", now);
}

void bench_write(const char *path, const json_t *v)
{
	if (!path || strcmp(path, "-") == 0)
		return;
	REQUIRE(json_dump_file(v, path, JSON_INDENT(2) | JSON_REAL_PRECISION(5)) == 0);
}
