/*
 * http_crowd.c - how many connections each address has. See http_crowd.h.
 *
 * There are no more entries than connections. A socket that was handed over is remembered by its
 * number: its new owner has nothing else of the layer's.
 */
#include "streamerd/http/http_crowd.h"

#include <stdlib.h>
#include <string.h>

struct http_crowd_one *http_crowd_enter(struct http_crowd *c, const uint8_t key[16], unsigned max)
{
	struct http_crowd_one *one;

	HASH_FIND(hh, c->all, key, sizeof(one->key), one);
	if (one && one->n >= max)
		return NULL;
	if (!one) {
		one = calloc(1, sizeof(*one));
		REQUIRE(one);
		memcpy(one->key, key, sizeof(one->key));
		HASH_ADD(hh, c->all, key, sizeof(one->key), one);
	}
	one->n++;
	return one;
}

void http_crowd_leave(struct http_crowd *c, struct http_crowd_one *one)
{
	if (!one || --one->n > 0)
		return;
	HASH_DEL(c->all, one);
	free(one);
}

void http_crowd_keep(struct http_crowd *c, int fd, struct http_crowd_one *one)
{
	size_t n = c->n_fds;

	if (!one)
		return;
	if ((size_t)fd >= n) {
		c->n_fds = (size_t)fd * 2 + 64;
		c->by_fd = realloc(c->by_fd, c->n_fds * sizeof(struct http_crowd_one *));
		REQUIRE(c->by_fd);
		memset(c->by_fd + n, 0, (c->n_fds - n) * sizeof(struct http_crowd_one *));
	}
	REQUIRE(!c->by_fd[fd]);
	c->by_fd[fd] = one;
}

void http_crowd_leave_fd(struct http_crowd *c, int fd)
{
	if ((size_t)fd >= c->n_fds)
		return;
	http_crowd_leave(c, c->by_fd[fd]);
	c->by_fd[fd] = NULL;
}

void http_crowd_fini(struct http_crowd *c)
{
	struct http_crowd_one *one, *next;

	HASH_ITER (hh, c->all, one, next) {
		HASH_DEL(c->all, one);
		free(one);
	}
	free(c->by_fd);
	*c = (struct http_crowd){NULL, NULL, 0};
}
