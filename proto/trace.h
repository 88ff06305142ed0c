/*
 * trace.h - W3C trace context: the traceparent that a POST may bring.
 *
 * Only the form of version 00 is taken: "00-<32 hex>-<16 hex>-<2 hex>", lower case, neither id all
 * zeros. Anything else is as if it were not there, as the standard wants it. Both sides of the bus
 * check: what a worker gets ends up in a header line of a request to a provider.
 */
#pragma once

#include <stdbool.h>

#include "common/buf.h"

#define TRACE_LEN 56 /* with its NUL */

/* Copies s to out if it is valid, else makes out "". */
void trace_take(struct str s, char out[TRACE_LEN]);
/* The trace id in a valid one, for log lines: `trace=%.32s`. "-" for "". */
const char *trace_id(const char *traceparent);
