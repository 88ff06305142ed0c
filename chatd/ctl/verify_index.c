/*
 * verify_index.c - where the events of a session lie. See verify_index.h.
 *
 *	each event	has the entry of its session and seq; or none, and is behind the last entry
 *			of a session that is in event_lag, from its `since` on
 *	each entry	leads to an event of its session and seq
 *	event_lag	has only sessions that something may be written to
 *
 * The events without an entry are kept in a temporary table of this connection, which SQLite holds
 * in memory while they are few. So each is looked for once, however many sessions lag.
 */
#include "chatd/ctl/verify_index.h"

static const struct place nowhere;

static void change(struct verify *v, const char *sql)
{
	auto_stmt sqlite3_stmt *st = log_reader_query(&v->log, sql, "");

	(void)log_reader_step(&v->log, st);
}

/* A session that is idle was indexed to its end by the write that made it so. One that was removed
 * stays until it is taken out. */
static void check_lag(struct verify *v)
{
	auto_stmt sqlite3_stmt *st = log_reader_query(
		&v->log,
		"SELECT l.session, s.row IS NULL FROM event_lag l "
		"LEFT JOIN sessions s ON s.row = l.session "
		"WHERE s.row IS NULL OR (s.state = 'idle' AND s.removed_at IS NULL)",
		"");

	while (log_reader_step(&v->log, st))
		finding(&v->findings, nowhere,
			sqlite3_column_int(st, 1)
				? "event_lag has session row %lld, which is not there"
				: "event_lag has session row %lld, which is idle",
			(long long)sqlite3_column_int64(st, 0));
}

/* Entries that lead to no event of theirs. */
static void check_entries(struct verify *v)
{
	auto_stmt sqlite3_stmt *st = log_reader_query(
		&v->log,
		"SELECT p.session, p.seq, p.event, e.row IS NULL FROM event_index p "
		"LEFT JOIN events e ON e.row = p.event "
		"WHERE e.row IS NULL OR e.session <> p.session OR e.seq <> p.seq",
		"");

	while (log_reader_step(&v->log, st))
		finding(&v->findings, (struct place){NULL, NULL, sqlite3_column_int64(st, 1)},
			sqlite3_column_int(st, 3)
				? "the index of session row %lld names event row %lld, which is "
				  "not there"
				: "the index of session row %lld names event row %lld, which is "
				  "another event",
			(long long)sqlite3_column_int64(st, 0),
			(long long)sqlite3_column_int64(st, 2));
}

/* Events whose entry is not there, or another event's. Those that event_lag leads to are kept; the
 * others nobody is shown. Returns how many are kept. */
static int64_t check_events(struct verify *v)
{
	auto_stmt sqlite3_stmt *keep = log_reader_query(
		&v->log, "INSERT INTO unindexed (session, seq, event) VALUES (?1, ?2, ?3)", "");
	auto_stmt sqlite3_stmt *st = log_reader_query(
		&v->log,
		"SELECT e.session, e.seq, e.row, i.event IS NOT NULL, i.event IS NULL AND "
		"e.row >= (SELECT max(l.since, coalesce((SELECT x.event + 1 FROM event_index x "
		"WHERE x.session = l.session ORDER BY x.seq DESC LIMIT 1), 0)) "
		"FROM event_lag l WHERE l.session = e.session) FROM events e "
		"LEFT JOIN event_index i ON i.session = e.session AND i.seq = e.seq "
		"WHERE i.event IS NOT e.row",
		"");
	int64_t kept = 0;

	while (log_reader_step(&v->log, st)) {
		if (!sqlite3_column_int(st, 4)) {
			finding(&v->findings,
				(struct place){NULL, NULL, sqlite3_column_int64(st, 1)},
				sqlite3_column_int(st, 3)
					? "event row %lld of session row %lld has a seq that the "
					  "index knows of another event"
					: "event row %lld of session row %lld is not in the index",
				(long long)sqlite3_column_int64(st, 2),
				(long long)sqlite3_column_int64(st, 0));
			continue;
		}
		for (int i = 0; i < 3; i++)
			(void)sqlite3_bind_int64(keep, i + 1, sqlite3_column_int64(st, i));
		(void)log_reader_step(&v->log, keep);
		(void)sqlite3_reset(keep); /* its error was told by step */
		kept++;
	}
	return kept;
}

/* If each event has its place, and there are no more entries than events that need one, no entry
 * can lead elsewhere: else they are gone through too, by session. */
void verify_index(struct verify *v)
{
	uint64_t before = v->findings.count;
	int64_t kept;

	change(v, "CREATE TEMP TABLE unindexed (session INTEGER, seq INTEGER, event INTEGER, "
		  "PRIMARY KEY (session, seq, event)) WITHOUT ROWID");
	change(v, "CREATE TEMP VIEW " PLACES " AS SELECT session, seq, event FROM "
		  "main.event_index UNION ALL SELECT session, seq, event FROM temp.unindexed");
	kept = check_events(v);
	if (v->findings.count > before ||
	    log_reader_int(&v->log, 0,
			   "SELECT (SELECT count(*) FROM event_index) + ?1 <> "
			   "(SELECT count(*) FROM events)",
			   "i", kept) != 0)
		check_entries(v);
	check_lag(v);
}
