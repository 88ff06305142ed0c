/*
 * turn.h - the processing of one user message to its end.
 *
 * A turn is owned by the worker while it runs, and is nothing but rows while it waits for a person.
 * Nobody who watches or stops watching matters to it. Its identity (session, turn, generation, id
 * of the answer) is fixed in turn_start() and committed before the provider is asked.
 */
#pragma once

#include "chatd/worker/session.h"

struct turn_request {
	struct provider_conf *provider; /* borrowed; the turn takes a reference */
	const char *model;
	const char *system;	 /* or NULL */
	const char *content;	 /* JSON: string or array of parts */
	const char *traceparent; /* valid (proto/trace.h), or NULL */
};

/* Starts the next run of an idle session as turn `id`. Never fails; what goes wrong later is an
 * event. */
struct turn *turn_start(struct session *s, const char *id, const struct turn_request *r);

/* The same for one that waited in the queue: its row is there already. */
struct turn *turn_start_queued(struct session *s, struct log_turn *ref, const char *message_id,
			       const struct turn_request *r);

/*
 * Takes up a turn that a dead or restarted worker left: under a new generation, from its last
 * complete step, unless it took too many workers down or the operator wants such turns to end: then
 * it ends with an error. The accumulator of s holds the fold of its events. 0, or -1 if the log
 * can't be read.
 */
int turn_resume(struct session *s, const struct turn_row *row);

/*
 * Takes the turn of a session that another worker has, as rows, under a new generation, in order to
 * end it. Stale if the other worker writes before this is committed. 1, 0 if there is none, or -1
 * if the log can't be read.
 */
int turn_take_over(struct session *s);

/* Ends a turn whose provider was taken out of the configuration. */
void turn_refuse_provider(struct turn *t);
/* Ends the turn of s, running or waiting, as `aborted`: reason is "user", "interrupt" or "cleared".
 * FAULT_NONE, or FAULT_LOG_UNAVAILABLE if a waiting one can't be read. */
enum fault turn_abort(struct session *s, const char *reason);

/*
 * An answer to a prompt of s. FAULT_NONE: it was taken and its writes are appended; else
 * PROMPT_NOT_FOUND, ALREADY_RESOLVED, BAD_ANSWER (*ret_why: static text) or LOG_UNAVAILABLE, and
 * nothing has changed.
 */
enum fault turn_answer(struct session *s, const char *prompt_id, const json_t *answer,
		       const char **ret_why);

/* Takes back a start that could not be committed in time; whoever asked for it is told. 0, or -1:
 * it may be committed, or waited in the queue: it goes on when it can. */
int turn_withdraw(struct turn *t);
/* Stops working on it without a word: the session was lost. */
void turn_forget(struct turn *t);
/* Leaves it to the next worker: what was gathered is written, and that this is no crash. */
void turn_hand_over(struct turn *t);

const char *turn_id(const struct turn *t);
uint64_t turn_generation(const struct turn *t);
const char *turn_session_state(const struct turn *t); /* "processing" or "waiting" */

/* For the worker's pass: emits what all turns have gathered. */
void turns_flush(struct worker *w);
/* Takes back every start that is not committed, where that can be. */
void turns_withdraw(struct worker *w);
/* A `warning` to each running turn. */
void turns_warn(struct worker *w, enum fault code, const char *message);
/* Back-pressure while the log can't be written. */
void turns_pause(struct worker *w, bool paused);
