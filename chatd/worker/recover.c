/*
 * recover.c - taking up what an earlier worker left running. See recover.h.
 *
 * The log says which sessions of ours were processing. Each is loaded, which folds the events of
 * its turn into the accumulator, and the turn is resumed under a new generation. Whatever the dead
 * worker might still try to write is refused by that. Turns that wait for a person are left as they
 * are: rows.
 *
 * A worker whose supervisor was killed may still be leaving while its successor runs: it finishes
 * turns, or hands them over late. The new generation is only written if the log still is as it was
 * read; what is handed over after that is found at the next beat.
 */
#include "chatd/worker/recover.h"

#include <string.h>

#include "chatd/worker/queue.h"
#include "chatd/worker/turn.h"
#include "common/json.h"
#include "common/log.h"
#include "proto/shard.h"

int recover_session(struct session *s)
{
	auto_turn_row struct turn_row t = {0};

	if (query_last_turn(event_log_db(s->worker->log), s->log.row, &t) != 1)
		return -1;
	s->orphaned = false;
	return turn_resume(s, &t);
}

/*
 * The log says that something goes on in s, and we have nothing to do with it nor anything to
 * write: another worker wrote since we read it. It is read anew.
 */
static int out_of_date(struct session *s)
{
	if (s->log.pending == 0)
		session_lost(s);
	return 0;
}

static int recover_turn(struct worker *w, const char *id)
{
	enum fault why;
	struct session *s = session_load(w, id, &why);

	if (!s)
		return why == FAULT_LOG_UNAVAILABLE ? -1 : 0;
	if (s->orphaned)
		return recover_session(s) < 0 ? -1 : 1;
	return s->turn ? 0 : out_of_date(s);
}

/* A worker that was stopping leaves the queue alone. */
static int recover_queue(struct worker *w, const char *id)
{
	enum fault why;
	struct session *s = session_load(w, id, &why);

	if (!s)
		return why == FAULT_LOG_UNAVAILABLE ? -1 : 0;
	if (session_is_busy(s))
		return 0;
	queue_start_next(s);
	return s->turn ? 1 : out_of_date(s);
}

/*
 * Calls recover_one (1: it did something) for each of ids that is ours. Their sum, or -1 if there
 * is no list; one that fails is left for the next time.
 *
 * What a dead worker did not index is found by looking through all that was written since, which
 * other workers make longer meanwhile: so that is indexed now and then.
 */
static int each_of_ours(struct worker *w, json_t *ids,
			int (*recover_one)(struct worker *w, const char *id))
{
	json_t *id;
	size_t i;
	int r, n = 0;

	if (!ids) {
		log_error("recover.failed", "the open sessions can't be listed");
		return -1;
	}
	json_array_foreach (ids, i, id) {
		const char *text = json_string_value(id);

		if (shard_of(str_of(text), w->count) != w->index)
			continue;
		r = recover_one(w, text);
		if (r < 0) { /* one that can't be read must not stop the others */
			static struct log_limit lines;

			if (log_allowed(&lines, 3))
				log_error("recover.failed", "session=%s: its rows can't be read",
					  text);
			continue;
		}
		n += r;
		if (r > 0 && n % LIMIT_RECOVER_BATCH == 0)
			event_log_catch_up(w->log);
	}
	if (n > 0) /* the commit looks at each of them again, and nobody else can commit then */
		event_log_catch_up(w->log);
	return n;
}

int recover(struct worker *w)
{
	auto_json json_t *processing = query_processing(event_log_db(w->log));
	auto_json json_t *queued = query_queued_idle(event_log_db(w->log));
	int turns = each_of_ours(w, processing, recover_turn);
	int queues = turns < 0 ? -1 : each_of_ours(w, queued, recover_queue);

	if (queues < 0)
		return -1;
	if (turns + queues > 0)
		log_notice("recover.done", "turns=%d queues=%d", turns, queues);
	return 0;
}
