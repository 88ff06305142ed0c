/*
 * skip.c - a clock that tests can put forward. See skip.h.
 *
 * A file of its own, so that programs that don't skip are linked without it and its --wrap.
 */
#include "tests/unit/streamerd/skip.h"

#include "common/clock.h"

/* The clock of the code under test (linked with --wrap): real time plus what a test adds. */
static int64_t skipped_ms;
int64_t __real_clock_mono_ms(void);
int64_t __wrap_clock_mono_ms(void);

int64_t __wrap_clock_mono_ms(void)
{
	return __real_clock_mono_ms() + skipped_ms;
}

void skip(struct viewing *v, int64_t ms)
{
	for (int64_t done = 0; done < ms; done += 1000) {
		skipped_ms += 1000;
		hub_tick(v->hub);
		viewing_spin(v);
	}
}
