/*
 * verify.c - `chatctl verify`: is the log what it says it is? The whole of it, once.
 *
 *	the file		integrity_check, foreign keys, events of nobody
 *	its schema		verify_schema.c: tables, indexes, views
 *	where events lie	verify_index.c: the index, what it may lack
 *	each session		verify_session.c: seqs, generations, its row
 *	each turn		verify_turn.c: the fold of its events against answer, calls, prompts
 *
 * Everything is read in one read transaction and in the order of indexes; what is held is one turn
 * at a time. Sessions that retention is taking out are passed over. Nothing is repaired: a log that
 * is not what it says is for a person to judge.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "chatd/ctl/ctl.h"
#include "chatd/ctl/verify_index.h"
#include "chatd/ctl/verify_schema.h"
#include "chatd/ctl/verify_session.h"

#define SHOW_EVERY 100000 /* events */

static const struct place nowhere;

/* How far it is, where a person looks. The cursor goes back: a finding is written over it. */
static void show(const struct verify *v, const char *what)
{
	if (v->watched)
		(void)fprintf(stderr,
			      "%s: %" PRIu64 " of %" PRIu64 " sessions, %" PRIu64 " events\r", what,
			      v->sessions, v->all_sessions, v->events);
}

static void begin(struct verify *v)
{
	/* KiB: sessions that went on side by side share pages, and each is read once. Or slower */
	(void)sqlite3_exec(v->log.db, "PRAGMA cache_size = -65536", NULL, NULL, NULL);
	if (v->watched)
		v->all_sessions = (uint64_t)log_reader_int(
			&v->log, 0, "SELECT count(*) FROM sessions WHERE removed_at IS NULL", "");
}

static void check_file(struct verify *v)
{
	auto_stmt sqlite3_stmt *integrity = log_reader_query(&v->log, "PRAGMA integrity_check", "");
	auto_stmt sqlite3_stmt *keys = NULL;

	while (log_reader_step(&v->log, integrity)) {
		const char *said = log_reader_text(integrity, 0);

		if (strcmp(said, "ok") != 0)
			finding(&v->findings, nowhere, "integrity: %s", said);
	}
	keys = log_reader_query(&v->log, "PRAGMA foreign_key_check", "");
	while (log_reader_step(&v->log, keys))
		finding(&v->findings, nowhere, "foreign key: row %lld of %s has no %s",
			(long long)sqlite3_column_int64(keys, 1), log_reader_text(keys, 0),
			log_reader_text(keys, 2));
}

/* Events have no foreign keys: the insert itself checks. */
static void check_owners(struct verify *v)
{
	auto_stmt sqlite3_stmt *st = log_reader_query(
		&v->log,
		"SELECT e.session, e.seq, e.session IN (SELECT row FROM sessions) FROM events e "
		"LEFT JOIN turns t ON t.row = e.turn AND t.session = e.session "
		"WHERE e.session NOT IN (SELECT row FROM sessions) "
		"OR (e.turn IS NOT NULL AND t.row IS NULL)",
		"");

	while (log_reader_step(&v->log, st))
		finding(&v->findings, (struct place){NULL, NULL, sqlite3_column_int64(st, 1)},
			sqlite3_column_int(st, 2) ? "an event of session row %lld names a turn "
						    "that the session does not have"
						  : "an event of session row %lld, which is not "
						    "there",
			(long long)sqlite3_column_int64(st, 0));
}

static void check_sessions(struct verify *v)
{
	uint64_t shown = 0;
	auto_stmt sqlite3_stmt *st =
		log_reader_query(&v->log,
				 "SELECT row, id, state, generation, last_seq FROM sessions "
				 "WHERE removed_at IS NULL ORDER BY row",
				 "");

	while (log_reader_step(&v->log, st)) {
		struct verify_session s = {
			.row = sqlite3_column_int64(st, 0),
			.id = log_reader_text(st, 1),
			.state = log_reader_text(st, 2),
			.generation = sqlite3_column_int64(st, 3),
			.last_seq = sqlite3_column_int64(st, 4),
		};

		if (v->events >= shown + SHOW_EVERY) {
			shown = v->events;
			show(v, "the sessions");
		}
		v->sessions++;
		verify_session(v, &s);
	}
}

static void summary(const struct verify *v)
{
	if (v->findings.json)
		(void)printf("{\"sessions\":%" PRIu64 ",\"turns\":%" PRIu64 ",\"events\":%" PRIu64
			     ",\"findings\":%" PRIu64 "}\n",
			     v->sessions, v->turns, v->events, v->findings.count);
	else if (v->findings.count == 0)
		(void)printf("clean: %" PRIu64 " sessions, %" PRIu64 " turns, %" PRIu64 " events\n",
			     v->sessions, v->turns, v->events);
}

int verify_main(struct ctl *c, int argc, char **argv)
{
	static const struct option options[] = {CTL_OPTIONS};
	struct verify v = {0};
	const char *path;

	if (ctl_getopt(c, argc, argv, options) != -1 || argc - optind > 1)
		return ctl_fail("usage: chatctl verify [--json] [DB]");
	if (optind == argc && ctl_locate(c) != 0)
		return CTL_FAILED;
	path = optind < argc ? argv[optind] : c->log_path;
	v.findings.json = c->json;
	v.watched = !c->json && isatty(STDERR_FILENO);
	if (log_reader_open(&v.log, path) == 0) {
		begin(&v);
		show(&v, "the file");
		verify_schema(&v);
		check_file(&v);
		check_owners(&v);
		verify_index(&v);
		check_sessions(&v);
		show(&v, "all");
	}
	if (v.watched)
		(void)fputc('\n', stderr);
	log_reader_close(&v.log);
	if (v.log.failed)
		return ctl_fail("%s: %s", path, v.log.why);
	summary(&v);
	return v.findings.count > 0 ? CTL_NO : CTL_OK;
}
