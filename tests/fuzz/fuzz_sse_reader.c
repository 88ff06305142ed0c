/*
 * fuzz_sse_reader.c - the SSE reader tells the same events however the bytes are split, and never
 * holds more than its limit.
 *
 * The first byte of the input chooses the size of the pieces.
 */
#include "chatd/provider/sse_reader.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/require.h"

#define MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note(struct buf *out, const struct sse_event *ev)
{
	buf_add(out, ev->name.p, ev->name.n);
	buf_addc(out, ev->is_error ? '!' : '|');
	buf_add(out, ev->data.p, ev->data.n);
	buf_addc(out, '\0');
	REQUIRE(ev->data.n <= MAX);
}

static void read_all(const char *p, size_t n, size_t piece, struct buf *out)
{
	enum sse_reader_outcome o = SSE_READER_MORE;
	struct sse_event ev;
	struct sse_reader r;

	sse_reader_init(&r, MAX);
	while (n > 0 && o != SSE_READER_TOO_LONG) {
		size_t len = piece < n ? piece : n;
		char *copy = str_dup((struct str){p, len});
		const char *at = copy;

		p += len;
		n -= len;
		while ((o = sse_reader_feed(&r, &at, &len, &ev)) == SSE_READER_EVENT)
			note(out, &ev);
		REQUIRE(r.line.len <= MAX + 1 && r.data.len <= MAX);
		free(copy);
	}
	while (o != SSE_READER_TOO_LONG && (o = sse_reader_end(&r, &ev)) == SSE_READER_EVENT)
		note(out, &ev);
	sse_reader_fini(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf auto_buf whole = BUF_INIT;
	struct buf auto_buf split = BUF_INIT;

	if (size < 2)
		return 0;
	read_all((const char *)data + 1, size - 1, size, &whole);
	read_all((const char *)data + 1, size - 1, 1 + data[0] % 32, &split);
	REQUIRE(whole.len == split.len);
	REQUIRE(whole.len == 0 || memcmp(whole.data, split.data, whole.len) == 0);
	return 0;
}
