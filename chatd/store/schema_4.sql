-- Schema version 4: where an event of a session lies is written down later than the event, several at once.
-- An index on events itself would rewrite a page for each session that is streaming, at each commit.

CREATE TABLE event_index (
	session	INTEGER NOT NULL,
	seq	INTEGER NOT NULL,
	event	INTEGER NOT NULL,	-- events.row
	PRIMARY KEY (session, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO event_index SELECT session, seq, row FROM events ORDER BY session, seq;
DROP INDEX events_by_session;

-- Each event's insert asks whether its run may still write: a few pages hold the answer for all sessions.
CREATE INDEX sessions_by_run ON sessions (generation);

-- Sessions whose newest events may be missing in event_index: those after the last one that is there, from row `since`
-- on. Only sessions that are streaming just now are here, and only under load (.lore/specs/store.md).
CREATE TABLE event_lag (
	session	INTEGER PRIMARY KEY,
	since	INTEGER NOT NULL	-- events.row
) STRICT;

-- Those events. The + keeps SQLite from making an index of all events for a query.
CREATE VIEW events_lagging AS
SELECT l.session, e.seq, e.row AS event FROM event_lag l CROSS JOIN events e ON e.row >= max(l.since, coalesce((
	SELECT i.event + 1 FROM event_index i WHERE i.session = l.session ORDER BY i.seq DESC LIMIT 1), 0))
	AND +e.session = l.session;

-- Where each event of a session lies.
CREATE VIEW event_places AS
SELECT session, seq, event FROM event_index UNION ALL SELECT session, seq, event FROM events_lagging;

-- t.session = p.session is always so. It lets the events of a turn be found among those of its session.
DROP VIEW v_events;
CREATE VIEW v_events AS
SELECT s.id AS session_id, p.seq, e.generation, t.id AS turn_id,
	strftime('%Y-%m-%dT%H:%M:%fZ', e.ts / 1000.0, 'unixepoch') AS time,
	(SELECT name FROM event_types n WHERE n.type = e.type) AS type, e.payload
FROM event_places p JOIN events e ON e.row = p.event JOIN sessions s ON s.row = p.session
LEFT JOIN turns t ON t.row = e.turn AND t.session = p.session
WHERE s.row NOT IN (SELECT row FROM sessions WHERE removed_at IS NOT NULL);

DROP VIEW v_stuck;
CREATE VIEW v_stuck AS
SELECT t.id AS turn_id, s.id AS session_id, t.state, t.provider, t.model, t.crashes,
	strftime('%Y-%m-%dT%H:%M:%fZ', t.started_at / 1000.0, 'unixepoch') AS started,
	strftime('%Y-%m-%dT%H:%M:%fZ', e.ts / 1000.0, 'unixepoch') AS last_event,
	cast((julianday('now') - 2440587.5) * 86400 - e.ts / 1000.0 AS INTEGER) AS silent_seconds
FROM turns t JOIN sessions s ON s.row = t.session
LEFT JOIN events e ON e.row = coalesce((SELECT max(l.event) FROM events_lagging l WHERE l.session = t.session),
	(SELECT i.event FROM event_index i WHERE i.session = t.session ORDER BY i.seq DESC LIMIT 1))
WHERE t.state IN ('queued', 'running', 'waiting');
