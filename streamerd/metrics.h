/*
 * metrics.h - the workers' families of numbers, written as Prometheus text.
 *
 * The form is chatd's (chatd/worker/metrics.h); no name is known here. What does not have it is
 * left out.
 */
#pragma once

#include <jansson.h>

#include "common/buf.h"

/*
 * Adds a worker's families to `all`, an object by name. Each of its series gets the label "worker":
 * in a sum of all, one that starts anew would look like a great many of everything.
 */
void metrics_add(json_t *all, unsigned worker, const json_t *families);
/* Appends them all, in the order of their names, each with the prefix "chatd_". */
void metrics_write(struct buf *b, const json_t *all);
/* "# HELP" (unless help is empty) and "# TYPE". */
void metrics_head(struct buf *b, const char *prefix, const char *name, const char *type,
		  const char *help);
