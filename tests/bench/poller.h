/*
 * poller.h - the one epoll loop of a bench program.
 *
 * No libevent here: the yardstick and the load must cost as little as the machine allows.
 */
#pragma once

#include <stdint.h>

/* Whatever has a descriptor embeds one; it must outlive poller_wait() even once it is removed. */
struct watch {
	void (*ready)(struct watch *w, uint32_t events); /* EPOLLIN and the like */
	int fd;						 /* -1: none */
	uint32_t events;				 /* asked for now */
};

struct poller {
	int epoll;
};

void poller_init(struct poller *p);
void poller_fini(struct poller *p);

/* Asks for these events of w->fd, from now on. */
void poller_add(struct poller *p, struct watch *w, uint32_t events);
void poller_change(struct poller *p, struct watch *w, uint32_t events); /* nothing if unchanged */
/* Closes the descriptor. What was reported for it in this round is not called any more. */
void poller_close(struct poller *p, struct watch *w);

/* Waits for at most us µs and calls who is ready. Few at a time, so that clocks are kept. */
void poller_wait(struct poller *p, int64_t us);

/* RLIMIT_NOFILE up to what is allowed; returns that. */
int poller_raise_limit(void);
