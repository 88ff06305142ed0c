/*
 * index_sql.h - what must hold of where events are said to lie, for every log at any moment.
 */
#pragma once

/*
 * How much is wrong: events that event_places does not show exactly once, places without that
 * event, seqs that a session has twice.
 */
#define INDEX_FAULTS                                                                            \
	"SELECT (SELECT count(*) FROM events e LEFT JOIN (SELECT event, count(*) AS n, "        \
	"min(session) AS session, min(seq) AS seq FROM event_places GROUP BY event) p "         \
	"ON p.event = e.row WHERE p.n IS NOT 1 OR p.session <> e.session OR p.seq <> e.seq) + " \
	"(SELECT count(*) FROM event_places p LEFT JOIN events e ON e.row = p.event "           \
	"WHERE e.row IS NULL) + "                                                               \
	"(SELECT count(*) FROM (SELECT 1 FROM event_places GROUP BY session, seq "              \
	"HAVING count(*) > 1))"
/*
 * How many sessions may have events without an entry: none after an end in order. One that was
 * removed in the transaction of its last events stays in event_lag until it is taken out: who does
 * that needs to find them.
 */
#define INDEX_LAG                                              \
	"SELECT count(*) FROM event_lag WHERE session NOT IN " \
	"(SELECT row FROM sessions WHERE removed_at IS NOT NULL)"
