/*
 * bench.h - numbers of a benchmark: quantiles, medians, and the machine they were taken on.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* A growing list of samples. Zero-initialised is empty. */
struct samples {
	double *v; /* owned */
	size_t n, cap;
};

void samples_add(struct samples *s, double v);
void samples_fini(struct samples *s);
/* q of 0..1; sorts. 0 if empty. */
double samples_quantile(struct samples *s, double q);

/* CPU, cores, kernel, SQLite, file system of dir, date. A new reference. */
json_t *bench_machine(const char *dir);
/* µs that an append of 4 KiB and its fdatasync take in dir: p50 of n. */
double bench_sync_us(const char *dir, int n);
/* Prints v indented to path; "-" or NULL: nowhere. */
void bench_write(const char *path, const json_t *v);
