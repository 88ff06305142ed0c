/*
 * turn.h - the processing of one user message to its end.
 *
 * A turn is owned by the worker (its list of running turns) from turn_start() until its end is
 * committed. Nobody who watches or stops watching matters to it. Its identity (session, turn,
 * generation, id of the answer) is fixed in turn_start() and committed before the provider is
 * asked.
 */
#pragma once

#include "chatd/worker/session.h"

struct turn_request {
	struct provider_conf *provider; /* borrowed; the turn takes a reference */
	const char *model;
	const char *system;  /* or NULL */
	const char *content; /* JSON: string or array of parts */
};

/* Starts the next run of an idle session. Never fails; what goes wrong later is an event. */
struct turn *turn_start(struct session *s, const struct turn_request *r);

/*
 * Takes up a turn that a dead or restarted worker left: under a new generation, asked again, unless
 * it took too many workers down or the operator wants such turns to end: then it ends with an
 * error.
 */
void turn_resume(struct session *s, const struct turn_row *row);

/* Ends it at once, as `aborted`: reason is "user", "interrupt" or "cleared". */
void turn_abort(struct turn *t, const char *reason);
/* Stops working on it without a word: the session was lost, or the worker is leaving. */
void turn_forget(struct turn *t);
/* Leaves it to the next worker: what was gathered is written, and that this is no crash. */
void turn_hand_over(struct turn *t);

const char *turn_id(const struct turn *t);
uint64_t turn_generation(const struct turn *t);
int64_t turn_started_at(const struct turn *t);
const char *turn_session_state(const struct turn *t); /* "processing" or "waiting" */

/* For the worker's pass: emits what all turns have gathered. */
void turns_flush(struct worker *w);
/* Back-pressure while the log can't be written. */
void turns_pause(struct worker *w, bool paused);
