/*
 * viewing.h - a hub with its backend, a scripted worker, and viewers on socket pairs.
 *
 * A client is what a browser's EventSource is: it joins, reads bytes, knows the id of the last
 * event that it was given, leaves and comes back.
 */
#pragma once

#include <check.h>
#include <event2/event.h>
#include <stdbool.h>

#include "streamerd/backend.h"
#include "streamerd/hub.h"
#include "tests/unit/streamerd/scripted_worker.h"

#define OWNER "alice"
#define SID   "ses_one"

struct viewing {
	struct event_base *base;
	char dir[64];
	struct hub *hub;
	struct backend *backend;
	struct scripted_worker *worker;
	struct scripted_session *session; /* SID of OWNER */
	int ended;			  /* viewers that have ended */
	int ups, downs;
};

enum client_state { CLIENT_WAITING, CLIENT_OPEN, CLIENT_REFUSED, CLIENT_NOTHING, CLIENT_ENDED };

struct client {
	struct viewing *v;
	enum client_state state;
	enum fault fault; /* once refused */
	struct join *join;
	struct bundle *bundle; /* instead, if it shows several; until it is accepted */
	int fd;		       /* our end, -1 before and after */
	bool paused;	       /* does not read */
	struct buf in;	       /* everything since the join, without head and comments */
	struct buf raw;	       /* not yet a whole line group */
	bool head_seen;
	char last_id[64]; /* "" before the first event */
	int events, snapshots, comments, notices;
	char notice[512]; /* the last frame without id; not in `in` */
	int small_buffer; /* bytes of socket buffer, 0: the system's */
};

struct viewing *viewing_new(void);
void viewing_free(struct viewing *v);

void client_join(struct viewing *v, struct client *c, const char *cursor, bool until_idle);
/* Joins a session that is not SID. */
void client_join_other(struct viewing *v, struct client *c, const char *owner, const char *id);
/* One stream for several. sessions NULL: all of the owner's; cursors and since may be NULL. */
void client_join_several(struct viewing *v, struct client *c, const char *owner,
			 const char *sessions, const char *cursors, const char *since);
/* One stream for these (may be ""), and word of changes in the owner's. */
void client_join_changes(struct viewing *v, struct client *c, const char *owner,
			 const char *sessions);
void client_leave(struct client *c);
void client_read(struct client *c); /* what is there */
/* All frames of the client: compared with what the log says follows `after`. */
void client_expect_frames(struct client *c, const struct scripted_session *s, uint64_t after);
/* A snapshot with that reason (NULL: none), then every later event. */
void client_expect_snapshot_then_rest(struct client *c, const struct scripted_session *s,
				      const char *reason);

/* Runs the loop until cond(arg) or fails after five seconds. */
void viewing_until(struct viewing *v, bool (*cond)(void *arg), void *arg, const char *what);
void viewing_until_state(struct client *c, enum client_state state);
/* Until the client was given everything that the session has. */
void viewing_until_caught_up(struct client *c, const struct scripted_session *s);
void viewing_spin(struct viewing *v); /* until nothing is ready */
/* For viewing_until(), arg is the viewing: its one link to the worker is up, or down. */
bool viewing_is_linked(void *arg);
bool viewing_is_cut(void *arg);
