/*
 * metrics.h - what a worker counts for operators, by name and labels.
 *
 * The status reply carries it under "metrics": an array of families
 *
 *	{"name": "turns_total", "type": "counter" | "gauge" | "histogram", "help": "…",
 *	 "unit"?: "us", "le"?: [bounds], "series": {"outcome=\"done\"": 12 | [buckets …, sum]}}
 *
 * Integers only; "us" are told as seconds. streamerd writes them as Prometheus text with the
 * worker's number as one more label; it knows no name itself. The list is in
 * .lore/specs/metrics.md.
 *
 * Labels are bounded: providers and servers stand in the config; beyond LIMIT_METRIC_MODELS
 * different models a model counts as "other".
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "chatd/provider/provider.h"
#include "chatd/worker/worker.h"

struct metrics;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *m); /* NULL is fine */

void metrics_turn(struct metrics *m, const char *provider, const char *model, const char *outcome,
		  const char *error_code, int64_t ms, const struct provider_usage *usage);
/* A question was answered, or failed (fault). first_us: to the first delta, -1 if none came. */
void metrics_asked(struct metrics *m, const char *provider, enum fault fault, int64_t first_us,
		   int64_t us);
void metrics_retry(struct metrics *m, const char *provider);
/* A tool call was settled. server: "" for none. */
void metrics_call(struct metrics *m, const char *server, const char *status, int64_t ms);

/* All families of this worker. New reference. */
json_t *metrics_json(struct worker *w);
