/*
 * query_sessions.c - sessions, their queues, and answers kept for repeated requests. See queries.h.
 */
#include "chatd/store/queries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chatd/store/query.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/utf8.h"

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
	s->id = query_dup(st, 1);
	s->owner = query_dup(st, 2);
	s->title = query_dup(st, 3);
	s->provider = query_dup(st, 4);
	s->model = query_dup(st, 5);
	s->system = query_dup(st, 6);
	s->metadata = query_dup(st, 7);
	s->generation = (uint64_t)sqlite3_column_int64(st, 8);
	query_copy(st, 9, s->state, sizeof(s->state));
	s->last_seq = (uint64_t)sqlite3_column_int64(st, 10);
	s->created_at = sqlite3_column_int64(st, 11);
	s->updated_at = sqlite3_column_int64(st, 12);
}

int query_session(struct db *db, const char *id, struct session_row *ret)
{
	sqlite3_stmt *st = query_stmt(db, SQL_SESSION_BY_ID);
	int r;

	memset(ret, 0, sizeof(*ret));
	if (!st)
		return -1;
	(void)sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	r = query_step(st);
	if (r == 1)
		read_session(st, ret);
	(void)query_finish(st, r);
	if (r != 1 || strcmp(ret->state, "idle") == 0)
		return r;
	st = query_start(db, SQL_LAST_SEQ, ret->row);
	if (!st)
		return -1;
	r = query_step(st);
	if (r == 1)
		ret->last_seq = (uint64_t)sqlite3_column_int64(st, 0);
	return query_finish(st, r);
}

/* A log of before texts were checked may hold one that is not UTF-8: that hides no session. */
static json_t *text_json(const char *s)
{
	json_t *v = s ? json_string(s) : json_null();
	struct buf auto_buf mended = BUF_INIT;

	if (v)
		return v;
	utf8_add(&mended, s, strlen(s));
	return json_stringn(buf_str(&mended), mended.len);
}

json_t *session_row_json(const struct session_row *s)
{
	char created[CLOCK_ISO_LEN + 1], updated[CLOCK_ISO_LEN + 1];
	json_t *metadata =
		s->metadata ? json_read(s->metadata, strlen(s->metadata), NULL, 0) : NULL;

	clock_iso(s->created_at, created);
	clock_iso(s->updated_at, updated);
	return json_pack("{s:s, s:o, s:s, s:o, s:o, s:I, s:o, s:o, s:s, s:s}", "id", s->id, "title",
			 text_json(s->title), "state", s->state, "provider", text_json(s->provider),
			 "model", text_json(s->model), "generation", (json_int_t)s->generation,
			 "system", text_json(s->system), "metadata",
			 metadata ? metadata : json_null(), "created_at", created, "updated_at",
			 updated);
}

/* A row of a list: with how the session's last turn stands. */
static json_t *listed(sqlite3_stmt *st, const struct session_row *s)
{
	const char *state = (const char *)sqlite3_column_text(st, 13);
	json_t *row = session_row_json(s);

	(void)json_object_set_new(row, "last_turn", state ? json_string(state) : json_null());
	return row;
}

/* What is no cursor of ours is behind all sessions. */
static void read_cursor(const char *cursor, long long *ret_updated, long long *ret_row)
{
	char *end;

	*ret_row = -1;
	*ret_updated = strtoll(cursor, &end, 10);
	if (*end == '-')
		*ret_row = strtoll(end + 1, &end, 10);
	if (*end || *ret_row < 0)
		*ret_updated = *ret_row = -1;
}

json_t *query_sessions(struct db *db, const char *owner, const char *cursor, int limit,
		       char ret_next[64])
{
	sqlite3_stmt *st = query_stmt(db, SQL_SESSIONS_PAGE);
	long long updated = INT64_MAX, row = INT64_MAX;
	json_t *page;
	int r, n = 0;

	ret_next[0] = '\0';
	if (!st)
		return NULL;
	if (*cursor)
		read_cursor(cursor, &updated, &row);
	(void)sqlite3_bind_text(st, 1, owner, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(st, 2, updated);
	(void)sqlite3_bind_int64(st, 3, row);
	(void)sqlite3_bind_int(st, 4, limit + 1);
	page = json_array();
	while ((r = query_step(st)) == 1) {
		auto_session_row struct session_row s = {0};

		if (n++ == limit) {
			(void)snprintf(ret_next, 64, "%lld-%lld", updated, row);
			r = 0;
			break;
		}
		read_session(st, &s);
		updated = s.updated_at;
		row = s.row;
		(void)json_array_append_new(page, listed(st, &s));
	}
	if (query_finish(st, r) == 0)
		return page;
	json_decref(page);
	return NULL;
}

static json_t *read_ids(sqlite3_stmt *st)
{
	json_t *list;
	int r;

	if (!st)
		return NULL;
	list = json_array();
	while ((r = query_step(st)) == 1)
		(void)json_array_append_new(list,
					    json_string((const char *)sqlite3_column_text(st, 0)));
	if (query_finish(st, r) == 0)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *ids(struct db *db, enum sql which, const char *owner)
{
	sqlite3_stmt *st = query_stmt(db, which);

	if (st && owner)
		(void)sqlite3_bind_text(st, 1, owner, -1, SQLITE_STATIC);
	return read_ids(st);
}

json_t *query_processing(struct db *db)
{
	return ids(db, SQL_SESSIONS_PROCESSING, NULL);
}

json_t *query_queued_idle(struct db *db)
{
	return ids(db, SQL_SESSIONS_QUEUED, NULL);
}

int query_stands(struct db *db, int64_t session)
{
	sqlite3_stmt *st = query_start(db, SQL_STANDS, session);

	return st ? query_finish(st, query_step(st)) : -1;
}

json_t *query_owner_active(struct db *db, const char *owner)
{
	return ids(db, SQL_OWNER_ACTIVE, owner);
}

json_t *query_owner_changed(struct db *db, const char *owner, int64_t since, int limit)
{
	sqlite3_stmt *st = query_stmt(db, SQL_OWNER_CHANGED);

	if (st) {
		(void)sqlite3_bind_text(st, 1, owner, -1, SQLITE_STATIC);
		(void)sqlite3_bind_int64(st, 2, since);
		(void)sqlite3_bind_int(st, 3, limit);
	}
	return read_ids(st);
}

int query_queue(struct db *db, int64_t session, void (*fn)(void *arg, const struct queue_row *q),
		void *arg)
{
	sqlite3_stmt *st = query_start(db, SQL_QUEUE, session);
	int r;

	if (!st)
		return -1;
	while ((r = query_step(st)) == 1) {
		struct queue_row q = {
			.row = sqlite3_column_int64(st, 0),
			.id = (const char *)sqlite3_column_text(st, 1),
			.provider = (const char *)sqlite3_column_text(st, 2),
			.model = (const char *)sqlite3_column_text(st, 3),
			.message_id = (const char *)sqlite3_column_text(st, 4),
			.content = (const char *)sqlite3_column_text(st, 5),
			.system = (const char *)sqlite3_column_text(st, 6),
			.traceparent = (const char *)sqlite3_column_text(st, 7),
		};

		fn(arg, &q);
	}
	return query_finish(st, r) < 0 ? -1 : 1;
}

int query_key(struct db *db, const char *owner, const char *key, int64_t since,
	      char **ret_fingerprint, char **ret_answer)
{
	sqlite3_stmt *st = query_stmt(db, SQL_KEY);
	int r;

	if (!st)
		return -1;
	(void)sqlite3_bind_text(st, 1, owner, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(st, 2, key, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(st, 3, since);
	r = query_step(st);
	if (r == 1) {
		*ret_fingerprint = query_dup(st, 0);
		*ret_answer = query_dup(st, 1);
	}
	return query_finish(st, r);
}
