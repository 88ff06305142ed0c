/*
 * stall.c - what a worker does while its log can't be written. See stall.h.
 */
#include "chatd/worker/stall.h"

#include "chatd/worker/publisher.h"
#include "chatd/worker/turn.h"
#include "common/clock.h"

static const char notice[] =
	"{\"fatal\":false,\"code\":\"persist_error\",\"message\":"
	"\"The answer can't be stored at the moment. It waits, and goes on when it can.\"}";

void stall_begins(struct worker *w)
{
	w->stalled_since = clock_mono_ms();
	turns_pause(w, true);
}

void stall_check(struct worker *w)
{
	struct session *s, *next;

	if (!w->stalled_since || w->stall_told ||
	    clock_mono_ms() - w->stalled_since < LIMIT_STALL_MS)
		return;
	w->stall_told = true;
	turns_withdraw(w);
	HASH_ITER (hh, w->sessions, s, next) {
		if (s->turn || s->log.pending > 0)
			publish_notice(s, CHAT_EVENT_ERROR, str_of(notice));
	}
}

void stall_ends(struct worker *w)
{
	if (w->stall_told)
		turns_warn(w, FAULT_PERSIST_ERROR, "Storing works again; the answer goes on.");
	w->stalled_since = 0;
	w->stall_told = false;
	turns_pause(w, false);
}
