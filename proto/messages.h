/*
 * messages.h - THE table of what goes over the bus between streamerd and a chatd worker.
 *
 * On the wire a message is a 4-byte big-endian length and a msgpack array [number, field, ...].
 * From this one list come the numbers, structs, encoders, strict decoders, names and the check of
 * who may send what. Numbers are never reused; retired rows stay.
 *
 * Fields: U unsigned integer, I signed integer, S text (str), B bytes (bin). S and B members are
 * `struct str`, borrowed: from the caller on encoding, from the frame on decoding. An absent
 * optional text is empty.
 *
 * Conversation
 *   hello         first message of both sides. A version that does not fit is answered with our
 *                 own hello, then the channel is closed. streamerd learns which worker of how many
 *                 it has reached.
 *   requests      S→W, carry `req`, a number of the sender's. Exactly one of reply, snapshot or
 *                 replayed comes back with that number. `owner` is who asks: what belongs to
 *                 another owner does not exist (session_not_found).
 *   reply         fault 0: body is the JSON document of the HTTP answer (may be empty).
 *                 Otherwise body is empty or a JSON object {"message":…, more members}.
 *   subscribe     from its reply on, each event of the session that is committed is sent, in order,
 *                 with the subscriber's number `sub`. The reply's body is
 *                 {"generation":g,"seq":s}: the last committed event; the next one sent is s+1.
 *   event         seq 0 is a notice: not stored, without an id, for the viewers that are there now
 *                 (that the log can't be written is the one thing that can't be stored).
 *   get_snapshot  answered by snapshot: state as of `seq`, the last committed event then. Sent in
 *                 order with events: on a subscribed channel every event up to seq came before it.
 *   replay        asks for the events after (generation, seq), up to the page limits. Answered by
 *                 replayed: events as a bin of concatenated records (see replay.h), or fault
 *                 bad_field with a `reason` why that cursor can't be served: too_old, unknown,
 *                 ahead, other_history.
 *   watch_owner   the reply's body is {"active":[id,...],"changed":[id,...]}: of the owner's
 *                 sessions that this worker has, those that run or wait, and those that changed at
 *                 `since` (Unix ms; 0: none are asked for) or later. From the reply on each event
 *                 with which a session of that owner begins or ends to be (a turn starts or is
 *                 resumed, it is deleted) is also sent as `activity`, with the watcher's number
 *                 `sub`; and, with {} for payload, each that changes how it stands in a list: a
 *                 turn ends or is queued, a prompt is resolved, and as prompt_pending, once its row
 *                 says so, that it waits. Asked again with the same number it only answers.
 *   activity      the committed event; behind the `event` of it, if there is one.
 */
#pragma once

#include <stdint.h>

#include "common/buf.h"

#define PROTO_VERSION 2 /* 2: watch_owner, traceparent */

enum msg_sender { FROM_STREAMERD = 1, FROM_WORKER = 2, FROM_BOTH = 3 };

#define HELLO_F(U, I, S, B) U(version) S(role) U(worker) U(workers)
#define REPLY_F(U, I, S, B) U(req) U(fault) B(body)
#define SEND_MESSAGE_F(U, I, S, B) \
	U(req)                     \
	S(owner)                   \
	S(session_id)              \
	B(content)                 \
	S(provider)                \
	S(model) B(system) S(on_busy) B(metadata) S(idempotency_key) B(fingerprint) S(traceparent)
#define LIST_SESSIONS_F(U, I, S, B)  U(req) S(owner) U(limit) S(cursor)
#define GET_SESSION_F(U, I, S, B)    U(req) S(owner) S(session_id)
#define LIST_MESSAGES_F(U, I, S, B)  U(req) S(owner) S(session_id) U(limit) S(before)
#define ABORT_F(U, I, S, B)	     U(req) S(owner) S(session_id) S(turn_id)
#define DELETE_SESSION_F(U, I, S, B) U(req) S(owner) S(session_id)
#define RESOLVE_PROMPT_F(U, I, S, B) U(req) S(owner) S(session_id) S(prompt_id) B(answer)
#define STATUS_F(U, I, S, B)	     U(req)
#define SUBSCRIBE_F(U, I, S, B)	     U(req) S(owner) S(session_id) U(sub)
#define UNSUBSCRIBE_F(U, I, S, B)    U(sub)
#define GET_SNAPSHOT_F(U, I, S, B)   U(req) S(owner) S(session_id)
#define SNAPSHOT_F(U, I, S, B)	     U(req) U(generation) U(seq) I(ts) S(turn_id) B(payload)
#define REPLAY_F(U, I, S, B)	     U(req) S(owner) S(session_id) U(generation) U(seq)
#define REPLAYED_F(U, I, S, B)	     U(req) U(fault) S(reason) U(count) B(events)
#define EVENT_F(U, I, S, B)	     U(sub) U(generation) U(seq) I(ts) U(type) S(turn_id) B(payload)
#define WATCH_OWNER_F(U, I, S, B)    U(req) S(owner) U(sub) I(since)
#define UNWATCH_OWNER_F(U, I, S, B)  U(sub)
#define ACTIVITY_F(U, I, S, B) \
	U(sub) S(session_id) U(generation) U(seq) I(ts) U(type) S(turn_id) B(payload)

/* number, NAME, name, who may send it */
#define PROTO_MESSAGES(M)                                     \
	M(1, HELLO, hello, FROM_BOTH)                         \
	M(2, REPLY, reply, FROM_WORKER)                       \
	M(3, EVENT, event, FROM_WORKER)                       \
	M(4, SNAPSHOT, snapshot, FROM_WORKER)                 \
	M(5, REPLAYED, replayed, FROM_WORKER)                 \
	M(6, ACTIVITY, activity, FROM_WORKER)                 \
	M(10, SEND_MESSAGE, send_message, FROM_STREAMERD)     \
	M(11, LIST_SESSIONS, list_sessions, FROM_STREAMERD)   \
	M(12, GET_SESSION, get_session, FROM_STREAMERD)       \
	M(13, LIST_MESSAGES, list_messages, FROM_STREAMERD)   \
	M(14, ABORT, abort, FROM_STREAMERD)                   \
	M(15, DELETE_SESSION, delete_session, FROM_STREAMERD) \
	M(16, RESOLVE_PROMPT, resolve_prompt, FROM_STREAMERD) \
	M(17, STATUS, status, FROM_STREAMERD)                 \
	M(20, SUBSCRIBE, subscribe, FROM_STREAMERD)           \
	M(21, UNSUBSCRIBE, unsubscribe, FROM_STREAMERD)       \
	M(22, GET_SNAPSHOT, get_snapshot, FROM_STREAMERD)     \
	M(23, REPLAY, replay, FROM_STREAMERD)                 \
	M(24, WATCH_OWNER, watch_owner, FROM_STREAMERD)       \
	M(25, UNWATCH_OWNER, unwatch_owner, FROM_STREAMERD)

enum msg_type {
#define M(num, NAME, name, sender) MSG_##NAME = num,
	PROTO_MESSAGES(M)
#undef M
};

#define MSG_U(f) uint64_t f;
#define MSG_I(f) int64_t f;
#define MSG_S(f) struct str f;
#define M(num, NAME, name, sender)                   \
	struct msg_##name {                          \
		NAME##_F(MSG_U, MSG_I, MSG_S, MSG_S) \
	};
PROTO_MESSAGES(M)
#undef M
#undef MSG_U
#undef MSG_I
#undef MSG_S

struct msg {
	enum msg_type type;
	union {
#define M(num, NAME, name, sender) struct msg_##name name;
		PROTO_MESSAGES(M)
#undef M
	};
};

enum msg_outcome {
	MSG_OK = 0,
	MSG_MALFORMED = 1,    /* not msgpack, wrong arity or type, bytes left over */
	MSG_UNKNOWN = 2,      /* a number that is not in the table */
	MSG_WRONG_SENDER = 3, /* not for this side to say */
	MSG_OUT_OF_MEMORY = 4,
};

/* Appends one frame (length and all) to b. 0; or -1 if it would exceed LIMIT_FRAME: b is as it was.
 */
int msg_encode(struct buf *b, const struct msg *m);

/*
 * Decodes the n bytes behind a length. `sender` is who wrote them. *ret_msg borrows from p and is
 * only valid as long as those bytes. Returns an msg_outcome.
 */
int msg_decode(const char *p, size_t n, enum msg_sender sender, struct msg *ret_msg);

const char *msg_name(unsigned type); /* "event"; "?" if unknown */
const char *msg_outcome_text(int outcome);
