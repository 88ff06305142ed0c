/*
 * curl_loop.h - libcurl's multi interface on a libevent loop.
 */
#pragma once

#include <curl/curl.h>
#include <event2/event.h>

struct curl_loop_ops {
	/* That handle is done; it is still part of the multi. */
	void (*finished)(void *arg, CURL *easy, CURLcode code);
	/* libcurl has run, and is off the stack: now everything may be called. */
	void (*ran)(void *arg);
};

struct curl_loop {
	struct event_base *base; /* borrowed */
	CURLM *multi;		 /* owned; handles are added and removed by the owner of the loop */
	const struct curl_loop_ops *ops;
	void *arg;
	struct event *timer; /* the one that libcurl wants */
	struct event *again; /* for sockets that the kernel would not watch */
	struct curl_watch *watches;
};

/* Embedded in its owner, which must not move it. */
void curl_loop_init(struct curl_loop *l, struct event_base *base, const struct curl_loop_ops *ops,
		    void *arg);
void curl_loop_fini(struct curl_loop *l); /* after the last handle; before the base */
