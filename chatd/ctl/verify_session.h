/*
 * verify_session.h - one session of the log against its own rules.
 *
 * seqs without a hole (those of folded turns excepted), generations that never fall, the session's
 * row, and every turn (verify_turn.h).
 */
#pragma once

#include "chatd/ctl/findings.h"
#include "chatd/ctl/log_reader.h"

/* (session, seq, event): a view that only this connection has (verify_index.h). */
#define PLACES "places"

struct verify {
	struct log_reader log;
	struct findings findings;
	uint64_t sessions, turns, events;
	bool watched; /* a person looks: it is shown how far it is */
	uint64_t all_sessions;
};

/* A session's row as far as the checks need it. */
struct verify_session {
	int64_t row;
	const char *id, *state; /* borrowed from the statement */
	int64_t generation, last_seq;
};

void verify_session(struct verify *v, const struct verify_session *s);
