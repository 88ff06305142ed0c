/*
 * send_message.c - the one entry point that starts turns. See send_message.h.
 *
 * Order of the checks: has this very request been answered before; can anything be stored; is there
 * such a session; is there such a provider and model; is there room; is the session busy. Nothing
 * is written before all of them are passed, so a refusal leaves no trace.
 */
#include "chatd/worker/send_message.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/worker/exclusive.h"
#include "chatd/worker/idempotency.h"
#include "chatd/worker/owners.h"
#include "chatd/worker/queue.h"
#include "chatd/worker/stored_reply.h"
#include "chatd/worker/turn.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "common/utf8.h"
#include "proto/trace.h"

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
	if (model && !provider_conf_knows(p, model))
		return FAULT_UNKNOWN_MODEL;
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

static json_t *field_error(const char *field, const char *message)
{
	return json_pack("{s:s, s:s}", "field", field, "message", message);
}

static json_t *accepted(const struct session *s, const char *turn, uint64_t generation,
			bool created)
{
	return json_pack("{s:s, s:s, s:I, s:b}", "session_id", s->log.id, "turn_id", turn,
			 "generation", (json_int_t)generation, "created", created);
}

/* Behind the running turn. */
static void enqueue(struct session *s, struct link *l, const struct msg_send_message *m,
		    const struct turn_request *r, struct idempotency_key *key)
{
	size_t position = queue_length(s) + 1;
	char id[ID_LEN];
	json_t *body;

	if (position > LIMIT_QUEUE) {
		link_reply_fault(
			l, m->req, FAULT_TOO_MANY,
			json_pack("{s:s}", "message", "the queue of this session is full"));
		return;
	}
	id_new("turn", id);
	body = accepted(s, id, s->generation + position, false);
	(void)json_object_set_new(body, "queued", json_true());
	(void)json_object_set_new(body, "position", json_integer((json_int_t)position));
	idempotency_store(s->worker, key, s, body);
	queue_add(s, id, r);
	stored_reply(s->worker, s, l, m->req, body);
}

/* Makes the session free, ahead of its queue. */
static enum fault interrupt(struct session *s)
{
	enum fault fault;

	s->hold_queue = true;
	fault = turn_abort(s, "interrupt");
	s->hold_queue = false;
	return fault;
}

static void run(struct session *s, struct link *l, const struct msg_send_message *m,
		const struct turn_request *r, struct idempotency_key *key, bool created)
{
	char id[ID_LEN];
	json_t *body;
	struct turn *t;

	id_new("turn", id);
	body = accepted(s, id, s->generation + 1, created);
	idempotency_store(s->worker, key, s, body);
	t = turn_start(s, id, r);
	log_info("turn.start",
		 "session=%s turn=%s generation=%llu provider=%s created=%d "
		 "trace=%.32s",
		 s->log.id, id, (unsigned long long)turn_generation(t), r->provider->name, created,
		 trace_id(r->traceparent ? r->traceparent : ""));
	stored_reply(s->worker, s, l, m->req, body);
}

/* Into a session that there is. */
static void continue_session(struct session *s, struct link *l, const struct msg_send_message *m,
			     const struct turn_request *r, struct idempotency_key *key)
{
	enum fault fault = FAULT_NONE;

	if (session_is_busy(s) && str_eq(m->on_busy, "queue")) {
		enqueue(s, l, m, r, key);
		return;
	}
	if (session_is_busy(s))
		fault = str_eq(m->on_busy, "interrupt") ? interrupt(s) : FAULT_ALREADY_PROCESSING;
	if (fault == FAULT_NONE && exclusive_enforce(s->worker, m->owner, s) < 0)
		fault = FAULT_LOG_UNAVAILABLE;
	if (fault == FAULT_NONE)
		run(s, l, m, r, key, false);
	else
		link_reply_fault(l, m->req, fault,
				 fault == FAULT_ALREADY_PROCESSING ? session_busy_json(s) : NULL);
}

/* Would one turn more run? Not if it waits in line, is refused, or takes the place of one that
 * runs. */
static bool adds_a_turn(const struct session *s, struct str on_busy)
{
	if (!s || !session_is_busy(s))
		return true;
	return s->waiting && str_eq(on_busy, "interrupt");
}

/* Why not one more of this owner's turns, in the worker's or the owner's share; NULL: fine. */
static const char *lacks_room(const struct worker *w, const struct session *s,
			      const struct msg_send_message *m, enum fault *ret)
{
	bool runs = adds_a_turn(s, m->on_busy);
	bool queues = s && session_is_busy(s) && str_eq(m->on_busy, "queue");

	if (runs && w->n_turns >= (size_t)w->options->max_turns) {
		*ret = FAULT_OVERLOADED;
		return fault_message(FAULT_OVERLOADED);
	}
	if ((runs || queues) &&
	    owners_turns(w, m->owner) >= (size_t)w->options->max_turns_per_owner) {
		*ret = FAULT_TOO_MANY;
		return "too many turns of this owner are running or queued";
	}
	return NULL;
}

static void start(struct worker *w, struct link *l, const struct msg_send_message *m,
		  struct session *s, const json_t *content, struct idempotency_key *key)
{
	auto_free char *provider_name = text_or_null(m->provider);
	auto_free char *model_name = text_or_null(m->model);
	auto_free char *system = text_or_null(m->system);
	auto_free char *metadata = text_or_null(m->metadata);
	auto_free char *text = str_dup(m->content);
	char traceparent[TRACE_LEN];
	struct turn_request r = {.system = system, .content = text};
	const char *model = NULL, *why;
	enum fault fault = choose_model(w, s, provider_name, model_name, &r.provider, &model);
	/* it may be the session's, which is about to be replaced */
	auto_free char *model_copy = str_dup(str_of(model));

	if (fault != FAULT_NONE) {
		link_reply_fault(l, m->req, fault,
				 json_pack("{s:s}", "field",
					   fault == FAULT_UNKNOWN_MODEL ? "model" : "provider"));
		return;
	}
	if (w->stopping) {
		link_reply_fault(l, m->req, FAULT_WORKER_UNAVAILABLE, NULL);
		return;
	}
	why = lacks_room(w, s, m, &fault);
	if (why) {
		link_reply_fault(l, m->req, fault, json_pack("{s:s}", "message", why));
		return;
	}
	trace_take(m->traceparent, traceparent);
	r.traceparent = *traceparent ? traceparent : NULL;
	r.model = model_copy;
	if (s) {
		continue_session(s, l, m, &r, key);
	} else {
		char title[LIMIT_TITLE + 1];

		if (exclusive_enforce(w, m->owner, NULL) < 0) {
			link_reply_fault(l, m->req, FAULT_LOG_UNAVAILABLE, NULL);
			return;
		}
		make_title(content, title);
		s = session_new(w, m->owner, title, r.provider->name, r.model,
				system ? system : w->options->system, metadata);
		run(s, l, m, &r, key, true);
	}
}

/* Was this very request answered before? Then it is answered so again, and 1 returned. */
static int is_repeated(struct worker *w, struct link *l, uint64_t req, struct idempotency_key *key)
{
	struct session *pending;
	json_t *answer;
	enum fault fault = idempotency_find(w, key, &answer, &pending);

	if (fault == FAULT_WORKER_UNAVAILABLE)
		link_reply_fault(
			l, req, fault,
			json_pack("{s:s}", "message",
				  "another message with this key is being stored; try again"));
	else if (fault != FAULT_NONE)
		link_reply_fault(l, req, fault, NULL);
	else if (pending)
		stored_reply(w, pending, l, req, answer);
	else if (answer)
		link_reply(l, req, answer);
	return fault != FAULT_NONE || answer;
}

/* The field that is no text, or NULL. streamerd has looked, but what it let through would end in
 * documents that can't be made. */
static const char *broken_text(const struct msg_send_message *m)
{
	const struct {
		const char *field;
		struct str text;
	} fields[] = {{"owner", m->owner},
		      {"provider", m->provider},
		      {"model", m->model},
		      {"system", m->system},
		      {"metadata", m->metadata}};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!utf8_is_whole(fields[i].text.p, fields[i].text.n))
			return fields[i].field;
	}
	return NULL;
}

static void handle(struct worker *w, struct link *l, const struct msg *msg,
		   struct idempotency_key *key)
{
	const struct msg_send_message *m = &msg->send_message;
	auto_json json_t *content = json_read(m->content.p, m->content.n, NULL, 0);
	const char *broken = broken_text(m);
	struct session *s = NULL;
	enum fault why;

	if (broken) {
		link_reply_fault(l, m->req, FAULT_BAD_FIELD, field_error(broken, "is not UTF-8"));
		return;
	}
	if (!content || m->content.n > LIMIT_MESSAGE + 1024) {
		link_reply_fault(l, m->req, FAULT_BAD_FIELD,
				 field_error("content", "can't be read"));
		return;
	}
	if (is_repeated(w, l, m->req, key))
		return;
	if (w->stall_told) { /* a shorter stall is waited for; stall.c takes back what it can't
				store */
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
	start(w, l, m, s, content, key);
}

void send_message(struct worker *w, struct link *l, const struct msg *msg)
{
	const struct msg_send_message *m = &msg->send_message;
	struct idempotency_key key = {m->owner, m->idempotency_key, m->fingerprint, false};

	handle(w, l, msg, &key);
	idempotency_settle(w, &key);
}
