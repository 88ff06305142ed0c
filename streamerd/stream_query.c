/*
 * stream_query.c - which sessions a stream for several is to show, and from where. See
 * stream_query.h.
 *
 * What names the sessions is strict, for a client that names nonsense has a bug. What says where
 * they begin is not: whatever can't be read as a cursor is one that can't be served, and is
 * answered with a snapshot, as on the stream of one session (DUR-4).
 *
 * Both lists are kept sorted by id, so each is looked up in the other by halving; the order in
 * which sessions were named means nothing.
 */
#include "streamerd/stream_query.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/id.h"
#include "common/limits.h"
#include "common/require.h"
#include "proto/chat_event.h"

/* The part of *rest before the next comma; the rest begins behind it. 0 at the end. */
static int next_part(struct str *rest, struct str *ret)
{
	const char *comma;

	if (!rest->p)
		return 0;
	comma = memchr(rest->p, ',', rest->n);
	ret->p = rest->p;
	ret->n = comma ? (size_t)(comma - rest->p) : rest->n;
	rest->p = comma ? comma + 1 : NULL;
	rest->n -= comma ? ret->n + 1 : ret->n;
	return 1;
}

static int by_id(const void *a, const void *b)
{
	const struct stream_session *x = a, *y = b;
	size_t n = x->id.n < y->id.n ? x->id.n : y->id.n;
	int r = n ? memcmp(x->id.p, y->id.p, n) : 0;

	return r ? r : (x->id.n > y->id.n) - (x->id.n < y->id.n);
}

static void sort(struct stream_query *q)
{
	if (q->n > 1)
		qsort(q->sessions, q->n, sizeof(*q->sessions), by_id);
}

static struct stream_session *add(struct stream_query *q)
{
	struct stream_session *s = &q->sessions[q->n++];

	*s = (struct stream_session){0};
	return s;
}

static const char *read_sessions(struct str list, struct stream_query *q)
{
	struct str part;

	while (next_part(&list, &part)) {
		if (!id_is_plausible(part.p, part.n))
			return "sessions must be ids of sessions with commas between them";
		if (q->n == LIMIT_BUNDLE_SESSIONS)
			return "too many sessions for one stream";
		add(q)->id = part;
	}
	sort(q);
	for (size_t i = 1; i < q->n; i++) {
		if (by_id(&q->sessions[i - 1], &q->sessions[i]) == 0)
			return "a session is named twice";
	}
	return NULL;
}

/* "A@3-41". 0 if it names no session. */
static int read_cursor(struct str part, struct stream_session *ret)
{
	const char *at = part.n ? memchr(part.p, '@', part.n) : NULL;
	struct str cursor;

	if (!at || !id_is_plausible(part.p, (size_t)(at - part.p)))
		return 0;
	*ret = (struct stream_session){.id = {part.p, (size_t)(at - part.p)}};
	cursor = (struct str){at + 1, part.n - ret->id.n - 1};
	ret->has_cursor = chat_event_parse_id(cursor, &ret->generation, &ret->seq) != 0;
	ret->is_malformed = !ret->has_cursor;
	return 1;
}

static void read_cursors(struct str list, struct stream_query *q)
{
	struct stream_session s, *found;
	struct str part;
	size_t named = q->n, read = 0, kept;

	q->is_returning = list.n > 0;
	while (list.n > 0 && read < LIMIT_BUNDLE_SESSIONS && next_part(&list, &part)) {
		/* in a header's list a space may stand behind the comma */
		for (; part.n && *part.p == ' '; part.p++)
			part.n--;
		if (!read_cursor(part, &s))
			continue;
		q->is_returning = false;
		read++;
		if (!q->is_list) {
			*add(q) = s;
			continue;
		}
		found = named ? bsearch(&s, q->sessions, named, sizeof(s), by_id) : NULL;
		if (found)
			*found = s;
	}
	if (q->is_list)
		return;
	sort(q);
	for (size_t i = kept = 0; i < q->n; i++) {
		if (kept == 0 || by_id(&q->sessions[kept - 1], &q->sessions[i]) != 0)
			q->sessions[kept++] = q->sessions[i];
	}
	q->n = kept;
}

/* "2026-11-22T09:30:00.123Z", as it stands in events. */
static int read_time(struct str s, int64_t *ret)
{
	static const char form[] = "0000-00-00T00:00:00.000Z";
	struct tm tm = {0};
	int v[24];

	if (s.n != CLOCK_ISO_LEN)
		return 0;
	for (size_t i = 0; i < s.n; i++) {
		if (form[i] == '0' ? s.p[i] < '0' || s.p[i] > '9' : s.p[i] != form[i])
			return 0;
		v[i] = s.p[i] - '0';
	}
	tm.tm_year = v[0] * 1000 + v[1] * 100 + v[2] * 10 + v[3] - 1900;
	tm.tm_mon = v[5] * 10 + v[6] - 1;
	tm.tm_mday = v[8] * 10 + v[9];
	tm.tm_hour = v[11] * 10 + v[12];
	tm.tm_min = v[14] * 10 + v[15];
	tm.tm_sec = v[17] * 10 + v[18];
	if (tm.tm_year < 70 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 ||
	    tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return 0;
	*ret = (int64_t)timegm(&tm) * 1000 + v[20] * 100 + v[21] * 10 + v[22];
	return *ret > 0;
}

const char *stream_query_parse(struct str sessions, struct str cursors, struct str since,
			       struct str changes, struct stream_query *ret, const char **ret_why)
{
	*ret = (struct stream_query){.is_list = sessions.p != NULL};
	ret->sessions = calloc(LIMIT_BUNDLE_SESSIONS, sizeof(*ret->sessions));
	REQUIRE(ret->sessions);
	if (changes.p && (!sessions.p || !str_eq(changes, "1"))) {
		*ret_why = "changes must be 1, and goes with sessions";
		return "changes";
	}
	ret->has_changes = changes.p != NULL;
	if (sessions.n > 0 || (sessions.p && !ret->has_changes)) {
		*ret_why = read_sessions(sessions, ret);
		if (*ret_why)
			return "sessions";
	}
	if (since.p && !read_time(since, &ret->since)) {
		*ret_why = "since must be a time as in an event's ts";
		return "since";
	}
	read_cursors(cursors, ret);
	return NULL;
}

void stream_query_fini(struct stream_query *q)
{
	free(q->sessions);
	*q = (struct stream_query){0};
}
