/*
 * tickets.h - stand-ins for a token in the URL of an event stream.
 *
 * EventSource can send no header, so what lets it in must stand in the URL, where proxies,
 * histories and people see it. A ticket is therefore good once, for LIMIT_TICKET_MS, for event
 * streams alone, and means nothing to who reads it.
 *
 * All processes that share the memory share the tickets: one may give a ticket and another take it,
 * once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/limits.h"

struct quota;
struct tickets;

/* memory: LIMIT_SHARED_TICKETS bytes, aligned, zero before anyone used them. Both borrowed, and
 * shared by the same processes. */
struct tickets *tickets_new(void *memory, struct quota *quota);
void tickets_free(struct tickets *t); /* NULL is fine */

/*
 * Appends a ticket for this owner (at most LIMIT_OWNER bytes), bound to a session if one is named
 * (at most LIMIT_ID bytes; n == 0: to none). now_ms is clock_mono_ms(), in all processes. False if
 * the owner was given LIMIT_TICKETS_OWNER lately.
 */
bool tickets_issue(struct tickets *t, struct str owner, struct str session_id, int64_t now_ms,
		   struct buf *out);
/*
 * True and the owner if the ticket is good for this session (n == 0: for no particular one); then
 * it is so no more. A ticket that is bound to another session stays as it is.
 */
bool tickets_redeem(struct tickets *t, struct str ticket, struct str session_id, int64_t now_ms,
		    char owner[LIMIT_OWNER + 1]);
