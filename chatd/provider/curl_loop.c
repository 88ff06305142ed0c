/*
 * curl_loop.c - libcurl's multi interface on a libevent loop. See curl_loop.h.
 *
 * libcurl says which sockets it wants to know about and when it wants to be called; we tell it
 * when a socket is ready or the time has come. One event for each socket, one timer.
 *
 * A socket that the kernel has no room to watch is tried again after LIMIT_WATCH_RETRY_MS: a
 * callback that fails would end libcurl's multi handle for good. The transfer's own time-outs go
 * on.
 *
 * Memory: libcurl that has none in the middle of its work forgets a socket and the time of its next
 * time-out, of all transfers, and its table of sockets is broken from then on (7.88 divides by its
 * size, 0). So its allocations are as ours: without memory the worker ends, and the next one takes
 * its turns up.
 *
 * Teardown order, which valgrind checks: easy handles (the owner's), multi, events, then the
 * caller's base.
 */
#include "chatd/provider/curl_loop.h"

#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "common/require.h"

/* What libcurl wants to know about one socket. */
struct curl_watch {
	struct event *event;
	struct curl_watch *prev, *next;
};

static void run(struct curl_loop *l, curl_socket_t fd, int what)
{
	int running;
	int left;
	CURLMsg *msg;

	(void)curl_multi_socket_action(l->multi, fd, what, &running); /* errors come as messages */
	while ((msg = curl_multi_info_read(l->multi, &left))) {
		if (msg->msg == CURLMSG_DONE)
			l->ops->finished(l->arg, msg->easy_handle, msg->data.result);
	}
	l->ops->ran(l->arg);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	run(arg, fd,
	    ((what & EV_READ) ? CURL_CSELECT_IN : 0) | ((what & EV_WRITE) ? CURL_CSELECT_OUT : 0));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	run(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void add(struct curl_loop *l, struct curl_watch *w)
{
	const struct timeval soon = {0, LIMIT_WATCH_RETRY_MS * 1000};

	if (event_add(w->event, NULL) < 0)
		REQUIRE(event_add(l->again, &soon) == 0); /* only memory could be short */
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct curl_loop *l = arg;

	(void)fd;
	(void)what;
	for (struct curl_watch *w = l->watches; w; w = w->next) {
		if (!event_pending(w->event, EV_READ | EV_WRITE, NULL))
			add(l, w);
	}
}

static struct curl_watch *watch(struct curl_loop *l)
{
	struct curl_watch *w = calloc(1, sizeof(*w));

	REQUIRE(w);
	w->next = l->watches;
	if (w->next)
		w->next->prev = w;
	l->watches = w;
	return w;
}

static void unwatch(struct curl_loop *l, struct curl_watch *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		l->watches = w->next;
	if (w->next)
		w->next->prev = w->prev;
	event_free(w->event);
	free(w);
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct curl_loop *l = arg;
	struct curl_watch *w = socket_arg;
	short events = EV_PERSIST;

	if (what == CURL_POLL_REMOVE) {
		if (w)
			unwatch(l, w);
		(void)curl_multi_assign(l->multi, fd, NULL); /* a known socket: it can't fail */
		return 0;
	}
	if (what & CURL_POLL_IN)
		events |= EV_READ;
	if (what & CURL_POLL_OUT)
		events |= EV_WRITE;
	if (w) {
		event_free(w->event);
	} else {
		w = watch(l);
		(void)curl_multi_assign(l->multi, fd, w); /* likewise */
	}
	w->event = event_new(l->base, fd, events, on_socket, l);
	REQUIRE(w->event);
	add(l, w);
	return 0;
}

static int timer_wanted(CURLM *multi, long ms, void *arg)
{
	struct curl_loop *l = arg;
	struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

	if (ms < 0)
		(void)event_del(l->timer);
	else
		REQUIRE(event_add(l->timer, &tv) == 0);
	return 0;
}

static void *take(size_t n)
{
	void *p = malloc(n);

	REQUIRE(p);
	return p;
}

static void *take_again(void *p, size_t n)
{
	p = realloc(p, n);
	REQUIRE(p);
	return p;
}

static void *take_zeroed(size_t n, size_t size)
{
	void *p = calloc(n, size);

	REQUIRE(p);
	return p;
}

static char *copy(const char *s)
{
	char *p = strdup(s);

	REQUIRE(p);
	return p;
}

void curl_loop_init(struct curl_loop *l, struct event_base *base, const struct curl_loop_ops *ops,
		    void *arg)
{
	*l = (struct curl_loop){.base = base, .ops = ops, .arg = arg};
	REQUIRE(curl_global_init_mem(CURL_GLOBAL_DEFAULT, take, free, take_again, copy,
				     take_zeroed) == CURLE_OK);
	l->timer = event_new(base, -1, 0, on_timer, l);
	l->again = event_new(base, -1, 0, on_again, l);
	l->multi = curl_multi_init();
	REQUIRE(l->timer && l->again && l->multi);
	(void)curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
	(void)curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
	(void)curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
	(void)curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
	(void)curl_multi_setopt(l->multi, CURLMOPT_MAXCONNECTS, LIMIT_IDLE_CONNECTIONS);
	(void)curl_multi_setopt(l->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
}

void curl_loop_fini(struct curl_loop *l)
{
	(void)curl_multi_cleanup(l->multi);
	for (struct curl_watch *w = l->watches, *next; w; w = next) {
		next = w->next;
		event_free(w->event);
		free(w);
	}
	event_free(l->again);
	event_free(l->timer);
	curl_global_cleanup();
}
