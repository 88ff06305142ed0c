/*
 * turn_impl.h - what the files of the turn share: turn.c (life and end), turn_ask.c (a step's
 * question and answer), turn_calls.c (a step's tool calls and prompts), turn_load.c (a turn read
 * back from its rows). Nobody else includes this.
 */
#pragma once

#include "chatd/tool/toolbox.h"
#include "chatd/worker/turn.h"
#include "proto/trace.h"

enum turn_state {
	TURN_STARTING,
	TURN_PREPARING,
	TURN_ASKING,
	TURN_STREAMING,
	TURN_TOOLING,
	TURN_WAITING,
	TURN_ENDED,
	TURN_STATE_N
};

enum call_status { CALL_SETTLED, CALL_RUNNING, CALL_WAITING };

struct turn_call {
	char id[LIMIT_CALL_ID + 1]; /* tool_invocation_id */
	char *server, *name;	    /* owned; server is "" if there is no such tool */
	struct buf arguments;	    /* the bytes that the model sent */
	bool may_repeat;
	enum call_status status;
	struct tool_call *running; /* owned; set while it runs and has left */
	json_t *prompt;		   /* owned: the open prompt, or NULL */
	int64_t started_at;
	int64_t progress_at; /* monotonic ms of the last progress that was told */
	struct turn *turn;
};

struct turn {
	struct worker *worker;	 /* borrowed */
	struct session *session; /* borrowed; stays while we are its turn or writes are pending */
	struct log_turn *ref;	 /* counted */
	enum turn_state state;
	uint64_t generation;
	char message_id[ID_LEN];
	char traceparent[TRACE_LEN];	/* "": none */
	struct provider_conf *provider; /* counted */
	char *model;			/* owned */
	struct asking *asking;		/* owned until done; NULL otherwise */
	struct buf gathered;		/* deltas of this pass, not yet emitted */
	enum chat_event_type gathered_type;
	size_t said;		  /* bytes of text and reasoning in this run */
	int steps;		  /* complete ones */
	struct turn_call **calls; /* owned: of the last complete step */
	size_t n_calls;
	struct provider_usage usage; /* of all questions asked, but for ... */
	struct provider_usage asked; /* ... what the open one has cost so far */
	int64_t started_at, started_mono;
	int64_t asked_us, first_us; /* monotonic: of the last question and its first delta, or -1 */
	bool warned;		    /* of tool servers that are down */
	bool is_dirty, is_running;
	bool reread;	    /* the conversation could not be read: this is the second try */
	bool was_accepted;  /* it is in the log: nobody is to be refused for it */
	bool provider_gone; /* it is no longer configured: `provider` is another one, not to be
			       asked */
	TAILQ_ENTRY(turn) link;
	TAILQ_ENTRY(turn) dirty_link;
};

/* turn.c */
struct turn *turn_new(struct session *s, struct provider_conf *provider, const char *model,
		      struct log_turn *ref, const char *message_id, enum turn_state state);
void turn_move(struct turn *t, enum turn_state next);
void turn_flush(struct turn *t);
void turn_warn(struct turn *t, enum fault code, const char *message);
void turn_end_done(struct turn *t, const struct provider_result *r);
void turn_end_error(struct turn *t, enum fault fault, const struct provider_result *r,
		    const char *message);
/* An echo as the log keeps it: blocks belong to one kind of provider and go to no other one. NULL
 * if there are none. Free it. */
char *turn_echo_text(const struct turn *t, json_t *blocks);
/* From STARTING to PREPARING, once what was appended is committed. */
void turn_prepare_when_stored(struct turn *t);
/* Writes that it waits and lets go of it once that is committed. */
void turn_wait(struct turn *t);
/* It goes on after all: rows and list say so again. */
void turn_unwait(struct turn *t);

/* The open question is over, whichever way: what it cost joins the sum. */
void turn_count_asked(struct turn *t);

/* A step or a call is complete: worker deaths before this one no longer count. */
void turn_note_progress(struct turn *t);

/* turn_ask.c */
/* The row of the step whose calls have just been made from r. */
void turn_write_step(struct turn *t, const struct provider_result *r);
void turn_prepare(struct turn *t); /* → PREPARING, then asks as soon as the tools are known */

/* turn_calls.c */
void turn_calls_start(struct turn *t, const struct provider_result *r); /* → TOOLING */
/* The id that a call goes by: the provider's, or one of ours where that is empty or taken. */
void turn_call_id(const struct turn *t, const struct provider_call *c, char out[LIMIT_CALL_ID + 1]);
/* After recovery: what was open is decided on anew. */
void turn_calls_resume(struct turn *t);
/* Stops what runs, discards prompts, with an event each: the turn ends. */
void turn_calls_stop(struct turn *t);
void turn_calls_cancel(struct turn *t); /* stops what runs, without a word */
void turn_calls_free(struct turn *t);

/* turn_load.c */
/* A waiting turn of s, read back from its rows. NULL if the log can't be read. */
struct turn *turn_load(struct session *s);
