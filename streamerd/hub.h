/*
 * hub.h - all feeds and viewers of this process.
 *
 * A feed is one session as one owner sees it; it is subscribed to at its worker once, while it has
 * viewers (and a moment longer). A join is an HTTP request that wants to become a viewer. A viewer
 * is a socket with a cursor into a feed.
 *
 * The hub works in passes: what arrives only changes state and marks the feed; at the end of the
 * loop's turn every marked feed is settled once. So everything that has gathered for a viewer goes
 * out in one write, and no callback of a caller ever runs inside the caller's own call. What has
 * come for a crowd may be held a little longer (pace.h).
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "proto/fault.h"
#include "proto/messages.h"

struct backend;
struct bundles;
struct feed;
struct hub;
struct join;
struct socket_set;

/* Why a viewer's stream ends. */
enum viewer_end {
	VIEWER_LEFT,	 /* the peer closed, or its socket failed */
	VIEWER_IDLE,	 /* until=idle was reached */
	VIEWER_CLEARED,	 /* its session is gone */
	VIEWER_STALLED,	 /* took nothing for LIMIT_VIEWER_STALL_MS */
	VIEWER_LAGGED,	 /* so far behind that the log has no way on from there */
	VIEWER_SHUTDOWN, /* we are going down */
};

/* What becomes of a join: exactly one of these, later, unless join_cancel() comes first. */
struct join_ops {
	/* Becomes a viewer. Returns the socket (owned by the hub from then on) and appends the
	 * response head; or -1 if the peer has gone. */
	int (*accept)(void *arg, struct buf *head);
	/* An error answer. */
	void (*refuse)(void *arg, enum fault fault);
	/* A returning `until=idle` viewer that has everything, and nothing runs. */
	void (*nothing)(void *arg);
};

struct join_request {
	struct str owner, session_id; /* copied */
	bool has_cursor;
	struct str cursor; /* Last-Event-ID as it came; need not be a valid one */
	bool until_idle;
	const struct join_ops *ops;
	void *arg;
};

/* ended is called once for each accepted viewer, whose socket has been closed. */
struct hub *hub_new(struct event_base *base, void (*ended)(void *arg, int fd), void *arg);
/* What the hub does by itself once a second; public for tests, whose clock is their own. */
void hub_tick(struct hub *h);
void hub_set_backend(struct hub *h, struct backend *b); /* borrowed; once, before anything joins */
void hub_set_max_viewers(struct hub *h, int per_owner);
void hub_drain(struct hub *h); /* ends every stream cleanly and refuses joins; stays so */
void hub_free(struct hub *h);  /* before the backend; NULL is fine */

/* FAULT_NONE and *ret_join, or FAULT_TOO_MANY. */
enum fault hub_join(struct hub *h, const struct join_request *r, struct join **ret_join);

/* From the backend. */
void hub_on_up(struct hub *h, unsigned worker);
void hub_on_down(struct hub *h, unsigned worker);
void hub_on_event(struct hub *h, const struct msg_event *e);
void hub_on_activity(struct hub *h, const struct msg_activity *a);

/* --- for feeds and viewers --- */
struct viewer;
struct event_base *hub_base(const struct hub *h);
struct socket_set *hub_sockets(struct hub *h); /* of its viewers */
struct backend *hub_backend(const struct hub *h);
void hub_mark(struct hub *h, struct feed *f); /* settle it at the end of this pass */
/* An event of so many bytes has come for f: the same, or a little later if it is crowded (pace.h).
 */
void hub_has_event(struct hub *h, struct feed *f, size_t bytes);
/* f is not live, and is to be: outage_tick() looks at it until nothing is the matter any more. */
void hub_trouble(struct hub *h, struct feed *f);
void hub_retry(struct hub *h); /* settle every feed at the next tick */
/* f has begun or ended to keep a snapshot: it is told to drop it after LIMIT_FEED_LINGER_MS. */
void hub_keeps_snapshot(struct hub *h, struct feed *f, bool keeps);
uint64_t hub_new_sub(struct hub *h, struct feed *f); /* a subscriber's number that leads to f */
void hub_drop_sub(struct hub *h, struct feed *f);
/* One stream less of those that hub_owner_take() counted. */
void hub_owner_release(struct hub *h, uint64_t owner);
/* --- for streams of several sessions (bundle.h) --- */
struct bundles *hub_bundles(struct hub *h);
bool hub_is_draining(const struct hub *h);
void hub_wake(struct hub *h); /* bundles are settled at the end of this pass */
/* One more stream of that owner, in all processes: what stands for the owner, or 0 at the limit. */
uint64_t hub_owner_take(struct hub *h, struct str name);
/* The session's feed: made, if create, if there is none; NULL. */
struct feed *hub_feed(struct hub *h, struct str owner, struct str session_id, bool create);
void hub_stream_began(struct hub *h);
/* One that began, and whose socket fd was closed; takes the count back. */
void hub_stream_ended(struct hub *h, uint64_t owner, int fd);

void hub_viewer_began(struct hub *h, struct viewer *v);
void hub_viewer_ended(struct hub *h, struct viewer *v);
