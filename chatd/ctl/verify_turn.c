/*
 * verify_turn.c - one turn: its events folded, and what is stored compared with that. See
 * verify_turn.h.
 *
 * The fold is the accumulator's, the one that made the stored answer and makes every snapshot. What
 * has to agree with it: the question, the answer (text, extra, stop reason), the snapshot that the
 * answer would give, each call's row, each prompt's row. Beside it: one terminal event and nothing
 * of the turn behind it, and a turn_resumed that keeps what whole steps left and nothing else.
 */
#include "chatd/ctl/verify_turn.h"

#include <string.h>

#include "chatd/worker/accumulator.h"
#include "common/json.h"

struct fold {
	struct verify *v;
	const struct verify_session *s;
	const struct verify_turn *t;
	struct accumulator acc;
	json_t *question;	   /* of response_start: the message; NULL before it */
	json_t *ends;		   /* tool_invocation_id → how many tool_end */
	json_t *prompts;	   /* prompt id → how many prompt_pending less prompt_resolved */
	int64_t events, last;	   /* how many, and the seq of the last one */
	int64_t generation;	   /* of the last one */
	enum chat_event_type over; /* its terminal event; 0: none yet */
};

#define FINDING(f, seq, ...) \
	finding(&(f)->v->findings, (struct place){(f)->s->id, (f)->t->id, seq}, __VA_ARGS__)

bool verify_turn_has_ended(const struct verify_turn *t)
{
	return strcmp(t->state, "running") != 0 && strcmp(t->state, "waiting") != 0;
}

static long long count_of(const json_t *counts, const char *id)
{
	return json_integer_value(json_object_get(counts, id));
}

static void count(json_t *counts, const char *id, int by)
{
	if (id)
		(void)json_object_set_new(counts, id, json_integer(count_of(counts, id) + by));
}

static bool same_bytes(const struct buf *b, const json_t *text)
{
	return json_is_string(text) && json_string_length(text) == b->len &&
	       (b->len == 0 || memcmp(json_string_value(text), b->data, b->len) == 0);
}

/* --- the events --- */

/* What still stands is the text up to the end of a whole step. */
static void check_resumed(struct fold *f, int64_t seq, const json_t *payload)
{
	const json_t *text = json_object_get(payload, "content");
	size_t n = json_string_length(text);

	if (!json_is_string(text) || n > f->acc.content.len ||
	    (n > 0 && memcmp(json_string_value(text), f->acc.content.data, n) != 0))
		FINDING(f, seq, "turn_resumed keeps a text that was not there");
	else if (n > 0 && log_reader_int(&f->v->log, 0,
					 "SELECT count(*) FROM steps WHERE turn = ?1 AND "
					 "content_end = ?2",
					 "ii", f->t->row, (int64_t)n) == 0)
		FINDING(f, seq, "turn_resumed keeps a part of a step");
}

static bool is_terminal(enum chat_event_type type, const json_t *payload)
{
	return type == CHAT_EVENT_RESPONSE_END || type == CHAT_EVENT_ABORTED ||
	       (type == CHAT_EVENT_ERROR && json_is_true(json_object_get(payload, "fatal")));
}

static void check_order(struct fold *f, int64_t seq, enum chat_event_type type)
{
	if (f->over)
		FINDING(f, seq, "an event behind the turn's end: %s", chat_event_name(type));
	if ((type == CHAT_EVENT_RESPONSE_START) != (f->events == 0))
		FINDING(f, seq,
			f->events ? "it starts a second time" : "it does not begin with its start");
	if (f->events == 0 && seq != f->t->first_seq)
		FINDING(f, seq, "first_seq is %lld", (long long)f->t->first_seq);
}

static void take(struct fold *f, int64_t seq, enum chat_event_type type, const json_t *payload)
{
	check_order(f, seq, type);
	f->events++;
	f->last = seq;
	if (type == CHAT_EVENT_RESPONSE_START && !f->question)
		f->question = json_incref(json_object_get(payload, "message"));
	if (type == CHAT_EVENT_TURN_RESUMED)
		check_resumed(f, seq, payload);
	if (type == CHAT_EVENT_TOOL_END)
		count(f->ends, json_get_str(payload, "tool_invocation_id"), 1);
	if (type == CHAT_EVENT_PROMPT_PENDING)
		count(f->prompts, json_get_str(json_object_get(payload, "prompt"), "id"), 1);
	if (type == CHAT_EVENT_PROMPT_RESOLVED)
		count(f->prompts, json_get_str(payload, "prompt_id"), -1);
	if (is_terminal(type, payload))
		f->over = type;
	accumulator_apply(&f->acc, type, payload);
}

/* An event of another turn between ours: one that is queued or withdrawn. */
static void check_foreign(struct fold *f, int64_t seq, int64_t turn, enum chat_event_type type)
{
	if (turn == 0 || type == CHAT_EVENT_TURN_QUEUED)
		return;
	if (type != CHAT_EVENT_ABORTED ||
	    log_reader_int(&f->v->log, 1, "SELECT generation FROM turns WHERE row = ?1", "i",
			   turn) != 0)
		FINDING(f, seq, "an event of turn row %lld within this turn: %s", (long long)turn,
			chat_event_name(type) ? chat_event_name(type) : "of no known type");
}

static void read_events(struct fold *f)
{
	auto_stmt sqlite3_stmt *st =
		log_reader_query(&f->v->log,
				 "SELECT p.seq, e.generation, e.turn, e.type, e.payload "
				 "FROM " PLACES " p JOIN events e ON e.row = p.event "
				 "WHERE p.session = ?1 AND p.seq BETWEEN ?2 AND ?3 ORDER BY p.seq",
				 "iii", f->s->row, f->t->first_seq, f->t->until);

	while (log_reader_step(&f->v->log, st)) {
		int64_t seq = sqlite3_column_int64(st, 0);
		unsigned type = (unsigned)sqlite3_column_int(st, 3);
		struct str text = log_reader_str(st, 4);
		json_t *payload;

		if (sqlite3_column_int64(st, 2) != f->t->row) {
			check_foreign(f, seq, sqlite3_column_int64(st, 2), type);
			continue;
		}
		f->generation = sqlite3_column_int64(st, 1);
		payload = json_read(text.p, text.n, NULL, 0);
		if (type == CHAT_EVENT_SNAPSHOT || type >= CHAT_EVENT_N || !json_is_object(payload))
			FINDING(f, seq, "it is not an event");
		else
			take(f, seq, type, payload);
		json_decref(payload);
	}
}

/* --- what is stored --- */

static void check_end(struct fold *f)
{
	static const struct {
		const char *state;
		enum chat_event_type type;
	} ends[] = {{"done", CHAT_EVENT_RESPONSE_END},
		    {"aborted", CHAT_EVENT_ABORTED},
		    {"error", CHAT_EVENT_ERROR}};
	enum chat_event_type wanted = CHAT_EVENT_SNAPSHOT;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (strcmp(f->t->state, ends[i].state) == 0)
			wanted = ends[i].type;
	}
	if (f->over != wanted)
		FINDING(f, f->last, "it is %s, its terminal event is %s", f->t->state,
			f->over ? chat_event_name(f->over) : "not there");
	else if (f->over && f->t->last_seq != f->last)
		FINDING(f, f->last, "last_seq is %lld", (long long)f->t->last_seq);
	if (f->generation != f->t->generation)
		FINDING(f, f->last, "its last event has generation %lld, its row %lld",
			(long long)f->generation, (long long)f->t->generation);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The snapshot that the stored answer gives, and the one of the events. */
static void check_snapshot(struct fold *f, const json_t *content, const json_t *extra)
{
	struct buf folded = BUF_INIT, stored = BUF_INIT;
	json_t *answer = json_is_object(extra) ? json_copy((json_t *)extra) : json_object();
	struct accumulator a;

	accumulator_init(&a);
	(void)json_object_set(answer, "content", (json_t *)content);
	accumulator_load(&a, answer, f->t->stop_reason);
	accumulator_add_snapshot(&folded, &f->acc, NULL);
	accumulator_add_snapshot(&stored, &a, NULL);
	if (folded.len != stored.len || memcmp(folded.data, stored.data, folded.len) != 0)
		FINDING(f, 0, "the snapshot of its events is not the one of its answer");
	buf_fini(&folded);
	buf_fini(&stored);
	accumulator_fini(&a);
	json_decref(answer);
}

static void check_answer_row(struct fold *f, sqlite3_stmt *st)
{
	struct str raw = log_reader_str(st, 0), extra_raw = log_reader_str(st, 1);
	auto_json json_t *content = json_read(raw.p, raw.n, NULL, 0);
	auto_json json_t *extra = json_read(extra_raw.p, extra_raw.n, NULL, 0);
	auto_json json_t *wanted = accumulator_extra(&f->acc);
	const char *stop_reason = (const char *)sqlite3_column_text(st, 2);
	const char *status = log_reader_text(st, 3);

	if (!same_bytes(&f->acc.content, content))
		FINDING(f, 0, "the stored answer is not what its events add up to");
	else if (!json_equal(extra, wanted))
		FINDING(f, 0, "the stored tools, reasoning or usage are not those of its events");
	else
		check_snapshot(f, content, extra);
	if (!same_text(stop_reason, f->acc.stop_reason) ||
	    !same_text(stop_reason, f->t->stop_reason))
		FINDING(f, 0, "the stop reasons of events, answer and turn differ");
	if (strcmp(status, strcmp(f->t->state, "done") == 0 ? "complete" : f->t->state) != 0)
		FINDING(f, 0, "it is %s, its answer %s", f->t->state, status);
}

static void check_answer(struct fold *f)
{
	auto_stmt sqlite3_stmt *st =
		log_reader_query(&f->v->log,
				 "SELECT content, extra, stop_reason, status, id FROM messages "
				 "WHERE turn = ?1 AND role = 'assistant'",
				 "i", f->t->row);
	int n = 0;

	while (log_reader_step(&f->v->log, st)) {
		if (n++ > 0 || !f->over)
			FINDING(f, 0, "it has an answer too many");
		else if (strcmp(log_reader_text(st, 4), f->t->message_id) != 0)
			FINDING(f, 0, "its answer has another id");
		else
			check_answer_row(f, st);
	}
	if (n == 0 && verify_turn_has_ended(f->t))
		FINDING(f, 0, "its answer is missing");
}

static void check_question(struct fold *f)
{
	auto_stmt sqlite3_stmt *st = log_reader_query(
		&f->v->log, "SELECT content, id FROM messages WHERE turn = ?1 AND role = 'user'",
		"i", f->t->row);
	const char *id = json_get_str(f->question, "id");
	bool same = false;

	if (log_reader_step(&f->v->log, st)) {
		struct str raw = log_reader_str(st, 0);
		auto_json json_t *content = json_read(raw.p, raw.n, NULL, 0);

		same = json_equal(content, json_object_get(f->question, "content")) && id &&
		       strcmp(id, log_reader_text(st, 1)) == 0;
	}
	if (!same)
		FINDING(f, 0, "the stored question is not that of its start");
}

/* The call as the events tell it. */
static const json_t *tool_of(const struct fold *f, const char *id)
{
	const json_t *tool;
	size_t i;

	json_array_foreach (f->acc.tools, i, tool) {
		const char *have = json_get_str(tool, "id");

		if (have && strcmp(have, id) == 0)
			return tool;
	}
	return NULL;
}

static void check_call(struct fold *f, sqlite3_stmt *st)
{
	const char *id = log_reader_text(st, 0), *status = log_reader_text(st, 1);
	bool settled = sqlite3_column_type(st, 2) != SQLITE_NULL;
	const json_t *tool = tool_of(f, id);
	const char *shown = json_get_str(tool, "status");
	bool is_end = strcmp(status, "done") == 0 || strcmp(status, "failed") == 0 ||
		      strcmp(status, "denied") == 0 || strcmp(status, "incomplete") == 0;

	if (!shown || strcmp(shown, status) != 0)
		FINDING(f, 0, "call %s is %s, its events say %s", id, status,
			shown ? shown : "nothing");
	if (settled != is_end || count_of(f->ends, id) != settled)
		FINDING(f, 0, "call %s is %s with %lld tool_end", id, status,
			count_of(f->ends, id));
	if (!settled && verify_turn_has_ended(f->t))
		FINDING(f, 0, "call %s is %s, and the turn is over", id, status);
	(void)json_object_del(f->ends, id);
}

static void check_calls(struct fold *f)
{
	auto_stmt sqlite3_stmt *st = log_reader_query(
		&f->v->log, "SELECT id, status, ended_at FROM calls WHERE turn = ?1", "i",
		f->t->row);
	const char *id;
	json_t *n;

	while (log_reader_step(&f->v->log, st))
		check_call(f, st);
	json_object_foreach (f->ends, id, n)
		FINDING(f, 0, "call %s ended %lld times and has no row", id,
			(long long)json_integer_value(n));
}

static void check_prompts(struct fold *f)
{
	auto_stmt sqlite3_stmt *st =
		log_reader_query(&f->v->log,
				 "SELECT id, state = 'open', resolved_at IS NULL FROM prompts "
				 "WHERE turn = ?1",
				 "i", f->t->row);
	size_t open = 0;
	const char *id;
	json_t *n;

	while (log_reader_step(&f->v->log, st)) {
		bool is_open = sqlite3_column_int(st, 1);

		id = log_reader_text(st, 0);
		open += is_open;
		if (!json_object_get(f->prompts, id) || count_of(f->prompts, id) != is_open ||
		    is_open != sqlite3_column_int(st, 2))
			FINDING(f, 0, "prompt %s is %s, its events say otherwise", id,
				is_open ? "open" : "settled");
		if (is_open && verify_turn_has_ended(f->t))
			FINDING(f, 0, "prompt %s is open, and the turn is over", id);
		(void)json_object_del(f->prompts, id);
	}
	json_object_foreach (f->prompts, id, n)
		FINDING(f, 0, "prompt %s has no row", id);
	if (!verify_turn_has_ended(f->t) && open != json_array_size(f->acc.prompts))
		FINDING(f, 0, "%zu prompts are open, its events say %zu", open,
			json_array_size(f->acc.prompts));
	if (open == 0 && strcmp(f->t->state, "waiting") == 0)
		FINDING(f, 0, "it waits for nobody");
}

/* Of a folded turn only the answer is left: it must be there, and say what the turn says. */
static void check_folded(struct fold *f)
{
	auto_stmt sqlite3_stmt *st = log_reader_query(
		&f->v->log,
		"SELECT status, id, (SELECT count(*) FROM " PLACES " WHERE session = ?2 AND "
		"seq BETWEEN ?3 AND ?4) FROM messages WHERE turn = ?1 AND role = 'assistant'",
		"iiii", f->t->row, f->s->row, f->t->first_seq, f->t->last_seq);

	if (!verify_turn_has_ended(f->t))
		FINDING(f, 0, "it is %s, and folded", f->t->state);
	else if (!log_reader_step(&f->v->log, st))
		FINDING(f, 0, "its answer is missing");
	else if (strcmp(log_reader_text(st, 1), f->t->message_id) != 0)
		FINDING(f, 0, "its answer has another id");
	else if (strcmp(log_reader_text(st, 0),
			strcmp(f->t->state, "done") == 0 ? "complete" : f->t->state) != 0)
		FINDING(f, 0, "it is %s, its answer %s", f->t->state, log_reader_text(st, 0));
	else if (f->t->folded == 2 && sqlite3_column_int64(st, 2) > 0)
		FINDING(f, 0, "it is folded, and has events");
}

static void check_whole(struct fold *f)
{
	read_events(f);
	if (f->events > 0) {
		check_end(f);
		check_question(f);
		check_answer(f);
		check_calls(f);
		check_prompts(f);
	} else {
		FINDING(f, 0, "it is %s and has no events", f->t->state);
	}
}

void verify_turn(struct verify *v, const struct verify_session *s, const struct verify_turn *t)
{
	struct fold f = {.v = v, .s = s, .t = t};

	accumulator_init(&f.acc);
	f.ends = json_object();
	f.prompts = json_object();
	if (t->folded)
		check_folded(&f);
	else
		check_whole(&f);
	accumulator_fini(&f.acc);
	json_decref(f.question);
	json_decref(f.ends);
	json_decref(f.prompts);
}
