-- Schema version 2: what retention needs, and where a turn's trace began.

-- 1: retention is taking out the turn's events, in order; 2: none is left. Its answer stays.
ALTER TABLE turns ADD COLUMN folded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE turns ADD COLUMN traceparent TEXT;	-- as the POST brought it (W3C trace context)
CREATE INDEX turns_to_fold ON turns (ended_at)
	WHERE folded < 2 AND ended_at IS NOT NULL AND generation > 0;

-- Set: it is gone for everybody, and its rows are being taken out.
ALTER TABLE sessions ADD COLUMN removed_at INTEGER;
CREATE INDEX sessions_by_age ON sessions (updated_at) WHERE removed_at IS NULL;
CREATE INDEX sessions_removed ON sessions (removed_at) WHERE removed_at IS NOT NULL;

DROP VIEW v_sessions;
CREATE VIEW v_sessions AS
SELECT s.id AS session_id, s.owner, s.title, s.state, s.generation, s.provider, s.model,
	(SELECT count(*) FROM turns t WHERE t.session = s.row) AS turns,
	(SELECT count(*) FROM messages m WHERE m.session = s.row) AS messages,
	strftime('%Y-%m-%dT%H:%M:%fZ', s.created_at / 1000.0, 'unixepoch') AS created,
	strftime('%Y-%m-%dT%H:%M:%fZ', s.updated_at / 1000.0, 'unixepoch') AS updated
FROM sessions s WHERE s.removed_at IS NULL;

DROP VIEW v_turns;
CREATE VIEW v_turns AS
SELECT t.id AS turn_id, s.id AS session_id, t.generation, t.state, t.provider, t.model,
	strftime('%Y-%m-%dT%H:%M:%fZ', t.started_at / 1000.0, 'unixepoch') AS started,
	strftime('%Y-%m-%dT%H:%M:%fZ', t.ended_at / 1000.0, 'unixepoch') AS ended,
	t.ended_at - t.started_at AS duration_ms, t.stop_reason, t.error_code, t.error_message,
	t.input_tokens, t.output_tokens, t.cache_read_tokens, t.cache_write_tokens,
	t.first_seq, t.last_seq, t.crashes, t.folded > 0 AS folded, t.traceparent
FROM turns t JOIN sessions s ON s.row = t.session;
