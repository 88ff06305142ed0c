/*
 * follow.h - a session's events, from the log and then live.
 */
#pragma once

#include <stdint.h>

#include "chatd/ctl/ctl.h"

struct follow {
	const struct ctl *ctl;	/* borrowed */
	const char *session_id; /* borrowed, as is ... */
	const char *owner;
	uint64_t after; /* seq of the last event that was printed */
	bool until_idle;
	bool reasoning;
};

/* Prints until it may end; comes back by itself when the worker is replaced. CTL_NO: with
 * until_idle, the last turn ended without a whole answer. */
int follow(struct follow *f);
