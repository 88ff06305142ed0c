/*
 * metrics.c - the workers' families of numbers, written as Prometheus text. See metrics.h.
 *
 * A family is kept as the first worker told it, and gets the series of all. A histogram's buckets
 * come as single counts and are written as running sums.
 */
#include "streamerd/metrics.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/require.h"

/* The worker's series, each under its labels and the worker's number. */
static void add_series(json_t *have, const json_t *series, unsigned worker)
{
	const char *labels;
	json_t *value;

	json_object_foreach ((json_t *)series, labels, value) {
		auto_buf struct buf b = BUF_INIT;

		buf_addf(&b, "worker=\"%u\"%s%s", worker, *labels ? "," : "", labels);
		(void)json_object_set(have, buf_str(&b), value);
	}
}

void metrics_add(json_t *all, unsigned worker, const json_t *families)
{
	const json_t *family;
	size_t i;

	json_array_foreach (families, i, family) {
		const char *name = json_get_str(family, "name");
		const json_t *series = json_object_get(family, "series");
		json_t *have;

		if (!name || !json_get_str(family, "type") || !json_get_str(family, "help") ||
		    !json_is_object(series))
			continue;
		have = json_object_get(all, name);
		if (!have) {
			have = json_copy((json_t *)family);
			(void)json_object_set_new(have, "series", json_object());
			(void)json_object_set_new(all, name, have);
		}
		add_series(json_object_get(have, "series"), series, worker);
	}
}

void metrics_head(struct buf *b, const char *prefix, const char *name, const char *type,
		  const char *help)
{
	if (*help)
		buf_addf(b, "# HELP %s_%s %s\n", prefix, name, help);
	buf_addf(b, "# TYPE %s_%s %s\n", prefix, name, type);
}

static void number(struct buf *b, const json_t *value, bool us)
{
	if (us)
		buf_addf(b, " %.6f\n", (double)json_integer_value(value) / 1e6);
	else
		buf_addf(b, " %lld\n", (long long)json_integer_value(value));
}

static void write_plain(struct buf *b, const char *name, const char *labels, const json_t *value,
			bool us)
{
	buf_addf(b, "chatd_%s{%s}", name, labels);
	number(b, value, us);
}

/* counts: one for each bound, one for all beyond, and the sum of what was observed. */
static void write_histogram(struct buf *b, const char *name, const char *labels,
			    const json_t *counts, const json_t *le, bool us)
{
	size_t n = json_array_size(le);
	json_int_t sum = 0;

	if (json_array_size(counts) != n + 2)
		return;
	for (size_t i = 0; i <= n; i++) {
		double bound = (double)json_integer_value(json_array_get(le, i));

		sum += json_integer_value(json_array_get(counts, i));
		buf_addf(b, "chatd_%s_bucket{%s,le=\"", name, labels);
		if (i == n)
			buf_adds(b, "+Inf");
		else
			buf_addf(b, "%.12g", us ? bound / 1e6 : bound);
		buf_addf(b, "\"} %lld\n", (long long)sum);
	}
	buf_addf(b, "chatd_%s_sum{%s}", name, labels);
	number(b, json_array_get(counts, n + 1), us);
	buf_addf(b, "chatd_%s_count{%s} %lld\n", name, labels, (long long)sum);
}

static void write_family(struct buf *b, const char *name, const json_t *family)
{
	const json_t *le = json_object_get(family, "le");
	bool us = json_object_get(family, "unit") != NULL;
	const char *type = json_get_str(family, "type");
	const char *labels;
	json_t *value;

	metrics_head(b, "chatd", name, type, json_get_str(family, "help"));
	json_object_foreach (json_object_get(family, "series"), labels, value) {
		if (json_is_array(value))
			write_histogram(b, name, labels, value, le, us);
		else
			write_plain(b, name, labels, value, us);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void metrics_write(struct buf *b, const json_t *all)
{
	size_t n = json_object_size(all), i = 0;
	const char **names = calloc(n + 1, sizeof(char *));
	const char *name;
	json_t *family;

	REQUIRE(names);
	json_object_foreach ((json_t *)all, name, family)
		names[i++] = name;
	qsort(names, n, sizeof(char *), by_name);
	for (i = 0; i < n; i++)
		write_family(b, names[i], json_object_get(all, names[i]));
	free(names);
}
