/*
 * retry.c - is a provider asked again, and when? See retry.h.
 *
 * What the provider asks for (Retry-After) comes before our own back-off. A wait beyond
 * LIMIT_RETRY_AFTER_MS is real (114 hours were seen): nobody wants a turn that sleeps through it,
 * so it ends at once and error.retry_after_ms tells the time. It does not come back earlier than
 * asked either: that would only spend the next try.
 */
#include "chatd/provider/retry.h"

#include "common/backoff.h"
#include "common/limits.h"

bool retry_decide(const struct provider_error *e, int tries, int max_retries, bool told,
		  uint32_t rnd, int64_t *ret_wait_ms)
{
	if (told || !e->retryable || tries > max_retries)
		return false;
	if (e->retry_after_ms > LIMIT_RETRY_AFTER_MS)
		return false;
	if (e->retry_after_ms > 0)
		*ret_wait_ms = e->retry_after_ms;
	else
		*ret_wait_ms = backoff_ms((unsigned)tries - 1, LIMIT_RETRY_MIN_MS,
					  LIMIT_RETRY_MAX_MS, rnd);
	return true;
}
