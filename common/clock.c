/*
 * clock.c - the two clocks, and time as text. See clock.h.
 */
#include "common/clock.h"

#include <string.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts); /* can't fail for these two clocks */
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
	return read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_mono_ms(void)
{
	return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_mono_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

void clock_iso(int64_t wall_ms, char out[CLOCK_ISO_LEN + 1])
{
	static int64_t cached_sec = INT64_MIN; /* no second that fits into milliseconds */
	static char cached[21];
	int64_t sec = wall_ms / 1000;
	int ms = (int)(wall_ms % 1000);

	if (ms < 0) {
		ms += 1000;
		sec -= 1;
	}
	if (sec != cached_sec) {
		time_t t = (time_t)sec;
		struct tm tm;

		if (!gmtime_r(&t, &tm) ||
		    strftime(cached, sizeof(cached), "%Y-%m-%dT%H:%M:%S.", &tm) != 20)
			memcpy(cached, "0000-00-00T00:00:00.", 21);
		cached_sec = sec;
	}
	memcpy(out, cached, 20);
	out[20] = (char)('0' + ms / 100);
	out[21] = (char)('0' + ms / 10 % 10);
	out[22] = (char)('0' + ms % 10);
	out[23] = 'Z';
	out[24] = '\0';
}
