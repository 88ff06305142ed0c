/*
 * query_messages.c - messages. See queries.h.
 */
#include "chatd/store/queries.h"

#include <stdio.h>
#include <string.h>

#include "chatd/store/query.h"
#include "common/clock.h"
#include "common/json.h"

static json_t *read_message(sqlite3_stmt *st)
{
	char created[CLOCK_ISO_LEN + 1];
	json_t *content = query_json(st, 5);
	auto_json json_t *extra = query_json(st, 6);
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
	sqlite3_stmt *st = query_stmt(db, SQL_MESSAGE_ROW);
	int r;

	if (!st)
		return -1;
	(void)sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(st, 2, session);
	r = query_step(st);
	*ret = r == 1 ? sqlite3_column_int64(st, 0) : 0;
	return query_finish(st, r);
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
	st = query_start(db, SQL_MESSAGES_PAGE, session);
	if (!st)
		return NULL;
	(void)sqlite3_bind_int64(st, 2, before_row);
	(void)sqlite3_bind_int(st, 3, limit + 1);
	page = json_array();
	while ((r = query_step(st)) == 1) {
		bytes += query_str(st, 5).n + query_str(st, 6).n;
		if (n++ == limit || (n > 1 && bytes > max_bytes)) {
			(void)snprintf(ret_next, ID_LEN, "%s",
				       json_get_str(json_array_get(page, 0), "id"));
			r = 0;
			break;
		}
		(void)json_array_insert_new(page, 0, read_message(st));
	}
	if (query_finish(st, r) == 0)
		return page;
	json_decref(page);
	return NULL;
}

int query_answer(struct db *db, int64_t turn, json_t **ret)
{
	sqlite3_stmt *st = query_start(db, SQL_MESSAGE_OF_TURN, turn);
	int r;

	*ret = NULL;
	if (!st)
		return -1;
	r = query_step(st);
	if (r == 1) {
		json_t *content = query_json(st, 0);

		*ret = query_json(st, 1);
		if (!*ret)
			*ret = json_object();
		(void)json_object_set_new(*ret, "content", content ? content : json_string(""));
	}
	return query_finish(st, r);
}

json_t *query_history(struct db *db, int64_t session)
{
	sqlite3_stmt *st = query_start(db, SQL_HISTORY, session);
	json_t *messages;
	int r;

	if (!st)
		return NULL;
	(void)sqlite3_bind_int(st, 2, LIMIT_HISTORY);
	messages = json_array();
	while ((r = query_step(st)) == 1) {
		json_t *content = query_json(st, 1);
		json_t *echo = query_json(st, 2);

		(void)json_array_insert_new(
			messages, 0,
			json_pack("{s:s, s:o, s:o?, s:I}", "role", sqlite3_column_text(st, 0),
				  "content", content ? content : json_string(""), "echo", echo,
				  "turn", (json_int_t)sqlite3_column_int64(st, 3)));
	}
	if (query_finish(st, r) == 0)
		return messages;
	json_decref(messages);
	return NULL;
}
