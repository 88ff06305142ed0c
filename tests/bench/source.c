/*
 * source.c - what every source of events has: the sessions and how events look. See source.h.
 */
#include "tests/bench/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/require.h"

#define PREFIX	     "ses_bench"
#define PREFIX_LEN   (sizeof(PREFIX) - 1)
#define DIGITS	     6
#define FIRST_STAMPS 64

void source_init(struct source *s, const struct source_ops *ops, struct poller *p,
		 unsigned n_sessions)
{
	s->ops = ops;
	s->poller = p;
	s->n_sessions = n_sessions;
	s->seqs = calloc(n_sessions, sizeof(*s->seqs));
	s->made_us = calloc(n_sessions, sizeof(*s->made_us));
	REQUIRE(s->seqs && s->made_us);
}

void source_free(struct source *s)
{
	for (unsigned i = 0; i < s->n_sessions; i++)
		free(s->made_us[i]);
	free(s->made_us);
	free(s->seqs);
	s->ops->free(s);
}

void source_make(struct source *s, unsigned session, int64_t now_us)
{
	uint64_t n = s->seqs[session]++;

	/* room for a power of two each time the number of events reaches one */
	if (n == 0 || (n >= FIRST_STAMPS && (n & (n - 1)) == 0)) {
		size_t room = n ? 2 * n : FIRST_STAMPS;

		s->made_us[session] = realloc(s->made_us[session], room * sizeof(int64_t));
		REQUIRE(s->made_us[session]);
	}
	s->made_us[session][n] = now_us;
	s->ops->publish(s, session);
}

void source_flush(struct source *s)
{
	s->ops->flush(s);
}

void source_session_name(unsigned session, char out[SOURCE_NAME_LEN])
{
	(void)snprintf(out, SOURCE_NAME_LEN, PREFIX "%0*u", DIGITS, session % 1000000);
}

int source_session_number(const char *name, size_t n)
{
	int number = 0;

	if (n != PREFIX_LEN + DIGITS || memcmp(name, PREFIX, PREFIX_LEN) != 0)
		return -1;
	for (size_t i = PREFIX_LEN; i < n; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -1;
		number = number * 10 + (name[i] - '0');
	}
	return number;
}

void source_payload(uint64_t seq, int64_t made_us, char out[SOURCE_EVENT_BYTES])
{
	char head[80];
	int n = snprintf(head, sizeof(head), "{\"content\":\"@%llu %lld ", (unsigned long long)seq,
			 (long long)made_us);

	memset(out, 'x', SOURCE_EVENT_BYTES);
	memcpy(out, head, (size_t)n);
	memcpy(out + SOURCE_EVENT_BYTES - 2, "\"}", 2);
}
