/*
 * stream_query.h - which sessions a stream for several is to show, and from where. Pure.
 *
 * The form is in .lore/specs/multi-events.md: `sessions=A,B,C`, cursors as "A@3-41,B@1-7".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

struct stream_session {
	struct str id;	   /* plausible; borrowed from what was parsed */
	bool has_cursor;   /* generation and seq are it */
	bool is_malformed; /* a cursor was given that is none */
	uint64_t generation, seq;
};

struct stream_query {
	struct stream_session *sessions; /* owned; by id, each once */
	size_t n;
	bool is_list;	   /* these sessions and no others */
	bool has_changes;  /* ... and word of changes to any of the owner's; may be none then */
	bool is_returning; /* something was given as cursors that names no session */
	int64_t since;	   /* Unix ms, 0: not given */
};

/*
 * sessions, since, changes: p == NULL if absent; cursors: empty if absent. NULL, or the name of the
 * parameter that is wrong ("sessions", "since", "changes") with *ret_why. Fini in either case.
 */
const char *stream_query_parse(struct str sessions, struct str cursors, struct str since,
			       struct str changes, struct stream_query *ret, const char **ret_why);
void stream_query_fini(struct stream_query *q);
