/*
 * fuzz_anthropic_stream.c - any body of a 200 gives an answer: whole characters, one outcome, and
 * the same one however it is split.
 *
 * The first byte of the input chooses the size of the pieces.
 */
#include "chatd/provider/reply.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(struct answer *a, struct buf *out)
{
	enum delta_kind kind;
	struct str s;

	while (answer_next(a, &kind, &s)) {
		REQUIRE(s.n > 0 && json_utf8_prefix(s.p, s.n) == s.n);
		buf_add(out, s.p, s.n);
	}
}

static void note_result(struct answer *a, struct buf *out)
{
	struct provider_result r;

	answer_result(a, &r);
	REQUIRE(r.fault == FAULT_NONE || r.error.http_status == 200);
	buf_addf(out, "|%d %zu %s %s", (int)r.fault, r.n_calls, r.stop_reason ? r.stop_reason : "-",
		 r.refusal ? r.refusal : "-");
	for (size_t i = 0; i < r.n_calls; i++) {
		REQUIRE(r.calls[i].id && r.calls[i].name && (!r.fault || r.calls[i].cut));
		buf_add(out, r.calls[i].arguments.p, r.calls[i].arguments.n);
	}
	if (r.echo)
		json_add_value(out, r.echo);
}

static void replay(const char *p, size_t n, size_t piece, struct buf *out)
{
	struct reply reply;

	reply_init(&reply, DIALECT_ANTHROPIC);
	while (n > 0 && !reply.answer.over) {
		size_t len = piece < n ? piece : n;
		char *copy = str_dup((struct str){p, len});
		const char *at = copy;

		p += len;
		n -= len;
		while (len > 0 && !reply.answer.over) {
			(void)reply_feed(&reply, &at, &len);
			take(&reply.answer, out);
		}
		free(copy);
	}
	reply_end(&reply);
	take(&reply.answer, out);
	note_result(&reply.answer, out);
	reply_fini(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf auto_buf whole = BUF_INIT;
	struct buf auto_buf split = BUF_INIT;

	if (size < 1)
		return 0;
	replay((const char *)data + 1, size - 1, size, &whole);
	replay((const char *)data + 1, size - 1, 1 + data[0] % 64, &split);
	REQUIRE(whole.len == split.len && memcmp(whole.data, split.data, whole.len) == 0);
	return 0;
}
