/*
 * queue.c - messages that wait behind a running turn. See queue.h.
 */
#include "chatd/worker/queue.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/worker/owners.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/require.h"

struct queued {
	TAILQ_ENTRY(queued) link;
	struct log_turn *ref; /* counted */
	char message_id[ID_LEN];
	char *provider, *model, *content, *system,
		*traceparent; /* owned; the last two may be NULL */
};

static char *dup_or_null(const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	REQUIRE(!text || copy);
	return copy;
}

static void queued_free(struct session *s, struct queued *q)
{
	TAILQ_REMOVE(&s->queue, q, link);
	owners_remove(s->worker, s->owner);
	log_turn_unref(q->ref);
	free(q->provider);
	free(q->model);
	free(q->content);
	free(q->system);
	free(q->traceparent);
	free(q);
}

static struct queued *append(struct session *s, struct log_turn *ref, const char *message_id,
			     const char *provider, const char *model, const char *content,
			     const char *system, const char *traceparent)
{
	struct queued *q = calloc(1, sizeof(*q));

	REQUIRE(q);
	q->ref = ref;
	str_put(q->message_id, sizeof(q->message_id), message_id);
	q->provider = dup_or_null(provider);
	q->model = dup_or_null(model);
	q->content = dup_or_null(content);
	q->system = dup_or_null(system);
	q->traceparent = dup_or_null(traceparent);
	TAILQ_INSERT_TAIL(&s->queue, q, link);
	owners_add(s->worker, s->owner);
	return q;
}

size_t queue_length(const struct session *s)
{
	struct queued *q;
	size_t n = 0;

	TAILQ_FOREACH (q, &s->queue, link)
		n++;
	return n;
}

void queue_add(struct session *s, const char *id, const struct turn_request *r)
{
	char message_id[ID_LEN];
	size_t position = queue_length(s) + 1;
	struct queued *q;

	REQUIRE(position <= LIMIT_QUEUE);
	id_new("msg", message_id);
	q = append(s, log_turn_new(id, 0), message_id, r->provider->name, r->model, r->content,
		   r->system, r->traceparent);
	event_log_write(s->worker->log, SQL_TURN_QUEUE, &s->log, q->ref, s->generation, "ttttittt",
			id, q->provider, q->model, message_id, clock_wall_ms(), q->content,
			q->system, q->traceparent);
	session_emit(s, q->ref, CHAT_EVENT_TURN_QUEUED,
		     json_pack("{s:I, s:o}", "position", (json_int_t)position, "content",
			       json_read(q->content, strlen(q->content), NULL, 0)));
	log_info("turn.queued", "session=%s turn=%s position=%zu", s->log.id, id, position);
}

static void withdraw(struct session *s, struct queued *q)
{
	event_log_write(s->worker->log, SQL_TURN_WITHDRAW, &s->log, q->ref, s->generation, "Ti",
			clock_wall_ms());
	session_emit_beside(s, q->ref, CHAT_EVENT_ABORTED,
			    json_pack("{s:s}", "reason", "withdrawn"));
	if (!session_is_busy(s)) /* then no end of a turn will write last_seq */
		event_log_write(s->worker->log, SQL_RUN_STATE, &s->log, NULL, s->generation, "tii",
				"idle", (int64_t)s->last_seq, clock_wall_ms());
	log_info("turn.withdrawn", "session=%s turn=%s", s->log.id, q->ref->id);
	queued_free(s, q);
}

int queue_withdraw(struct session *s, struct str turn_id)
{
	struct queued *q;

	TAILQ_FOREACH (q, &s->queue, link) {
		if (str_eq(turn_id, q->ref->id)) {
			withdraw(s, q);
			return 1;
		}
	}
	return 0;
}

void queue_withdraw_all(struct session *s)
{
	struct queued *q;

	while ((q = TAILQ_FIRST(&s->queue)))
		withdraw(s, q);
}

void queue_start_next(struct session *s)
{
	struct worker *w = s->worker;
	struct queued *q = TAILQ_FIRST(&s->queue);
	struct provider_conf *provider;
	struct turn *t;
	bool gone;

	if (!q || session_is_busy(s) || w->stopping)
		return;
	provider = options_provider(w->options, q->provider);
	gone = !provider;
	t = turn_start_queued(
		s, q->ref, q->message_id,
		&(struct turn_request){provider ? provider : options_provider(w->options, ""),
				       q->model, q->system, q->content, q->traceparent});
	queued_free(s, q);
	if (gone) /* nobody chose another one */
		turn_refuse_provider(t);
}

json_t *queue_json(const struct session *s)
{
	json_t *list = json_array();
	struct queued *q;

	TAILQ_FOREACH (q, &s->queue, link)
		(void)json_array_append_new(
			list, json_pack("{s:s, s:o}", "turn_id", q->ref->id, "content",
					json_read(q->content, strlen(q->content), NULL, 0)));
	return list;
}

static void on_row(void *arg, const struct queue_row *row)
{
	(void)append(arg, log_turn_new(row->id, row->row), row->message_id, row->provider,
		     row->model, row->content, row->system, row->traceparent);
}

int queue_load(struct session *s)
{
	return query_queue(event_log_db(s->worker->log), s->log.row, on_row, s);
}

void queue_free(struct session *s)
{
	struct queued *q;

	while ((q = TAILQ_FIRST(&s->queue)))
		queued_free(s, q);
}
