-- A log of schema version 3, as chatd left it: what v2.sql has, then two sessions of afterwards, one with two turns.
PRAGMA application_id = 1667785076;
PRAGMA user_version = 3;
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
INSERT INTO "calls" VALUES(1,1,1,'a.0.0','kit','look','kit__look','{"key": "a.0.0"}','done',1,'look did a.0.0',0,1796081882312,1796081882316);
INSERT INTO "calls" VALUES(2,1,1,'a.0.1','kit','risky','kit__risky','{"key": "a.0.1"}','done',0,'risky did a.0.1',0,1796081882312,1796081882337);
INSERT INTO "calls" VALUES(3,5,1,'b.0.0','kit','look','kit__look','{"key": "b.0.0"}','done',1,'look did b.0.0',0,1796081882427,1796081882430);
INSERT INTO "calls" VALUES(4,5,2,'b.1.0','kit','risky','kit__risky','{"key": "b.1.0"}','waiting',0,NULL,0,1796081883240,NULL);
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
INSERT INTO "events" VALUES(21,2,1,1,5,1796081882389,1,'{"message":{"id":"msg_9627de489kf307ctgqrkssez2w","turn_id":"turn_n5acq40bzpvarvxkrh9jf90enw","role":"user","content":"{\"plan\": \"b\", \"steps\": [{\"say\": [\"Let \", \"us. \"], \"calls\": [[\"kit__look\", {\"key\": \"b.0.0\"}]]}, {\"say\": [\"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \"], \"calls\": [[\"kit__risky\", {\"key\": \"b.1.0\"}]]}], \"rate\": 60}","status":"complete","created_at":"2026-11-30T23:38:02.389Z"},"message_id":"msg_xhyycrr4wfsvfrg8wgz51fb1m9","provider":"main","model":"test-model"}');
INSERT INTO "events" VALUES(22,2,2,1,5,1796081882393,2,'{"content":"Let "}');
INSERT INTO "events" VALUES(23,2,3,1,5,1796081882410,2,'{"content":"us. "}');
INSERT INTO "events" VALUES(24,2,4,1,5,1796081882427,4,'{"tool_invocation_id":"b.0.0","name":"look","server":"kit","at":8}');
INSERT INTO "events" VALUES(25,2,5,1,5,1796081882427,5,'{"tool_invocation_id":"b.0.0","input":{"key":"b.0.0"},"status":"running"}');
INSERT INTO "events" VALUES(26,2,6,1,5,1796081882430,7,'{"tool_invocation_id":"b.0.0","output":"look did b.0.0","is_error":false,"status":"done","duration_ms":3}');
INSERT INTO "events" VALUES(27,2,7,1,5,1796081882431,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(28,2,8,2,5,1796081882501,14,'{"content":"Let us. ","reasoning":"","tool_invocations":[{"id":"b.0.0","name":"look","server":"kit","input":{"key":"b.0.0"},"status":"done","output":"look did b.0.0","is_error":false,"at":8,"duration_ms":3}],"pending_prompts":[]}');
INSERT INTO "events" VALUES(29,2,9,2,5,1796081882572,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(30,2,10,2,5,1796081882586,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(31,2,11,2,5,1796081882602,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(32,2,12,2,5,1796081882619,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(33,2,13,2,5,1796081882635,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(34,2,14,2,5,1796081882653,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(35,2,15,2,5,1796081882669,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(36,2,16,2,5,1796081882685,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(37,2,17,2,5,1796081882703,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(38,2,18,2,5,1796081882719,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(39,2,19,2,5,1796081882735,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(40,2,20,2,5,1796081882753,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(41,2,21,2,5,1796081882769,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(42,2,22,2,5,1796081882785,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(43,2,23,2,5,1796081882803,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(44,2,24,2,5,1796081882819,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(45,2,25,2,5,1796081882835,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(46,2,26,2,5,1796081882852,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(47,2,27,2,5,1796081882869,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(48,2,28,2,5,1796081882886,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(49,2,29,2,5,1796081882902,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(50,2,30,2,5,1796081882919,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(51,2,31,2,5,1796081882936,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(52,2,32,2,5,1796081882953,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(53,2,33,2,5,1796081882969,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(54,2,34,2,5,1796081882985,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(55,2,35,2,5,1796081883002,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(56,2,36,2,5,1796081883019,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(57,2,37,2,5,1796081883036,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(58,2,38,2,5,1796081883052,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(59,2,39,2,5,1796081883069,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(60,2,40,2,5,1796081883085,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(61,2,41,2,5,1796081883103,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(62,2,42,2,5,1796081883119,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(63,2,43,2,5,1796081883136,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(64,2,44,2,5,1796081883153,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(65,2,45,2,5,1796081883169,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(66,2,46,2,5,1796081883186,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(67,2,47,2,5,1796081883202,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(68,2,48,2,5,1796081883218,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(69,2,49,2,5,1796081883240,4,'{"tool_invocation_id":"b.1.0","name":"risky","server":"kit","at":208}');
INSERT INTO "events" VALUES(70,2,50,2,5,1796081883240,5,'{"tool_invocation_id":"b.1.0","input":{"key":"b.1.0"},"status":"waiting"}');
INSERT INTO "events" VALUES(71,2,51,2,5,1796081883240,8,'{"prompt":{"id":"prm_djh39ygygwej5kps8c9f2h7mxc","kind":"tool_permission","tool_invocation_id":"b.1.0","tool_name":"risky","server":"kit","input":{"key":"b.1.0"},"questions":[],"created_at":"2026-11-30T23:38:03.240Z"}}');
INSERT INTO "events" VALUES(72,1,21,4,6,1796081884832,1,'{"message":{"id":"msg_cewde5x501pbgx62fcpbe8wgm0","turn_id":"turn_xgdp4t3bb8zattytsda3q634j9","role":"user","content":"again","status":"complete","created_at":"2026-11-30T23:38:04.832Z"},"message_id":"msg_1amspp3a7n9jqcmc43mc7jc5d3","provider":"main","model":"test-model"}');
INSERT INTO "events" VALUES(73,1,22,4,6,1796081884837,2,'{"content":"so it is"}');
INSERT INTO "events" VALUES(74,1,23,4,6,1796081884837,10,'{"message_id":"msg_1amspp3a7n9jqcmc43mc7jc5d3","stop_reason":"stop","usage":{"input_tokens":3,"output_tokens":5},"duration_ms":5}');
INSERT INTO "events" VALUES(75,4,1,1,7,1796096916199,1,'{"message":{"id":"msg_h4jmrgtcjvkjht31pdmtqw81qy","turn_id":"turn_08z3zwchxp0txzznd876x2symf","role":"user","content":"first","status":"complete","created_at":"2026-12-01T03:48:36.198Z"},"message_id":"msg_80w24y1vfew4wsaqzxqdkk7tqp","provider":"main","model":"test-model"}');
INSERT INTO "events" VALUES(76,4,2,1,7,1796096916204,2,'{"content":"Two pieces."}');
INSERT INTO "events" VALUES(77,4,3,1,7,1796096916204,10,'{"message_id":"msg_80w24y1vfew4wsaqzxqdkk7tqp","stop_reason":"stop","usage":{"input_tokens":3,"output_tokens":5},"duration_ms":5}');
INSERT INTO "events" VALUES(78,5,1,1,8,1796096916208,1,'{"message":{"id":"msg_zkz1hcg5acfsaag392bmn4q0g7","turn_id":"turn_rs24mj4d9wh4kn8r8ny5nhfztq","role":"user","content":"second","status":"complete","created_at":"2026-12-01T03:48:36.207Z"},"message_id":"msg_6z2xeynz06axx7b4qqg4qdtpz7","provider":"main","model":"test-model"}');
INSERT INTO "events" VALUES(79,5,2,1,8,1796096916212,2,'{"content":"One more."}');
INSERT INTO "events" VALUES(80,5,3,1,8,1796096916212,10,'{"message_id":"msg_6z2xeynz06axx7b4qqg4qdtpz7","stop_reason":"stop","usage":{"input_tokens":3,"output_tokens":5},"duration_ms":5}');
INSERT INTO "events" VALUES(81,4,4,2,9,1796096916216,1,'{"message":{"id":"msg_k1hg3spn5q1h87fe12bzk7kmc1","turn_id":"turn_30y37c8tq7qa02pb6h95ajtrbc","role":"user","content":"second","status":"complete","created_at":"2026-12-01T03:48:36.216Z"},"message_id":"msg_b6rw8px5yet9kqm3nb6f3ff1nz","provider":"main","model":"test-model"}');
INSERT INTO "events" VALUES(82,4,5,2,9,1796096916218,2,'{"content":"One more."}');
INSERT INTO "events" VALUES(83,4,6,2,9,1796096916218,10,'{"message_id":"msg_b6rw8px5yet9kqm3nb6f3ff1nz","stop_reason":"stop","usage":{"input_tokens":3,"output_tokens":5},"duration_ms":2}');
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
INSERT INTO "messages" VALUES(1,'msg_9xm6fazse6szwrm39zjpqpj0tf',1,1,'user','complete','"{\"plan\": \"a\", \"steps\": [{\"say\": [\"Let \", \"me. \"], \"calls\": [[\"kit__look\", {\"key\": \"a.0.0\"}], [\"kit__risky\", {\"key\": \"a.0.1\"}]]}, {\"say\": [\"Done.\"], \"calls\": []}], \"rate\": 60}"',NULL,NULL,NULL,1796081882228);
INSERT INTO "messages" VALUES(2,'msg_j3ry2t4jdga2kfpp1q4bmrmrhh',1,1,'assistant','complete','"Let me. Done."','{"tool_invocations":[{"id":"a.0.0","name":"look","server":"kit","input":{"key":"a.0.0"},"status":"done","output":"look did a.0.0","is_error":false,"at":8,"duration_ms":4},{"id":"a.0.1","name":"risky","server":"kit","input":{"key":"a.0.1"},"status":"done","output":"risky did a.0.1","is_error":false,"at":8,"duration_ms":25}],"usage":{"input_tokens":6,"output_tokens":3}}','stop',NULL,1796081882358);
INSERT INTO "messages" VALUES(3,'msg_qy8rq8at334tc4rfcsy7fde4me',1,2,'user','complete','"fails"',NULL,NULL,NULL,1796081882364);
INSERT INTO "messages" VALUES(4,'msg_ed72basea7pfywqg8c1gvdg9d8',1,2,'assistant','error','""','{"error":{"code":"provider_error","message":"no","message_id":"msg_ed72basea7pfywqg8c1gvdg9d8","provider":"main","stop_reason":null,"usage":null,"status":400}}',NULL,NULL,1796081882369);
INSERT INTO "messages" VALUES(5,'msg_bmyv3sawv31c1g9zy1serwz7f7',1,3,'user','complete','"hangs"',NULL,NULL,NULL,1796081882372);
INSERT INTO "messages" VALUES(6,'msg_msnrnf0k89qtfh0y2a486zrs0r',1,3,'assistant','aborted','"so "','{}',NULL,NULL,1796081882384);
INSERT INTO "messages" VALUES(7,'msg_9627de489kf307ctgqrkssez2w',2,5,'user','complete','"{\"plan\": \"b\", \"steps\": [{\"say\": [\"Let \", \"us. \"], \"calls\": [[\"kit__look\", {\"key\": \"b.0.0\"}]]}, {\"say\": [\"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \"], \"calls\": [[\"kit__risky\", {\"key\": \"b.1.0\"}]]}], \"rate\": 60}"',NULL,NULL,NULL,1796081882389);
INSERT INTO "messages" VALUES(8,'msg_cewde5x501pbgx62fcpbe8wgm0',1,6,'user','complete','"again"',NULL,NULL,NULL,1796081884832);
INSERT INTO "messages" VALUES(9,'msg_1amspp3a7n9jqcmc43mc7jc5d3',1,6,'assistant','complete','"so it is"','{"usage":{"input_tokens":3,"output_tokens":5}}','stop',NULL,1796081884837);
INSERT INTO "messages" VALUES(10,'msg_h4jmrgtcjvkjht31pdmtqw81qy',4,7,'user','complete','"first"',NULL,NULL,NULL,1796096916198);
INSERT INTO "messages" VALUES(11,'msg_80w24y1vfew4wsaqzxqdkk7tqp',4,7,'assistant','complete','"Two pieces."','{"usage":{"input_tokens":3,"output_tokens":5}}','stop',NULL,1796096916204);
INSERT INTO "messages" VALUES(12,'msg_zkz1hcg5acfsaag392bmn4q0g7',5,8,'user','complete','"second"',NULL,NULL,NULL,1796096916207);
INSERT INTO "messages" VALUES(13,'msg_6z2xeynz06axx7b4qqg4qdtpz7',5,8,'assistant','complete','"One more."','{"usage":{"input_tokens":3,"output_tokens":5}}','stop',NULL,1796096916212);
INSERT INTO "messages" VALUES(14,'msg_k1hg3spn5q1h87fe12bzk7kmc1',4,9,'user','complete','"second"',NULL,NULL,NULL,1796096916216);
INSERT INTO "messages" VALUES(15,'msg_b6rw8px5yet9kqm3nb6f3ff1nz',4,9,'assistant','complete','"One more."','{"usage":{"input_tokens":3,"output_tokens":5}}','stop',NULL,1796096916218);
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
INSERT INTO "prompts" VALUES(1,'prm_pdzaqdd8nz7n73frh4zzhfxfg7',1,1,'a.0.1','tool_permission','{"id":"prm_pdzaqdd8nz7n73frh4zzhfxfg7","kind":"tool_permission","tool_invocation_id":"a.0.1","tool_name":"risky","server":"kit","input":{"key":"a.0.1"},"questions":[],"created_at":"2026-11-30T23:38:02.312Z"}','answered','{"allow":true}',1796081882312,1796081882332);
INSERT INTO "prompts" VALUES(2,'prm_djh39ygygwej5kps8c9f2h7mxc',2,5,'b.1.0','tool_permission','{"id":"prm_djh39ygygwej5kps8c9f2h7mxc","kind":"tool_permission","tool_invocation_id":"b.1.0","tool_name":"risky","server":"kit","input":{"key":"b.1.0"},"questions":[],"created_at":"2026-11-30T23:38:03.240Z"}','open',NULL,1796081883240,NULL);
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
, removed_at INTEGER) STRICT;
INSERT INTO "sessions" VALUES(1,'ses_7t9a0pvrksfgca416bsskwd9wg','local',4,'idle',23,1796081882228,1796081884837,'{"plan": "a", "steps": [{"say": ["Let ", "me. "], "calls": [["kit__look", {"key"','main','test-model',NULL,NULL,NULL);
INSERT INTO "sessions" VALUES(2,'ses_j7qjtwcddt3x9052srpf3ddx4k','local',2,'waiting',51,1796081882389,1796081883248,'{"plan": "b", "steps": [{"say": ["Let ", "us. "], "calls": [["kit__look", {"key"','main','test-model',NULL,NULL,NULL);
INSERT INTO "sessions" VALUES(3,'ses_c55zgg1ynz7ckdak5m87r93dbt','local',2,'idle',3,1788305883461,1788305883468,'long ago','main','test-model',NULL,NULL,1796081884748);
INSERT INTO "sessions" VALUES(4,'ses_s8m1b4b74ck6pjehr4fged5qsp','local',2,'idle',6,1796096916198,1796096916218,'first','main','test-model',NULL,NULL,NULL);
INSERT INTO "sessions" VALUES(5,'ses_9efpharm0b44mgkq2awwpzavmc','local',1,'idle',3,1796096916207,1796096916212,'second','main','test-model',NULL,NULL,NULL);
CREATE TABLE steps (
	row		INTEGER PRIMARY KEY,
	turn		INTEGER NOT NULL REFERENCES turns (row) ON DELETE CASCADE,
	n		INTEGER NOT NULL,	-- 1, 2, 3 ...
	content_end	INTEGER NOT NULL,	-- bytes of the turn's text up to the end of this step
	reasoning_end	INTEGER NOT NULL,
	echo		TEXT,			-- JSON: what the provider wants back unchanged
	created_at	INTEGER NOT NULL
) STRICT;
INSERT INTO "steps" VALUES(1,1,1,8,0,NULL,1796081882312);
INSERT INTO "steps" VALUES(2,5,1,8,0,NULL,1796081882427);
INSERT INTO "steps" VALUES(3,5,2,208,0,NULL,1796081883240);
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
, folded INTEGER NOT NULL DEFAULT 0, traceparent TEXT) STRICT;
INSERT INTO "turns" VALUES(1,'turn_25c4h0m7dmy1ysh874k3q70eyy',1,1,'done','main','test-model','msg_j3ry2t4jdga2kfpp1q4bmrmrhh',0,0,1,13,1796081882228,1796081882358,'stop',6,3,NULL,NULL,NULL,NULL,NULL,NULL,2,NULL);
INSERT INTO "turns" VALUES(2,'turn_j9ss3vm8wxhjncxbwf8ctstj2g',1,2,'error','main','test-model','msg_ed72basea7pfywqg8c1gvdg9d8',0,0,14,15,1796081882364,1796081882369,NULL,NULL,NULL,NULL,NULL,'provider_error','no',NULL,NULL,2,NULL);
INSERT INTO "turns" VALUES(3,'turn_pnf6f45xsqkap5wjfawwgx17nd',1,3,'aborted','main','test-model','msg_msnrnf0k89qtfh0y2a486zrs0r',0,0,16,20,1796081882372,1796081882384,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,2,NULL);
INSERT INTO "turns" VALUES(4,'turn_sc2zc8m9mphmrn5wdyfxkkpcby',1,0,'aborted','main','test-model','msg_vh0y4ajkf2bmeg6mb3yyv88svz',0,0,0,NULL,1796081882376,1796081882380,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO "turns" VALUES(5,'turn_n5acq40bzpvarvxkrh9jf90enw',2,2,'waiting','main','test-model','msg_xhyycrr4wfsvfrg8wgz51fb1m9',0,0,1,NULL,1796081882389,NULL,NULL,6,42,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO "turns" VALUES(6,'turn_xgdp4t3bb8zattytsda3q634j9',1,4,'done','main','test-model','msg_1amspp3a7n9jqcmc43mc7jc5d3',0,0,21,23,1796081884832,1796081884837,'stop',3,5,NULL,NULL,NULL,NULL,NULL,NULL,0,'00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
INSERT INTO "turns" VALUES(7,'turn_08z3zwchxp0txzznd876x2symf',4,1,'done','main','test-model','msg_80w24y1vfew4wsaqzxqdkk7tqp',0,0,1,3,1796096916198,1796096916204,'stop',3,5,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO "turns" VALUES(8,'turn_rs24mj4d9wh4kn8r8ny5nhfztq',5,1,'done','main','test-model','msg_6z2xeynz06axx7b4qqg4qdtpz7',0,0,1,3,1796096916207,1796096916212,'stop',3,5,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL);
INSERT INTO "turns" VALUES(9,'turn_30y37c8tq7qa02pb6h95ajtrbc',4,2,'done','main','test-model','msg_b6rw8px5yet9kqm3nb6f3ff1nz',0,0,4,6,1796096916216,1796096916218,'stop',3,5,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL);
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
CREATE INDEX turns_to_fold ON turns (ended_at)
	WHERE folded < 2 AND ended_at IS NOT NULL AND generation > 0;
CREATE INDEX sessions_removed ON sessions (removed_at) WHERE removed_at IS NOT NULL;
CREATE INDEX turns_by_start ON turns (strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1000.0, 'unixepoch'));
CREATE INDEX turns_by_day ON turns (date(started_at / 1000, 'unixepoch'));
CREATE INDEX sessions_by_age ON sessions (strftime('%Y-%m-%dT%H:%M:%fZ', updated_at / 1000.0, 'unixepoch'))
	WHERE removed_at IS NULL;
CREATE VIEW v_open_prompts AS
SELECT p.id AS prompt_id, s.id AS session_id, s.owner, t.id AS turn_id, p.kind, c.server, c.name AS tool,
	c.arguments, p.request, strftime('%Y-%m-%dT%H:%M:%fZ', p.created_at / 1000.0, 'unixepoch') AS asked,
	cast((julianday('now') - 2440587.5) * 86400 - p.created_at / 1000.0 AS INTEGER) AS waiting_seconds
FROM prompts p JOIN sessions s ON s.row = p.session JOIN turns t ON t.row = p.turn
LEFT JOIN calls c ON c.turn = p.turn AND c.id = p.call_id
WHERE p.state = 'open';
CREATE VIEW v_stuck AS
SELECT t.id AS turn_id, s.id AS session_id, t.state, t.provider, t.model, t.crashes,
	strftime('%Y-%m-%dT%H:%M:%fZ', t.started_at / 1000.0, 'unixepoch') AS started,
	(SELECT strftime('%Y-%m-%dT%H:%M:%fZ', e.ts / 1000.0, 'unixepoch') FROM events e
	 WHERE e.session = t.session ORDER BY e.seq DESC LIMIT 1) AS last_event,
	(SELECT cast((julianday('now') - 2440587.5) * 86400 - e.ts / 1000.0 AS INTEGER) FROM events e
	 WHERE e.session = t.session ORDER BY e.seq DESC LIMIT 1) AS silent_seconds
FROM turns t JOIN sessions s ON s.row = t.session
WHERE t.state IN ('queued', 'running', 'waiting');
CREATE VIEW v_sessions AS
SELECT s.id AS session_id, s.owner, s.title, s.state, s.generation, s.provider, s.model,
	(SELECT count(*) FROM turns t WHERE t.session = s.row) AS turns,
	(SELECT count(*) FROM messages m WHERE m.session = s.row) AS messages,
	strftime('%Y-%m-%dT%H:%M:%fZ', s.created_at / 1000.0, 'unixepoch') AS created,
	strftime('%Y-%m-%dT%H:%M:%fZ', s.updated_at / 1000.0, 'unixepoch') AS updated
FROM sessions s WHERE s.removed_at IS NULL;
CREATE VIEW v_events AS
SELECT s.id AS session_id, e.seq, e.generation, t.id AS turn_id,
	strftime('%Y-%m-%dT%H:%M:%fZ', e.ts / 1000.0, 'unixepoch') AS time,
	(SELECT name FROM event_types n WHERE n.type = e.type) AS type, e.payload
FROM events e JOIN sessions s ON s.row = e.session
LEFT JOIN turns t ON t.row = e.turn AND t.session = e.session
WHERE s.row NOT IN (SELECT row FROM sessions WHERE removed_at IS NOT NULL);
CREATE VIEW v_turns AS
SELECT t.id AS turn_id, s.id AS session_id, t.generation, t.state, t.provider, t.model,
	strftime('%Y-%m-%dT%H:%M:%fZ', t.started_at / 1000.0, 'unixepoch') AS started,
	strftime('%Y-%m-%dT%H:%M:%fZ', t.ended_at / 1000.0, 'unixepoch') AS ended,
	t.ended_at - t.started_at AS duration_ms, t.stop_reason, t.error_code, t.error_message,
	t.input_tokens, t.output_tokens, t.cache_read_tokens, t.cache_write_tokens,
	t.first_seq, t.last_seq, t.crashes, t.folded > 0 AS folded, t.traceparent
FROM turns t JOIN sessions s ON s.row = t.session
WHERE s.row NOT IN (SELECT row FROM sessions WHERE removed_at IS NOT NULL);
CREATE VIEW v_messages AS
SELECT s.id AS session_id, m.id AS message_id, t.id AS turn_id, m.role, m.status, m.content, m.extra,
	m.stop_reason, strftime('%Y-%m-%dT%H:%M:%fZ', m.created_at / 1000.0, 'unixepoch') AS created
FROM messages m JOIN sessions s ON s.row = m.session JOIN turns t ON t.row = m.turn
WHERE s.row NOT IN (SELECT row FROM sessions WHERE removed_at IS NOT NULL);
CREATE VIEW v_calls AS
SELECT s.id AS session_id, t.id AS turn_id, c.step, c.id AS tool_invocation_id, c.server, c.name, c.status,
	c.is_error, c.arguments, c.output,
	strftime('%Y-%m-%dT%H:%M:%fZ', c.started_at / 1000.0, 'unixepoch') AS started,
	c.ended_at - c.started_at AS duration_ms
FROM calls c JOIN turns t ON t.row = c.turn JOIN sessions s ON s.row = t.session
WHERE s.row NOT IN (SELECT row FROM sessions WHERE removed_at IS NOT NULL);
CREATE VIEW v_usage AS
SELECT date(t.started_at / 1000, 'unixepoch') AS day, s.owner, t.provider, t.model, count(*) AS turns,
	sum(t.input_tokens) AS input_tokens, sum(t.output_tokens) AS output_tokens,
	sum(t.cache_read_tokens) AS cache_read_tokens, sum(t.cache_write_tokens) AS cache_write_tokens
FROM turns t JOIN sessions s ON s.row = t.session
WHERE s.row NOT IN (SELECT row FROM sessions WHERE removed_at IS NOT NULL)
GROUP BY 1, 2, 3, 4;
COMMIT;
