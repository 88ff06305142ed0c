/*
 * scripted_worker.c - the worker's end of the bus, for tests. See scripted_worker.h.
 */
#include "tests/unit/streamerd/scripted_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/require.h"
#include "common/sock.h"
#include "proto/channel.h"
#include "proto/replay.h"

struct stored {
	uint64_t generation;
	int64_t ts;
	enum chat_event_type type;
	char *payload;
};

struct sub {
	struct scripted_link *link;
	uint64_t number;
	TAILQ_ENTRY(sub) next;
};

struct scripted_session {
	struct scripted_worker *worker;
	char *owner, *id;
	const char *state;
	uint64_t generation, folded;
	bool changed; /* is in lists of what changed */
	struct stored *events;
	size_t n;
	TAILQ_HEAD(, sub) subs;
	TAILQ_ENTRY(scripted_session) next;
};

struct scripted_link {
	struct scripted_worker *worker;
	struct {
		char owner[32];
		uint64_t sub; /* 0: free */
	} watches[4];
	struct channel *channel;
	TAILQ_ENTRY(scripted_link) next;
};

struct scripted_worker {
	struct event_base *base;
	char path[256];
	unsigned worker, workers;
	struct event *accept;
	int fd;
	bool mute;
	enum fault refuse;
	struct scripted_counts counts;
	char last[512];
	TAILQ_HEAD(, scripted_link) links;
	TAILQ_HEAD(, scripted_session) sessions;
};

static const char turn_id[] = "turn_1";

static void link_free(struct scripted_link *l)
{
	struct scripted_session *s;
	struct sub *sub, *next;

	TAILQ_FOREACH (s, &l->worker->sessions, next) {
		for (sub = TAILQ_FIRST(&s->subs); sub; sub = next) {
			next = TAILQ_NEXT(sub, next);
			if (sub->link != l)
				continue;
			TAILQ_REMOVE(&s->subs, sub, next);
			free(sub);
		}
	}
	TAILQ_REMOVE(&l->worker->links, l, next);
	channel_free(l->channel);
	free(l);
}

static struct scripted_session *find(struct scripted_worker *w, struct str owner, struct str id)
{
	struct scripted_session *s;

	TAILQ_FOREACH (s, &w->sessions, next) {
		if (str_eq(owner, s->owner) && str_eq(id, s->id))
			return s;
	}
	return NULL;
}

static void reply(struct scripted_link *l, uint64_t req, enum fault fault, const char *body)
{
	struct msg m = {.type = MSG_REPLY,
			.reply = {.req = req, .fault = fault, .body = str_of(body)}};

	channel_send(l->channel, &m);
}

static uint64_t last_generation(const struct scripted_session *s, uint64_t seq)
{
	return seq ? s->events[seq - 1].generation : 0;
}

static void on_subscribe(struct scripted_link *l, struct scripted_session *s,
			 const struct msg_subscribe *m)
{
	struct sub *sub = calloc(1, sizeof(*sub));
	char body[100];

	REQUIRE(sub);
	sub->link = l;
	sub->number = m->sub;
	TAILQ_INSERT_TAIL(&s->subs, sub, next);
	(void)snprintf(body, sizeof(body), "{\"generation\":%llu,\"seq\":%llu}",
		       (unsigned long long)last_generation(s, s->n), (unsigned long long)s->n);
	reply(l, m->req, FAULT_NONE, body);
}

static void on_unsubscribe(struct scripted_link *l, uint64_t number)
{
	struct scripted_session *s;
	struct sub *sub, *next;

	TAILQ_FOREACH (s, &l->worker->sessions, next) {
		for (sub = TAILQ_FIRST(&s->subs); sub; sub = next) {
			next = TAILQ_NEXT(sub, next);
			if (sub->link != l || sub->number != number)
				continue;
			TAILQ_REMOVE(&s->subs, sub, next);
			free(sub);
		}
	}
}

static void on_get_snapshot(struct scripted_link *l, struct scripted_session *s, uint64_t req)
{
	struct msg m = {.type = MSG_SNAPSHOT,
			.snapshot = {.req = req,
				     .generation = last_generation(s, s->n),
				     .seq = s->n,
				     .ts = 1700000000000,
				     .turn_id = str_of(turn_id)}};
	auto_buf struct buf payload = BUF_INIT;

	buf_addf(&payload, "{\"state\":\"%s\",\"queue\":[]}", s->state);
	m.snapshot.payload = (struct str){payload.data, payload.len};
	channel_send(l->channel, &m);
}

static struct chat_event event_at(const struct scripted_session *s, uint64_t seq)
{
	const struct stored *e = &s->events[seq - 1];

	return (struct chat_event){.session_id = str_of(s->id),
				   .turn_id = str_of(turn_id),
				   .generation = e->generation,
				   .seq = seq,
				   .ts = e->ts,
				   .type = e->type,
				   .payload = str_of(e->payload)};
}

static const char *why_not(const struct scripted_session *s, const struct msg_replay *m)
{
	if (m->seq > s->n)
		return "ahead";
	if (m->seq < s->folded)
		return "too_old";
	if (last_generation(s, m->seq) != m->generation)
		return "other_history";
	return NULL;
}

static void on_replay(struct scripted_link *l, struct scripted_session *s,
		      const struct msg_replay *m)
{
	struct msg a = {.type = MSG_REPLAYED, .replayed = {.req = m->req}};
	auto_buf struct buf page = BUF_INIT;
	const char *why = why_not(s, m);

	a.replayed.reason = str_of(why);
	if (why)
		a.replayed.fault = FAULT_BAD_FIELD;
	for (uint64_t seq = m->seq + 1;
	     !why && seq <= s->n && a.replayed.count < LIMIT_REPLAY_EVENTS; seq++) {
		struct chat_event e = event_at(s, seq);

		replay_add(&page, &e);
		a.replayed.count++;
	}
	a.replayed.events = (struct str){page.data ? page.data : "", page.len};
	channel_send(l->channel, &a);
}

static void on_watch(struct scripted_link *l, const struct msg_watch_owner *m)
{
	struct scripted_session *s;
	auto_buf struct buf active = BUF_INIT, changed = BUF_INIT;

	for (size_t i = 0; i < 4; i++) {
		if (l->watches[i].sub && l->watches[i].sub != m->sub)
			continue;
		l->watches[i].sub = m->sub;
		(void)snprintf(l->watches[i].owner, sizeof(l->watches[i].owner), "%.*s",
			       (int)m->owner.n, m->owner.p);
		break;
	}
	TAILQ_FOREACH (s, &l->worker->sessions, next) {
		bool is_active = strcmp(s->state, "idle") != 0;

		if (!str_eq(m->owner, s->owner) || (!is_active && !(s->changed && m->since)))
			continue;
		buf_addf(is_active ? &active : &changed, ",\"%s\"", s->id);
	}
	buf_consume(&active, active.len > 0);
	buf_consume(&changed, changed.len > 0);
	buf_addf(&active, "],\"changed\":[%s]}", buf_str(&changed));
	buf_clear(&changed);
	buf_addf(&changed, "{\"active\":[%s", buf_str(&active));
	reply(l, m->req, FAULT_NONE, buf_str(&changed));
}

static void on_unwatch(struct scripted_link *l, uint64_t number)
{
	for (size_t i = 0; i < 4; i++) {
		if (l->watches[i].sub == number)
			l->watches[i].sub = 0;
	}
}

static void tell_watchers(struct scripted_session *s, const struct chat_event *e)
{
	struct scripted_link *l;

	if (!chat_event_is_beginning(e->type) && e->type != CHAT_EVENT_RESPONSE_END)
		return;
	TAILQ_FOREACH (l, &s->worker->links, next) {
		for (size_t i = 0; i < 4; i++) {
			struct msg m = {.type = MSG_ACTIVITY,
					.activity = {.sub = l->watches[i].sub,
						     .session_id = str_of(s->id),
						     .generation = e->generation,
						     .seq = e->seq,
						     .ts = e->ts,
						     .type = e->type,
						     .turn_id = e->turn_id,
						     .payload = e->payload}};

			if (l->watches[i].sub && strcmp(l->watches[i].owner, s->owner) == 0)
				channel_send(l->channel, &m);
		}
	}
}

static void on_other(struct scripted_link *l, const struct msg *m)
{
	struct scripted_worker *w = l->worker;
	int n = snprintf(w->last, sizeof(w->last), "%s", msg_name(m->type));

	if (m->type == MSG_SEND_MESSAGE)
		(void)snprintf(w->last + n, sizeof(w->last) - (size_t)n, " %.*s",
			       (int)m->send_message.content.n, m->send_message.content.p);
	if (m->type == MSG_STATUS) {
		w->counts.statuses++;
		reply(l, m->status.req, FAULT_NONE, "{\"log_writable\":true,\"commits\":3}");
		return;
	}
	w->counts.others++;
	reply(l, m->status.req, FAULT_NONE, "{\"seen\":true}");
}

static void on_session_request(struct scripted_link *l, const struct msg *m, struct str owner,
			       struct str id)
{
	struct scripted_session *s = find(l->worker, owner, id);

	if (!s)
		reply(l, m->status.req, FAULT_SESSION_NOT_FOUND, "");
	else if (m->type == MSG_SUBSCRIBE)
		on_subscribe(l, s, &m->subscribe);
	else if (m->type == MSG_GET_SNAPSHOT)
		on_get_snapshot(l, s, m->get_snapshot.req);
	else
		on_replay(l, s, &m->replay);
}

static void on_message(void *arg, const struct msg *m)
{
	struct scripted_link *l = arg;
	struct scripted_worker *w = l->worker;

	w->counts.subscribes += m->type == MSG_SUBSCRIBE;
	w->counts.unsubscribes += m->type == MSG_UNSUBSCRIBE;
	w->counts.snapshots += m->type == MSG_GET_SNAPSHOT;
	w->counts.replays += m->type == MSG_REPLAY;
	w->counts.watches += m->type == MSG_WATCH_OWNER;
	w->counts.unwatches += m->type == MSG_UNWATCH_OWNER;
	if (m->type == MSG_UNSUBSCRIBE)
		on_unsubscribe(l, m->unsubscribe.sub);
	else if (m->type == MSG_UNWATCH_OWNER)
		on_unwatch(l, m->unwatch_owner.sub);
	else if (w->mute)
		return;
	else if (w->refuse)
		reply(l, m->status.req, w->refuse, "");
	else if (m->type == MSG_SUBSCRIBE)
		on_session_request(l, m, m->subscribe.owner, m->subscribe.session_id);
	else if (m->type == MSG_GET_SNAPSHOT)
		on_session_request(l, m, m->get_snapshot.owner, m->get_snapshot.session_id);
	else if (m->type == MSG_REPLAY)
		on_session_request(l, m, m->replay.owner, m->replay.session_id);
	else if (m->type == MSG_WATCH_OWNER)
		on_watch(l, &m->watch_owner);
	else
		on_other(l, m);
}

static void on_up(void *arg, const struct msg_hello *peer)
{
}

static void on_down(void *arg, const char *why)
{
	link_free(arg);
}

static const struct channel_ops ops = {on_up, on_message, on_down};

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct scripted_worker *w = arg;
	struct msg_hello hello = {.version = PROTO_VERSION,
				  .role = str_of("worker"),
				  .worker = w->worker,
				  .workers = w->workers};
	struct scripted_link *l;
	int s = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (s < 0)
		return;
	l = calloc(1, sizeof(*l));
	REQUIRE(l);
	l->worker = w;
	TAILQ_INSERT_TAIL(&w->links, l, next);
	l->channel = channel_new(w->base, s, FROM_WORKER, &hello, CHANNEL_ALLOW_NONE, &ops, l);
}

void scripted_worker_listen(struct scripted_worker *w)
{
	w->fd = sock_listen_unix(w->path, 0600, 16);
	REQUIRE(w->fd >= 0);
	w->accept = event_new(w->base, w->fd, EV_READ | EV_PERSIST, on_accept, w);
	REQUIRE(w->accept);
	(void)event_add(w->accept, NULL);
}

struct scripted_worker *scripted_worker_new(struct event_base *base, const char *dir,
					    unsigned worker, unsigned workers)
{
	struct scripted_worker *w = calloc(1, sizeof(*w));

	REQUIRE(w);
	w->base = base;
	w->worker = worker;
	w->workers = workers;
	TAILQ_INIT(&w->links);
	TAILQ_INIT(&w->sessions);
	(void)snprintf(w->path, sizeof(w->path), "%s/worker-%u.sock", dir, worker);
	scripted_worker_listen(w);
	return w;
}

void scripted_worker_cut(struct scripted_worker *w, bool stay)
{
	struct scripted_link *l;

	while ((l = TAILQ_FIRST(&w->links)))
		link_free(l);
	if (stay || !w->accept)
		return;
	event_free(w->accept);
	w->accept = NULL;
	(void)close(w->fd);
	(void)unlink(w->path);
}

static void clear_events(struct scripted_session *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->events[i].payload);
	free(s->events);
	s->events = NULL;
	s->n = 0;
}

void scripted_session_forget(struct scripted_session *s)
{
	struct sub *sub;

	while ((sub = TAILQ_FIRST(&s->subs))) {
		TAILQ_REMOVE(&s->subs, sub, next);
		free(sub);
	}
	clear_events(s);
	TAILQ_REMOVE(&s->worker->sessions, s, next);
	free(s->owner);
	free(s->id);
	free(s);
}

void scripted_worker_free(struct scripted_worker *w)
{
	struct scripted_session *s;

	scripted_worker_cut(w, false);
	while ((s = TAILQ_FIRST(&w->sessions)))
		scripted_session_forget(s);
	free(w);
}

const struct scripted_counts *scripted_worker_counts(const struct scripted_worker *w)
{
	return &w->counts;
}

int scripted_worker_links(const struct scripted_worker *w)
{
	struct scripted_link *l;
	int n = 0;

	TAILQ_FOREACH (l, &w->links, next)
		n += channel_is_up(l->channel);
	return n;
}

void scripted_worker_mute(struct scripted_worker *w, bool mute)
{
	w->mute = mute;
}

void scripted_worker_refuse(struct scripted_worker *w, enum fault fault)
{
	w->refuse = fault;
}

void scripted_worker_say(struct scripted_worker *w, const struct msg *m)
{
	struct scripted_link *l;

	TAILQ_FOREACH (l, &w->links, next)
		channel_send(l->channel, m);
}

const char *scripted_worker_last(const struct scripted_worker *w)
{
	return w->last;
}

struct scripted_session *scripted_session_new(struct scripted_worker *w, const char *owner,
					      const char *id)
{
	struct scripted_session *s = calloc(1, sizeof(*s));

	REQUIRE(s);
	s->worker = w;
	s->owner = strdup(owner);
	s->id = strdup(id);
	s->state = "idle";
	s->generation = 1;
	TAILQ_INIT(&s->subs);
	TAILQ_INSERT_TAIL(&w->sessions, s, next);
	return s;
}

static void store(struct scripted_session *s, enum chat_event_type type, const char *payload)
{
	s->events = realloc(s->events, (s->n + 1) * sizeof(*s->events));
	REQUIRE(s->events);
	s->events[s->n++] = (struct stored){.generation = s->generation,
					    .ts = 1700000000000 + (int64_t)s->n,
					    .type = type,
					    .payload = strdup(payload)};
}

void scripted_session_emit(struct scripted_session *s, enum chat_event_type type,
			   const char *payload)
{
	struct msg m = {.type = MSG_EVENT};
	struct chat_event e;
	struct sub *sub;

	store(s, type, payload);
	if (type == CHAT_EVENT_RESPONSE_START)
		s->state = "processing";
	if (type == CHAT_EVENT_RESPONSE_END || type == CHAT_EVENT_ABORTED ||
	    (type == CHAT_EVENT_ERROR && strncmp(payload, "{\"fatal\":true", 13) == 0))
		s->state = "idle";
	e = event_at(s, s->n);
	TAILQ_FOREACH (sub, &s->subs, next) {
		m.event = (struct msg_event){.sub = sub->number,
					     .generation = e.generation,
					     .seq = e.seq,
					     .ts = e.ts,
					     .type = e.type,
					     .turn_id = e.turn_id,
					     .payload = e.payload};
		channel_send(sub->link->channel, &m);
	}
	tell_watchers(s, &e);
}

void scripted_session_changed(struct scripted_session *s)
{
	s->changed = true;
}

void scripted_session_turn(struct scripted_session *s, int chunks, size_t size)
{
	auto_buf struct buf b = BUF_INIT;

	scripted_session_emit(s, CHAT_EVENT_RESPONSE_START, "{}");
	for (int i = 0; i < chunks; i++) {
		buf_clear(&b);
		buf_addf(&b, "{\"content\":\"%d ", rand());
		while (b.len < size)
			buf_addc(&b, (char)('a' + rand() % 26));
		buf_adds(&b, "\"}");
		scripted_session_emit(s, CHAT_EVENT_RESPONSE_CHUNK, buf_str(&b));
	}
	scripted_session_emit(s, CHAT_EVENT_RESPONSE_END, "{\"stop_reason\":\"end_turn\"}");
}

void scripted_session_set_generation(struct scripted_session *s, uint64_t generation)
{
	s->generation = generation;
}

void scripted_session_fold(struct scripted_session *s, uint64_t seq)
{
	s->folded = seq;
}

void scripted_session_rewrite(struct scripted_session *s, uint64_t generation, int n)
{
	clear_events(s);
	s->generation = generation;
	for (int i = 0; i < n; i++)
		store(s, CHAT_EVENT_WARNING, "{\"code\":\"other\"}");
}

void scripted_session_set_state(struct scripted_session *s, const char *state)
{
	s->state = state;
}

uint64_t scripted_session_seq(const struct scripted_session *s)
{
	return s->n;
}

void scripted_session_frames(const struct scripted_session *s, uint64_t after, struct buf *out)
{
	for (uint64_t seq = after + 1; seq <= s->n; seq++) {
		struct chat_event e = event_at(s, seq);

		chat_event_add_frame(out, &e);
	}
}
