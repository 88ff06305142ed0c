/*
 * requests.c - what a streamerd may ask of a worker. See requests.h.
 *
 * One handler a message, found by number. streamerd has checked the form of what people sent
 * (types, sizes, UTF-8); here the meaning is checked: owner, session, provider, state.
 */
#include "chatd/worker/requests.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/worker/metrics.h"
#include "chatd/worker/queue.h"
#include "chatd/worker/send_message.h"
#include "chatd/worker/snapshot.h"
#include "chatd/worker/stored_reply.h"
#include "chatd/worker/watch.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "common/require.h"

/* --- reads --- */

static int page_limit(uint64_t limit)
{
	return limit == 0 ? 50 : limit > LIMIT_PAGE ? LIMIT_PAGE : (int)limit;
}

static json_t *string_or_null(const char *s)
{
	return *s ? json_string(s) : json_null();
}

static void list_sessions(struct worker *w, struct link *l, const struct msg *msg)
{
	const struct msg_list_sessions *m = &msg->list_sessions;
	auto_free char *owner = str_dup(m->owner);
	auto_free char *cursor = str_dup(m->cursor);
	char next[64];
	json_t *page =
		query_sessions(event_log_db(w->log), owner, cursor, page_limit(m->limit), next);

	if (page)
		link_reply(l, m->req,
			   json_pack("{s:o, s:o}", "sessions", page, "next", string_or_null(next)));
	else
		link_reply_fault(l, m->req, FAULT_LOG_UNAVAILABLE, NULL);
}

/* A session that was just created is not in the log before the commit of this pass. */
static struct session *find_or_refuse(struct worker *w, struct link *l, uint64_t req,
				      struct str owner, struct str id)
{
	enum fault why;
	struct session *s = session_get(w, id, owner, &why);

	if (s && s->log.row == 0) {
		s = NULL;
		why = FAULT_SESSION_NOT_FOUND;
	}
	if (!s)
		link_reply_fault(l, req, why, NULL);
	return s;
}

static void get_session(struct worker *w, struct link *l, const struct msg *msg)
{
	const struct msg_get_session *m = &msg->get_session;
	struct session *s = find_or_refuse(w, l, m->req, m->owner, m->session_id);
	auto_session_row struct session_row row = {0};
	json_t *o;
	int r;

	if (!s)
		return;
	r = query_session(event_log_db(w->log), s->log.id, &row);
	if (r == 0) /* retention took it out a moment ago */
		session_removed(s);
	if (r != 1) {
		link_reply_fault(l, m->req,
				 r == 0 ? FAULT_SESSION_NOT_FOUND : FAULT_LOG_UNAVAILABLE, NULL);
		return;
	}
	if (s->log.pending == 0 && row.generation != s->generation) {
		session_lost(s); /* a poke, or none: what is in the log is right */
		link_reply_fault(l, m->req, FAULT_WORKER_UNAVAILABLE, NULL);
		return;
	}
	o = session_row_json(&row);
	(void)json_object_set_new(o, "last_seq", json_integer((json_int_t)s->log.committed));
	(void)json_object_set_new(o, "turn_id",
				  session_is_busy(s) ? json_string(s->last_turn_id) : json_null());
	link_reply(l, m->req, o);
}

static void list_messages(struct worker *w, struct link *l, const struct msg *msg)
{
	const struct msg_list_messages *m = &msg->list_messages;
	struct session *s = find_or_refuse(w, l, m->req, m->owner, m->session_id);
	auto_free char *before = str_dup(m->before);
	char next[ID_LEN];
	json_t *page;

	if (!s)
		return;
	page = query_messages(event_log_db(w->log), s->log.row, before, page_limit(m->limit),
			      LIMIT_PAGE_BYTES, next);
	if (page)
		link_reply(l, m->req,
			   json_pack("{s:o, s:o}", "messages", page, "next", string_or_null(next)));
	else
		link_reply_fault(l, m->req, FAULT_LOG_UNAVAILABLE, NULL);
}

static void get_snapshot(struct worker *w, struct link *l, const struct msg *msg)
{
	const struct msg_get_snapshot *m = &msg->get_snapshot;
	struct session *s = find_or_refuse(w, l, m->req, m->owner, m->session_id);

	if (s)
		snapshot_send(l, m->req, s);
}

static void replay(struct worker *w, struct link *l, const struct msg *msg)
{
	const struct msg_replay *m = &msg->replay;
	struct session *s = find_or_refuse(w, l, m->req, m->owner, m->session_id);
	struct buf page = BUF_INIT;
	struct msg answer = {.type = MSG_REPLAYED, .replayed = {.req = m->req}};
	const char *reason = NULL;

	if (!s)
		return;
	if (query_replay(event_log_db(w->log), s->log.row, s->log.committed, m->generation, m->seq,
			 &page, &answer.replayed.count, &reason) < 0) {
		link_reply_fault(l, m->req, FAULT_LOG_UNAVAILABLE, NULL);
	} else {
		answer.replayed.fault = reason ? FAULT_BAD_FIELD : FAULT_NONE;
		answer.replayed.reason = str_of(reason);
		answer.replayed.events =
			reason ? str_of("") : (struct str){page.data ? page.data : "", page.len};
		if (reason)
			answer.replayed.count = 0;
		link_send(l, &answer);
	}
	buf_fini(&page);
}

static void subscribe(struct worker *w, struct link *l, const struct msg *msg)
{
	const struct msg_subscribe *m = &msg->subscribe;
	struct session *s = find_or_refuse(w, l, m->req, m->owner, m->session_id);

	if (!s)
		return;
	if (!link_subscription(l, m->sub))
		session_subscribe(s, l, m->sub);
	link_reply(l, m->req,
		   json_pack("{s:I, s:I}", "generation", (json_int_t)s->log.committed_generation,
			     "seq", (json_int_t)s->log.committed));
}

static void unsubscribe(struct worker *w, struct link *l, const struct msg *msg)
{
	struct subscription *sub = link_subscription(l, msg->unsubscribe.sub);

	if (sub)
		subscription_end(sub);
}

static void watch(struct worker *w, struct link *l, const struct msg *msg)
{
	const struct msg_watch_owner *m = &msg->watch_owner;
	json_t *list = watch_list(w, m->owner, m->since);

	if (!list) {
		link_reply_fault(l, m->req, FAULT_LOG_UNAVAILABLE, NULL);
		return;
	}
	watch_owner(w, l, m->owner, m->sub);
	link_reply(l, m->req, list);
}

static void unwatch(struct worker *w, struct link *l, const struct msg *msg)
{
	watch_end(l, msg->unwatch_owner.sub);
}

/* --- changes --- */

static void abort_turn(struct worker *w, struct link *l, const struct msg *msg)
{
	const struct msg_abort *m = &msg->abort;
	enum fault why;
	struct session *s = session_get(w, m->session_id, m->owner, &why);
	json_t *body;

	if (!s) {
		link_reply_fault(l, m->req, why, NULL);
	} else if (w->stall_told) {
		link_reply_fault(l, m->req, FAULT_LOG_UNAVAILABLE, NULL);
	} else if (m->turn_id.n && queue_withdraw(s, m->turn_id)) {
		auto_free char *id = str_dup(m->turn_id);

		stored_reply(w, s, l, m->req,
			     json_pack("{s:s, s:s, s:I, s:b}", "session_id", s->log.id, "turn_id",
				       id, "generation", (json_int_t)s->generation, "withdrawn",
				       1));
	} else if (!session_is_busy(s)) {
		link_reply_fault(l, m->req, FAULT_NOT_PROCESSING, NULL);
	} else if (m->turn_id.n && !str_eq(m->turn_id, s->last_turn_id)) {
		link_reply_fault(l, m->req, FAULT_TURN_MISMATCH, session_busy_json(s));
	} else {
		body = json_pack("{s:s, s:s, s:I}", "session_id", s->log.id, "turn_id",
				 s->last_turn_id, "generation", (json_int_t)s->generation);
		why = turn_abort(s, "user");
		if (why == FAULT_NONE) {
			stored_reply(w, s, l, m->req, body);
			return;
		}
		json_decref(body);
		link_reply_fault(l, m->req, why, NULL);
	}
}

static void delete_session(struct worker *w, struct link *l, const struct msg *msg)
{
	const struct msg_delete_session *m = &msg->delete_session;
	enum fault why;
	struct session *s = session_get(w, m->session_id, m->owner, &why);

	if (s)
		why = event_log_is_stalled(w->log) ? FAULT_LOG_UNAVAILABLE : session_delete(s);
	if (s && why == FAULT_NONE)
		stored_reply(w, s, l, m->req, NULL);
	else
		link_reply_fault(l, m->req, why, NULL);
}

static void resolve_prompt(struct worker *w, struct link *l, const struct msg *msg)
{
	const struct msg_resolve_prompt *m = &msg->resolve_prompt;
	struct session *s = find_or_refuse(w, l, m->req, m->owner, m->session_id);
	auto_free char *prompt_id = str_dup(m->prompt_id);
	auto_json json_t *answer = json_read(m->answer.p, m->answer.n, NULL, 0);
	const char *text = NULL;
	enum fault why;

	if (!s)
		return;
	why = turn_answer(s, prompt_id, answer, &text);
	if (why == FAULT_NONE)
		stored_reply(w, s, l, m->req,
			     json_pack("{s:s, s:s, s:s}", "session_id", s->log.id, "turn_id",
				       s->last_turn_id, "prompt_id", prompt_id));
	else
		link_reply_fault(l, m->req, why, text ? json_pack("{s:s}", "message", text) : NULL);
}

static void status(struct worker *w, struct link *l, const struct msg *msg)
{
	const struct event_log_stats *ls = event_log_stats(w->log);
	const struct worker_stats *ws = &w->stats;
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{"worker", w->index},
		{"turns_active", w->n_turns},
		{"sessions_loaded", HASH_COUNT(w->sessions)},
		{"turns_started", ws->turns_started},
		{"turns_done", ws->turns_done},
		{"turns_aborted", ws->turns_aborted},
		{"turns_failed", ws->turns_failed},
		{"turns_resumed", ws->turns_resumed},
		{"tool_calls", ws->calls_ended},
		{"tool_calls_failed", ws->calls_failed},
		{"input_tokens", ws->input_tokens},
		{"output_tokens", ws->output_tokens},
		{"events_stored", ls->events},
		{"events_published", ws->events_published},
		{"event_bytes", ls->bytes},
		{"commits", ls->commits},
		{"commit_failures", ls->failures},
		{"commit_us_sum", ls->commit_us_sum},
		{"checkpoints", ls->checkpoints},
		{"read_failures", query_failures()},
		{"wal_pages", (uint64_t)ls->wal_pages},
		{"provider_errors", ws->provider_errors},
		{"provider_retries", ws->provider_retries},
	};
	json_t *body = json_pack("{s:b, s:[]}", "log_writable", !event_log_is_stalled(w->log),
				 "commit_buckets");
	json_t *buckets = json_object_get(body, "commit_buckets");

	(void)json_object_set_new(body, "metrics", metrics_json(w));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		(void)json_object_set_new(body, numbers[i].name,
					  json_integer((json_int_t)numbers[i].value));
	for (size_t i = 0; i < sizeof(ls->commit_buckets) / sizeof(ls->commit_buckets[0]); i++)
		(void)json_array_append_new(buckets,
					    json_integer((json_int_t)ls->commit_buckets[i]));
	link_reply(l, msg->status.req, body);
}

static void (*const handlers[])(struct worker *, struct link *, const struct msg *) = {
	[MSG_SEND_MESSAGE] = send_message,
	[MSG_LIST_SESSIONS] = list_sessions,
	[MSG_GET_SESSION] = get_session,
	[MSG_LIST_MESSAGES] = list_messages,
	[MSG_ABORT] = abort_turn,
	[MSG_DELETE_SESSION] = delete_session,
	[MSG_RESOLVE_PROMPT] = resolve_prompt,
	[MSG_STATUS] = status,
	[MSG_SUBSCRIBE] = subscribe,
	[MSG_UNSUBSCRIBE] = unsubscribe,
	[MSG_GET_SNAPSHOT] = get_snapshot,
	[MSG_REPLAY] = replay,
	[MSG_WATCH_OWNER] = watch,
	[MSG_UNWATCH_OWNER] = unwatch,
};

void request_handle(struct worker *w, struct link *l, const struct msg *m)
{
	/* the decoder lets only streamerd's messages through, and the table has a handler for each
	 */
	REQUIRE((size_t)m->type < sizeof(handlers) / sizeof(handlers[0]) && handlers[m->type]);
	handlers[m->type](w, l, m);
}
