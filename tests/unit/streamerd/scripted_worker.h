/*
 * scripted_worker.h - the worker's end of the bus, for tests: sessions in memory, scripted.
 *
 * Runs in the test's own event loop and speaks through proto/channel, so what is tested against it
 * goes through real sockets. It keeps a worker's promises: events in order, replies behind the
 * events that came before them.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>

#include "proto/chat_event.h"
#include "proto/fault.h"
#include "proto/messages.h"

struct scripted_worker;
struct scripted_session;

struct scripted_counts {
	int subscribes, unsubscribes, snapshots, replays, statuses, others;
	int watches, unwatches;
};

struct scripted_worker *scripted_worker_new(struct event_base *base, const char *dir,
					    unsigned worker, unsigned workers);
void scripted_worker_free(struct scripted_worker *w);
const struct scripted_counts *scripted_worker_counts(const struct scripted_worker *w);
/* Closes every connection; with `stay` false new ones are refused until scripted_worker_listen().
 */
void scripted_worker_cut(struct scripted_worker *w, bool stay);
void scripted_worker_listen(struct scripted_worker *w);
int scripted_worker_links(const struct scripted_worker *w);
/* Requests are read and never answered. */
void scripted_worker_mute(struct scripted_worker *w, bool mute);
/* Every request is answered with this fault; FAULT_NONE ends it. */
void scripted_worker_refuse(struct scripted_worker *w, enum fault fault);
/* Sends m on every connection as it is. */
void scripted_worker_say(struct scripted_worker *w, const struct msg *m);
/* The last send_message, list or other request that was none of subscribe, snapshot, replay. */
const char *scripted_worker_last(const struct scripted_worker *w);

struct scripted_session *scripted_session_new(struct scripted_worker *w, const char *owner,
					      const char *id);
void scripted_session_forget(struct scripted_session *s); /* it does not exist any more */
/* Stores the event and sends it to who subscribed. The state follows from the type. */
void scripted_session_emit(struct scripted_session *s, enum chat_event_type type,
			   const char *payload);
/* response_start, n chunks of about `size` bytes, response_end; the text is random. */
void scripted_session_turn(struct scripted_session *s, int chunks, size_t size);
void scripted_session_set_generation(struct scripted_session *s, uint64_t generation);
/* Events up to seq can't be replayed any more. */
void scripted_session_fold(struct scripted_session *s, uint64_t seq);
/* Throws the events away and begins with another history of n events of that generation. */
void scripted_session_rewrite(struct scripted_session *s, uint64_t generation, int n);
/* The state that snapshots tell, until the next event that changes it. */
void scripted_session_set_state(struct scripted_session *s, const char *state);
/* It is in every list of what changed since some time. */
void scripted_session_changed(struct scripted_session *s);
uint64_t scripted_session_seq(const struct scripted_session *s);
/* All frames after seq, as a viewer must see them. */
void scripted_session_frames(const struct scripted_session *s, uint64_t after, struct buf *out);
