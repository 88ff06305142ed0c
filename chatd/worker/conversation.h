/*
 * conversation.h - what a provider is sent: the session's messages, turns with tools in full.
 */
#pragma once

#include <jansson.h>

#include "chatd/worker/accumulator.h"
#include "chatd/store/db.h"

/*
 * The conversation in neutral form (provider.h), oldest first, cut to LIMIT_HISTORY messages. The
 * running turn (its row) has no stored answer yet: its steps are cut from `acc`. Each tool call has
 * its result, also one that was never completed: providers refuse a conversation without. NULL if
 * the log can't be read.
 */
json_t *conversation(struct db *db, int64_t session, int64_t running_turn,
		     const struct accumulator *acc);
