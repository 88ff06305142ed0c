/*
 * fuzz_proto.c - the bus decoders: msg_decode() as either sender, replay_next() over a whole page.
 *
 * What decodes must encode to something that decodes again to the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "common/require.h"
#include "proto/messages.h"
#include "proto/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_as(const char *p, size_t n, enum msg_sender sender)
{
	auto_buf struct buf once = BUF_INIT;
	auto_buf struct buf twice = BUF_INIT;
	struct msg m;

	if (msg_decode(p, n, sender, &m) != MSG_OK)
		return;
	(void)msg_encode(&once, &m);
	REQUIRE(msg_decode(once.data + 4, once.len - 4, sender, &m) == MSG_OK);
	(void)msg_encode(&twice, &m);
	REQUIRE(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
}

static void walk(const char *p, size_t n)
{
	struct chat_event e;
	auto_buf struct buf again = BUF_INIT;
	size_t pos = 0;
	int r;

	while ((r = replay_next((struct str){p, n}, &pos, &e)) > 0) {
		REQUIRE(pos <= n && e.payload.n >= 2);
		if (e.turn_id.n > 64)
			return;
		replay_add(&again, &e);
	}
	REQUIRE(again.len == pos && (pos == 0 || memcmp(again.data, p, pos) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t generation, seq;

	decode_as((const char *)data, size, FROM_WORKER);
	decode_as((const char *)data, size, FROM_STREAMERD);
	walk((const char *)data, size);
	(void)chat_event_parse_id((struct str){(const char *)data, size}, &generation, &seq);
	return 0;
}
