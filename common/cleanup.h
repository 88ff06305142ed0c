/*
 * cleanup.h - locals that clean up after themselves.
 *
 *	auto_free char *s = strdup(x);      freed when s leaves scope
 *	return steal(s);                    hands it to the caller instead
 */
#pragma once

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* nothing can be done about a failing close here */
}

#define auto_free  __attribute__((cleanup(cleanup_free)))
#define auto_close __attribute__((cleanup(cleanup_close)))

#define steal(p)                            \
	__extension__({                     \
		__typeof__(p) _taken = (p); \
		(p) = 0;                    \
		_taken;                     \
	})

static inline int steal_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}
