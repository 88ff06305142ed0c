/*
 * limits.h - every ceiling of the system, in one place, each with its reason.
 *
 * Sizes are bytes and times milliseconds unless the name says otherwise.
 */
#pragma once

/* clang-format off */

/* --- HTTP in (streamerd) --- */
#define LIMIT_HTTP_HEAD		(16 * 1024)	/* request line and headers; browsers send under 4 KiB */
#define LIMIT_HTTP_HEADERS	100		/* header lines in one request */
#define LIMIT_HTTP_URI		8192		/* request target */
#define LIMIT_HTTP_BODY		(1024 * 1024)	/* default of [http] max_body: a long paste, a small image */
#define LIMIT_HTTP_HEAD_MS	10000		/* absolute time for a whole head: ends slow senders */
#define LIMIT_HTTP_BODY_MS	30000		/* absolute time for a whole body */
#define LIMIT_HTTP_IDLE_MS	60000		/* keep-alive connection without a request */
#define LIMIT_HTTP_WRITE_MS	30000		/* a reply of which this step did not go meanwhile ... */
#define LIMIT_HTTP_WRITE_STEP	(64 * 1024)	/* ... 2 KiB/s: slower than any line that shows a chat */
#define LIMIT_HTTP_UNSENT	(128 * 1024 * 1024) /* replies waiting for their readers, all of them */
#define LIMIT_HTTP_CONNECTIONS	18000		/* default of [http] max_connections; below RLIMIT_NOFILE */
#define LIMIT_HTTP_ADDRESS	1000		/* default of [http] max_connections_per_address: an office
						 * behind one address fits; 18 of them fill a server */
#define LIMIT_HTTP_PIPELINED	(64 * 1024)	/* bytes kept that arrived behind the current request */
#define LIMIT_HTTP_METHOD	24		/* bytes of a method's name; the longest in use has 17 */
#define LIMIT_HTTP_READ		(64 * 1024)	/* one read(2) of one connection, then it is another's turn */
#define LIMIT_HTTP_BURST	16		/* pipelined requests of one connection in one pass */
#define LIMIT_HTTP_ACCEPTS	64		/* connections accepted in one pass */
#define LIMIT_HTTP_ACCEPT_PAUSE_MS	100	/* no accept(2) after it failed for want of descriptors */
#define LIMIT_HTTP_FULL_MS	100		/* at max_connections: who ended in another process is noticed so late */
#define LIMIT_HTTP_YIELD_MS	5		/* a process that has more than its share leaves a connection to others */
#define LIMIT_HTTP_UNASKED	4		/* ... and then takes this many if nobody did: 800 a second */
#define LIMIT_HTTP_FRESH_MS	250		/* a connection made just before we go down has this to send its request */
#define LIMIT_HTTP_LINGER_MS	2000		/* a closing connection waits for the peer to read our answer */
#define LIMIT_HTTP_LINGER	(64 * 1024 * 1024) /* ... and throws away up to this many bytes meanwhile: who sends
						 * a body far over the limit, and reads only behind it, hears 413 */

/* --- serving processes (streamerd) --- */
#define LIMIT_PROCESSES		32	/* of one streamerd: more than a machine with as many cores can feed */
#define LIMIT_PROCESS_STOP_MS	8000	/* from SIGTERM to SIGKILL: answers in flight get 5 s */
#define LIMIT_SERVE_WAIT_MS	500	/* a process that can't reach the workers begins without them after this */
#define LIMIT_LISTENERS		16	/* sockets that it listens on */
#define LIMIT_LISTEN_MS		2000	/* an address in use is tried again for so long: a predecessor may be ending */
#define LIMIT_QUOTA_NAMES	(256 * 1024)	/* places for addresses and owners in each one's area, a word each, of which
						 * what is used takes memory: with 18,000 connections from as many
						 * addresses and owners, and 65,000 tickets, three are taken of ten */
#define LIMIT_SHARED_TICKETS	(512 * 1024) /* bytes that they share for single-use tickets: a word each */

/* --- who may (streamerd) --- */
#define LIMIT_OWNER		128		/* bytes of an owner's name; subjects of identity providers fit */
#define LIMIT_TOKEN		8192		/* a bearer token: of a JWT with many claims; half a head */
#define LIMIT_JWT_KEYS		16		/* keys of an issuer: each may have to be tried, 0.1 ms for one */
#define LIMIT_JWT_LEEWAY_MS	30000		/* default of [auth] jwt_leeway: clocks that are kept by NTP */
#define LIMIT_JWT_LEEWAY_MAX_MS	300000		/* ... and its most: a token is not to live on for long */
#define LIMIT_TICKET_MS		30000		/* a ticket is used at once, or lost in somebody's log */
#define LIMIT_TICKETS		65000		/* that can be good at once; the oldest is dropped for a new one */
#define LIMIT_TICKETS_OWNER	1000		/* given to one owner in LIMIT_TICKET_MS, so that one can't
						 * displace everybody's */

/* --- SSE out (streamerd) --- */
#define LIMIT_HEARTBEAT_MS	15000		/* comment line; shorter than any proxy's idle time-out */
#define LIMIT_RETRY_MS		1000		/* the "retry:" that viewers are told */
#define LIMIT_TAIL_BLOCK	(16 * 1024)	/* unit in which a session's tail is kept */
#define LIMIT_TAIL_BLOCKS	16		/* so 256 KiB: a viewer further behind reads the log, by pages */
#define LIMIT_VIEWER_STALL_MS	60000		/* a viewer with data waiting whose socket takes none */
#define LIMIT_VIEWER_SOCKET	(64 * 1024)	/* asked of the kernel for what a viewer has not read yet (it takes twice
						 * that): enough for 300 kB/s to a train at 300 ms; left alone it
						 * takes megabytes for one that reads nothing, and minutes to fill */
#define LIMIT_CROWD_US		1000		/* a pass over a feed's viewers that takes longer is followed by a pause
						 * as long: from some 250 viewers on, at 4 us a write. Less than that
						 * takes little of a core even at the rate of a fast model */
#define LIMIT_CROWD_PAUSE_US	50000		/* ... but no longer than this, which nobody sees */
#define LIMIT_FEED_LINGER_MS	5000		/* a feed without viewers is kept this long for a reload */
#define LIMIT_FEED_REST_MS	1000		/* a feed whose worker failed it asks again after this */
#define LIMIT_FEED_DARK_MS	3000		/* a worker away for longer is told to viewers: no restart takes it */
#define LIMIT_REPLAY_EVENTS	256		/* events in one replay page */
#define LIMIT_REPLAY_BYTES	(256 * 1024)	/* bytes of one replay page, whichever is reached first */
#define LIMIT_REPLAY_PAGES	4		/* fetched pages that a feed keeps for others to share */
#define LIMIT_REPLAY_MEMORY	(64 * 1024 * 1024) /* all replay pages of one streamerd; viewers wait beyond it */
#define LIMIT_VIEWERS_OWNER	20000		/* default of [http] max_viewers_per_owner */
#define LIMIT_BUNDLE_SESSIONS	512		/* followed by one stream for several; more cursors fit into no head */
#define LIMIT_BUNDLE_SLICE	(16 * 1024)	/* of one session before it is the next one's turn on such a stream */
#define LIMIT_BUNDLE_SNAPSHOTS	16		/* that such a stream waits for or sends at once, of one worker's sessions */
#define LIMIT_SINCE_OVERLAP_MS	10000		/* what changed so long before `since` counts too: clocks and commits differ */
#define LIMIT_SINCE_RETURN_MS	60000		/* `since` of a stream that returns without saying it: EventSource is back sooner */

/* --- the bus --- */
#define LIMIT_FRAME	(32 * 1024 * 1024) /* one message: a snapshot of the longest turn fits, escaped */
#define LIMIT_BUS_QUEUE		(64 * 1024 * 1024) /* unsent bytes to one streamerd: beyond it is cut off */
#define LIMIT_BUS_HIGH		(4 * 1024 * 1024) /* unsent answers above which no request is taken ... */
#define LIMIT_BUS_LOW		(1024 * 1024) /* ... until so few are left: still several writes ahead */
#define LIMIT_BUS_BURST		128	/* requests taken from one streamerd in a pass: each may wait for the
					 * commit, and all of those are answered at once behind it */
#define LIMIT_WORKER_WAIT_MS	2000	/* a request whose worker is away waits so long for its successor: a
					 * restart takes a tenth of it. Then 503 */
#define LIMIT_CALL_MS		10000		/* a streamerd request that no worker answers: 503 */
#define LIMIT_BUS_RETRY_MIN_MS	50		/* streamerd tries a lost worker again after this ... */
#define LIMIT_BUS_RETRY_MAX_MS	2000		/* ... doubling to this: a restart is noticed soon */
#define LIMIT_BUS_REPEAT_MS	60000		/* why a worker can't be reached is logged again after this */
#define LIMIT_HELLO_MS		5000		/* a peer that does not say hello */
#define LIMIT_CALLS		10000		/* open calls to one worker */

/* --- turns (chatd worker) --- */
#define LIMIT_MESSAGE		(1024 * 1024)	/* content of one user message, as JSON */
#define LIMIT_ID		64		/* longest id that is looked at */
#define LIMIT_KEY		255		/* Idempotency-Key, provider and model names */
#define LIMIT_TURNS		2000		/* default of [workers] max_turns: running turns of one worker */
#define LIMIT_TURNS_OWNER	1000		/* default of max_turns_per_owner: half a worker is left to others */
#define LIMIT_ANSWER		(4 * 1024 * 1024) /* what one turn says, calls and is answered by tools (these as JSON) */
#define LIMIT_RESULT_ALWAYS	1024	/* bytes of a tool's result that are kept beyond it too: our own words about a call */
#define LIMIT_CHUNK		(32 * 1024)	/* text of one response_chunk event */
#define LIMIT_SNAPSHOT_MESSAGES	50		/* recent messages in a snapshot */
#define LIMIT_SNAPSHOT_BYTES	(2 * 1024 * 1024) /* of recent messages in a snapshot; older ones are paged */
#define LIMIT_PAGE_BYTES	(8 * 1024 * 1024) /* of messages in one page of a list */
#define LIMIT_CALL_ID		127		/* longest tool_invocation_id kept; providers send under 64 */
#define LIMIT_PROGRESS_MS	100	/* at most one tool_progress of a call in this time */
#define LIMIT_STALL_MS	     1000   /* a log that can't be written for this long is told to viewers */
#define LIMIT_QUEUE	     20	    /* turns that wait behind a running one, per session */
#define LIMIT_KEY_KEEP_MS    86400000L /* a POST with the same Idempotency-Key within a day is the same */
#define LIMIT_ROUNDS		50		/* steps of one turn: a model that only calls tools is stopped */
#define LIMIT_TITLE		80		/* bytes of the first message that become the title */
#define LIMIT_CRASHES		3		/* worker deaths without progress that end a turn */
#define LIMIT_PAGE		200		/* largest "limit" of a list call */
#define LIMIT_METRIC_MODELS	64	/* models with labels of their own in a worker's metrics: clients may name any */
#define LIMIT_HISTORY		200		/* messages sent to a provider, newest kept */

/* --- providers --- */
#define LIMIT_SSE_LINE		(8 * 1024 * 1024) /* one line of a provider's stream (images in deltas) */
#define LIMIT_STREAM		(64 * 1024 * 1024) /* bytes of one provider answer */
#define LIMIT_ERROR_BODY	(64 * 1024)	/* of an error body, the rest is not read */
#define LIMIT_CONNECT_MS	10000		/* default of connect_timeout */
#define LIMIT_FIRST_BYTE_MS	300000		/* default of first_byte_timeout: prompt processing takes minutes */
#define LIMIT_CONNECT_GRACE_MS	1000		/* after connect_timeout: libcurl, whose matter it is, was silent */
#define LIMIT_WATCH_RETRY_MS	50		/* a socket for which epoll had no room is tried again */
#define LIMIT_IDLE_MS		120000		/* default of idle_timeout between bytes */
#define LIMIT_RETRIES		2		/* default of max_retries, after the first try */
#define LIMIT_RETRY_AFTER_MS	60000		/* a longer Retry-After ends the turn instead of waiting */
#define LIMIT_JSON_DEPTH	128	/* nesting of a tool's arguments: payloads that hold them can be read again; and of its schema */
#define LIMIT_TOOL_CALLS	64		/* tool calls in one step */
#define LIMIT_BLOCKS		1024		/* content blocks of one Anthropic answer; real ones have dozens */
#define LIMIT_ERROR_TEXT	2048		/* of each text in a provider's error: shown and stored */
#define LIMIT_HTTP_ANSWER_HEAD	(64 * 1024)	/* header lines of a provider's answer; beyond it they are ignored */
#define LIMIT_IDLE_CONNECTIONS	32L		/* kept open to providers for the next request, in one worker */
#define LIMIT_RETRY_MIN_MS	500		/* first wait before a provider is asked again, doubled ... */
#define LIMIT_RETRY_MAX_MS	8000		/* ... up to this, as the providers' own libraries do */

/* --- the log --- */
#define LIMIT_WAL_PAGES		1000		/* checkpoint when the WAL has grown by this (4 MiB): 2-3 ms of a commit */
#define LIMIT_WAL_BUSY_PAGES	3000		/* ... and this much more (12 MiB) while commits are large: a page is written once for many of them */
#define LIMIT_WAL_GROUP		32		/* writes that make a commit a large one */
#define LIMIT_INDEX_GROUP	8	/* events of a commit that indexes them at once: reads then find each by its number */
#define LIMIT_INDEX_LAG		16	/* events of a session that are indexed together: a page is written once for them */
#define LIMIT_INDEX_LAG_MS	1000	/* ... or so long after the first of them: what comes in that time is looked through */
#define LIMIT_RECOVER_BATCH	32	/* turns that are taken up before the log is indexed again */
#define LIMIT_GATE_MS		1000	/* wait for another worker's commit or checkpoint: then the log is stalled */
#define LIMIT_BUSY_MS		50		/* wait for an operator's lock before trying again later */
#define LIMIT_LOG_RETRY_MS	200		/* between tries while the log can't be written */
#define LIMIT_VACUUM_AT_START	(32 * 1024 * 1024) /* a file of version 1 is rewritten at start up to this: half a second */
#define LIMIT_BACKUP_PAGES	512		/* pages (2 MiB) copied between two reports of a backup */

/* --- retention: also LIMIT_KEY_KEEP_MS --- */
#define LIMIT_KEEP_DELTAS_MS	86400000L	/* default of keep_deltas: whoever reconnects within a day gets each event */
#define LIMIT_KEEP_SESSIONS_MS	0L		/* default of keep_sessions: for ever; people's conversations are theirs */
#define LIMIT_MAX_SIZE		(16LL << 30)	/* default of max_size, in bytes: a million folded answers of 16 KiB */
#define LIMIT_RETENTION_MS	60000		/* between two rounds of it */
#define LIMIT_RETENTION_FIRST_MS	5000	/* the first round after a start: what it left is taken up first */
#define LIMIT_RETENTION_SLICE_US	2000	/* work of one transaction of it while turns run ... */
#define LIMIT_RETENTION_IDLE_US	10000	/* ... and while none does */
#define LIMIT_RETENTION_REST	9	/* it rests for so many times what a slice took, so it has a tenth of the time ... */
#define LIMIT_RETENTION_BUSY_REST	49	/* ... and a fiftieth while turns run */
#define LIMIT_RETENTION_BEHIND_MS	3600000L /* turns this long over their time: it works as if none ran */
#define LIMIT_RETENTION_ROWS	16	/* rows taken out between two looks at the clock: a few ms where each is on a page that has to be read */
#define LIMIT_RETENTION_PAGES	16	/* pages given back between two looks at the clock */
#define LIMIT_RETENTION_SPARE	1024	/* free pages (4 MiB) that a file keeps, or a tenth of it: they are used again */
#define LIMIT_RETENTION_YOUNG_MS	3600000L	/* beyond max_size nothing younger than this goes */
#define LIMIT_REMOVED_KEEP_MS	300000L	/* a removed session's row stays so long: each worker sees it, and tells viewers */
#define LIMIT_REMOVED_LOOK_MS	10000	/* how often a worker looks for removed sessions among those it holds */

/* --- supervisor --- */
#define LIMIT_WORKERS		64
#define LIMIT_RESPAWN_MIN_MS	50
#define LIMIT_RESPAWN_MAX_MS	10000
#define LIMIT_RESPAWN_HEALTHY_MS	10000	/* ready for this long: the back-off starts anew */
#define LIMIT_WORKER_ABORT_MS	2000		/* a hung worker has this long to dump core before SIGKILL */
#define LIMIT_WORKER_STOP_MS	5000		/* beyond drain_timeout, for a worker to end after SIGTERM */
#define LIMIT_CONF_LINE		4096		/* one line of a config file */
#define LIMIT_TAKEOVER_MS	5000		/* a worker waits so long for one of its number that is leaving */
#define LIMIT_HEARTBEAT_WORKER_MS	2000	/* between two heart-beats of a worker */
#define LIMIT_WORKER_HANG_MS	20000		/* no heart-beat from a worker: it is killed and replaced */
#define LIMIT_WORKER_START_MS	600000		/* as that, until it is ready: it may have to migrate a large log */

/* --- tools (chatd/tool) --- */
#define LIMIT_TOOL_SERVERS     16	 /* [tools NAME] sections: each is a process of every worker */
#define LIMIT_TOOLS	       256	 /* tools offered to a model; more cost it more than they help */
#define LIMIT_TOOL_PAGES       64	 /* pages of one tools/list */
#define LIMIT_TOOL_NAME	       128	 /* bytes of a tool's own name */
#define LIMIT_TOOL_SCHEMA      (64 * 1024) /* of one tool's description and schema, as JSON each */
#define LIMIT_TOOL_LINE	       (16 * 1024 * 1024) /* one message of a server: an 8 MiB result, escaped */
#define LIMIT_TOOL_QUEUE       (32 * 1024 * 1024) /* bytes that a server does not read: it is restarted */
#define LIMIT_TOOL_NONSENSE    1000 /* lines in a row that are no message: the server is restarted */
#define LIMIT_TOOL_CALLS_OPEN  64   /* calls in flight to one server; more wait in order */
#define LIMIT_TOOL_RESULT      (64 * 1024) /* text of a result: what a model's context can bear */
#define LIMIT_TOOL_WHY	       200	   /* bytes of the reason why a server is down; shown to users */
#define LIMIT_TOOL_PROGRESS    512	   /* bytes of a progress message */
#define LIMIT_TOOL_PROGRESS_MS 100	   /* between two progress reports of a call that are passed on */
#define LIMIT_TOOL_ROUNDS      4 /* times that a server may ask for input within one call */
#define LIMIT_TOOL_START_MS    15000	/* from exec to the list of tools; npx may have to load first */
#define LIMIT_TOOL_CALL_MS     120000	/* default of [tools] timeout: silence during a call */
#define LIMIT_TOOL_CALL_MAX_MS 3600000	/* a call, however much progress it reports */
#define LIMIT_TOOL_PROBE_MS    10000	/* after a call timed out: a sign of life, or a restart */
#define LIMIT_TOOL_RELIST_MS   250	/* list_changed is acted on at most so often */
#define LIMIT_TOOL_EOF_MS      800	/* a server has this long to end once its stdin is closed ... */
#define LIMIT_TOOL_TERM_MS     800	/* ... and this long after SIGTERM, before SIGKILL */
#define LIMIT_TOOL_DEAF_MS 200 /* a server that closed its stdout has this long to end by itself */
#define LIMIT_TOOL_RETRY_MIN_MS 250	/* first wait before a server is started again, doubled ... */
#define LIMIT_TOOL_RETRY_MAX_MS 60000	/* ... up to this */
#define LIMIT_TOOL_HEALTHY_MS  30000	/* ready for this long: the back-off starts anew */
#define LIMIT_TOOL_FILES       4096	/* descriptors of one server, if it asks for them ... */
#define LIMIT_TOOL_FILES_SOFT  1024	/* ... and if it does not: what programs expect */
#define LIMIT_BOX_ENTRIES      4096	/* of a folder above a hidden file; the rest is out of a tool's reach, and told */
#define LIMIT_TOOL_STEPS       1000000	/* comparisons of one check of arguments against a schema */
#define LIMIT_QUESTIONS	       16	/* questions of one ask_user */
#define LIMIT_QUESTION_OPTIONS 32	/* options of one question */
#define LIMIT_QUESTION_TEXT    4000	/* characters of a question, a label, a description */
#define LIMIT_ANSWER_TEXT      (32 * 1024) /* bytes of a free answer to a question */
