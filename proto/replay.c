/*
 * replay.c - the records inside a replayed message. See replay.h.
 */
#include "proto/replay.h"

#include "common/limits.h"
#include "common/require.h"

#define HEAD 30

static void put(unsigned char *p, uint64_t v, int bytes)
{
	while (bytes-- > 0) {
		p[bytes] = (unsigned char)v;
		v >>= 8;
	}
}

static uint64_t get(const unsigned char *p, int bytes)
{
	uint64_t v = 0;

	for (int i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	return v;
}

void replay_add(struct buf *b, const struct chat_event *e)
{
	unsigned char h[HEAD];

	REQUIRE(e->turn_id.n <= LIMIT_ID && e->payload.n <= LIMIT_FRAME);
	put(h, e->generation, 8);
	put(h + 8, e->seq, 8);
	put(h + 16, (uint64_t)e->ts, 8);
	put(h + 24, e->type, 1);
	put(h + 25, e->turn_id.n, 1);
	put(h + 26, e->payload.n, 4);
	buf_add(b, h, HEAD);
	buf_add(b, e->turn_id.p, e->turn_id.n);
	buf_add(b, e->payload.p, e->payload.n);
}

size_t replay_size(const struct chat_event *e)
{
	return HEAD + e->turn_id.n + e->payload.n;
}

int replay_next(struct str page, size_t *pos, struct chat_event *ret_e)
{
	const unsigned char *h = (const unsigned char *)page.p + *pos;
	size_t left = page.n - *pos;
	size_t turn, payload;

	if (left == 0)
		return 0;
	if (left < HEAD)
		return -1;
	turn = (size_t)get(h + 25, 1);
	payload = (size_t)get(h + 26, 4);
	if (turn > left - HEAD || payload > left - HEAD - turn || payload < 2 ||
	    get(h + 24, 1) == 0 || !chat_event_name((unsigned)get(h + 24, 1)))
		return -1;
	if (h[HEAD + turn] != '{')
		return -1;
	ret_e->generation = get(h, 8);
	ret_e->seq = get(h + 8, 8);
	ret_e->ts = (int64_t)get(h + 16, 8);
	ret_e->type = (enum chat_event_type)get(h + 24, 1);
	ret_e->turn_id = (struct str){page.p + *pos + HEAD, turn};
	ret_e->payload = (struct str){page.p + *pos + HEAD + turn, payload};
	*pos += HEAD + turn + payload;
	return 1;
}
