/*
 * clock.h - the two clocks, and time as text.
 *
 * Wall time is only ever shown or stored; order and time-outs never depend on it.
 */
#pragma once

#include <stdint.h>

int64_t clock_wall_ms(void); /* Unix time in ms */
int64_t clock_mono_ms(void); /* monotonic, ms */
int64_t clock_mono_us(void); /* monotonic, µs */

#define CLOCK_ISO_LEN 24 /* "2026-11-22T09:30:00.123Z" */

/* Writes wall_ms as ISO 8601 UTC into out, NUL-terminated. Caches the last second: cheap. */
void clock_iso(int64_t wall_ms, char out[CLOCK_ISO_LEN + 1]);
