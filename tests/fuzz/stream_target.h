/*
 * stream_target.h - what the fuzz targets of provider streams share: any body of a 200 gives an
 * answer, whole characters, one outcome, and the same one however it is split.
 *
 * The first byte of the input chooses the size of the pieces.
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "chatd/provider/reply.h"
#include "common/json.h"
#include "common/require.h"

static inline void stream_take(struct answer *a, struct buf *out)
{
	enum delta_kind kind;
	struct str s;

	while (answer_next(a, &kind, &s)) {
		REQUIRE(s.n > 0 && json_utf8_prefix(s.p, s.n) == s.n);
		buf_add(out, s.p, s.n);
	}
}

/* It goes into events: whole characters. */
static inline void stream_is_text(const char *s)
{
	json_t *v = s ? json_string(s) : NULL;

	REQUIRE(!s || v);
	json_decref(v);
}

static inline void stream_note_result(struct answer *a, struct buf *out)
{
	struct provider_result r;

	answer_result(a, &r);
	REQUIRE(r.fault == FAULT_NONE || r.error.http_status == 200);
	stream_is_text(r.error.type);
	stream_is_text(r.error.code);
	stream_is_text(r.error.message);
	stream_is_text(r.error.request_id);
	stream_is_text(r.stop_reason);
	stream_is_text(r.refusal);
	buf_addf(out, "|%d %zu %s %s", (int)r.fault, r.n_calls, r.stop_reason ? r.stop_reason : "-",
		 r.refusal ? r.refusal : "-");
	for (size_t i = 0; i < r.n_calls; i++) {
		REQUIRE(r.calls[i].id && r.calls[i].name && (!r.fault || r.calls[i].cut));
		buf_add(out, r.calls[i].arguments.p, r.calls[i].arguments.n);
	}
	if (r.echo)
		json_add_value(out, r.echo);
}

static inline void stream_replay(enum dialect dialect, const char *p, size_t n, size_t piece,
				 struct buf *out)
{
	struct reply reply;

	reply_init(&reply, dialect);
	while (n > 0 && !reply.answer.over) {
		size_t len = piece < n ? piece : n;
		char *copy = str_dup((struct str){p, len});
		const char *at = copy;

		p += len;
		n -= len;
		while (len > 0 && !reply.answer.over) {
			(void)reply_feed(&reply, &at, &len);
			stream_take(&reply.answer, out);
		}
		free(copy);
	}
	reply_end(&reply);
	stream_take(&reply.answer, out);
	stream_note_result(&reply.answer, out);
	reply_fini(&reply);
}

static inline void stream_target(enum dialect dialect, const uint8_t *data, size_t size)
{
	struct buf auto_buf whole = BUF_INIT;
	struct buf auto_buf split = BUF_INIT;
	const char *p;

	if (size < 1)
		return;
	p = (const char *)data + 1;
	stream_replay(dialect, p, size - 1, size, &whole);
	stream_replay(dialect, p, size - 1, 1 + data[0] % 64, &split);
	REQUIRE(whole.len == split.len && memcmp(whole.data, split.data, whole.len) == 0);
}
