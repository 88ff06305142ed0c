/*
 * socket_set.c - which of very many sockets can be read or written. See socket_set.h.
 *
 * Level-triggered, as the loop is: what is not handed out this time is there the next.
 */
#include "streamerd/socket_set.h"

#include <errno.h>
#include <unistd.h>

#include "common/require.h"

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct socket_set *s = arg;

	s->n = epoll_wait(s->fd, s->batch, SOCKET_SET_BATCH, 0);
	for (int i = 0; i < s->n; i++) {
		uint32_t got = s->batch[i].events;

		if (s->batch[i].data.ptr) /* not removed by one before it */
			s->ready(s->batch[i].data.ptr, got & (EPOLLIN | EPOLLHUP | EPOLLERR),
				 got & EPOLLOUT);
	}
	s->n = 0;
}

void socket_set_init(struct socket_set *s, struct event_base *base, socket_set_fn *ready)
{
	s->fd = epoll_create1(EPOLL_CLOEXEC);
	REQUIRE(s->fd >= 0);
	s->ready = ready;
	s->n = 0;
	s->ev = event_new(base, s->fd, EV_READ | EV_PERSIST, on_ready, s);
	REQUIRE(s->ev && event_add(s->ev, NULL) == 0);
}

void socket_set_fini(struct socket_set *s)
{
	event_free(s->ev);
	(void)close(s->fd);
}

int socket_set_add(struct socket_set *s, int fd, void *arg)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = arg};

	return epoll_ctl(s->fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

void socket_set_want_write(struct socket_set *s, int fd, void *arg, bool wanted)
{
	struct epoll_event e = {.events = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = arg};

	REQUIRE(epoll_ctl(s->fd, EPOLL_CTL_MOD, fd, &e) == 0);
}

void socket_set_remove(struct socket_set *s, int fd, const void *arg)
{
	(void)epoll_ctl(s->fd, EPOLL_CTL_DEL, fd, NULL); /* fails if adding it did */
	for (int i = 0; i < s->n; i++) {
		if (s->batch[i].data.ptr == arg)
			s->batch[i].data.ptr = NULL;
	}
}
