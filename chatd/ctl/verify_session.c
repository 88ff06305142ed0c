/*
 * verify_session.c - one session of the log against its own rules. See verify_session.h.
 *
 * A hole in the seqs is allowed where turns that have ended were folded into their answers
 * (turns.folded), from the beginning of such a turn on.
 */
#include "chatd/ctl/verify_session.h"

#include <string.h>

#include "chatd/ctl/verify_turn.h"

#define TURN_COLUMNS \
	"row, id, state, message_id, stop_reason, generation, first_seq, last_seq, folded"

static struct place in(const struct verify_session *s, int64_t seq)
{
	return (struct place){s->id, NULL, seq};
}

/* The ranges of folded turns in the order of seqs, one held at a time. */
struct folded {
	sqlite3_stmt *st;
	int64_t first, last; /* last 0: none is left */
};

static void next_folded(struct verify *v, struct folded *f)
{
	bool more = log_reader_step(&v->log, f->st);

	f->first = more ? sqlite3_column_int64(f->st, 0) : 0;
	f->last = more ? sqlite3_column_int64(f->st, 1) : 0;
}

/* A hole may be where turns are folded, or are being folded from their beginning on. */
static void check_hole(struct verify *v, const struct verify_session *s, struct folded *f,
		       int64_t from, int64_t to)
{
	while (from <= to) {
		while (f->last && f->last < from)
			next_folded(v, f);
		if (!f->last || f->first > from) {
			finding(&v->findings, in(s, from), "events %lld to %lld are missing",
				(long long)from, (long long)to);
			return;
		}
		from = f->last + 1;
	}
}

/* Returns the last seq. */
static int64_t check_seqs(struct verify *v, const struct verify_session *s)
{
	auto_stmt sqlite3_stmt *st = log_reader_query(&v->log,
						      "SELECT p.seq, e.generation FROM " PLACES
						      " p JOIN events e ON e.row = p.event "
						      "WHERE p.session = ?1 ORDER BY p.seq",
						      "i", s->row);
	auto_stmt sqlite3_stmt *turns = log_reader_query(
		&v->log,
		"SELECT first_seq, last_seq FROM turns WHERE session = ?1 AND generation > 0 AND "
		"folded > 0 AND ended_at IS NOT NULL ORDER BY generation",
		"i", s->row);
	struct folded folded = {.st = turns};
	int64_t last = 0, generation = 0;

	next_folded(v, &folded);
	while (log_reader_step(&v->log, st)) {
		int64_t seq = sqlite3_column_int64(st, 0);
		int64_t g = sqlite3_column_int64(st, 1);

		v->events++;
		if (seq == last)
			finding(&v->findings, in(s, seq), "two events have this seq");
		else if (seq != last + 1)
			check_hole(v, s, &folded, last + 1, seq - 1);
		if (g < generation)
			finding(&v->findings, in(s, seq), "generation %lld after %lld",
				(long long)g, (long long)generation);
		if (g > s->generation)
			finding(&v->findings, in(s, seq),
				"generation %lld, but the session is at %lld", (long long)g,
				(long long)s->generation);
		last = seq;
		generation = g > generation ? g : generation;
	}
	if (last < s->last_seq) {
		check_hole(v, s, &folded, last + 1, s->last_seq);
		last = s->last_seq;
	}
	return last;
}

/* The session's row against its turns and events. */
static void check_row(struct verify *v, const struct verify_session *s, int64_t last_seq)
{
	int64_t newest = log_reader_int(
		&v->log, 0, "SELECT max(generation) FROM turns WHERE session = ?1", "i", s->row);
	int64_t running = log_reader_int(
		&v->log, 0, "SELECT count(*) FROM turns WHERE session = ?1 AND state = 'running'",
		"i", s->row);
	int64_t waiting = log_reader_int(
		&v->log, 0, "SELECT count(*) FROM turns WHERE session = ?1 AND state = 'waiting'",
		"i", s->row);

	if (newest != s->generation)
		finding(&v->findings, in(s, 0), "it is at generation %lld, its newest turn at %lld",
			(long long)s->generation, (long long)newest);
	if (strcmp(s->state, "idle") == 0 && s->last_seq != last_seq)
		finding(&v->findings, in(s, 0), "last_seq is %lld, its last event %lld",
			(long long)s->last_seq, (long long)last_seq);
	if (running != (strcmp(s->state, "processing") == 0) ||
	    waiting != (strcmp(s->state, "waiting") == 0))
		finding(&v->findings, in(s, 0),
			"it is %s with %lld turns that run and %lld that "
			"wait",
			s->state, (long long)running, (long long)waiting);
}

static void check_turns(struct verify *v, const struct verify_session *s, int64_t last_seq)
{
	auto_stmt sqlite3_stmt *st = log_reader_query(
		&v->log,
		"SELECT " TURN_COLUMNS ", lead(first_seq) OVER (ORDER BY generation) - 1 "
		"FROM turns WHERE session = ?1 AND generation > 0 ORDER BY generation",
		"i", s->row);
	int64_t expected = 1;

	while (log_reader_step(&v->log, st)) {
		struct verify_turn t = {
			.row = sqlite3_column_int64(st, 0),
			.id = log_reader_text(st, 1),
			.state = log_reader_text(st, 2),
			.message_id = log_reader_text(st, 3),
			.stop_reason = (const char *)sqlite3_column_text(st, 4),
			.generation = sqlite3_column_int64(st, 5),
			.first_seq = sqlite3_column_int64(st, 6),
			.last_seq = sqlite3_column_int64(st, 7),
			.folded = sqlite3_column_int(st, 8),
			.until = sqlite3_column_type(st, 9) == SQLITE_NULL
					 ? last_seq
					 : sqlite3_column_int64(st, 9),
		};

		v->turns++;
		if (t.first_seq < expected)
			finding(&v->findings, (struct place){s->id, t.id, t.first_seq},
				"it begins within the turn before it");
		verify_turn(v, s, &t);
		expected = (t.last_seq ? t.last_seq : t.until) + 1;
	}
}

void verify_session(struct verify *v, const struct verify_session *s)
{
	int64_t last_seq = check_seqs(v, s);

	check_row(v, s, last_seq);
	check_turns(v, s, last_seq);
}
