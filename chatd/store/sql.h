/*
 * sql.h - THE table of statements.
 *
 * Every statement that runs more than once, by name. Prepared at first use, kept with the
 * connection. Flags:
 *	GUARDED      a write of a run: it must change exactly one row, else the run is stale
 *	NEW_SESSION  its last_insert_rowid becomes the row of its session
 *	NEW_TURN     … of its turn
 *	NEW_RUN      afterwards no other process may write to the session
 * In writes, ?1 is always the session's row and ?2 the generation where the statement has one.
 */
#pragma once

#define GUARDED	    1u
#define NEW_SESSION 2u
#define NEW_TURN    4u
#define NEW_RUN	    8u

#define SESSION_COLUMNS                                                                           \
	"row, id, owner, title, provider, model, system, metadata, generation, state, last_seq, " \
	"created_at, updated_at"

/* As the views have times. Indexes on this expression are found by nothing else (schema_3.sql). Of
 * a time that no calendar has, NULL. */
#define ISO_TEXT(ms) "strftime('%Y-%m-%dT%H:%M:%fZ', " ms " / 1000.0, 'unixepoch')"

/* The last seq of session ?1, or NULL. */
#define LAST_SEQ "(SELECT seq FROM event_places WHERE session = ?1 ORDER BY seq DESC LIMIT 1)"

/* The event whose row is ?i, as one of several. */
#define ENTRY(i) "(?1, ?2 + " #i " - 3, ?" #i ")"

/* clang-format off */
#define SQL_STATEMENTS(S)                                                                          \
	S(BEGIN, 0, "BEGIN IMMEDIATE")                                                             \
	S(COMMIT, 0, "COMMIT")                                                                     \
	S(ROLLBACK, 0, "ROLLBACK")                                                                 \
	/* writes */                                                                               \
	S(SESSION_INSERT, GUARDED | NEW_SESSION | NEW_RUN,                                                   \
	  "INSERT INTO sessions (id, generation, owner, title, provider, model, system, metadata, " \
	  "state, last_seq, created_at, updated_at) "                                              \
	  "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'idle', 0, ?9, ?9)")                            \
	S(RUN_START, GUARDED | NEW_RUN,                                                                      \
	  "UPDATE sessions SET generation = ?2, state = 'processing', provider = ?3, model = ?4, " \
	  "system = ?5, updated_at = ?6 WHERE row = ?1 AND generation = ?2 - 1")                   \
	/* only what the new run has read: a worker that is leaving may still write to it */      \
	S(RUN_RESTART, GUARDED | NEW_RUN,                                                                    \
	  "UPDATE sessions SET generation = ?2 "                                                   \
	  "WHERE row = ?1 AND generation = ?2 - 1 AND state = 'processing' AND "                   \
	  "?3 = " LAST_SEQ)                                 \
	S(TURN_INSERT, GUARDED | NEW_TURN,                                                         \
	  "INSERT INTO turns (session, generation, id, state, provider, model, message_id, "       \
	  "first_seq, started_at, traceparent) "                                                   \
	  "SELECT row, ?2, ?3, 'running', ?4, ?5, ?6, ?7, ?8, ?9 FROM sessions "                       \
	  "WHERE row = ?1 AND generation = ?2")                                                    \
	S(TURN_QUEUE, GUARDED | NEW_TURN,                                                          \
	  "INSERT INTO turns (session, generation, id, state, provider, model, message_id, "       \
	  "first_seq, started_at, content, system, traceparent) "                                  \
	  "SELECT row, 0, ?3, 'queued', ?4, ?5, ?6, 0, ?7, ?8, ?9, ?10 FROM sessions "                  \
	  "WHERE row = ?1 AND generation = ?2")                                                    \
	S(TURN_DEQUEUE, GUARDED,                                                                   \
	  "UPDATE turns SET state = 'running', generation = ?2, first_seq = ?4, started_at = ?5, " \
	  "content = NULL WHERE row = ?3 AND session = ?1 AND state = 'queued' AND "               \
	  "EXISTS (SELECT 1 FROM sessions WHERE row = ?1 AND generation = ?2)")                    \
	S(TURN_WITHDRAW, GUARDED,                                                                  \
	  "UPDATE turns SET state = 'aborted', ended_at = ?4, content = NULL "                     \
	  "WHERE row = ?3 AND session = ?1 AND state = 'queued' AND "                              \
	  "EXISTS (SELECT 1 FROM sessions WHERE row = ?1 AND generation = ?2)")                    \
	S(KEY_INSERT, 0,                                                                     \
	  "INSERT INTO idempotency (owner, key, fingerprint, answer, created_at) "                 \
	  "SELECT ?3, ?4, ?5, ?6, ?7 FROM sessions WHERE row = ?1 AND generation = ?2 "            \
	  "ON CONFLICT (owner, key) DO UPDATE SET fingerprint = excluded.fingerprint, "            \
	  "answer = excluded.answer, created_at = excluded.created_at "                            \
	  "WHERE idempotency.created_at < ?8")                                                     \
	S(TURN_RESUME, GUARDED,                                                                    \
	  "UPDATE turns SET generation = ?2, crashes = ?4, handed_over = 0 WHERE row = ?3 AND "    \
	  "session = ?1 AND EXISTS (SELECT 1 FROM sessions WHERE row = ?1 AND generation = ?2)")   \
	S(TURN_PROGRESS, GUARDED,                                                                  \
	  "UPDATE turns SET crashes = 0, input_tokens = ?4, output_tokens = ?5, "                    \
	  "cache_read_tokens = ?6, cache_write_tokens = ?7 "                                       \
	  "WHERE row = ?3 AND session = ?1 AND generation = ?2")                                   \
	S(TURN_USAGE, GUARDED,                                                                     \
	  "UPDATE turns SET input_tokens = ?4, output_tokens = ?5, "                               \
	  "cache_read_tokens = ?6, cache_write_tokens = ?7 "                                       \
	  "WHERE row = ?3 AND session = ?1 AND generation = ?2")                                   \
	S(TURN_HANDOVER, GUARDED,                                                                  \
	  "UPDATE turns SET handed_over = 1 WHERE row = ?3 AND session = ?1 AND generation = ?2")  \
	S(TURN_END, GUARDED,                                                                       \
	  "UPDATE turns SET state = ?4, last_seq = ?5, ended_at = ?6, stop_reason = ?7, "          \
	  "input_tokens = ?8, output_tokens = ?9, cache_read_tokens = ?10, "                       \
	  "cache_write_tokens = ?11, error_code = ?12, error_message = ?13 "                       \
	  "WHERE row = ?3 AND session = ?1 AND generation = ?2")                                   \
	S(MESSAGE_INSERT, GUARDED,                                                                 \
	  "INSERT INTO messages (session, id, turn, role, status, content, extra, stop_reason, "   \
	  "echo, created_at) SELECT row, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 FROM sessions "      \
	  "WHERE row = ?1 AND generation = ?2")                                                    \
	/* no such run: the session is NULL, which is refused; cheaper than INSERT ... SELECT. Of that\
	 * index a few pages say it for all sessions; the table has one for two dozen */           \
	S(EVENT_INSERT, GUARDED,                                                                   \
	  "INSERT INTO events (session, generation, seq, turn, ts, type, payload) VALUES "         \
	  "((SELECT row FROM sessions INDEXED BY sessions_by_run "                                 \
	  "WHERE row = ?1 AND generation = ?2), ?2, ?3, ?4, ?5, ?6, ?7)")                          \
	/* where events lie (event_index.c); what is found by looking through may be there already */ \
	S(INDEX_INSERT, 0,                                                                         \
	  "INSERT OR IGNORE INTO event_index (session, seq, event) VALUES (?1, ?2, ?3)")           \
	/* LIMIT_INDEX_LAG of them, of seqs from ?2 on */                                          \
	S(INDEX_INSERT_MANY, 0,                                                                    \
	  "INSERT OR IGNORE INTO event_index (session, seq, event) VALUES "                        \
	  ENTRY(3) ", " ENTRY(4) ", " ENTRY(5) ", " ENTRY(6) ", " ENTRY(7) ", " ENTRY(8) ", "      \
	  ENTRY(9) ", " ENTRY(10) ", " ENTRY(11) ", " ENTRY(12) ", " ENTRY(13) ", " ENTRY(14) ", " \
	  ENTRY(15) ", " ENTRY(16) ", " ENTRY(17) ", " ENTRY(18))                                  \
	S(LAG_INSERT, 0, "INSERT OR IGNORE INTO event_lag (session, since) VALUES (?1, ?2)")      \
	S(LAG_INDEX, 0,                                                                            \
	  "INSERT OR IGNORE INTO event_index SELECT session, seq, event FROM events_lagging "      \
	  "WHERE session = ?1")                                                                    \
	S(LAG_DELETE, 0, "DELETE FROM event_lag WHERE session = ?1")                                \
	S(RUN_HOLDS, 0, "SELECT 1 FROM sessions WHERE row = ?1 AND generation = ?2")               \
	S(LAG_ANY, 0, "SELECT min(session) FROM event_lag")                                        \
	S(LAG_INDEX_ALL, 0,                                                                        \
	  "INSERT OR IGNORE INTO event_index SELECT session, seq, row FROM events "                \
	  "WHERE row >= (SELECT min(max(l.since, coalesce((SELECT i.event + 1 FROM event_index i " \
	  "WHERE i.session = l.session ORDER BY i.seq DESC LIMIT 1), 0))) FROM event_lag l) "      \
	  "AND +session IN (SELECT session FROM event_lag)")                                       \
	/* of those no process says that it lags: with its turn's end it was indexed */            \
	S(LAG_DELETE_IDLE, 0,                                                                      \
	  "DELETE FROM event_lag WHERE session NOT IN "                                            \
	  "(SELECT row FROM sessions WHERE state <> 'idle')")                                      \
	/* behind LAG_INDEX_ALL; and where the newest rows were deleted, whose numbers come again */\
	S(LAG_ADVANCE, 0,                                                                          \
	  "UPDATE event_lag SET since = (SELECT coalesce(max(row), 0) + 1 FROM events)")           \
	S(LAG_LOWER, 0,                                                                            \
	  "UPDATE event_lag SET since = min(since, "                                               \
	  "(SELECT coalesce(max(row), 0) + 1 FROM events))")                                       \
	S(RUN_TAKE, GUARDED | NEW_RUN,                                                                       \
	  "UPDATE sessions SET generation = ?2, state = 'processing' WHERE row = ?1 AND "          \
	  "generation = ?2 - 1 AND ?3 = " LAST_SEQ)         \
	S(RUN_STATE, GUARDED,                                                                      \
	  "UPDATE sessions SET state = ?3, last_seq = ?4, updated_at = ?5 "                        \
	  "WHERE row = ?1 AND generation = ?2")                                                    \
	S(TURN_STATE, GUARDED,                                                                     \
	  "UPDATE turns SET state = ?4 WHERE row = ?3 AND session = ?1 AND generation = ?2")       \
	S(STEP_INSERT, GUARDED,                                                                    \
	  "INSERT INTO steps (turn, n, content_end, reasoning_end, echo, created_at) "             \
	  "SELECT ?3, ?4, ?5, ?6, ?7, ?8 FROM sessions WHERE row = ?1 AND generation = ?2")        \
	S(CALL_INSERT, GUARDED,                                                                    \
	  "INSERT INTO calls (turn, step, id, server, name, model_name, arguments, status, "       \
	  "may_repeat, started_at) SELECT ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 "              \
	  "FROM sessions WHERE row = ?1 AND generation = ?2")                                      \
	S(CALL_STATUS, GUARDED,                                                                    \
	  "UPDATE calls SET status = ?5 WHERE turn = ?3 AND id = ?4 AND "                          \
	  "EXISTS (SELECT 1 FROM sessions WHERE row = ?1 AND generation = ?2)")                    \
	S(CALL_END, GUARDED,                                                                       \
	  "UPDATE calls SET status = ?5, output = ?6, is_error = ?7, ended_at = ?8 "               \
	  "WHERE turn = ?3 AND id = ?4 AND ended_at IS NULL AND "                                  \
	  "EXISTS (SELECT 1 FROM sessions WHERE row = ?1 AND generation = ?2)")                    \
	S(PROMPT_INSERT, GUARDED,                                                                  \
	  "INSERT INTO prompts (session, turn, id, call_id, kind, request, state, created_at) "    \
	  "SELECT row, ?3, ?4, ?5, ?6, ?7, 'open', ?8 FROM sessions "                              \
	  "WHERE row = ?1 AND generation = ?2")                                                    \
	S(PROMPT_RESOLVE, GUARDED,                                                                 \
	  "UPDATE prompts SET state = ?4, answer = ?5, resolved_at = ?6 "                          \
	  "WHERE id = ?3 AND session = ?1 AND state = 'open' AND "                                 \
	  "EXISTS (SELECT 1 FROM sessions WHERE row = ?1 AND generation = ?2)")                    \
	S(GRANT_INSERT, GUARDED,                                                                   \
	  "INSERT OR REPLACE INTO grants (session, server, name, created_at) "                     \
	  "SELECT row, ?3, ?4, ?5 FROM sessions WHERE row = ?1 AND generation = ?2")               \
	S(QUEUE_DROP, 0,                                                                           \
	  "UPDATE turns SET state = 'aborted', ended_at = ?3, content = NULL, system = NULL "      \
	  "WHERE session = ?1 AND generation = 0 AND state = 'queued' AND "                        \
	  "EXISTS (SELECT 1 FROM sessions WHERE row = ?1 AND generation = ?2)")                    \
	/* gone for everybody; retention takes out what it has. Its own words go at once */        \
	S(SESSION_REMOVE, GUARDED,                                                                 \
	  "UPDATE sessions SET removed_at = ?3, generation = generation + 1, state = 'idle', "     \
	  "title = '', system = NULL, metadata = NULL "                                            \
	  "WHERE row = ?1 AND generation = ?2 AND removed_at IS NULL")                             \
	S(PROBE, 0, "UPDATE event_types SET name = name WHERE type = 1")                           \
	/* reads */                                                                                \
	S(SESSION_BY_ID, 0, "SELECT " SESSION_COLUMNS " FROM sessions "        \
	  "WHERE id = ?1 AND removed_at IS NULL")                                                  \
	S(SESSION_ROW, 0, "SELECT row, removed_at FROM sessions WHERE id = ?1")                    \
	S(SESSIONS_PAGE, 0,                                                                        \
	  "SELECT " SESSION_COLUMNS ", (SELECT t.state FROM turns t WHERE "                        \
	  "t.session = sessions.row AND t.generation > 0 ORDER BY t.generation DESC LIMIT 1) "     \
	  "FROM sessions WHERE owner = ?1 AND removed_at IS NULL AND "                             \
	  "(updated_at, row) < (?2, ?3) ORDER BY updated_at DESC, row DESC LIMIT ?4")              \
	/* a partial index is used only where its own condition stands, word for word */           \
	S(SESSIONS_PROCESSING, 0,                                                                  \
	  "SELECT id FROM sessions WHERE state = 'processing' AND state <> 'idle'")                \
	S(OWNER_ACTIVE, 0,                                                                         \
	  "SELECT id FROM sessions WHERE +owner = ?1 AND state <> 'idle'")                         \
	S(OWNER_CHANGED, 0,                                                                        \
	  "SELECT id FROM sessions WHERE owner = ?1 AND removed_at IS NULL AND updated_at >= ?2 "  \
	  "ORDER BY updated_at DESC LIMIT ?3")                                                     \
	S(SESSIONS_QUEUED, 0,                                                                      \
	  "SELECT DISTINCT s.id FROM turns t CROSS JOIN sessions s ON s.row = t.session "          \
	  "WHERE t.state IN ('queued', 'running', 'waiting') AND t.state = 'queued' AND "          \
	  "s.state = 'idle'")                                                                      \
	S(OPEN_TURNS, 0,                                                                           \
	  "SELECT total(state = 'waiting'), total(state = 'queued') FROM turns "                   \
	  "WHERE state IN ('queued', 'running', 'waiting')")                                       \
	S(QUEUE, 0,                                                                                \
	  "SELECT row, id, provider, model, message_id, content, system, traceparent FROM turns "  \
	  "WHERE session = ?1 AND generation = 0 AND state = 'queued' ORDER BY row")               \
	S(KEY, 0,                                                                                  \
	  "SELECT fingerprint, answer FROM idempotency "                                           \
	  "WHERE owner = ?1 AND key = ?2 AND created_at >= ?3")                                    \
	S(STEPS, 0,                                                                                \
	  "SELECT n, content_end, reasoning_end, echo FROM steps WHERE turn = ?1 ORDER BY n")      \
	S(CALLS, 0,                                                                                \
	  "SELECT step, id, server, name, model_name, arguments, status, may_repeat, output, "     \
	  "is_error, started_at FROM calls WHERE turn = ?1 ORDER BY row")                          \
	S(PROMPT, 0,                                                                               \
	  "SELECT call_id, kind, state, request FROM prompts WHERE id = ?1 AND session = ?2")      \
	S(GRANT, 0, "SELECT 1 FROM grants WHERE session = ?1 AND server = ?2 AND name = ?3")       \
	S(LAST_SEQ, 0, "SELECT " LAST_SEQ)                           \
	S(TURN_LAST, 0,                                                                            \
	  "SELECT row, id, generation, state, provider, model, message_id, crashes, handed_over, " \
	  "first_seq, started_at, stop_reason, input_tokens, output_tokens, cache_read_tokens, "   \
	  "cache_write_tokens, error_code, error_message, traceparent "                            \
	  "FROM turns WHERE session = ?1 AND generation > 0 "                                      \
	  "ORDER BY generation DESC LIMIT 1")                               \
	S(TURN_ROW, 0, "SELECT row FROM turns WHERE id = ?1")                                      \
	S(MESSAGES_PAGE, 0,                                                                        \
	  "SELECT m.row, m.id, t.id, m.role, m.status, m.content, m.extra, m.stop_reason, "        \
	  "m.created_at FROM messages m JOIN turns t ON t.row = m.turn "                           \
	  "WHERE m.session = ?1 AND m.row < ?2 ORDER BY m.row DESC LIMIT ?3")                      \
	S(MESSAGE_ROW, 0, "SELECT row FROM messages WHERE id = ?1 AND session = ?2")               \
	S(MESSAGE_OF_TURN, 0,                                                                      \
	  "SELECT content, extra FROM messages WHERE turn = ?1 AND role = 'assistant'")            \
	S(HISTORY, 0,                                                                              \
	  "SELECT role, content, echo, turn FROM messages WHERE session = ?1 "                     \
	  "ORDER BY row DESC LIMIT ?2")                                                            \
	S(TURN_ENDS_AT, 0,                                                                         \
	  "SELECT 1 FROM turns WHERE session = ?1 AND last_seq = ?2 AND generation = ?3 "          \
	  "AND folded > 0")                                                                        \
	S(EVENT_AT, 0,                                                                            \
	  "SELECT e.generation FROM event_places p JOIN events e ON e.row = p.event "              \
	  "WHERE p.session = ?1 AND p.seq = ?2")            \
	S(EVENTS_AFTER, 0,                                                                         \
	  "SELECT e.generation, p.seq, e.ts, e.type, t.id, e.payload FROM event_places p "         \
	  "JOIN events e ON e.row = p.event LEFT JOIN turns t ON t.row = e.turn "                  \
	  "WHERE p.session = ?1 AND p.seq > ?2 ORDER BY p.seq LIMIT ?3")                                  \
	/* retention */                                                                            \
	S(KEEP_KEYS, 0,                                                                            \
	  "DELETE FROM idempotency WHERE (owner, key) IN (SELECT owner, key FROM idempotency "     \
	  "WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)")                                   \
	S(KEEP_NEXT_TURN, 0,                                                                       \
	  "SELECT t.row, t.session, t.first_seq, t.last_seq, t.ended_at, "                         \
	  "s.state = 'idle' AND s.removed_at IS NULL AND NOT EXISTS (SELECT 1 FROM turns q "       \
	  "WHERE q.session = t.session AND q.generation = 0 AND q.state = 'queued') "              \
	  "AND EXISTS (SELECT 1 FROM messages m WHERE m.turn = t.row AND m.role = 'assistant') "   \
	  "FROM turns t CROSS JOIN sessions s ON s.row = t.session "                               \
	  "WHERE t.folded < 2 AND t.ended_at IS NOT NULL AND t.generation > 0 "                    \
	  "AND (t.ended_at, t.row) > (?1, ?2) AND t.ended_at < ?3 "                                \
	  "ORDER BY t.ended_at, t.row LIMIT 1")                                                    \
	/* of an idle session, which is indexed: first the events, then where they lay */          \
	S(KEEP_FOLD_EVENTS, 0,                                                                     \
	  "DELETE FROM events WHERE row IN (SELECT event FROM event_index "                        \
	  "WHERE session = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq LIMIT ?4)")                   \
	S(KEEP_FOLD_INDEX, 0,                                                                      \
	  "DELETE FROM event_index WHERE (session, seq) IN (SELECT session, seq FROM event_index " \
	  "WHERE session = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq LIMIT ?4)")                   \
	S(KEEP_FOLDED, 0, "UPDATE turns SET folded = ?2 WHERE row = ?1")                           \
	S(KEEP_OLDEST, 0,                                                                          \
	  "SELECT s.row, s.id, s.updated_at, "                                                     \
	  "s.state = 'idle' AND NOT EXISTS (SELECT 1 FROM turns q "                                \
	  "WHERE q.session = s.row AND q.generation = 0 AND q.state = 'queued') "                  \
	  "FROM sessions s WHERE s.removed_at IS NULL "                                            \
	  "AND (" ISO_TEXT("s.updated_at") ", s.row) > (coalesce(" ISO_TEXT("?1") ", ''), ?2) "    \
	  "AND " ISO_TEXT("s.updated_at") " < " ISO_TEXT("?3") " "                                 \
	  "ORDER BY " ISO_TEXT("s.updated_at") ", s.row LIMIT 1")                                  \
	/* whoever holds it may write nothing more: the generation is another one */              \
	S(KEEP_REMOVE, 0,                                                                          \
	  "UPDATE sessions SET removed_at = ?2, generation = generation + 1 WHERE row = ?1")       \
	S(KEEP_NEXT_REMOVED, 0,                                                                    \
	  "SELECT row, removed_at FROM sessions WHERE removed_at IS NOT NULL AND "                 \
	  "(removed_at, row) > (?1, ?2) ORDER BY removed_at, row LIMIT 1")                         \
	S(KEEP_EVENTS_OF, 0,                                                                       \
	  "DELETE FROM events WHERE row IN (SELECT event FROM event_index WHERE session = ?1 "     \
	  "ORDER BY seq LIMIT ?2)")                                                                \
	S(KEEP_INDEX_OF, 0,                                                                        \
	  "DELETE FROM event_index WHERE (session, seq) IN (SELECT session, seq FROM event_index " \
	  "WHERE session = ?1 ORDER BY seq LIMIT ?2)")                                             \
	S(KEEP_TURNS_OF, 0,                                                                        \
	  "DELETE FROM turns WHERE row IN (SELECT row FROM turns WHERE session = ?1 "              \
	  "ORDER BY generation LIMIT ?2)")                                                         \
	S(KEEP_SESSION_ROW, 0, "DELETE FROM sessions WHERE row = ?1")                              \
	S(STANDS, 0, "SELECT 1 FROM sessions WHERE row = ?1 AND removed_at IS NULL")               \
	S(PAGE_COUNT, 0, "PRAGMA page_count")                                                      \
	S(PAGE_SIZE, 0, "PRAGMA page_size")                                                        \
	S(FREE_PAGES, 0, "PRAGMA freelist_count")                                                  \
	S(GIVE_BACK, 0, "PRAGMA incremental_vacuum(16)")
/* clang-format on */

enum sql {
#define S(name, flags, text) SQL_##name,
	SQL_STATEMENTS(S)
#undef S
		SQL_N
};
