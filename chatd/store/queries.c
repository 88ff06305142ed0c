/*
 * queries.c - what is read from the event log. See queries.h.
 *
 * Each query runs to its end at once (reset before returning), so no read transaction stays open
 * that could keep the WAL from being reset.
 */
#include "chatd/store/queries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/require.h"
#include "proto/replay.h"

static uint64_t read_failures;

uint64_t query_failures(void)
{
	return read_failures;
}

static char *column_dup(sqlite3_stmt *st, int i)
{
	const char *t = (const char *)sqlite3_column_text(st, i);
	char *copy = t ? strdup(t) : NULL;

	REQUIRE(!t || copy);
	return copy;
}

static void column_copy(sqlite3_stmt *st, int i, char *out, size_t size)
{
	const char *t = (const char *)sqlite3_column_text(st, i);

	(void)snprintf(out, size, "%s", t ? t : "");
}

static struct str column_str(sqlite3_stmt *st, int i)
{
	const char *t = (const char *)sqlite3_column_text(st, i);

	return (struct str){t ? t : "", t ? (size_t)sqlite3_column_bytes(st, i) : 0};
}

/* Callers only know that it failed: this is where it is said. */
static void complain(const char *why)
{
	static struct log_limit lines;

	read_failures++;
	if (log_allowed(&lines, 10))
		log_error("log.read_failed", "why=\"%s\"", why);
}

/* Prepared and bound to one integer, or NULL. */
static sqlite3_stmt *start(struct db *db, enum sql which, int64_t first)
{
	sqlite3_stmt *st = db ? db_stmt(db, which) : NULL;

	if (st)
		(void)sqlite3_bind_int64(st, 1, first);
	else if (db)
		complain(sqlite3_errmsg(db_handle(db)));
	return st;
}

static int step(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		complain(sqlite3_errmsg(sqlite3_db_handle(st)));
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
}

static int finish(sqlite3_stmt *st, int result)
{
	(void)sqlite3_reset(st); /* its error is in result */
	return result;
}

/* --- sessions --- */

void session_row_fini(struct session_row *s)
{
	free(s->id);
	free(s->owner);
	free(s->title);
	free(s->provider);
	free(s->model);
	free(s->system);
	free(s->metadata);
	memset(s, 0, sizeof(*s));
}

static void read_session(sqlite3_stmt *st, struct session_row *s)
{
	s->row = sqlite3_column_int64(st, 0);
	s->id = column_dup(st, 1);
	s->owner = column_dup(st, 2);
	s->title = column_dup(st, 3);
	s->provider = column_dup(st, 4);
	s->model = column_dup(st, 5);
	s->system = column_dup(st, 6);
	s->metadata = column_dup(st, 7);
	s->generation = (uint64_t)sqlite3_column_int64(st, 8);
	column_copy(st, 9, s->state, sizeof(s->state));
	s->last_seq = (uint64_t)sqlite3_column_int64(st, 10);
	s->created_at = sqlite3_column_int64(st, 11);
	s->updated_at = sqlite3_column_int64(st, 12);
}

int query_session(struct db *db, const char *id, struct session_row *ret)
{
	sqlite3_stmt *st = db ? db_stmt(db, SQL_SESSION_BY_ID) : NULL;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (!st)
		return -1;
	(void)sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	r = step(st);
	if (r == 1)
		read_session(st, ret);
	(void)finish(st, r);
	if (r != 1 || strcmp(ret->state, "idle") == 0)
		return r;
	st = start(db, SQL_LAST_SEQ, ret->row);
	if (!st)
		return -1;
	r = step(st);
	if (r == 1)
		ret->last_seq = (uint64_t)sqlite3_column_int64(st, 0);
	return finish(st, r);
}

json_t *session_row_json(const struct session_row *s)
{
	char created[CLOCK_ISO_LEN + 1], updated[CLOCK_ISO_LEN + 1];
	json_t *metadata =
		s->metadata ? json_read(s->metadata, strlen(s->metadata), NULL, 0) : NULL;

	clock_iso(s->created_at, created);
	clock_iso(s->updated_at, updated);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s?, s:o, s:s, s:s}", "id", s->id,
			 "title", s->title, "state", s->state, "provider", s->provider, "model",
			 s->model, "generation", (json_int_t)s->generation, "system", s->system,
			 "metadata", metadata ? metadata : json_null(), "created_at", created,
			 "updated_at", updated);
}

json_t *query_sessions(struct db *db, const char *owner, const char *cursor, int limit,
		       char ret_next[64])
{
	sqlite3_stmt *st = db ? db_stmt(db, SQL_SESSIONS_PAGE) : NULL;
	long long updated = INT64_MAX, row = INT64_MAX;
	json_t *page;
	int r, n = 0;

	ret_next[0] = '\0';
	if (!st)
		return NULL;
	if (*cursor && sscanf(cursor, "%lld-%lld", &updated, &row) != 2)
		updated = row = -1;
	(void)sqlite3_bind_text(st, 1, owner, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(st, 2, updated);
	(void)sqlite3_bind_int64(st, 3, row);
	(void)sqlite3_bind_int(st, 4, limit + 1);
	page = json_array();
	while ((r = step(st)) == 1) {
		auto_session_row struct session_row s = {0};

		if (n++ == limit) {
			(void)snprintf(ret_next, 64, "%lld-%lld", updated, row);
			r = 0;
			break;
		}
		read_session(st, &s);
		updated = s.updated_at;
		row = s.row;
		(void)json_array_append_new(page, session_row_json(&s));
	}
	if (finish(st, r) == 0)
		return page;
	json_decref(page);
	return NULL;
}

static json_t *ids(struct db *db, enum sql which, const char *owner)
{
	sqlite3_stmt *st = db ? db_stmt(db, which) : NULL;
	json_t *list;
	int r;

	if (!st)
		return NULL;
	if (owner)
		(void)sqlite3_bind_text(st, 1, owner, -1, SQLITE_STATIC);
	list = json_array();
	while ((r = step(st)) == 1)
		(void)json_array_append_new(list,
					    json_string((const char *)sqlite3_column_text(st, 0)));
	if (finish(st, r) == 0)
		return list;
	json_decref(list);
	return NULL;
}

json_t *query_processing(struct db *db)
{
	return ids(db, SQL_SESSIONS_PROCESSING, NULL);
}

json_t *query_queued_idle(struct db *db)
{
	return ids(db, SQL_SESSIONS_QUEUED, NULL);
}

json_t *query_owner_active(struct db *db, const char *owner)
{
	return ids(db, SQL_OWNER_ACTIVE, owner);
}

int query_queue(struct db *db, int64_t session, void (*fn)(void *arg, const struct queue_row *q),
		void *arg)
{
	sqlite3_stmt *st = start(db, SQL_QUEUE, session);
	int r;

	if (!st)
		return -1;
	while ((r = step(st)) == 1) {
		struct queue_row q = {
			.row = sqlite3_column_int64(st, 0),
			.id = (const char *)sqlite3_column_text(st, 1),
			.provider = (const char *)sqlite3_column_text(st, 2),
			.model = (const char *)sqlite3_column_text(st, 3),
			.message_id = (const char *)sqlite3_column_text(st, 4),
			.content = (const char *)sqlite3_column_text(st, 5),
			.system = (const char *)sqlite3_column_text(st, 6),
		};

		fn(arg, &q);
	}
	return finish(st, r) < 0 ? -1 : 1;
}

int query_key(struct db *db, const char *owner, const char *key, int64_t since,
	      char **ret_fingerprint, char **ret_answer)
{
	sqlite3_stmt *st = db ? db_stmt(db, SQL_KEY) : NULL;
	int r;

	if (!st)
		return -1;
	(void)sqlite3_bind_text(st, 1, owner, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(st, 2, key, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(st, 3, since);
	r = step(st);
	if (r == 1) {
		*ret_fingerprint = column_dup(st, 0);
		*ret_answer = column_dup(st, 1);
	}
	return finish(st, r);
}

/* --- turns --- */

void turn_row_fini(struct turn_row *t)
{
	free(t->provider);
	free(t->model);
	free(t->stop_reason);
	free(t->error_code);
	free(t->error_message);
	memset(t, 0, sizeof(*t));
}

int query_last_turn(struct db *db, int64_t session, struct turn_row *t)
{
	sqlite3_stmt *st = start(db, SQL_TURN_LAST, session);
	int r;

	memset(t, 0, sizeof(*t));
	if (!st)
		return -1;
	r = step(st);
	if (r != 1)
		return finish(st, r);
	t->row = sqlite3_column_int64(st, 0);
	column_copy(st, 1, t->id, sizeof(t->id));
	t->generation = (uint64_t)sqlite3_column_int64(st, 2);
	column_copy(st, 3, t->state, sizeof(t->state));
	t->provider = column_dup(st, 4);
	t->model = column_dup(st, 5);
	column_copy(st, 6, t->message_id, sizeof(t->message_id));
	t->crashes = sqlite3_column_int(st, 7);
	t->handed_over = sqlite3_column_int(st, 8);
	t->first_seq = (uint64_t)sqlite3_column_int64(st, 9);
	t->started_at = sqlite3_column_int64(st, 10);
	t->stop_reason = column_dup(st, 11);
	for (int i = 0; i < 4; i++)
		t->usage[i] = sqlite3_column_type(st, 12 + i) == SQLITE_NULL
				      ? -1
				      : sqlite3_column_int64(st, 12 + i);
	t->error_code = column_dup(st, 16);
	t->error_message = column_dup(st, 17);
	return finish(st, 1);
}

/* --- messages --- */

static json_t *column_json(sqlite3_stmt *st, int i)
{
	struct str s = column_str(st, i);

	return s.n ? json_read(s.p, s.n, NULL, 0) : NULL;
}

static json_t *read_message(sqlite3_stmt *st)
{
	char created[CLOCK_ISO_LEN + 1];
	json_t *content = column_json(st, 5);
	auto_json json_t *extra = column_json(st, 6);
	const char *stop_reason = (const char *)sqlite3_column_text(st, 7);
	json_t *m;

	clock_iso(sqlite3_column_int64(st, 8), created);
	m = json_pack("{s:s, s:s, s:s, s:o, s:s, s:s}", "id", sqlite3_column_text(st, 1), "turn_id",
		      sqlite3_column_text(st, 2), "role", sqlite3_column_text(st, 3), "content",
		      content ? content : json_string(""), "status", sqlite3_column_text(st, 4),
		      "created_at", created);
	if (extra)
		(void)json_object_update_missing(m, extra);
	if (stop_reason)
		(void)json_object_set_new(m, "stop_reason", json_string(stop_reason));
	return m;
}

static int message_row(struct db *db, const char *id, int64_t session, int64_t *ret)
{
	sqlite3_stmt *st = db_stmt(db, SQL_MESSAGE_ROW);
	int r;

	if (!st)
		return -1;
	(void)sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(st, 2, session);
	r = step(st);
	*ret = r == 1 ? sqlite3_column_int64(st, 0) : 0;
	return finish(st, r);
}

json_t *query_messages(struct db *db, int64_t session, const char *before, int limit,
		       size_t max_bytes, char ret_next[ID_LEN])
{
	sqlite3_stmt *st;
	int64_t before_row = INT64_MAX;
	json_t *page;
	size_t bytes = 0;
	int r, n = 0;

	ret_next[0] = '\0';
	if (!db || (*before && message_row(db, before, session, &before_row) < 0))
		return NULL;
	st = start(db, SQL_MESSAGES_PAGE, session);
	if (!st)
		return NULL;
	(void)sqlite3_bind_int64(st, 2, before_row);
	(void)sqlite3_bind_int(st, 3, limit + 1);
	page = json_array();
	while ((r = step(st)) == 1) {
		bytes += column_str(st, 5).n + column_str(st, 6).n;
		if (n++ == limit || (n > 1 && bytes > max_bytes)) {
			(void)snprintf(ret_next, ID_LEN, "%s",
				       json_get_str(json_array_get(page, 0), "id"));
			r = 0;
			break;
		}
		(void)json_array_insert_new(page, 0, read_message(st));
	}
	if (finish(st, r) == 0)
		return page;
	json_decref(page);
	return NULL;
}

int query_answer(struct db *db, int64_t turn, json_t **ret)
{
	sqlite3_stmt *st = start(db, SQL_MESSAGE_OF_TURN, turn);
	int r;

	*ret = NULL;
	if (!st)
		return -1;
	r = step(st);
	if (r == 1) {
		json_t *content = column_json(st, 0);

		*ret = column_json(st, 1);
		if (!*ret)
			*ret = json_object();
		(void)json_object_set_new(*ret, "content", content ? content : json_string(""));
	}
	return finish(st, r);
}

json_t *query_history(struct db *db, int64_t session)
{
	sqlite3_stmt *st = start(db, SQL_HISTORY, session);
	json_t *messages;
	int r;

	if (!st)
		return NULL;
	(void)sqlite3_bind_int(st, 2, LIMIT_HISTORY);
	messages = json_array();
	while ((r = step(st)) == 1) {
		json_t *content = column_json(st, 1);
		json_t *echo = column_json(st, 2);

		(void)json_array_insert_new(
			messages, 0,
			json_pack("{s:s, s:o, s:o?, s:I}", "role", sqlite3_column_text(st, 0),
				  "content", content ? content : json_string(""), "echo", echo,
				  "turn", (json_int_t)sqlite3_column_int64(st, 3)));
	}
	if (finish(st, r) == 0)
		return messages;
	json_decref(messages);
	return NULL;
}

/* --- steps, calls, prompts --- */

int query_steps(struct db *db, int64_t turn, void (*fn)(void *arg, const struct step_row *s),
		void *arg)
{
	sqlite3_stmt *st = start(db, SQL_STEPS, turn);
	int r;

	if (!st)
		return -1;
	while ((r = step(st)) == 1) {
		struct step_row s = {
			.n = sqlite3_column_int(st, 0),
			.content_end = (size_t)sqlite3_column_int64(st, 1),
			.reasoning_end = (size_t)sqlite3_column_int64(st, 2),
			.echo = column_str(st, 3),
		};

		fn(arg, &s);
	}
	return finish(st, r) < 0 ? -1 : 1;
}

int query_calls(struct db *db, int64_t turn, void (*fn)(void *arg, const struct call_row *c),
		void *arg)
{
	sqlite3_stmt *st = start(db, SQL_CALLS, turn);
	int r;

	if (!st)
		return -1;
	while ((r = step(st)) == 1) {
		struct call_row c = {
			.step = sqlite3_column_int(st, 0),
			.id = (const char *)sqlite3_column_text(st, 1),
			.server = (const char *)sqlite3_column_text(st, 2),
			.name = (const char *)sqlite3_column_text(st, 3),
			.model_name = (const char *)sqlite3_column_text(st, 4),
			.arguments = column_str(st, 5),
			.status = (const char *)sqlite3_column_text(st, 6),
			.may_repeat = sqlite3_column_int(st, 7) != 0,
			.output = column_str(st, 8),
			.is_error = sqlite3_column_int(st, 9) != 0,
			.started_at = sqlite3_column_int64(st, 10),
		};

		fn(arg, &c);
	}
	return finish(st, r) < 0 ? -1 : 1;
}

int query_prompt(struct db *db, int64_t session, const char *id, struct prompt_row *ret)
{
	sqlite3_stmt *st = db ? db_stmt(db, SQL_PROMPT) : NULL;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (!st)
		return -1;
	(void)sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(st, 2, session);
	r = step(st);
	if (r == 1) {
		column_copy(st, 0, ret->call_id, sizeof(ret->call_id));
		ret->is_question =
			strcmp((const char *)sqlite3_column_text(st, 1), "ask_user") == 0;
		ret->is_open = strcmp((const char *)sqlite3_column_text(st, 2), "open") == 0;
		ret->request = column_json(st, 3);
	}
	return finish(st, r);
}

int query_grant(struct db *db, int64_t session, const char *server, const char *name)
{
	sqlite3_stmt *st = start(db, SQL_GRANT, session);

	if (!st)
		return -1;
	(void)sqlite3_bind_text(st, 2, server, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(st, 3, name, -1, SQLITE_STATIC);
	return finish(st, step(st));
}

/* --- events --- */

static int read_event(sqlite3_stmt *st, struct chat_event *e)
{
	e->session_id = str_of("");
	e->generation = (uint64_t)sqlite3_column_int64(st, 0);
	e->seq = (uint64_t)sqlite3_column_int64(st, 1);
	e->ts = sqlite3_column_int64(st, 2);
	e->type = (enum chat_event_type)sqlite3_column_int(st, 3);
	e->turn_id = column_str(st, 4);
	e->payload = column_str(st, 5);
	return e->payload.n >= 2 && e->payload.p[0] == '{' && chat_event_name(e->type) != NULL;
}

int query_events(struct db *db, int64_t session, uint64_t after,
		 void (*fn)(void *arg, const struct chat_event *e), void *arg)
{
	sqlite3_stmt *st = start(db, SQL_EVENTS_AFTER, session);
	struct chat_event e;
	int r;

	if (!st)
		return -1;
	(void)sqlite3_bind_int64(st, 2, (int64_t)after);
	(void)sqlite3_bind_int64(st, 3, -1);
	while ((r = step(st)) == 1) {
		if (!read_event(st, &e)) {
			r = -1;
			break;
		}
		fn(arg, &e);
	}
	return finish(st, r) < 0 ? -1 : 1;
}

/* Why a cursor can't be served, or NULL. 1, or -1 if the log can't be read. */
static int check_cursor(struct db *db, int64_t session, uint64_t last_seq, uint64_t generation,
			uint64_t seq, const char **ret_reason)
{
	sqlite3_stmt *st;
	int r;

	*ret_reason = seq == 0 ? "unknown" : seq > last_seq ? "ahead" : NULL;
	if (*ret_reason)
		return 1;
	st = start(db, SQL_EVENT_AT, session);
	if (!st)
		return -1;
	(void)sqlite3_bind_int64(st, 2, (int64_t)seq);
	r = step(st);
	if (r == 0)
		*ret_reason = "too_old";
	else if (r == 1 && (uint64_t)sqlite3_column_int64(st, 0) != generation)
		*ret_reason = "other_history";
	return finish(st, r) < 0 ? -1 : 1;
}

int query_replay(struct db *db, int64_t session, uint64_t last_seq, uint64_t generation,
		 uint64_t seq, struct buf *page, uint64_t *ret_count, const char **ret_reason)
{
	sqlite3_stmt *st;
	struct chat_event e;
	int r = check_cursor(db, session, last_seq, generation, seq, ret_reason);

	*ret_count = 0;
	if (r < 0 || *ret_reason)
		return r;
	st = start(db, SQL_EVENTS_AFTER, session);
	if (!st)
		return -1;
	(void)sqlite3_bind_int64(st, 2, (int64_t)seq);
	(void)sqlite3_bind_int64(st, 3, LIMIT_REPLAY_EVENTS);
	while ((r = step(st)) == 1) {
		if (!read_event(st, &e)) {
			r = -1;
			break;
		}
		if (e.seq !=
		    seq + *ret_count + 1) { /* folded meanwhile: only a snapshot can help */
			*ret_reason = "too_old";
			r = 0;
			break;
		}
		if (replay_size(&e) > LIMIT_FRAME / 2 - page->len) {
			/* what no page can carry: only a snapshot can help */
			if (*ret_count == 0)
				*ret_reason = "too_old";
			r = 0;
			break;
		}
		replay_add(page, &e);
		(*ret_count)++;
		if (page->len >= LIMIT_REPLAY_BYTES) {
			r = 0;
			break;
		}
	}
	return finish(st, r) < 0 ? -1 : 1;
}
