/*
 * sse.c - the bytes of an event stream that are not events. See sse.h.
 *
 * The stream has no Content-Length and no chunks: it ends with the connection. So a frame is the
 * same bytes for every viewer, whatever else is written with it, and blocks can be shared.
 *
 * Nothing here parses JSON. What must be known about a payload stands in a fixed place that the
 * worker writes: a snapshot begins with its state, a fatal error with "fatal":true.
 */
#include "streamerd/sse.h"

#include <string.h>
#include <time.h>

#include "common/limits.h"
#include "common/require.h"

static const char *const reasons[] = {"", "too_old", "unknown", "ahead", "other_history"};

enum sse_reason sse_reason_of(struct str text)
{
	for (unsigned i = SSE_TOO_OLD; i <= SSE_OTHER_HISTORY; i++) {
		if (str_eq(text, reasons[i]))
			return (enum sse_reason)i;
	}
	return SSE_UNKNOWN;
}

void sse_add_head(struct buf *b, const char *extra)
{
	char date[40];
	time_t now = time(NULL);
	struct tm tm;

	REQUIRE(gmtime_r(&now, &tm));
	REQUIRE(strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0);
	buf_addf(b,
		 "HTTP/1.1 200 OK\r\n"
		 "Date: %s\r\n"
		 "Content-Type: text/event-stream\r\n"
		 "Cache-Control: no-cache, no-transform\r\n"
		 "X-Accel-Buffering: no\r\n"
		 "X-Content-Type-Options: nosniff\r\n"
		 "Connection: close\r\n"
		 "%s"
		 "\r\n"
		 "retry: %d\n\n",
		 date, extra, LIMIT_RETRY_MS);
}

struct block *sse_snapshot(struct str session_id, const struct msg_snapshot *s)
{
	struct block *b = block_new(s->generation, s->seq);
	struct chat_event e = {.session_id = session_id,
			       .turn_id = s->turn_id,
			       .generation = s->generation,
			       .seq = s->seq,
			       .ts = s->ts,
			       .type = CHAT_EVENT_SNAPSHOT,
			       .payload = s->payload};
	auto_buf struct buf frame = BUF_INIT;

	chat_event_add_frame(&frame, &e);
	block_add_raw(b, (struct str){frame.data, frame.len});
	return b;
}

struct block *sse_snapshot_because(const struct block *snapshot, enum sse_reason reason)
{
	struct block *b = block_new(snapshot->before_generation, snapshot->before_seq);
	size_t n = snapshot->len - strlen("}\n\n");
	auto_buf struct buf end = BUF_INIT;

	REQUIRE(snapshot->n == 0 && memcmp(snapshot->data + n, "}\n\n", 3) == 0);
	/* the common members stand before it, so a comma is always right */
	buf_addf(&end, ",\"reason\":\"%s\"}\n\n", reasons[reason]);
	block_add_raw(b, (struct str){snapshot->data, n});
	block_add_raw(b, (struct str){end.data, end.len});
	return b;
}

static int starts_with(struct str s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

int sse_snapshot_is_idle(struct str payload)
{
	return starts_with(payload, "{\"state\":\"idle\"");
}

int sse_is_terminal(unsigned type, struct str payload)
{
	return type == CHAT_EVENT_RESPONSE_END || type == CHAT_EVENT_ABORTED ||
	       (type == CHAT_EVENT_ERROR && starts_with(payload, "{\"fatal\":true"));
}
