/*
 * verify_turn.h - one turn: its events folded, and what is stored compared with that.
 *
 * Memory: the events of a turn are read one by one; what is held is what they add up to.
 */
#pragma once

#include "chatd/ctl/verify_session.h"

/* A turn's row. Texts are borrowed from the statement. */
struct verify_turn {
	int64_t row;
	const char *id, *state, *message_id, *stop_reason; /* stop_reason may be NULL */
	int64_t generation, first_seq, last_seq;	   /* last_seq: 0 while it runs */
	int folded;    /* 0, or its events are being taken out (1), or are out (2) */
	int64_t until; /* the last seq before the next turn's first */
};

bool verify_turn_has_ended(const struct verify_turn *t);
/* A turn that was started: generation > 0. */
void verify_turn(struct verify *v, const struct verify_session *s, const struct verify_turn *t);
