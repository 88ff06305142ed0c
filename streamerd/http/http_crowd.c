/*
 * http_crowd.c - the places that sockets take under the limits of connections. See http_crowd.h.
 *
 * The counts are in a quota, which other processes may share. A socket that was handed over is
 * remembered by its number: its new owner has nothing else of the layer's.
 */
#include "streamerd/http/http_crowd.h"

#include <stdlib.h>
#include <string.h>

#include "common/quota.h"
#include "common/require.h"

void http_crowd_init(struct http_crowd *c, struct quota *quota, int max, int max_per_address,
		     int max_sockets)
{
	*c = (struct http_crowd){.quota = quota,
				 .all = quota_key(quota, QUOTA_CONNECTIONS, str_of("")),
				 .max = max,
				 .max_per_address = max_per_address,
				 .max_sockets = max_sockets};
}

void http_crowd_fini(struct http_crowd *c)
{
	free(c->by_fd);
}

bool http_crowd_enter(struct http_crowd *c)
{
	if (c->sockets >= c->max_sockets || !quota_enter(c->quota, c->all, (unsigned)c->max))
		return false;
	c->sockets++;
	return true;
}

void http_crowd_leave(struct http_crowd *c)
{
	REQUIRE(c->sockets > 0);
	c->sockets--;
	quota_leave(c->quota, c->all);
}

uint64_t http_crowd_enter_address(struct http_crowd *c, const uint8_t key[16])
{
	struct str name = {(const char *)key, 16};
	uint64_t address = quota_key(c->quota, QUOTA_ADDRESS, name);

	return quota_enter(c->quota, address, (unsigned)c->max_per_address) ? address : 0;
}

void http_crowd_leave_address(struct http_crowd *c, uint64_t address)
{
	if (address)
		quota_leave(c->quota, address);
}

void http_crowd_keep(struct http_crowd *c, int fd, uint64_t address)
{
	size_t n = c->n_fds;

	if ((size_t)fd >= n) {
		c->n_fds = (size_t)fd * 2 + 64;
		c->by_fd = realloc(c->by_fd, c->n_fds * sizeof(*c->by_fd));
		REQUIRE(c->by_fd);
		memset(c->by_fd + n, 0, (c->n_fds - n) * sizeof(*c->by_fd));
	}
	REQUIRE(!c->by_fd[fd]);
	c->by_fd[fd] = address;
}

void http_crowd_leave_fd(struct http_crowd *c, int fd)
{
	http_crowd_leave(c);
	http_crowd_leave_address(c, c->by_fd[fd]);
	c->by_fd[fd] = 0;
}
