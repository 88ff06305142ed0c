/*
 * chat_event.c - the events of a session, and their form for viewers. See chat_event.h.
 *
 * Framing safety (SEC-5): payloads are compact JSON written by our own encoders, in which CR and
 * LF can only occur escaped; ids are checked against their alphabet where they enter. So one
 * "data:" line is always enough and nothing inside can end it.
 */
#include "proto/chat_event.h"

#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/require.h"

static const char *const names[CHAT_EVENT_N] = {[CHAT_EVENT_SNAPSHOT] = "snapshot",
#define E(num, name, text) [num] = text,
						CHAT_EVENTS(E)
#undef E
};

const char *chat_event_name(unsigned type)
{
	return type < CHAT_EVENT_N ? names[type] : NULL;
}

int chat_event_type_of(const char *name)
{
	for (int i = 0; i < CHAT_EVENT_N; i++) {
		if (strcmp(names[i], name) == 0)
			return i;
	}
	return -1;
}

static int is_notice(const struct chat_event *e)
{
	return e->seq == 0 && e->type != CHAT_EVENT_SNAPSHOT;
}

bool chat_event_is_beginning(enum chat_event_type type)
{
	return type == CHAT_EVENT_RESPONSE_START || type == CHAT_EVENT_TURN_RESUMED ||
	       type == CHAT_EVENT_SESSION_CLEARED;
}

void chat_event_add_json(struct buf *b, const struct chat_event *e)
{
	char iso[CLOCK_ISO_LEN + 1];

	REQUIRE(e->payload.n >= 2 && e->payload.p[0] == '{');
	buf_reserve(b, e->payload.n + 256);
	buf_adds(b, "{\"session_id\":");
	if (e->session_id.n)
		json_add_string(b, e->session_id.p, e->session_id.n);
	else
		buf_adds(b, "null");
	buf_adds(b, ",\"turn_id\":");
	if (e->turn_id.n)
		json_add_string(b, e->turn_id.p, e->turn_id.n);
	else
		buf_adds(b, "null");
	buf_adds(b, ",\"generation\":");
	buf_addu(b, e->generation);
	buf_adds(b, ",\"seq\":");
	if (is_notice(e))
		buf_adds(b, "null");
	else
		buf_addu(b, e->seq);
	clock_iso(e->ts, iso);
	buf_adds(b, ",\"ts\":\"");
	buf_add(b, iso, CLOCK_ISO_LEN);
	buf_addc(b, '"');
	if (e->payload.n > 2)
		buf_addc(b, ',');
	buf_add(b, e->payload.p + 1, e->payload.n - 1);
}

void chat_event_add_frame(struct buf *b, const struct chat_event *e)
{
	const char *name = chat_event_name(e->type);

	REQUIRE(name);
	if (!is_notice(e)) {
		buf_adds(b, "id: ");
		buf_addu(b, e->generation);
		buf_addc(b, '-');
		buf_addu(b, e->seq);
		buf_addc(b, '\n');
	}
	buf_adds(b, "event: ");
	buf_adds(b, name);
	buf_adds(b, "\ndata: ");
	chat_event_add_json(b, e);
	buf_adds(b, "\n\n");
}

static int parse_u64(const char **p, const char *end, uint64_t *ret)
{
	uint64_t v = 0;
	const char *start = *p;

	while (*p < end && **p >= '0' && **p <= '9') {
		uint64_t d = (uint64_t)(**p - '0');

		if (v > (UINT64_MAX - d) / 10)
			return 0;
		v = v * 10 + d;
		(*p)++;
	}
	*ret = v;
	return *p > start && v <= INT64_MAX;
}

int chat_event_parse_id(struct str s, uint64_t *ret_generation, uint64_t *ret_seq)
{
	const char *p = s.p;
	const char *end = s.p + s.n;

	if (!parse_u64(&p, end, ret_generation) || p == end || *p++ != '-')
		return 0;
	return parse_u64(&p, end, ret_seq) && p == end;
}
