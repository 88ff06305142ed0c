/*
 * hash.h - uthash, with our way of running out of memory.
 */
#pragma once

#include "common/require.h"

/* memory of a size of our own choosing that can't be had ends the process, and says so */
#define uthash_fatal(message) REQUIRE(!(message))

#include <uthash.h>
