/*
 * query_events.c - events, one by one and as pages for viewers. See queries.h.
 */
#include "chatd/store/queries.h"

#include "chatd/store/query.h"
#include "proto/replay.h"

/* 1, or -1: the row is none that chatd writes. */
static int read_event(sqlite3_stmt *st, struct chat_event *e)
{
	e->session_id = str_of("");
	e->generation = (uint64_t)sqlite3_column_int64(st, 0);
	e->seq = (uint64_t)sqlite3_column_int64(st, 1);
	e->ts = sqlite3_column_int64(st, 2);
	e->type = (enum chat_event_type)sqlite3_column_int(st, 3);
	e->turn_id = query_str(st, 4);
	e->payload = query_str(st, 5);
	if (e->payload.n >= 2 && e->payload.p[0] == '{' && chat_event_name(e->type))
		return 1;
	query_complain("an event in the log is damaged");
	return -1;
}

int query_events(struct db *db, int64_t session, uint64_t after,
		 void (*fn)(void *arg, const struct chat_event *e), void *arg)
{
	sqlite3_stmt *st = query_start(db, SQL_EVENTS_AFTER, session);
	struct chat_event e;
	int r;

	if (!st)
		return -1;
	(void)sqlite3_bind_int64(st, 2, (int64_t)after);
	(void)sqlite3_bind_int64(st, 3, -1);
	while ((r = query_step(st)) == 1) {
		r = read_event(st, &e);
		if (r == 1 && e.seq != after + 1) {
			query_complain("events of a turn that is not over are missing in the log");
			r = -1;
		}
		if (r < 0)
			break;
		after = e.seq;
		fn(arg, &e);
	}
	return query_finish(st, r) < 0 ? -1 : 1;
}

/*
 * Is seq the last one of a turn of that generation whose events were folded into its answer? Then
 * all that comes after it may still be there. 1, 0, or -1.
 */
static int ends_folded_turn(struct db *db, int64_t session, uint64_t generation, uint64_t seq)
{
	sqlite3_stmt *st = query_start(db, SQL_TURN_ENDS_AT, session);

	if (!st)
		return -1;
	(void)sqlite3_bind_int64(st, 2, (int64_t)seq);
	(void)sqlite3_bind_int64(st, 3, (int64_t)generation);
	return query_finish(st, query_step(st));
}

/* Why a cursor can't be served, or NULL. 1, or -1 if the log can't be read. */
static int check_cursor(struct db *db, int64_t session, uint64_t last_seq, uint64_t generation,
			uint64_t seq, const char **ret_reason)
{
	uint64_t found = 0;
	sqlite3_stmt *st;
	int r;

	*ret_reason = seq == 0 ? "unknown" : seq > last_seq ? "ahead" : NULL;
	if (*ret_reason)
		return 1;
	st = query_start(db, SQL_EVENT_AT, session);
	if (!st)
		return -1;
	(void)sqlite3_bind_int64(st, 2, (int64_t)seq);
	r = query_step(st);
	if (r == 1)
		found = (uint64_t)sqlite3_column_int64(st, 0);
	r = query_finish(st, r);
	if (r == 0) {
		r = ends_folded_turn(db, session, generation, seq);
		*ret_reason = r == 0 ? "too_old" : NULL;
	} else if (r == 1 && found != generation) {
		*ret_reason = "other_history";
	}
	return r < 0 ? -1 : 1;
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
	st = query_start(db, SQL_EVENTS_AFTER, session);
	if (!st)
		return -1;
	(void)sqlite3_bind_int64(st, 2, (int64_t)seq);
	(void)sqlite3_bind_int64(st, 3, LIMIT_REPLAY_EVENTS);
	while ((r = query_step(st)) == 1) {
		r = read_event(st, &e);
		if (r < 0)
			break;
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
	/* folded to its end: there is something later than the cursor, and it is gone */
	if (r == 0 && *ret_count == 0 && !*ret_reason && seq < last_seq)
		*ret_reason = "too_old";
	return query_finish(st, r) < 0 ? -1 : 1;
}
