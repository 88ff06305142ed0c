/*
 * http_crowd.h - how many connections each address has, also those that were handed over; inside
 * the layer only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/hash.h"

struct http_crowd_one {
	uint8_t key[16]; /* of http_peer_key() */
	unsigned n;
	UT_hash_handle hh;
};

/* Zero-initialised is empty. Embedded in its server. */
struct http_crowd {
	struct http_crowd_one *all; /* owned: those with n > 0 */
	/* owned: whose the socket with that number is; NULL: nobody's that is counted */
	struct http_crowd_one **by_fd;
	size_t n_fds;
};

/* Counts one more; NULL if there are max already. */
struct http_crowd_one *http_crowd_enter(struct http_crowd *c, const uint8_t key[16], unsigned max);
void http_crowd_leave(struct http_crowd *c, struct http_crowd_one *one); /* NULL is fine */
/* The same by the number of a socket that was handed over. */
void http_crowd_keep(struct http_crowd *c, int fd, struct http_crowd_one *one); /* NULL is fine */
void http_crowd_leave_fd(struct http_crowd *c, int fd);
void http_crowd_fini(struct http_crowd *c);
