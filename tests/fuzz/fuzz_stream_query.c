/*
 * fuzz_stream_query.c - what a client says of the sessions that one stream is to show.
 *
 * The input is three lines: sessions, cursors, since; an empty first or third one is absent.
 * Whatever is taken names plausible ids, each once, in order, no more than a stream may show.
 */
#include <string.h>

#include "common/id.h"
#include "common/limits.h"
#include "common/require.h"
#include "streamerd/stream_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str line(struct str *rest)
{
	const char *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
	struct str s = {rest->p, end ? (size_t)(end - rest->p) : rest->n};

	rest->p = end ? end + 1 : rest->p + rest->n;
	rest->n -= end ? s.n + 1 : s.n;
	return s;
}

static int compare(struct str a, struct str b)
{
	int r = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return r ? r : (a.n > b.n) - (a.n < b.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct str none = {NULL, 0};
	struct str rest = {(const char *)data, size};
	struct str sessions = line(&rest), cursors = line(&rest), since = line(&rest),
		   changes = line(&rest);
	struct stream_query q;
	const char *why = NULL;
	const char *field =
		stream_query_parse(sessions.n ? sessions : none, cursors, since.n ? since : none,
				   changes.n ? changes : none, &q, &why);

	if (field) {
		REQUIRE(why && *why);
		stream_query_fini(&q);
		return 0;
	}
	REQUIRE(q.n <= LIMIT_BUNDLE_SESSIONS && q.since >= 0 && q.is_list == (sessions.n > 0));
	REQUIRE(!q.is_list || q.n > 0 || q.has_changes);
	REQUIRE(!q.has_changes || q.is_list);
	for (size_t i = 0; i < q.n; i++) {
		const struct stream_session *s = &q.sessions[i];

		REQUIRE(id_is_plausible(s->id.p, s->id.n) && !(s->has_cursor && s->is_malformed));
		REQUIRE(i == 0 || compare(q.sessions[i - 1].id, s->id) < 0);
	}
	stream_query_fini(&q);
	return 0;
}
