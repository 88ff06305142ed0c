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
INSERT INTO "calls" VALUES(1,1,1,'a.0.0','kit','look','kit__look','{"key": "a.0.0"}','done',1,'look did a.0.0',0,1795352413936,1795352413940);
INSERT INTO "calls" VALUES(2,1,1,'a.0.1','kit','risky','kit__risky','{"key": "a.0.1"}','done',0,'risky did a.0.1',0,1795352413936,1795352413976);
INSERT INTO "calls" VALUES(3,5,1,'b.0.0','kit','look','kit__look','{"key": "b.0.0"}','done',1,'look did b.0.0',0,1795352414086,1795352414088);
INSERT INTO "calls" VALUES(4,5,2,'b.1.0','kit','risky','kit__risky','{"key": "b.1.0"}','waiting',0,NULL,0,1795352414945,NULL);
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
INSERT INTO "events" VALUES(1,1,1,1,1,1795352413771,1,'{"message":{"id":"msg_dcxyeg5sxstgtq0163d5bwv90a","turn_id":"turn_08n9yqsgw17gbpc8w801rt4s14","role":"user","content":"{\"plan\": \"a\", \"steps\": [{\"say\": [\"Let \", \"me. \"], \"calls\": [[\"kit__look\", {\"key\": \"a.0.0\"}], [\"kit__risky\", {\"key\": \"a.0.1\"}]]}, {\"say\": [\"Done.\"], \"calls\": []}], \"rate\": 60}","status":"complete","created_at":"2026-11-22T13:00:13.771Z"},"message_id":"msg_3ja7p2dr5tramb1hp3mmv2wj7x","provider":"main","model":"test-model"}');
INSERT INTO "events" VALUES(2,1,2,1,1,1795352413901,2,'{"content":"Let "}');
INSERT INTO "events" VALUES(3,1,3,1,1,1795352413919,2,'{"content":"me. "}');
INSERT INTO "events" VALUES(4,1,4,1,1,1795352413936,4,'{"tool_invocation_id":"a.0.0","name":"look","server":"kit"}');
INSERT INTO "events" VALUES(5,1,5,1,1,1795352413936,5,'{"tool_invocation_id":"a.0.0","input":{"key":"a.0.0"},"status":"running"}');
INSERT INTO "events" VALUES(6,1,6,1,1,1795352413936,4,'{"tool_invocation_id":"a.0.1","name":"risky","server":"kit"}');
INSERT INTO "events" VALUES(7,1,7,1,1,1795352413936,5,'{"tool_invocation_id":"a.0.1","input":{"key":"a.0.1"},"status":"waiting"}');
INSERT INTO "events" VALUES(8,1,8,1,1,1795352413936,8,'{"prompt":{"id":"prm_f3wxgsqhgyxgj5x9m3798bw46c","kind":"tool_permission","tool_invocation_id":"a.0.1","tool_name":"risky","server":"kit","input":{"key":"a.0.1"},"questions":[],"created_at":"2026-11-22T13:00:13.936Z"}}');
INSERT INTO "events" VALUES(9,1,9,1,1,1795352413940,7,'{"tool_invocation_id":"a.0.0","output":"look did a.0.0","is_error":false,"status":"done","duration_ms":4}');
INSERT INTO "events" VALUES(10,1,10,1,1,1795352413968,9,'{"prompt_id":"prm_f3wxgsqhgyxgj5x9m3798bw46c","tool_invocation_id":"a.0.1","status":"running","allow":true}');
INSERT INTO "events" VALUES(11,1,11,1,1,1795352413976,7,'{"tool_invocation_id":"a.0.1","output":"risky did a.0.1","is_error":false,"status":"done","duration_ms":40}');
INSERT INTO "events" VALUES(12,1,12,1,1,1795352413983,2,'{"content":"Done."}');
INSERT INTO "events" VALUES(13,1,13,1,1,1795352413998,10,'{"message_id":"msg_3ja7p2dr5tramb1hp3mmv2wj7x","stop_reason":"stop","usage":{"input_tokens":6,"output_tokens":3},"duration_ms":29}');
INSERT INTO "events" VALUES(14,1,14,2,2,1795352414006,1,'{"message":{"id":"msg_998fv8jr7vscqz24te0vr6jyx3","turn_id":"turn_tnm6kr4h7ezgzqe2drktvygezh","role":"user","content":"fails","status":"complete","created_at":"2026-11-22T13:00:14.006Z"},"message_id":"msg_s3ttzr1hptsg388hcbknffncjq","provider":"main","model":"test-model"}');
INSERT INTO "events" VALUES(15,1,15,2,2,1795352414017,12,'{"fatal":true,"code":"provider_error","message":"no","message_id":"msg_s3ttzr1hptsg388hcbknffncjq","provider":"main","stop_reason":null,"usage":null,"status":400}');
INSERT INTO "events" VALUES(16,1,16,3,3,1795352414024,1,'{"message":{"id":"msg_2bzty297znd44yssdje4bhmav5","turn_id":"turn_k71d5sr5sjs88mzq2vkhdvjsfa","role":"user","content":"hangs","status":"complete","created_at":"2026-11-22T13:00:14.024Z"},"message_id":"msg_2y7gareccs4g8w5eq9q93fshjs","provider":"main","model":"test-model"}');
INSERT INTO "events" VALUES(17,1,17,3,4,1795352414029,13,'{"position":1,"content":"later"}');
INSERT INTO "events" VALUES(18,1,18,3,3,1795352414029,2,'{"content":"so "}');
INSERT INTO "events" VALUES(19,1,19,3,4,1795352414030,11,'{"reason":"withdrawn"}');
INSERT INTO "events" VALUES(20,1,20,3,3,1795352414036,11,'{"message_id":"msg_2y7gareccs4g8w5eq9q93fshjs","reason":"user","usage":null,"duration_ms":11}');
INSERT INTO "events" VALUES(21,2,1,1,5,1795352414044,1,'{"message":{"id":"msg_3q6pakc82gcegn2182djjqymf7","turn_id":"turn_qnr376zqe2ahvbs11pp54tkxh8","role":"user","content":"{\"plan\": \"b\", \"steps\": [{\"say\": [\"Let \", \"us. \"], \"calls\": [[\"kit__look\", {\"key\": \"b.0.0\"}]]}, {\"say\": [\"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \"], \"calls\": [[\"kit__risky\", {\"key\": \"b.1.0\"}]]}], \"rate\": 60}","status":"complete","created_at":"2026-11-22T13:00:14.044Z"},"message_id":"msg_w1e805fa9fsym5e2qp9n58js5x","provider":"main","model":"test-model"}');
INSERT INTO "events" VALUES(22,2,2,1,5,1795352414053,2,'{"content":"Let "}');
INSERT INTO "events" VALUES(23,2,3,1,5,1795352414070,2,'{"content":"us. "}');
INSERT INTO "events" VALUES(24,2,4,1,5,1795352414086,4,'{"tool_invocation_id":"b.0.0","name":"look","server":"kit"}');
INSERT INTO "events" VALUES(25,2,5,1,5,1795352414086,5,'{"tool_invocation_id":"b.0.0","input":{"key":"b.0.0"},"status":"running"}');
INSERT INTO "events" VALUES(26,2,6,1,5,1795352414088,7,'{"tool_invocation_id":"b.0.0","output":"look did b.0.0","is_error":false,"status":"done","duration_ms":2}');
INSERT INTO "events" VALUES(27,2,7,1,5,1795352414092,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(28,2,8,2,5,1795352414185,14,'{"content":"Let us. ","reasoning":"","tool_invocations":[{"id":"b.0.0","name":"look","server":"kit","input":{"key":"b.0.0"},"status":"done","output":"look did b.0.0","is_error":false}],"pending_prompts":[]}');
INSERT INTO "events" VALUES(29,2,9,2,5,1795352414277,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(30,2,10,2,5,1795352414294,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(31,2,11,2,5,1795352414311,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(32,2,12,2,5,1795352414331,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(33,2,13,2,5,1795352414346,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(34,2,14,2,5,1795352414361,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(35,2,15,2,5,1795352414378,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(36,2,16,2,5,1795352414394,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(37,2,17,2,5,1795352414411,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(38,2,18,2,5,1795352414429,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(39,2,19,2,5,1795352414445,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(40,2,20,2,5,1795352414461,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(41,2,21,2,5,1795352414477,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(42,2,22,2,5,1795352414496,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(43,2,23,2,5,1795352414512,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(44,2,24,2,5,1795352414528,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(45,2,25,2,5,1795352414545,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(46,2,26,2,5,1795352414561,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(47,2,27,2,5,1795352414578,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(48,2,28,2,5,1795352414594,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(49,2,29,2,5,1795352414611,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(50,2,30,2,5,1795352414628,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(51,2,31,2,5,1795352414645,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(52,2,32,2,5,1795352414661,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(53,2,33,2,5,1795352414678,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(54,2,34,2,5,1795352414694,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(55,2,35,2,5,1795352414711,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(56,2,36,2,5,1795352414728,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(57,2,37,2,5,1795352414748,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(58,2,38,2,5,1795352414761,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(59,2,39,2,5,1795352414780,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(60,2,40,2,5,1795352414794,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(61,2,41,2,5,1795352414812,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(62,2,42,2,5,1795352414832,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(63,2,43,2,5,1795352414847,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(64,2,44,2,5,1795352414861,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(65,2,45,2,5,1795352414878,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(66,2,46,2,5,1795352414894,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(67,2,47,2,5,1795352414912,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(68,2,48,2,5,1795352414928,2,'{"content":"Slow "}');
INSERT INTO "events" VALUES(69,2,49,2,5,1795352414945,4,'{"tool_invocation_id":"b.1.0","name":"risky","server":"kit"}');
INSERT INTO "events" VALUES(70,2,50,2,5,1795352414945,5,'{"tool_invocation_id":"b.1.0","input":{"key":"b.1.0"},"status":"waiting"}');
INSERT INTO "events" VALUES(71,2,51,2,5,1795352414945,8,'{"prompt":{"id":"prm_0q26kfye4tar5yx75gqmgxstan","kind":"tool_permission","tool_invocation_id":"b.1.0","tool_name":"risky","server":"kit","input":{"key":"b.1.0"},"questions":[],"created_at":"2026-11-22T13:00:14.945Z"}}');
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
INSERT INTO "messages" VALUES(1,'msg_dcxyeg5sxstgtq0163d5bwv90a',1,1,'user','complete','"{\"plan\": \"a\", \"steps\": [{\"say\": [\"Let \", \"me. \"], \"calls\": [[\"kit__look\", {\"key\": \"a.0.0\"}], [\"kit__risky\", {\"key\": \"a.0.1\"}]]}, {\"say\": [\"Done.\"], \"calls\": []}], \"rate\": 60}"',NULL,NULL,NULL,1795352413771);
INSERT INTO "messages" VALUES(2,'msg_3ja7p2dr5tramb1hp3mmv2wj7x',1,1,'assistant','complete','"Let me. Done."','{"tool_invocations":[{"id":"a.0.0","name":"look","server":"kit","input":{"key":"a.0.0"},"status":"done","output":"look did a.0.0","is_error":false},{"id":"a.0.1","name":"risky","server":"kit","input":{"key":"a.0.1"},"status":"done","output":"risky did a.0.1","is_error":false}],"usage":{"input_tokens":6,"output_tokens":3}}','stop',NULL,1795352413998);
INSERT INTO "messages" VALUES(3,'msg_998fv8jr7vscqz24te0vr6jyx3',1,2,'user','complete','"fails"',NULL,NULL,NULL,1795352414006);
INSERT INTO "messages" VALUES(4,'msg_s3ttzr1hptsg388hcbknffncjq',1,2,'assistant','error','""','{"error":{"code":"provider_error","message":"no","message_id":"msg_s3ttzr1hptsg388hcbknffncjq","provider":"main","stop_reason":null,"usage":null,"status":400}}',NULL,NULL,1795352414017);
INSERT INTO "messages" VALUES(5,'msg_2bzty297znd44yssdje4bhmav5',1,3,'user','complete','"hangs"',NULL,NULL,NULL,1795352414024);
INSERT INTO "messages" VALUES(6,'msg_2y7gareccs4g8w5eq9q93fshjs',1,3,'assistant','aborted','"so "','{}',NULL,NULL,1795352414036);
INSERT INTO "messages" VALUES(7,'msg_3q6pakc82gcegn2182djjqymf7',2,5,'user','complete','"{\"plan\": \"b\", \"steps\": [{\"say\": [\"Let \", \"us. \"], \"calls\": [[\"kit__look\", {\"key\": \"b.0.0\"}]]}, {\"say\": [\"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \", \"Slow \"], \"calls\": [[\"kit__risky\", {\"key\": \"b.1.0\"}]]}], \"rate\": 60}"',NULL,NULL,NULL,1795352414044);
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
INSERT INTO "prompts" VALUES(1,'prm_f3wxgsqhgyxgj5x9m3798bw46c',1,1,'a.0.1','tool_permission','{"id":"prm_f3wxgsqhgyxgj5x9m3798bw46c","kind":"tool_permission","tool_invocation_id":"a.0.1","tool_name":"risky","server":"kit","input":{"key":"a.0.1"},"questions":[],"created_at":"2026-11-22T13:00:13.936Z"}','answered','{"allow":true}',1795352413936,1795352413968);
INSERT INTO "prompts" VALUES(2,'prm_0q26kfye4tar5yx75gqmgxstan',2,5,'b.1.0','tool_permission','{"id":"prm_0q26kfye4tar5yx75gqmgxstan","kind":"tool_permission","tool_invocation_id":"b.1.0","tool_name":"risky","server":"kit","input":{"key":"b.1.0"},"questions":[],"created_at":"2026-11-22T13:00:14.945Z"}','open',NULL,1795352414945,NULL);
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
INSERT INTO "sessions" VALUES(1,'ses_85w7r2sxvh74gjnnrh5skxe53g','local',3,'idle',20,1795352413771,1795352414036,'{"plan": "a", "steps": [{"say": ["Let ", "me. "], "calls": [["kit__look", {"key"','main','test-model',NULL,NULL);
INSERT INTO "sessions" VALUES(2,'ses_4az4tf0kz5c0necww5tva78tpm','local',2,'waiting',51,1795352414044,1795352414946,'{"plan": "b", "steps": [{"say": ["Let ", "us. "], "calls": [["kit__look", {"key"','main','test-model',NULL,NULL);
CREATE TABLE steps (
	row		INTEGER PRIMARY KEY,
	turn		INTEGER NOT NULL REFERENCES turns (row) ON DELETE CASCADE,
	n		INTEGER NOT NULL,	-- 1, 2, 3 ...
	content_end	INTEGER NOT NULL,	-- bytes of the turn's text up to the end of this step
	reasoning_end	INTEGER NOT NULL,
	echo		TEXT,			-- JSON: what the provider wants back unchanged
	created_at	INTEGER NOT NULL
) STRICT;
INSERT INTO "steps" VALUES(1,1,1,8,0,NULL,1795352413936);
INSERT INTO "steps" VALUES(2,5,1,8,0,NULL,1795352414086);
INSERT INTO "steps" VALUES(3,5,2,208,0,NULL,1795352414945);
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
INSERT INTO "turns" VALUES(1,'turn_08n9yqsgw17gbpc8w801rt4s14',1,1,'done','main','test-model','msg_3ja7p2dr5tramb1hp3mmv2wj7x',0,0,1,13,1795352413771,1795352413998,'stop',6,3,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "turns" VALUES(2,'turn_tnm6kr4h7ezgzqe2drktvygezh',1,2,'error','main','test-model','msg_s3ttzr1hptsg388hcbknffncjq',0,0,14,15,1795352414006,1795352414017,NULL,NULL,NULL,NULL,NULL,'provider_error','no',NULL,NULL);
INSERT INTO "turns" VALUES(3,'turn_k71d5sr5sjs88mzq2vkhdvjsfa',1,3,'aborted','main','test-model','msg_2y7gareccs4g8w5eq9q93fshjs',0,0,16,20,1795352414024,1795352414036,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "turns" VALUES(4,'turn_51d56va7espjej82rj86wkqrtv',1,0,'aborted','main','test-model','msg_0achvs270z7mxbsxk4ttw3cx8g',0,0,0,NULL,1795352414029,1795352414030,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "turns" VALUES(5,'turn_qnr376zqe2ahvbs11pp54tkxh8',2,2,'waiting','main','test-model','msg_w1e805fa9fsym5e2qp9n58js5x',0,0,1,NULL,1795352414044,NULL,NULL,6,42,NULL,NULL,NULL,NULL,NULL,NULL);
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
