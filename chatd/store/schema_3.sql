-- Schema version 3: what operators ask most often comes from an index. The views give times as text, so these
-- are indexes on the very expressions that the views have; SQLite finds them only where the text is the same.

CREATE INDEX turns_by_start ON turns (strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1000.0, 'unixepoch'));
CREATE INDEX turns_by_day ON turns (date(started_at / 1000, 'unixepoch'));

-- Was an index on the number, for retention alone; each write of a session pays for one index, not for two.
DROP INDEX sessions_by_age;
CREATE INDEX sessions_by_age ON sessions (strftime('%Y-%m-%dT%H:%M:%fZ', updated_at / 1000.0, 'unixepoch'))
	WHERE removed_at IS NULL;

-- A session that was removed is in no view, however much of it is still to be taken out. Its row need not be read for
-- that: removed_at comes last in it, behind texts that may be long.

-- t.session = e.session is always so. It lets the events of a turn be found among those of its session.
DROP VIEW v_events;
CREATE VIEW v_events AS
SELECT s.id AS session_id, e.seq, e.generation, t.id AS turn_id,
	strftime('%Y-%m-%dT%H:%M:%fZ', e.ts / 1000.0, 'unixepoch') AS time,
	(SELECT name FROM event_types n WHERE n.type = e.type) AS type, e.payload
FROM events e JOIN sessions s ON s.row = e.session
LEFT JOIN turns t ON t.row = e.turn AND t.session = e.session
WHERE s.row NOT IN (SELECT row FROM sessions WHERE removed_at IS NOT NULL);

DROP VIEW v_turns;
CREATE VIEW v_turns AS
SELECT t.id AS turn_id, s.id AS session_id, t.generation, t.state, t.provider, t.model,
	strftime('%Y-%m-%dT%H:%M:%fZ', t.started_at / 1000.0, 'unixepoch') AS started,
	strftime('%Y-%m-%dT%H:%M:%fZ', t.ended_at / 1000.0, 'unixepoch') AS ended,
	t.ended_at - t.started_at AS duration_ms, t.stop_reason, t.error_code, t.error_message,
	t.input_tokens, t.output_tokens, t.cache_read_tokens, t.cache_write_tokens,
	t.first_seq, t.last_seq, t.crashes, t.folded > 0 AS folded, t.traceparent
FROM turns t JOIN sessions s ON s.row = t.session
WHERE s.row NOT IN (SELECT row FROM sessions WHERE removed_at IS NOT NULL);

DROP VIEW v_messages;
CREATE VIEW v_messages AS
SELECT s.id AS session_id, m.id AS message_id, t.id AS turn_id, m.role, m.status, m.content, m.extra,
	m.stop_reason, strftime('%Y-%m-%dT%H:%M:%fZ', m.created_at / 1000.0, 'unixepoch') AS created
FROM messages m JOIN sessions s ON s.row = m.session JOIN turns t ON t.row = m.turn
WHERE s.row NOT IN (SELECT row FROM sessions WHERE removed_at IS NOT NULL);

DROP VIEW v_calls;
CREATE VIEW v_calls AS
SELECT s.id AS session_id, t.id AS turn_id, c.step, c.id AS tool_invocation_id, c.server, c.name, c.status,
	c.is_error, c.arguments, c.output,
	strftime('%Y-%m-%dT%H:%M:%fZ', c.started_at / 1000.0, 'unixepoch') AS started,
	c.ended_at - c.started_at AS duration_ms
FROM calls c JOIN turns t ON t.row = c.turn JOIN sessions s ON s.row = t.session
WHERE s.row NOT IN (SELECT row FROM sessions WHERE removed_at IS NOT NULL);

DROP VIEW v_usage;
CREATE VIEW v_usage AS
SELECT date(t.started_at / 1000, 'unixepoch') AS day, s.owner, t.provider, t.model, count(*) AS turns,
	sum(t.input_tokens) AS input_tokens, sum(t.output_tokens) AS output_tokens,
	sum(t.cache_read_tokens) AS cache_read_tokens, sum(t.cache_write_tokens) AS cache_write_tokens
FROM turns t JOIN sessions s ON s.row = t.session
WHERE s.row NOT IN (SELECT row FROM sessions WHERE removed_at IS NOT NULL)
GROUP BY 1, 2, 3, 4;
