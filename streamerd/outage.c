/*
 * outage.c - what the viewers of a feed are told when its worker is away. See outage.h.
 *
 * A stream stays open while its worker is gone, with its heartbeats, for nearly always the worker
 * is back within a second and the viewer misses nothing. But to somebody who watches, a worker that
 * does not come back looks like a model that thinks for very long. So who waits for longer than a
 * restart takes is told, by an `error` notice that is not fatal; and by a `warning` notice with the
 * same code when the feed is live again, so that a page can take the first one away.
 *
 * Notices have no id: no cursor moves, nothing is in the log, and who was not told of the outage
 * (because its socket was full, or half an event was on its way) is not told of its end either.
 * That is why each viewer remembers it and not the feed.
 *
 * While all is well no viewer is looked at, nor any feed: a feed that is to be live and is not is
 * put on the hub's list, and leaves it once it is live and nobody has to be told any more.
 *
 * Nothing here decides anything: when a feed is live again is feed.c's business.
 */
#include "streamerd/outage.h"

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "streamerd/bundle.h"
#include "streamerd/feed.h"
#include "streamerd/stats.h"
#include "streamerd/viewer.h"

static const char away[] =
	"{\"fatal\":false,\"code\":\"worker_unavailable\",\"message\":\"The worker of this session "
	"is not reachable. The turn goes on when it is back.\"}";
static const char back[] =
	"{\"code\":\"worker_unavailable\",\"message\":\"Connected to the worker again.\"}";

/* To each viewer that takes it, of those that were, or were not yet, told of the outage. */
static void tell(struct feed *f, enum chat_event_type type, const char *payload, bool is_away)
{
	struct chat_event e = {.session_id = f->session_id,
			       .generation = tail_last_generation(&f->tail),
			       .ts = clock_wall_ms(),
			       .type = type,
			       .payload = str_of(payload)};
	auto_buf struct buf frame = BUF_INIT;
	struct viewer *v, *next;
	struct member *m, *next_m;

	f->has_told |= is_away;
	for (v = TAILQ_FIRST(&f->viewers); v; v = next) {
		next = TAILQ_NEXT(v, link);
		if (v->knows_outage == is_away || !viewer_takes_notice(v))
			continue;
		if (!frame.len)
			chat_event_add_frame(&frame, &e);
		v->knows_outage = is_away;
		viewer_notice(v, (struct str){frame.data, frame.len});
	}
	for (m = TAILQ_FIRST(&f->members); m; m = next_m) {
		next_m = TAILQ_NEXT(m, of_feed);
		if (m->knows_outage == is_away || !bundle_takes_notice(m->bundle))
			continue;
		if (!frame.len)
			chat_event_add_frame(&frame, &e);
		m->knows_outage = is_away;
		(void)bundle_notice(m->bundle, (struct str){frame.data, frame.len});
	}
}

/* Does somebody know of the outage who could not be told of its end? */
static bool is_known(const struct feed *f)
{
	const struct viewer_list *lists[] = {&f->viewers, &f->blocked};
	const struct viewer *v;
	const struct member *m;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		TAILQ_FOREACH (v, lists[i], link) {
			if (v->knows_outage)
				return true;
		}
	}
	TAILQ_FOREACH (m, &f->members, of_feed) {
		if (m->knows_outage)
			return true;
	}
	return false;
}

static bool is_over(struct feed *f)
{
	f->dark_since = 0;
	if (f->is_dark)
		log_debug("feed.back", "session=%s", f->session_id.p);
	f->is_dark = false;
	if (f->has_told) {
		tell(f, CHAT_EVENT_WARNING, back, false);
		f->has_told = is_known(f);
	}
	return !f->has_told;
}

bool outage_tick(struct feed *f, int64_t now)
{
	static struct log_limit lines;

	if (f->state == FEED_LIVE)
		return !is_over(f);
	if (!feed_is_watched(f) || !f->dark_since)
		f->dark_since = now;
	if (now - f->dark_since < LIMIT_FEED_DARK_MS)
		return true;
	if (!f->is_dark && log_allowed(&lines, 5))
		log_warning("feed.dark", "session=%s worker=%u ms=%lld", f->session_id.p, f->worker,
			    (long long)(now - f->dark_since));
	f->is_dark = true;
	tell(f, CHAT_EVENT_ERROR, away, true);
	return true;
}
