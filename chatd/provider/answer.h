/*
 * answer.h - one answer as it grows: what the stream mappings write and the asking tells. Pure.
 *
 * Two kinds of things: deltas, which are told one by one while the answer grows, and all the rest,
 * which is told at the end. A mapping appends; whoever owns the answer takes the deltas out in
 * order, at its own pace.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "chatd/provider/problem.h"
#include "chatd/provider/provider.h"

enum delta_kind { DELTA_TEXT, DELTA_REASONING };

struct delta {
	enum delta_kind kind;
	size_t len; /* bytes, one after the other in answer.bytes */
};

/* A tool call that may still grow. */
struct answer_call {
	int64_t index;	 /* the provider's number of it */
	char *id, *name; /* owned; NULL while not known */
	struct buf arguments;
	bool ended; /* the provider said that it is whole (Anthropic), or it can't grow any more */
};

struct answer {
	/* deltas not told yet */
	struct delta *deltas;
	size_t n_deltas, cap_deltas, next_delta;
	struct buf bytes;
	size_t next_byte;
	/* what came */
	bool has_text;	  /* any text at all */
	bool has_content; /* any delta or any part of a call: it began to answer */
	bool finished;	  /* the provider said that it is done: the end of the body is no error */
	bool over;	  /* nothing that follows matters: an error, [DONE], message_stop */
	struct answer_call *calls;
	size_t n_calls;
	char *stop_reason;
	struct buf refusal;
	struct provider_usage usage;
	json_t *echo; /* owned, or NULL */
	struct problem problem;
	struct provider_call *told_calls; /* what answer_result() handed out */
};

void answer_init(struct answer *a);
void answer_fini(struct answer *a);

void answer_delta(struct answer *a, enum delta_kind kind, const char *p, size_t n); /* n 0: none */
/* The next delta in order; false if there is none. Borrowed until the answer is written again. */
bool answer_next(struct answer *a, enum delta_kind *ret_kind, struct str *ret_text);

/* The call with that index, or a new one (NULL at LIMIT_TOOL_CALLS, and problem is set). */
struct answer_call *answer_call(struct answer *a, int64_t index);
struct answer_call *answer_new_call(struct answer *a, int64_t index);
/* Sets *field if it is not set yet and s is not empty. */
void answer_first(char **field, const char *s);
void answer_stop_reason(struct answer *a, const char *s); /* the last one that is not empty wins */
/* Is it one of the reasons that mean that the answer was cut at its end? */
bool answer_was_cut(const struct answer *a);

/* The result as it stands; valid until the answer is written or ended. */
void answer_result(struct answer *a, struct provider_result *ret);
