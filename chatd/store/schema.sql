-- The event log, schema version 1 (schema_2.sql goes on from there). Read it with plain sqlite3; times in the views are ISO 8601 UTC.
-- Writing to it while chatd runs: begin with PRAGMA wal_autocheckpoint=0 (see .lore/specs/store.md).

CREATE TABLE sessions (
	row		INTEGER PRIMARY KEY,
	id		TEXT NOT NULL UNIQUE,
	owner		TEXT NOT NULL,
	generation	INTEGER NOT NULL,	-- the current run; writes of any other one are refused
	state		TEXT NOT NULL CHECK (state IN ('idle', 'processing', 'waiting')),
	last_seq	INTEGER NOT NULL,	-- when it last became idle; while it runs: max(seq) of events
	created_at	INTEGER NOT NULL,	-- ms since 1970
	updated_at	INTEGER NOT NULL,
	-- long texts come last: each event's insert reads generation, and would walk through them
	title		TEXT NOT NULL,
	provider	TEXT NOT NULL,	-- of its last turn
	model		TEXT NOT NULL,
	system		TEXT,
	metadata	TEXT		-- JSON object
) STRICT;
CREATE INDEX sessions_by_owner ON sessions (owner, updated_at, row);
CREATE INDEX sessions_not_idle ON sessions (state) WHERE state <> 'idle';

CREATE TABLE turns (
	row		INTEGER PRIMARY KEY,
	id		TEXT NOT NULL UNIQUE,
	session		INTEGER NOT NULL REFERENCES sessions (row) ON DELETE CASCADE,
	generation	INTEGER NOT NULL,	-- 0 while it is queued
	state		TEXT NOT NULL CHECK (state IN ('queued', 'running', 'waiting', 'done', 'aborted', 'error')),
	provider	TEXT NOT NULL,
	model		TEXT NOT NULL,
	message_id	TEXT NOT NULL,	-- of the answer, fixed before the provider is asked
	crashes		INTEGER NOT NULL DEFAULT 0,	-- worker deaths since it last made progress
	handed_over	INTEGER NOT NULL DEFAULT 0,	-- left by a planned restart: not a crash
	first_seq	INTEGER NOT NULL,
	last_seq	INTEGER,
	started_at	INTEGER NOT NULL,
	ended_at	INTEGER,
	stop_reason	TEXT,
	input_tokens	INTEGER,
	output_tokens	INTEGER,
	cache_read_tokens	INTEGER,
	cache_write_tokens	INTEGER,
	error_code	TEXT,
	error_message	TEXT,
	content		TEXT,		-- of a queued turn: its message, until it starts
	system		TEXT
) STRICT;
CREATE INDEX turns_by_session ON turns (session, generation);
CREATE INDEX turns_open ON turns (state) WHERE state IN ('queued', 'running', 'waiting');

CREATE TABLE messages (
	row		INTEGER PRIMARY KEY,
	id		TEXT NOT NULL UNIQUE,
	session		INTEGER NOT NULL REFERENCES sessions (row) ON DELETE CASCADE,
	turn		INTEGER NOT NULL REFERENCES turns (row) ON DELETE CASCADE,
	role		TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
	status		TEXT NOT NULL CHECK (status IN ('complete', 'aborted', 'error')),
	content		TEXT NOT NULL,	-- JSON: a string, or an array of parts
	extra		TEXT,		-- JSON object: reasoning, tool_invocations, refusal, usage
	stop_reason	TEXT,
	echo		TEXT,		-- JSON: what the provider wants back unchanged
	created_at	INTEGER NOT NULL
) STRICT;
CREATE INDEX messages_by_session ON messages (session, row);
CREATE INDEX messages_by_turn ON messages (turn);

-- A step of a turn whose answer is whole and wanted tools. What comes after its end is another step.
CREATE TABLE steps (
	row		INTEGER PRIMARY KEY,
	turn		INTEGER NOT NULL REFERENCES turns (row) ON DELETE CASCADE,
	n		INTEGER NOT NULL,	-- 1, 2, 3 ...
	content_end	INTEGER NOT NULL,	-- bytes of the turn's text up to the end of this step
	reasoning_end	INTEGER NOT NULL,
	echo		TEXT,			-- JSON: what the provider wants back unchanged
	created_at	INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX steps_by_turn ON steps (turn, n);

-- The journal of tool calls. A call's row is on disk before the call leaves, its result before the
-- model is told.
CREATE TABLE calls (
	row		INTEGER PRIMARY KEY,
	turn		INTEGER NOT NULL REFERENCES turns (row) ON DELETE CASCADE,
	step		INTEGER NOT NULL,
	id		TEXT NOT NULL,		-- tool_invocation_id
	server		TEXT NOT NULL,		-- '' if no server has such a tool
	name		TEXT NOT NULL,
	model_name	TEXT NOT NULL,		-- as the model calls it
	arguments	TEXT NOT NULL,		-- the bytes that the model sent
	status		TEXT NOT NULL CHECK (status IN ('pending', 'waiting', 'running', 'done', 'failed',
				'denied', 'incomplete', 'uncertain')),
	may_repeat	INTEGER NOT NULL,	-- the tool only reads, or is idempotent
	output		TEXT,
	is_error	INTEGER NOT NULL DEFAULT 0,
	started_at	INTEGER NOT NULL,
	ended_at	INTEGER
) STRICT;
CREATE UNIQUE INDEX calls_by_turn ON calls (turn, id);

CREATE TABLE prompts (
	row		INTEGER PRIMARY KEY,
	id		TEXT NOT NULL UNIQUE,
	session		INTEGER NOT NULL REFERENCES sessions (row) ON DELETE CASCADE,
	turn		INTEGER NOT NULL REFERENCES turns (row) ON DELETE CASCADE,
	call_id		TEXT NOT NULL,		-- calls.id within the turn
	kind		TEXT NOT NULL CHECK (kind IN ('tool_permission', 'ask_user')),
	request		TEXT NOT NULL,		-- JSON: the prompt as viewers see it
	state		TEXT NOT NULL CHECK (state IN ('open', 'answered', 'discarded')),
	answer		TEXT,			-- JSON
	created_at	INTEGER NOT NULL,
	resolved_at	INTEGER
) STRICT;
CREATE INDEX prompts_by_turn ON prompts (turn);
CREATE INDEX prompts_by_session ON prompts (session);
CREATE INDEX prompts_open ON prompts (state) WHERE state = 'open';

-- "Allow for this session".
CREATE TABLE grants (
	session		INTEGER NOT NULL REFERENCES sessions (row) ON DELETE CASCADE,
	server		TEXT NOT NULL,
	name		TEXT NOT NULL,
	created_at	INTEGER NOT NULL,
	PRIMARY KEY (session, server, name)
) STRICT, WITHOUT ROWID;

-- Answers that a repeated POST gets again.
CREATE TABLE idempotency (
	owner		TEXT NOT NULL,
	key		TEXT NOT NULL,
	fingerprint	TEXT NOT NULL,	-- of the body
	answer		TEXT NOT NULL,	-- JSON
	created_at	INTEGER NOT NULL,
	PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (created_at);

CREATE TABLE event_types (
	type		INTEGER PRIMARY KEY,
	name		TEXT NOT NULL
) STRICT;

-- Appended, never changed. No foreign key: the insert itself checks session and generation.
CREATE TABLE events (
	row		INTEGER PRIMARY KEY,
	session		INTEGER NOT NULL,
	seq		INTEGER NOT NULL,
	generation	INTEGER NOT NULL,
	turn		INTEGER,
	ts		INTEGER NOT NULL,
	type		INTEGER NOT NULL,
	payload		TEXT NOT NULL	-- JSON object
) STRICT;
CREATE UNIQUE INDEX events_by_session ON events (session, seq);

CREATE VIEW v_events AS
SELECT s.id AS session_id, e.seq, e.generation, t.id AS turn_id,
	strftime('%Y-%m-%dT%H:%M:%fZ', e.ts / 1000.0, 'unixepoch') AS time,
	(SELECT name FROM event_types n WHERE n.type = e.type) AS type, e.payload
FROM events e JOIN sessions s ON s.row = e.session LEFT JOIN turns t ON t.row = e.turn;

CREATE VIEW v_sessions AS
SELECT s.id AS session_id, s.owner, s.title, s.state, s.generation, s.provider, s.model,
	(SELECT count(*) FROM turns t WHERE t.session = s.row) AS turns,
	(SELECT count(*) FROM messages m WHERE m.session = s.row) AS messages,
	strftime('%Y-%m-%dT%H:%M:%fZ', s.created_at / 1000.0, 'unixepoch') AS created,
	strftime('%Y-%m-%dT%H:%M:%fZ', s.updated_at / 1000.0, 'unixepoch') AS updated
FROM sessions s;

CREATE VIEW v_turns AS
SELECT t.id AS turn_id, s.id AS session_id, t.generation, t.state, t.provider, t.model,
	strftime('%Y-%m-%dT%H:%M:%fZ', t.started_at / 1000.0, 'unixepoch') AS started,
	strftime('%Y-%m-%dT%H:%M:%fZ', t.ended_at / 1000.0, 'unixepoch') AS ended,
	t.ended_at - t.started_at AS duration_ms, t.stop_reason, t.error_code, t.error_message,
	t.input_tokens, t.output_tokens, t.cache_read_tokens, t.cache_write_tokens,
	t.first_seq, t.last_seq, t.crashes
FROM turns t JOIN sessions s ON s.row = t.session;

CREATE VIEW v_messages AS
SELECT s.id AS session_id, m.id AS message_id, t.id AS turn_id, m.role, m.status, m.content, m.extra,
	m.stop_reason, strftime('%Y-%m-%dT%H:%M:%fZ', m.created_at / 1000.0, 'unixepoch') AS created
FROM messages m JOIN sessions s ON s.row = m.session JOIN turns t ON t.row = m.turn;

CREATE VIEW v_open_prompts AS
SELECT p.id AS prompt_id, s.id AS session_id, s.owner, t.id AS turn_id, p.kind, c.server, c.name AS tool,
	c.arguments, p.request, strftime('%Y-%m-%dT%H:%M:%fZ', p.created_at / 1000.0, 'unixepoch') AS asked,
	cast((julianday('now') - 2440587.5) * 86400 - p.created_at / 1000.0 AS INTEGER) AS waiting_seconds
FROM prompts p JOIN sessions s ON s.row = p.session JOIN turns t ON t.row = p.turn
LEFT JOIN calls c ON c.turn = p.turn AND c.id = p.call_id
WHERE p.state = 'open';

CREATE VIEW v_calls AS
SELECT s.id AS session_id, t.id AS turn_id, c.step, c.id AS tool_invocation_id, c.server, c.name, c.status,
	c.is_error, c.arguments, c.output,
	strftime('%Y-%m-%dT%H:%M:%fZ', c.started_at / 1000.0, 'unixepoch') AS started,
	c.ended_at - c.started_at AS duration_ms
FROM calls c JOIN turns t ON t.row = c.turn JOIN sessions s ON s.row = t.session;

-- Tokens by day, owner, provider and model.
CREATE VIEW v_usage AS
SELECT date(t.started_at / 1000, 'unixepoch') AS day, s.owner, t.provider, t.model, count(*) AS turns,
	sum(t.input_tokens) AS input_tokens, sum(t.output_tokens) AS output_tokens,
	sum(t.cache_read_tokens) AS cache_read_tokens, sum(t.cache_write_tokens) AS cache_write_tokens
FROM turns t JOIN sessions s ON s.row = t.session
GROUP BY 1, 2, 3, 4;

-- Turns that run, and when they last said something.
CREATE VIEW v_stuck AS
SELECT t.id AS turn_id, s.id AS session_id, t.state, t.provider, t.model, t.crashes,
	strftime('%Y-%m-%dT%H:%M:%fZ', t.started_at / 1000.0, 'unixepoch') AS started,
	(SELECT strftime('%Y-%m-%dT%H:%M:%fZ', e.ts / 1000.0, 'unixepoch') FROM events e
	 WHERE e.session = t.session ORDER BY e.seq DESC LIMIT 1) AS last_event,
	(SELECT cast((julianday('now') - 2440587.5) * 86400 - e.ts / 1000.0 AS INTEGER) FROM events e
	 WHERE e.session = t.session ORDER BY e.seq DESC LIMIT 1) AS silent_seconds
FROM turns t JOIN sessions s ON s.row = t.session
WHERE t.state IN ('queued', 'running', 'waiting');
