/*
 * find.h - from what an operator types to a session.
 */
#pragma once

#include "chatd/ctl/ctl.h"
#include "chatd/ctl/log_reader.h"

#define FIND_ID 96 /* an id of ours or an owner, and its NUL */

struct found {
	int64_t row; /* of the session */
	char session_id[FIND_ID], owner[FIND_ID];
	char id[FIND_ID]; /* of the session or the prompt, as it is in full */
};

/*
 * An id, or enough of its beginning that only one has it, with or without "ses_" ("prm_"). CTL_OK;
 * else CTL_NOT_FOUND or CTL_FAILED, and it has been said.
 */
int find_session(struct log_reader *r, const char *typed, struct found *ret);
int find_prompt(struct log_reader *r, const char *typed, struct found *ret);
