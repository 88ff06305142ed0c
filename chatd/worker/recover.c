/*
 * recover.c - taking up what an earlier worker left running. See recover.h.
 *
 * The log says which sessions of ours were processing. Each is loaded, which folds the events of
 * its turn into the accumulator, and the turn is resumed under a new generation. Whatever the dead
 * worker might still try to write is refused by that. Turns that wait for a person are left as they
 * are: rows.
 */
#include "chatd/worker/recover.h"

#include <string.h>

#include "chatd/worker/turn.h"
#include "common/json.h"
#include "common/log.h"
#include "proto/shard.h"

static int recover_session(struct worker *w, const char *id)
{
	enum fault why;
	struct session *s = session_load(w, id, &why);
	auto_turn_row struct turn_row t = {0};

	if (!s)
		return why == FAULT_SESSION_NOT_FOUND ? 0 : -1;
	if (query_last_turn(event_log_db(w->log), s->log.row, &t) != 1)
		return -1;
	return turn_resume(s, &t);
}

int recover(struct worker *w)
{
	auto_json json_t *ids = query_processing(event_log_db(w->log));
	json_t *id;
	size_t i, n = 0;

	if (!ids)
		return -1;
	json_array_foreach (ids, i, id) {
		const char *text = json_string_value(id);

		if (shard_of(str_of(text), w->count) != w->index)
			continue;
		if (recover_session(w, text) < 0) {
			log_error("recover.failed", "session=%s", text);
			return -1;
		}
		n++;
	}
	if (n)
		log_notice("recover.done", "turns=%zu", n);
	return 0;
}
