/*
 * retry.h - is a provider asked again, and when? Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "chatd/provider/provider.h"

/*
 * tries: how many were made (at least 1). told: a delta was shown, so there is no way back.
 * rnd: any random number. True: *ret_wait_ms is the time to wait first.
 */
bool retry_decide(const struct provider_error *e, int tries, int max_retries, bool told,
		  uint32_t rnd, int64_t *ret_wait_ms);
