/*
 * queries.h - what is read from the event log. Committed state only.
 *
 * Functions return 1 found, 0 not there, -1 the log can't be read (logged by the caller). A NULL
 * db reads as -1.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "chatd/store/db.h"
#include "common/id.h"
#include "common/limits.h"
#include "proto/chat_event.h"
#include "proto/trace.h"

uint64_t query_failures(void); /* reads that failed, since the start */

struct session_row {
	int64_t row;
	char *id, *owner, *title, *provider, *model, *system,
		*metadata;	       /* owned; system and metadata may be NULL */
	uint64_t generation, last_seq; /* last_seq is right whatever the state */
	char state[12];
	int64_t created_at, updated_at;
};
void session_row_fini(struct session_row *s);
#define auto_session_row __attribute__((cleanup(session_row_fini)))

struct turn_row {
	int64_t row;
	char id[ID_LEN], message_id[ID_LEN];
	char traceparent[TRACE_LEN]; /* valid, or "" */
	char state[12];
	uint64_t generation, first_seq;
	char *provider, *model; /* owned */
	int crashes, handed_over;
	int64_t started_at;
	char *stop_reason, *error_code, *error_message; /* owned, may be NULL */
	int64_t usage[4]; /* input, output, cache read, cache write; -1 unknown */
};
void turn_row_fini(struct turn_row *t);
#define auto_turn_row __attribute__((cleanup(turn_row_fini)))

int query_session(struct db *db, const char *id, struct session_row *ret);
int query_last_turn(struct db *db, int64_t session, struct turn_row *ret);

/* How many turns of all sessions wait for a person, and in queues. 1, or -1. */
int query_open_turns(struct db *db, int64_t *ret_waiting, int64_t *ret_queued);

/* Ids of sessions with a turn that runs; of idle ones with a turn in the queue. A JSON array of
 * strings, or NULL on error. */
json_t *query_processing(struct db *db);
json_t *query_queued_idle(struct db *db);
/* Those of an owner's sessions that are not idle. */
json_t *query_owner_active(struct db *db, const char *owner);
/* Those that changed at `since` or later, the newest `limit` of them. */
json_t *query_owner_changed(struct db *db, const char *owner, int64_t since, int limit);

/* A turn that waits in the queue. Texts are valid during the callback; the last two may be NULL. */
struct queue_row {
	int64_t row;
	const char *id, *provider, *model, *message_id, *content, *system, *traceparent;
};
int query_queue(struct db *db, int64_t session, void (*fn)(void *arg, const struct queue_row *q),
		void *arg);

/* 1 if the session is there and not removed, 0 if retention took it out, -1 if that can't be read.
 */
int query_stands(struct db *db, int64_t session);

/* The answer that this key got since `since` (wall ms): 1 with malloc'ed texts, 0, or -1. */
int query_key(struct db *db, const char *owner, const char *key, int64_t since,
	      char **ret_fingerprint, char **ret_answer);

/*
 * A page of an owner's sessions, newest change first: a JSON array of session objects, or NULL on
 * error. cursor: "" or what an earlier page gave as *ret_next (empty: it was the last).
 * 0-length *ret_next when malformed cursors give an empty page.
 */
json_t *query_sessions(struct db *db, const char *owner, const char *cursor, int limit,
		       char ret_next[64]);
json_t *session_row_json(const struct session_row *s);

/*
 * The `limit` newest messages before the one with id `before` ("": before the end), oldest first.
 * The page ends early, but not empty, at max_bytes. *ret_next is the `before` for the page of older
 * ones, or "". NULL on error.
 */
json_t *query_messages(struct db *db, int64_t session, const char *before, int limit,
		       size_t max_bytes, char ret_next[ID_LEN]);

/* The newest LIMIT_HISTORY messages, oldest first: {"role","content","echo"?,"turn": row}. NULL on
 * error. */
json_t *query_history(struct db *db, int64_t session);

/* Texts in rows are valid during the callback. */
struct step_row {
	int n;
	size_t content_end, reasoning_end;
	struct str echo; /* JSON, or empty */
};
int query_steps(struct db *db, int64_t turn, void (*fn)(void *arg, const struct step_row *s),
		void *arg);

struct call_row {
	int step;
	const char *id, *server, *name, *model_name, *status;
	struct str arguments, output;
	bool may_repeat, is_error;
	int64_t started_at;
};
int query_calls(struct db *db, int64_t turn, void (*fn)(void *arg, const struct call_row *c),
		void *arg);

struct prompt_row {
	char call_id[LIMIT_CALL_ID + 1];
	bool is_question; /* else a permission */
	bool is_open;
	json_t *request; /* new reference */
};
int query_prompt(struct db *db, int64_t session, const char *id, struct prompt_row *ret);
/* Was this tool allowed for the whole session? */
int query_grant(struct db *db, int64_t session, const char *server, const char *name);

/* Stored answer of a turn: {"content": …, reasoning …}. *ret is a new reference. */
int query_answer(struct db *db, int64_t turn, json_t **ret);

/* Calls back for each event of a session after seq, in order. 1, or -1; also where one is missing:
 * a turn that is not over has them all. */
int query_events(struct db *db, int64_t session, uint64_t after,
		 void (*fn)(void *arg, const struct chat_event *e), void *arg);

/*
 * A page of events after the cursor as replay records (proto/replay.h). *ret_reason is NULL, or why
 * the cursor can't be served. A page ends before an event with which it would exceed half of
 * LIMIT_FRAME; if that is the first one, the cursor is too_old. So it is where retention has taken
 * out events behind it; one at the end of a folded turn, with all later events there, is served.
 */
int query_replay(struct db *db, int64_t session, uint64_t last_seq, uint64_t generation,
		 uint64_t seq, struct buf *page, uint64_t *ret_count, const char **ret_reason);
