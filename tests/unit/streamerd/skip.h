/*
 * skip.h - a clock that tests can put forward. For programs linked with --wrap=clock_mono_ms.
 */
#pragma once

#include "tests/unit/streamerd/viewing.h"

/* Lets ms pass for the code under test, second by second, with a tick of the hub in each. */
void skip(struct viewing *v, int64_t ms);
