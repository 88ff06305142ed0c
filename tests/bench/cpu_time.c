/*
 * cpu_time.c - what a process has had of the CPUs. See cpu_time.h.
 *
 * From the scheduler's own count in ns (schedstat), for that in stat counts in ticks of 10 ms.
 */
#include "tests/bench/cpu_time.h"

#include <dirent.h>
#include <stdio.h>

double cpu_time_of(pid_t pid)
{
	char path[300];
	struct dirent *e;
	double sum = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		unsigned long long ns;
		FILE *f;

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, e->d_name);
		f = fopen(path, "re");
		if (f && fscanf(f, "%llu", &ns) == 1)
			sum += (double)ns / 1e9;
		if (f)
			(void)fclose(f);
	}
	if (d)
		(void)closedir(d);
	return sum;
}
