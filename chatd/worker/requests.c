/*
 * requests.c - what a streamerd may ask of a worker. See requests.h.
 *
 * One handler a message, found by number. streamerd has checked the form of what people sent
 * (types, sizes, UTF-8); here the meaning is checked: owner, session, provider, state.
 */
#include "chatd/worker/requests.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/worker/snapshot.h"
#include "chatd/worker/turn.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "common/require.h"

/* An answer that waits for its commit. The link is named by id: it may be gone by then. */
struct pending_reply {
	struct worker *worker;
	uint64_t link_id, req;
	json_t *body; /* owned */
};

static void on_stored(void *arg, bool ok)
{
	auto_free struct pending_reply *p = arg;
	struct link *l = link_find(p->worker, p->link_id);

	if (!l)
		json_decref(p->body);
	else if (ok)
		link_reply(l, p->req, p->body);
	else {
		json_decref(p->body);
		link_reply_fault(l, p->req, FAULT_LOG_UNAVAILABLE, NULL);
	}
}

static void reply_when_stored(struct worker *w, struct session *s, struct link *l, uint64_t req,
			      json_t *body)
{
	struct pending_reply *p = calloc(1, sizeof(*p));

	REQUIRE(p);
	p->worker = w;
	p->link_id = link_id(l);
	p->req = req;
	p->body = body;
	event_log_after(w->log, &s->log, on_stored, p);
}

/* --- send_message --- */

static char *text_or_null(struct str s)
{
	return s.n ? str_dup(s) : NULL;
}

/* The first text of the content, cut at a character, its line breaks made spaces. */
static void make_title(const json_t *content, char out[LIMIT_TITLE + 1])
{
	const json_t *text = content;
	const json_t *part;
	size_t i, n;

	if (json_is_array(content)) {
		text = NULL;
		json_array_foreach (content, i, part) {
			if (!text && json_is_string(json_object_get(part, "text")))
				text = json_object_get(part, "text");
		}
	}
	n = json_is_string(text) ? json_string_length(text) : 0;
	if (n > LIMIT_TITLE)
		n = json_utf8_prefix(json_string_value(text), LIMIT_TITLE);
	for (i = 0; i < n; i++) {
		char c = json_string_value(text)[i];

		out[i] = (unsigned char)c < 0x20 ? ' ' : c;
	}
	out[n] = '\0';
}

/* Which provider and model answer: the request's, else the session's, else the default. */
static enum fault choose_model(struct worker *w, const struct session *s, const char *provider,
			       const char *model, struct provider_conf **ret_provider,
			       const char **ret_model)
{
	struct provider_conf *p = options_provider(w->options, provider ? provider
							       : s	? s->provider
									: "");

	if (!p)
		return FAULT_UNKNOWN_PROVIDER;
	if (!model && s && strcmp(p->name, s->provider) == 0)
		model = s->model;
	if (!model && p == options_provider(w->options, "") && w->options->model)
		model = w->options->model;
	if (!model)
		model = p->model ? p->model : "";
	if (!provider_conf_offers(p, model))
		return FAULT_UNKNOWN_MODEL;
	*ret_provider = p;
	*ret_model = model;
	return FAULT_NONE;
}

static json_t *busy_members(const struct session *s)
{
	return json_pack("{s:s, s:I, s:s}", "turn_id", turn_id(s->turn), "generation",
			 (json_int_t)turn_generation(s->turn), "state", session_state(s));
}

static json_t *field_error(const char *field, const char *message)
{
	return json_pack("{s:s, s:s}", "field", field, "message", message);
}

/* Is the session free for another turn? Interrupts the running one if that was asked for. */
static bool make_room(struct session *s, struct link *l, const struct msg_send_message *m)
{
	if (!s->turn)
		return true;
	if (str_eq(m->on_busy, "interrupt")) {
		turn_abort(s->turn, "interrupt");
		return true;
	}
	if (str_eq(m->on_busy, "queue"))
		link_reply_fault(l, m->req, FAULT_BAD_FIELD,
				 field_error("on_busy", "queue is not offered by this version"));
	else
		link_reply_fault(l, m->req, FAULT_ALREADY_PROCESSING, busy_members(s));
	return false;
}

static void start(struct worker *w, struct link *l, const struct msg_send_message *m,
		  struct session *s, const json_t *content)
{
	auto_free char *provider_name = text_or_null(m->provider);
	auto_free char *model_name = text_or_null(m->model);
	auto_free char *system = text_or_null(m->system);
	auto_free char *metadata = text_or_null(m->metadata);
	auto_free char *text = str_dup(m->content);
	auto_free char *model_copy = NULL;
	struct provider_conf *provider;
	const char *model;
	bool created = !s;
	enum fault fault = choose_model(w, s, provider_name, model_name, &provider, &model);
	struct turn *t;

	if (fault != FAULT_NONE) {
		link_reply_fault(l, m->req, fault,
				 json_pack("{s:s}", "field",
					   fault == FAULT_UNKNOWN_MODEL ? "model" : "provider"));
		return;
	}
	if (w->stopping || w->n_turns >= (size_t)w->options->max_turns) {
		link_reply_fault(l, m->req,
				 w->stopping ? FAULT_WORKER_UNAVAILABLE : FAULT_OVERLOADED, NULL);
		return;
	}
	if (s && !make_room(s, l, m))
		return;
	model_copy = strdup(model); /* it may be the session's, which is about to be replaced */
	REQUIRE(model_copy);
	if (created) {
		char title[LIMIT_TITLE + 1];

		make_title(content, title);
		s = session_new(w, m->owner, title, provider->name, model_copy,
				system ? system : w->options->system, metadata);
	}
	t = turn_start(s, &(struct turn_request){provider, model_copy, system, text});
	log_info("turn.start", "session=%s turn=%s generation=%llu provider=%s created=%d",
		 s->log.id, turn_id(t), (unsigned long long)turn_generation(t), provider->name,
		 created);
	reply_when_stored(w, s, l, m->req,
			  json_pack("{s:s, s:s, s:I, s:b}", "session_id", s->log.id, "turn_id",
				    turn_id(t), "generation", (json_int_t)turn_generation(t),
				    "created", created));
}

static void send_message(struct worker *w, struct link *l, const struct msg *msg)
{
	const struct msg_send_message *m = &msg->send_message;
	auto_json json_t *content = json_read(m->content.p, m->content.n, NULL, 0);
	struct session *s = NULL;
	enum fault why;

	if (!content || m->content.n > LIMIT_MESSAGE + 1024) {
		link_reply_fault(l, m->req, FAULT_BAD_FIELD,
				 field_error("content", "can't be read"));
		return;
	}
	if (event_log_is_stalled(w->log)) {
		link_reply_fault(l, m->req, FAULT_LOG_UNAVAILABLE, NULL);
		return;
	}
	if (m->session_id.n) {
		s = session_get(w, m->session_id, m->owner, &why);
		if (!s) {
			link_reply_fault(l, m->req, why, NULL);
			return;
		}
	}
	start(w, l, m, s, content);
}

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

	if (!s)
		return;
	if (query_session(event_log_db(w->log), s->log.id, &row) != 1) {
		link_reply_fault(l, m->req, FAULT_LOG_UNAVAILABLE, NULL);
		return;
	}
	o = session_row_json(&row);
	(void)json_object_set_new(o, "last_seq", json_integer((json_int_t)s->log.committed));
	(void)json_object_set_new(o, "turn_id",
				  s->turn ? json_string(turn_id(s->turn)) : json_null());
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
		   json_pack("{s:I, s:I}", "generation", (json_int_t)s->generation, "seq",
			     (json_int_t)s->log.committed));
}

static void unsubscribe(struct worker *w, struct link *l, const struct msg *msg)
{
	struct subscription *sub = link_subscription(l, msg->unsubscribe.sub);

	if (sub)
		subscription_end(sub);
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
	} else if (!s->turn) {
		link_reply_fault(l, m->req, FAULT_NOT_PROCESSING, NULL);
	} else if (m->turn_id.n && !str_eq(m->turn_id, turn_id(s->turn))) {
		link_reply_fault(l, m->req, FAULT_TURN_MISMATCH, busy_members(s));
	} else {
		body = json_pack("{s:s, s:s, s:I}", "session_id", s->log.id, "turn_id",
				 turn_id(s->turn), "generation",
				 (json_int_t)turn_generation(s->turn));
		turn_abort(s->turn, "user");
		reply_when_stored(w, s, l, m->req, body);
	}
}

static void delete_session(struct worker *w, struct link *l, const struct msg *msg)
{
	const struct msg_delete_session *m = &msg->delete_session;
	enum fault why;
	struct session *s = session_get(w, m->session_id, m->owner, &why);

	if (!s) {
		link_reply_fault(l, m->req, why, NULL);
	} else if (event_log_is_stalled(w->log)) {
		link_reply_fault(l, m->req, FAULT_LOG_UNAVAILABLE, NULL);
	} else {
		session_delete(s);
		reply_when_stored(w, s, l, m->req, NULL);
	}
}

static void resolve_prompt(struct worker *w, struct link *l, const struct msg *msg)
{
	const struct msg_resolve_prompt *m = &msg->resolve_prompt;

	if (find_or_refuse(w, l, m->req, m->owner, m->session_id))
		link_reply_fault(l, m->req, FAULT_PROMPT_NOT_FOUND, NULL);
}

static void status(struct worker *w, struct link *l, const struct msg *msg)
{
	const struct event_log_stats *ls = event_log_stats(w->log);
	const struct worker_stats *ws = &w->stats;
	json_t *buckets = json_array();

	for (size_t i = 0; i < sizeof(ls->commit_buckets) / sizeof(ls->commit_buckets[0]); i++)
		(void)json_array_append_new(buckets,
					    json_integer((json_int_t)ls->commit_buckets[i]));
	link_reply(
		l, msg->status.req,
		json_pack("{s:i, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
			  "s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:o}",
			  "worker", (int)w->index, "log_writable", !event_log_is_stalled(w->log),
			  "turns_active", (json_int_t)w->n_turns, "sessions_loaded",
			  (json_int_t)HASH_COUNT(w->sessions), "turns_started",
			  (json_int_t)ws->turns_started, "turns_done", (json_int_t)ws->turns_done,
			  "turns_aborted", (json_int_t)ws->turns_aborted, "turns_failed",
			  (json_int_t)ws->turns_failed, "turns_resumed",
			  (json_int_t)ws->turns_resumed, "input_tokens",
			  (json_int_t)ws->input_tokens, "output_tokens",
			  (json_int_t)ws->output_tokens, "events_stored", (json_int_t)ls->events,
			  "events_published", (json_int_t)ws->events_published, "event_bytes",
			  (json_int_t)ls->bytes, "commits", (json_int_t)ls->commits,
			  "commit_failures", (json_int_t)ls->failures, "checkpoints",
			  (json_int_t)ls->checkpoints, "commit_us_sum",
			  (json_int_t)ls->commit_us_sum, "provider_errors",
			  (json_int_t)ws->provider_errors, "provider_retries",
			  (json_int_t)ws->provider_retries, "wal_pages", ls->wal_pages,
			  "commit_buckets", buckets));
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
};

void request_handle(struct worker *w, struct link *l, const struct msg *m)
{
	/* the decoder lets only streamerd's messages through, and the table has a handler for each
	 */
	REQUIRE((size_t)m->type < sizeof(handlers) / sizeof(handlers[0]) && handlers[m->type]);
	handlers[m->type](w, l, m);
}
