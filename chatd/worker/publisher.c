/*
 * publisher.c - a committed event on its way to who asked for it. See publisher.h.
 *
 * Called by the log, in the order of the log, only for what is committed. Nothing is kept for who
 * is not there.
 */
#include "chatd/worker/publisher.h"

#include "chatd/worker/link.h"
#include "chatd/worker/watch.h"
#include "common/clock.h"

void publish(struct session *s, const struct chat_event *e)
{
	struct subscription *sub;

	LIST_FOREACH (sub, &s->subs, of_session) {
		struct msg m = {
			.type = MSG_EVENT,
			.event = {.sub = sub->sub,
				  .generation = e->generation,
				  .seq = e->seq,
				  .ts = e->ts,
				  .type = e->type,
				  .turn_id = e->turn_id,
				  .payload = e->payload},
		};

		link_send(sub->link, &m);
		s->worker->stats.events_published++;
	}
	watch_tell(s, e);
}

void publish_notice(struct session *s, enum chat_event_type type, struct str payload)
{
	struct chat_event e = {
		.turn_id = str_of(s->last_turn_id),
		.generation = s->generation,
		.ts = clock_wall_ms(),
		.type = type,
		.payload = payload,
	};

	publish(s, &e);
}
