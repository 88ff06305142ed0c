/*
 * outage.h - what the viewers of a feed are told when its worker is away for long, and when it is
 * back.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct feed;

/*
 * Once a second for each feed that is not live, and then until it says false: nothing is the matter
 * any more. A feed that has not been live for LIMIT_FEED_DARK_MS is an outage: each of its viewers
 * is told once, and once more when it is over. May end viewers.
 */
bool outage_tick(struct feed *f, int64_t now);
