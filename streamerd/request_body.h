/*
 * request_body.h - the JSON bodies that clients send, checked field by field (API-2). Pure.
 *
 * A body is either taken as a whole or refused with the fault and the field that is to blame. What
 * the values mean (does the session exist, is there such a provider) is the worker's to say.
 */
#pragma once

#include <jansson.h>

#include "common/buf.h"
#include "proto/fault.h"

struct body_error {
	enum fault fault;
	char field[80];	   /* "" if no single field is to blame; valid UTF-8 */
	char message[200]; /* for the client */
};

/* Texts borrow from root; absent ones are empty. */
struct message_body {
	json_t *root;	     /* owned */
	struct buf content;  /* JSON: a string, or an array of parts */
	struct buf metadata; /* JSON: an object; empty if absent */
	struct str session_id, provider, model, system, on_busy;
};

struct abort_body {
	json_t *root; /* owned, may be NULL */
	struct str turn_id;
};

/* media_type is the value of Content-Type, p == NULL if absent. 0, or -1 with *e filled in. */
int request_body_message(struct str media_type, struct str body, struct message_body *ret,
			 struct body_error *e);
void message_body_fini(struct message_body *m);

/* {turn_id?}, or no body at all. */
int request_body_abort(struct str media_type, struct str body, struct abort_body *ret,
		       struct body_error *e);
void abort_body_fini(struct abort_body *a);

/* {session_id?}, or no body at all. */
struct ticket_body {
	json_t *root; /* owned, may be NULL */
	struct str session_id;
};
int request_body_ticket(struct str media_type, struct str body, struct ticket_body *ret,
			struct body_error *e);
void ticket_body_fini(struct ticket_body *b);

/* An answer to a prompt: {allow, remember?} or {answers}. Whether it fits the prompt is the
 * worker's to say (422); here it only has to be such an object. */
struct answer_body {
	struct buf text; /* JSON */
};
int request_body_answer(struct str media_type, struct str body, struct answer_body *ret,
			struct body_error *e);
void answer_body_fini(struct answer_body *a);
