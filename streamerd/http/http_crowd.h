/*
 * http_crowd.h - the places that sockets take under the limits of connections, also those that
 * were handed over; inside the layer only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quota;

/* Embedded in its server. */
struct http_crowd {
	struct quota *quota; /* borrowed */
	uint64_t all;	     /* the key of all connections together */
	int max, max_per_address, max_sockets;
	int sockets;	 /* that have a place in this process */
	uint64_t *by_fd; /* owned: the address that the socket with that number counts for */
	size_t n_fds;
};

/* quota is borrowed. The limits are those of struct http_conf. */
void http_crowd_init(struct http_crowd *c, struct quota *quota, int max, int max_per_address,
		     int max_sockets);
void http_crowd_fini(struct http_crowd *c);

/* One more of all, in all processes; false at max, or if this process has max_sockets. */
bool http_crowd_enter(struct http_crowd *c);
void http_crowd_leave(struct http_crowd *c);

/* One more of an address (as http_peer_key() has it): what stands for it, or 0 if it has max. */
uint64_t http_crowd_enter_address(struct http_crowd *c, const uint8_t key[16]);
void http_crowd_leave_address(struct http_crowd *c, uint64_t address); /* 0 is fine */
/* A socket is handed over, with its places: they are known by its number from now on. */
void http_crowd_keep(struct http_crowd *c, int fd, uint64_t address);
/* It was closed. */
void http_crowd_leave_fd(struct http_crowd *c, int fd);
