/*
 * session.h - a session as its worker holds it while it is needed.
 *
 * In memory only while a turn runs, somebody is subscribed or writes are pending; all else is in
 * the log. The accumulator is always as far as the events that were emitted, which may be ahead
 * of the log: whoever shows state waits until nothing is pending (snapshot.h).
 */
#pragma once

#include "chatd/store/queries.h"
#include "chatd/worker/accumulator.h"
#include "chatd/worker/worker.h"
#include "common/hash.h"
#include "proto/fault.h"

struct subscription {
	LIST_ENTRY(subscription) of_session;
	LIST_ENTRY(subscription) of_link;
	struct session *session;
	struct link *link;
	uint64_t sub; /* streamerd's number for it */
};

struct session {
	struct log_session log; /* first: the log hands this back; log.id is our key */
	struct worker *worker;
	char *owner, *title, *provider, *model, *system,
		*metadata; /* owned; the last two may be NULL */
	int64_t created_at;
	uint64_t generation; /* of the current or last run */
	uint64_t last_seq;   /* last one assigned */
	struct accumulator acc;
	char last_turn_id[ID_LEN]; /* "" before the first turn */
	struct turn *turn;	   /* while it runs (or is about to wait); NULL otherwise */
	bool waiting;		   /* its turn waits for a person, as rows only */
	bool orphaned;		   /* its turn is said to run, but nobody runs it: recover.h */
	bool hold_queue;	   /* the queue must not start now: something goes ahead of it */
	TAILQ_HEAD(queue_list, queued) queue; /* owned; queue.c's */
	int64_t turn_started_at;	      /* of the turn that runs or waits */
	enum fault gone; /* deleted or lost: nobody finds it any more, who asks is told this */
	bool on_sweep_list;
	LIST_HEAD(subscription_list, subscription) subs;
	TAILQ_ENTRY(session) sweep_link;
	UT_hash_handle hh;
};

/*
 * The session of that id and owner, from memory or from the log. NULL with *ret_why set:
 * FAULT_SESSION_NOT_FOUND (also another owner's), FAULT_LOG_UNAVAILABLE, or
 * FAULT_WORKER_UNAVAILABLE (another worker has it, or is about to).
 */
struct session *session_get(struct worker *w, struct str id, struct str owner, enum fault *ret_why);
/* The same without asking for the owner: for recovery. */
struct session *session_load(struct worker *w, const char *id, enum fault *ret_why);
/* A new one of an id that hashes to this worker; its insert is appended to the log. */
struct session *session_new(struct worker *w, struct str owner, const char *title,
			    const char *provider, const char *model, const char *system,
			    const char *metadata);

/* Emits an event of the current run: accumulates and appends it. payload: an object, taken over. */
void session_emit(struct session *s, struct log_turn *t, enum chat_event_type type,
		  json_t *payload);
/* An event of a turn that is not the current one: appended, not accumulated. */
void session_emit_beside(struct session *s, struct log_turn *t, enum chat_event_type type,
			 json_t *payload);
/* The same as session_emit() for response_chunk and reasoning_chunk. */
void session_emit_text(struct session *s, struct log_turn *t, enum chat_event_type type,
		       const char *p, size_t n);

const char *session_state(const struct session *s); /* "idle", "processing" or "waiting" */
/* Is there a turn, running or waiting? Its id is last_turn_id. */
bool session_is_busy(const struct session *s);
/* What a refusal says about it: {"turn_id","generation","state"}. New reference. */
json_t *session_busy_json(const struct session *s);

void session_subscribe(struct session *s, struct link *l, uint64_t sub);
void subscription_end(struct subscription *sub);

/* Deletes: the turn is aborted, viewers are told, the rows go. FAULT_NONE, or
 * FAULT_LOG_UNAVAILABLE. */
enum fault session_delete(struct session *s);
/* Retention has removed it: its viewers are told. */
void session_removed(struct session *s);
/* Drops it from memory without a word; it must have no turn. */
void session_forget(struct session *s);
/* Another process took the session over: forgets it without writing. */
void session_lost(struct session *s);

/* Looks at s again at the end of the pass. */
void session_touch(struct session *s);
/* Frees the touched sessions that nothing needs any more. Call after the commit. */
void sessions_sweep(struct worker *w);
void sessions_free(struct worker *w); /* at exit, after the log */
