-- A log of schema version 1, as chatd left it (with a turn of each kind; one waits). Made by test_verify's make_log().
PRAGMA application_id = 1667785076;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
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
INSERT INTO "calls" VALUES(1,1,1,'a.0.0','kit','look','kit__look','{"key": "a.0.0"}','done',1,'look did a.0.0',0,1795353296576,1795353296588);
INSERT INTO "calls" VALUES(2,1,1,'a.0.1','kit','risky','kit__risky','{"key": "a.0.1"}','done',0,'risky did a.0.1',0,1795353296576,1795353296670);
INSERT INTO "calls" VALUES(3,5,1,'b.0.0','kit','look','kit__look','{"key": "b.0.0"}','done',1,'look did b.0.0',0,1795353296794,1795353296812);
INSERT INTO "calls" VALUES(4,5,2,'b.1.0','kit','risky','kit__risky','{"key": "b.1.0"}','waiting',0,NULL,0,1795353297959,NULL);
CREATE TABLE event_types (
	type		INTEGER PRIMARY KEY,
	name		TEXT NOT NULL
) STRICT;
INSERT INTO "event_types" VALUES(1,'response_start');
INSERT INTO "event_types" VALUES(2,'response_chunk');
INSERT INTO "event_types" VALUES(3,'reasoning_chunk');
INSERT INTO "event_types" VALUES(4,'tool_start');
INSERT INTO "event_types" VALUES(5,'tool_input');
INSERT INTO "event_types" VALUES(6,'tool_progress');
INSERT INTO "event_types" VALUES(7,'tool_end');
INSERT INTO "event_types" VALUES(8,'prompt_pending');
INSERT INTO "event_types" VALUES(9,'prompt_resolved');
INSERT INTO "event_types" VALUES(10,'response_end');
INSERT INTO "event_types" VALUES(11,'aborted');
INSERT INTO "event_types" VALUES(12,'error');
INSERT INTO "event_types" VALUES(13,'turn_queued');
INSERT INTO "event_types" VALUES(14,'turn_resumed');
INSERT INTO "event_types" VALUES(15,'session_cleared');
INSERT INTO "event_types" VALUES(16,'warning');
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
INSERT INTO "events" VALUES(1,1,1,1,1,1795353296347,1,'{"message":{"id":"msg_5j7f929rm6j4skx0286n28v1kj","turn_id":"turn_c1c6hdnncpf3ppjq7e6j03qa5f","role":"user","content":"{\"plan\": \"a\", \"steps\": [{\"say\": [\"Let \", \"me. \"], \"calls\": [[\"kit__look\", {\"key\": \"a.0.0\"}], [\"kit__risky\", {\"key\": \"a.0.1\"}]]}, {\"say\": [\"Done.\"], \"calls\": []}], \"rate\": 60}","status":"complete","created_at":"2026-11-22T13:14:56.347Z"},"message_id":"msg_7mm7ec8g3jezh6cfdba1t8szh8","provider":"main","model":"test-model"}');
INSERT INTO "events" VALUES(2,1,2,1,1,1795353296543,2,'{"content":"Let "}');
INSERT INTO "events" VALUES(3,1,3,1,1,1795353296559,2,'{"content":"me. "}');
INSERT INTO "events" VALUES(4,1,4,1,1,1795353296576,4,'{"tool_invocation_id":"a.0.0","name":"look","server":"kit","at":8}');
INSERT INTO "events" VALUES(5,1,5,1,1,1795353296576,5,'{"tool_invocation_id":"a.0.0","input":{"key":"a.0.0"},"status":"running"}');
INSERT INTO "events" VALUES(6,1,6,1,1,1795353296576,4,'{"tool_invocation_id":"a.0.1","name":"risky","server":"kit","at":8}');
INSERT INTO "events" VALUES(7,1,7,1,1,1795353296576,5,'{"tool_invocation_id":"a.0.1","input":{"key":"a.0.1"},"status":"waiting"}');
INSERT INTO "events" VALUES(8,1,8,1,1,1795353296576,8,'{"prompt":{"id":"prm_5e3jnxcbc7pbzpqgddbzzt6dm0","kind":"tool_permission","tool_invocation_id":"a.0.1","tool_name":"risky","server":"kit","input":{"key":"a.0.1"},"questions":[],"created_at":"2026-11-22T13:14:56.576Z"}}');
INSERT INTO "events" VALUES(9,1,9,1,1,1795353296588,7,'{"tool_invocation_id":"a.0.0","output":"look did a.0.0","is_error":false,"status":"done","duration_ms":12}');
INSERT INTO "events" VALUES(10,1,10,1,1,1795353296653,9,'{"prompt_id":"prm_5e3jnxcbc7pbzpqgddbzzt6dm0","tool_invocation_id":"a.0.1","status":"running","allow":true}');
INSERT INTO "events" VALUES(11,1,11,1,1,1795353296670,7,'{"tool_invocation_id":"a.0.1","output":"risky did a.0.1","is_error":false,"status":"done","duration_ms":94}');
INSERT INTO "events" VALUES(12,1,12,1,1,1795353296673,2,'{"content":"Done."}');
INSERT INTO "events" VALUES(13,1,13,1,1,1795353296692,10,'{"message_id":"msg_7mm7ec8g3jezh6cfdba1t8szh8","stop_reason":"stop","usage":{"input_tokens":6,"output_tokens":3},"duration_ms":39}');
INSERT INTO "events" VALUES(14,1,14,2,2,1795353296704,1,'{"message":{"id":"msg_x1n10cjhpn7fe54bp2bbk52bsd","turn_id":"turn_93w0999mq738xvzy6rhm3w4f0d","role":"user","content":"fails","status":"complete","created_at":"2026-11-22T13:14:56.704Z"},"message_id":"msg_avxe2758pk52wvjpte517ta7y9","provider":"main","model":"test-model"}');
INSERT INTO "events" VALUES(15,1,15,2,2,1795353296716,12,'{"fatal":true,"code":"provider_error","message":"no","message_id":"msg_avxe2758pk52wvjpte517ta7y9","provider":"main","stop_reason":null,"usage":null,"status":400}');
INSERT INTO "events" VALUES(16,1,16,3,3,1795353296722,1,'{"message":{"id":"msg_43d31hdygxgn0sx185xaya5t4j","turn_id":"turn_cy96brkegfqph2k3cbqzybdc94","role":"user","content":"hangs","status":"complete","created_at":"2026-11-22T13:14:56.722Z"},"message_id":"msg_veb7w2tmrrrsaex99tznhbg6nw","provider":"main","model":"test-model"}');
INSERT INTO "events" VALUES(17,1,17,3,4,1795353296730,13,'{"position":1,"content":"later"}');
INSERT INTO "events" VALUES(18,1,18,3,3,1795353296730,2,'{"content":"so "}');
INSERT INTO "events" VALUES(19,1,19,3,4,1795353296738,11,'{"reason":"withdrawn"}');
INSERT INTO "events" VALUES(20,1,20,3,3,1795353296745,11,'{"message_id":"msg_veb7w2tmrrrsaex99tznhbg6nw","reason":"user","usage":null,"duration_ms":24}');
INSERT INTO "events" VALUES(21,2,1,1,5,1795353296752,1,'{"message":{"id":"msg_94b83c5364jcq8gvwfgebqge62","turn_id":"turn_k9d87zadt31jx4v6hgqfbv30y2","role":"user","content":"{\"plan\": \"b\", \"steps\": [{\"say\": [\"Let \", \"us. \"], \"calls\": [[\"kit__look\", {\"key\": \"b.0.0\"}]]}, {\"say\": [\"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \"], \"calls\": [[\"kit__risky\", {\"key\": \"b.1.0\"}]]}], \"rate\": 60}","status":"complete","created_at":"2026-11-22T13:14:56.752Z"},"message_id":"msg_q712ph7mz0p1h94ghb6h91304j","provider":"main","model":"test-model"}');
INSERT INTO "events" VALUES(22,2,2,1,5,1795353296760,2,'{"content":"Let "}');
INSERT INTO "events" VALUES(23,2,3,1,5,1795353296778,2,'{"content":"us. "}');
INSERT INTO "events" VALUES(24,2,4,1,5,1795353296794,4,'{"tool_invocation_id":"b.0.0","name":"look","server":"kit","at":8}');
INSERT INTO "events" VALUES(25,2,5,1,5,1795353296794,5,'{"tool_invocation_id":"b.0.0","input":{"key":"b.0.0"},"status":"running"}');
INSERT INTO "events" VALUES(26,2,6,1,5,1795353296812,7,'{"tool_invocation_id":"b.0.0","output":"look did b.0.0","is_error":false,"status":"done","duration_ms":18}');
INSERT INTO "events" VALUES(27,2,7,1,5,1795353296819,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(28,2,8,2,5,1795353296948,14,'{"content":"Let us. ","reasoning":"","tool_invocations":[{"id":"b.0.0","name":"look","server":"kit","input":{"key":"b.0.0"},"status":"done","output":"look did b.0.0","is_error":false,"at":8,"duration_ms":18}],"pending_prompts":[]}');
INSERT INTO "events" VALUES(29,2,9,2,5,1795353297290,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(30,2,10,2,5,1795353297308,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(31,2,11,2,5,1795353297339,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(32,2,12,2,5,1795353297348,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(33,2,13,2,5,1795353297360,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(34,2,14,2,5,1795353297374,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(35,2,15,2,5,1795353297396,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(36,2,16,2,5,1795353297410,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(37,2,17,2,5,1795353297429,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(38,2,18,2,5,1795353297441,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(39,2,19,2,5,1795353297459,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(40,2,20,2,5,1795353297475,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(41,2,21,2,5,1795353297491,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(42,2,22,2,5,1795353297511,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(43,2,23,2,5,1795353297527,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(44,2,24,2,5,1795353297541,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(45,2,25,2,5,1795353297558,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(46,2,26,2,5,1795353297575,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(47,2,27,2,5,1795353297591,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(48,2,28,2,5,1795353297610,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(49,2,29,2,5,1795353297634,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(50,2,30,2,5,1795353297644,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(51,2,31,2,5,1795353297658,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(52,2,32,2,5,1795353297675,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(53,2,33,2,5,1795353297699,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(54,2,34,2,5,1795353297712,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(55,2,35,2,5,1795353297728,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(56,2,36,2,5,1795353297741,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(57,2,37,2,5,1795353297757,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(58,2,38,2,5,1795353297775,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(59,2,39,2,5,1795353297795,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(60,2,40,2,5,1795353297807,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(61,2,41,2,5,1795353297830,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(62,2,42,2,5,1795353297844,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(63,2,43,2,5,1795353297858,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(64,2,44,2,5,1795353297874,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(65,2,45,2,5,1795353297895,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(66,2,46,2,5,1795353297909,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(67,2,47,2,5,1795353297928,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(68,2,48,2,5,1795353297945,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(69,2,49,2,5,1795353297960,4,'{"tool_invocation_id":"b.1.0","name":"risky","server":"kit","at":208}');
INSERT INTO "events" VALUES(70,2,50,2,5,1795353297960,5,'{"tool_invocation_id":"b.1.0","input":{"key":"b.1.0"},"status":"waiting"}');
INSERT INTO "events" VALUES(71,2,51,2,5,1795353297960,8,'{"prompt":{"id":"prm_zt200qqaak0qyba3tn7yc489dx","kind":"tool_permission","tool_invocation_id":"b.1.0","tool_name":"risky","server":"kit","input":{"key":"b.1.0"},"questions":[],"created_at":"2026-11-22T13:14:57.960Z"}}');
CREATE TABLE grants (
	session		INTEGER NOT NULL REFERENCES sessions (row) ON DELETE CASCADE,
	server		TEXT NOT NULL,
	name		TEXT NOT NULL,
	created_at	INTEGER NOT NULL,
	PRIMARY KEY (session, server, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE idempotency (
	owner		TEXT NOT NULL,
	key		TEXT NOT NULL,
	fingerprint	TEXT NOT NULL,	-- of the body
	answer		TEXT NOT NULL,	-- JSON
	created_at	INTEGER NOT NULL,
	PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
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
INSERT INTO "messages" VALUES(1,'msg_5j7f929rm6j4skx0286n28v1kj',1,1,'user','complete','"{\"plan\": \"a\", \"steps\": [{\"say\": [\"Let \", \"me. \"], \"calls\": [[\"kit__look\", {\"key\": \"a.0.0\"}], [\"kit__risky\", {\"key\": \"a.0.1\"}]]}, {\"say\": [\"Done.\"], \"calls\": []}], \"rate\": 60}"',NULL,NULL,NULL,1795353296347);
INSERT INTO "messages" VALUES(2,'msg_7mm7ec8g3jezh6cfdba1t8szh8',1,1,'assistant','complete','"Let me. Done."','{"tool_invocations":[{"id":"a.0.0","name":"look","server":"kit","input":{"key":"a.0.0"},"status":"done","output":"look did a.0.0","is_error":false,"at":8,"duration_ms":12},{"id":"a.0.1","name":"risky","server":"kit","input":{"key":"a.0.1"},"status":"done","output":"risky did a.0.1","is_error":false,"at":8,"duration_ms":94}],"usage":{"input_tokens":6,"output_tokens":3}}','stop',NULL,1795353296692);
INSERT INTO "messages" VALUES(3,'msg_x1n10cjhpn7fe54bp2bbk52bsd',1,2,'user','complete','"fails"',NULL,NULL,NULL,1795353296704);
INSERT INTO "messages" VALUES(4,'msg_avxe2758pk52wvjpte517ta7y9',1,2,'assistant','error','""','{"error":{"code":"provider_error","message":"no","message_id":"msg_avxe2758pk52wvjpte517ta7y9","provider":"main","stop_reason":null,"usage":null,"status":400}}',NULL,NULL,1795353296716);
INSERT INTO "messages" VALUES(5,'msg_43d31hdygxgn0sx185xaya5t4j',1,3,'user','complete','"hangs"',NULL,NULL,NULL,1795353296722);
INSERT INTO "messages" VALUES(6,'msg_veb7w2tmrrrsaex99tznhbg6nw',1,3,'assistant','aborted','"so "','{}',NULL,NULL,1795353296745);
INSERT INTO "messages" VALUES(7,'msg_94b83c5364jcq8gvwfgebqge62',2,5,'user','complete','"{\"plan\": \"b\", \"steps\": [{\"say\": [\"Let \", \"us. \"], \"calls\": [[\"kit__look\", {\"key\": \"b.0.0\"}]]}, {\"say\": [\"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \"], \"calls\": [[\"kit__risky\", {\"key\": \"b.1.0\"}]]}], \"rate\": 60}"',NULL,NULL,NULL,1795353296752);
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
INSERT INTO "prompts" VALUES(1,'prm_5e3jnxcbc7pbzpqgddbzzt6dm0',1,1,'a.0.1','tool_permission','{"id":"prm_5e3jnxcbc7pbzpqgddbzzt6dm0","kind":"tool_permission","tool_invocation_id":"a.0.1","tool_name":"risky","server":"kit","input":{"key":"a.0.1"},"questions":[],"created_at":"2026-11-22T13:14:56.576Z"}','answered','{"allow":true}',1795353296576,1795353296653);
INSERT INTO "prompts" VALUES(2,'prm_zt200qqaak0qyba3tn7yc489dx',2,5,'b.1.0','tool_permission','{"id":"prm_zt200qqaak0qyba3tn7yc489dx","kind":"tool_permission","tool_invocation_id":"b.1.0","tool_name":"risky","server":"kit","input":{"key":"b.1.0"},"questions":[],"created_at":"2026-11-22T13:14:57.960Z"}','open',NULL,1795353297960,NULL);
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
INSERT INTO "sessions" VALUES(1,'ses_xywptmsh2x7s2tw6tske928s0b','local',3,'idle',20,1795353296347,1795353296745,'{"plan": "a", "steps": [{"say": ["Let ", "me. "], "calls": [["kit__look", {"key"','main','test-model',NULL,NULL);
INSERT INTO "sessions" VALUES(2,'ses_1cppg8jsna9ah4pa7zzdn39k0b','local',2,'waiting',51,1795353296752,1795353297967,'{"plan": "b", "steps": [{"say": ["Let ", "us. "], "calls": [["kit__look", {"key"','main','test-model',NULL,NULL);
CREATE TABLE steps (
	row		INTEGER PRIMARY KEY,
	turn		INTEGER NOT NULL REFERENCES turns (row) ON DELETE CASCADE,
	n		INTEGER NOT NULL,	-- 1, 2, 3 ...
	content_end	INTEGER NOT NULL,	-- bytes of the turn's text up to the end of this step
	reasoning_end	INTEGER NOT NULL,
	echo		TEXT,			-- JSON: what the provider wants back unchanged
	created_at	INTEGER NOT NULL
) STRICT;
INSERT INTO "steps" VALUES(1,1,1,8,0,NULL,1795353296576);
INSERT INTO "steps" VALUES(2,5,1,8,0,NULL,1795353296794);
INSERT INTO "steps" VALUES(3,5,2,208,0,NULL,1795353297960);
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
INSERT INTO "turns" VALUES(1,'turn_c1c6hdnncpf3ppjq7e6j03qa5f',1,1,'done','main','test-model','msg_7mm7ec8g3jezh6cfdba1t8szh8',0,0,1,13,1795353296347,1795353296692,'stop',6,3,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "turns" VALUES(2,'turn_93w0999mq738xvzy6rhm3w4f0d',1,2,'error','main','test-model','msg_avxe2758pk52wvjpte517ta7y9',0,0,14,15,1795353296704,1795353296716,NULL,NULL,NULL,NULL,NULL,'provider_error','no',NULL,NULL);
INSERT INTO "turns" VALUES(3,'turn_cy96brkegfqph2k3cbqzybdc94',1,3,'aborted','main','test-model','msg_veb7w2tmrrrsaex99tznhbg6nw',0,0,16,20,1795353296722,1795353296745,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "turns" VALUES(4,'turn_ja6ym8j8av89grzy1x725aywhz',1,0,'aborted','main','test-model','msg_xs8w1f23v685fmz9dskdt71d0p',0,0,0,NULL,1795353296730,1795353296738,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "turns" VALUES(5,'turn_k9d87zadt31jx4v6hgqfbv30y2',2,2,'waiting','main','test-model','msg_q712ph7mz0p1h94ghb6h91304j',0,0,1,NULL,1795353296752,NULL,NULL,6,42,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE INDEX sessions_by_owner ON sessions (owner, updated_at, row);
CREATE INDEX sessions_not_idle ON sessions (state) WHERE state <> 'idle';
CREATE INDEX turns_by_session ON turns (session, generation);
CREATE INDEX turns_open ON turns (state) WHERE state IN ('queued', 'running', 'waiting');
CREATE INDEX messages_by_session ON messages (session, row);
CREATE INDEX messages_by_turn ON messages (turn);
CREATE UNIQUE INDEX steps_by_turn ON steps (turn, n);
CREATE UNIQUE INDEX calls_by_turn ON calls (turn, id);
CREATE INDEX prompts_by_turn ON prompts (turn);
CREATE INDEX prompts_by_session ON prompts (session);
CREATE INDEX prompts_open ON prompts (state) WHERE state = 'open';
CREATE INDEX idempotency_by_age ON idempotency (created_at);
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
CREATE VIEW v_usage AS
SELECT date(t.started_at / 1000, 'unixepoch') AS day, s.owner, t.provider, t.model, count(*) AS turns,
	sum(t.input_tokens) AS input_tokens, sum(t.output_tokens) AS output_tokens,
	sum(t.cache_read_tokens) AS cache_read_tokens, sum(t.cache_write_tokens) AS cache_write_tokens
FROM turns t JOIN sessions s ON s.row = t.session
GROUP BY 1, 2, 3, 4;
CREATE VIEW v_stuck AS
SELECT t.id AS turn_id, s.id AS session_id, t.state, t.provider, t.model, t.crashes,
	strftime('%Y-%m-%dT%H:%M:%fZ', t.started_at / 1000.0, 'unixepoch') AS started,
	(SELECT strftime('%Y-%m-%dT%H:%M:%fZ', e.ts / 1000.0, 'unixepoch') FROM events e
	 WHERE e.session = t.session ORDER BY e.seq DESC LIMIT 1) AS last_event,
	(SELECT cast((julianday('now') - 2440587.5) * 86400 - e.ts / 1000.0 AS INTEGER) FROM events e
	 WHERE e.session = t.session ORDER BY e.seq DESC LIMIT 1) AS silent_seconds
FROM turns t JOIN sessions s ON s.row = t.session
WHERE t.state IN ('queued', 'running', 'waiting');
COMMIT;
