/*
 * query_turns.c - turns, their steps, calls and prompts. See queries.h.
 */
#include "chatd/store/queries.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/store/query.h"

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
	sqlite3_stmt *st = query_start(db, SQL_TURN_LAST, session);
	int r;

	memset(t, 0, sizeof(*t));
	if (!st)
		return -1;
	r = query_step(st);
	if (r != 1)
		return query_finish(st, r);
	t->row = sqlite3_column_int64(st, 0);
	query_copy(st, 1, t->id, sizeof(t->id));
	t->generation = (uint64_t)sqlite3_column_int64(st, 2);
	query_copy(st, 3, t->state, sizeof(t->state));
	t->provider = query_dup(st, 4);
	t->model = query_dup(st, 5);
	query_copy(st, 6, t->message_id, sizeof(t->message_id));
	t->crashes = sqlite3_column_int(st, 7);
	t->handed_over = sqlite3_column_int(st, 8);
	t->first_seq = (uint64_t)sqlite3_column_int64(st, 9);
	t->started_at = sqlite3_column_int64(st, 10);
	t->stop_reason = query_dup(st, 11);
	for (int i = 0; i < 4; i++)
		t->usage[i] = sqlite3_column_type(st, 12 + i) == SQLITE_NULL
				      ? -1
				      : sqlite3_column_int64(st, 12 + i);
	t->error_code = query_dup(st, 16);
	t->error_message = query_dup(st, 17);
	trace_take(query_str(st, 18), t->traceparent);
	return query_finish(st, 1);
}

int query_open_turns(struct db *db, int64_t *ret_waiting, int64_t *ret_queued)
{
	sqlite3_stmt *st = query_stmt(db, SQL_OPEN_TURNS);
	int r;

	if (!st)
		return -1;
	r = query_step(st);
	if (r == 1) {
		*ret_waiting = sqlite3_column_int64(st, 0);
		*ret_queued = sqlite3_column_int64(st, 1);
	}
	return query_finish(st, r);
}

int query_steps(struct db *db, int64_t turn, void (*fn)(void *arg, const struct step_row *s),
		void *arg)
{
	sqlite3_stmt *st = query_start(db, SQL_STEPS, turn);
	int r;

	if (!st)
		return -1;
	while ((r = query_step(st)) == 1) {
		struct step_row s = {
			.n = sqlite3_column_int(st, 0),
			.content_end = (size_t)sqlite3_column_int64(st, 1),
			.reasoning_end = (size_t)sqlite3_column_int64(st, 2),
			.echo = query_str(st, 3),
		};

		fn(arg, &s);
	}
	return query_finish(st, r) < 0 ? -1 : 1;
}

int query_calls(struct db *db, int64_t turn, void (*fn)(void *arg, const struct call_row *c),
		void *arg)
{
	sqlite3_stmt *st = query_start(db, SQL_CALLS, turn);
	int r;

	if (!st)
		return -1;
	while ((r = query_step(st)) == 1) {
		struct call_row c = {
			.step = sqlite3_column_int(st, 0),
			.id = (const char *)sqlite3_column_text(st, 1),
			.server = (const char *)sqlite3_column_text(st, 2),
			.name = (const char *)sqlite3_column_text(st, 3),
			.model_name = (const char *)sqlite3_column_text(st, 4),
			.arguments = query_str(st, 5),
			.status = (const char *)sqlite3_column_text(st, 6),
			.may_repeat = sqlite3_column_int(st, 7) != 0,
			.output = query_str(st, 8),
			.is_error = sqlite3_column_int(st, 9) != 0,
			.started_at = sqlite3_column_int64(st, 10),
		};

		fn(arg, &c);
	}
	return query_finish(st, r) < 0 ? -1 : 1;
}

int query_prompt(struct db *db, int64_t session, const char *id, struct prompt_row *ret)
{
	sqlite3_stmt *st = query_stmt(db, SQL_PROMPT);
	int r;

	memset(ret, 0, sizeof(*ret));
	if (!st)
		return -1;
	(void)sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(st, 2, session);
	r = query_step(st);
	if (r == 1) {
		query_copy(st, 0, ret->call_id, sizeof(ret->call_id));
		ret->is_question =
			strcmp((const char *)sqlite3_column_text(st, 1), "ask_user") == 0;
		ret->is_open = strcmp((const char *)sqlite3_column_text(st, 2), "open") == 0;
		ret->request = query_json(st, 3);
	}
	return query_finish(st, r);
}

int query_grant(struct db *db, int64_t session, const char *server, const char *name)
{
	sqlite3_stmt *st = query_start(db, SQL_GRANT, session);

	if (!st)
		return -1;
	(void)sqlite3_bind_text(st, 2, server, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(st, 3, name, -1, SQLITE_STATIC);
	return query_finish(st, query_step(st));
}
