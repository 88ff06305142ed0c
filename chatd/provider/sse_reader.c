/*
 * sse_reader.c - server-sent events out of bytes that arrive in any pieces. See sse_reader.h.
 *
 * In: bytes of a response body. Out: events. The WHATWG rules with three additions that real
 * servers need:
 *
 *   - a field named `error` is an event of its own (llama-box and GPUStack write "error: {...}",
 *     which a strict reader drops as an unknown field; the answer then looks cut);
 *   - at the end of the stream an event that lacks its blank line is offered all the same;
 *   - lines and events have a limit.
 *
 * Lines end with LF, CRLF or CR, in any mixture; a CRLF may be split between two reads, so a LF
 * right after a CR is swallowed whenever it comes. `id` and `retry` mean nothing here: a
 * provider's stream can't be resumed. Comments and unknown fields are ignored; that they are a
 * sign of life is the business of whoever counts the bytes (transfer.c).
 *
 * It neither decodes UTF-8 nor looks into the data.
 */
#include "chatd/provider/sse_reader.h"

#include <string.h>

#define BOM_DONE 3

static const unsigned char bom[BOM_DONE] = {0xef, 0xbb, 0xbf};

void sse_reader_init(struct sse_reader *r, size_t max_event)
{
	*r = (struct sse_reader){.max_event = max_event};
}

void sse_reader_fini(struct sse_reader *r)
{
	buf_fini(&r->line);
	buf_fini(&r->name);
	buf_fini(&r->data);
}

static void forget_told(struct sse_reader *r)
{
	if (!r->told)
		return;
	r->told = false;
	r->has_data = false;
	buf_clear(&r->name);
	buf_clear(&r->data);
}

static enum sse_reader_outcome tell(struct sse_reader *r, struct sse_event *ev)
{
	r->told = true;
	*ev = (struct sse_event){
		.name = {r->name.data, r->name.len},
		.data = {r->data.data, r->data.len},
	};
	return SSE_READER_EVENT;
}

static enum sse_reader_outcome add_data(struct sse_reader *r, struct str v)
{
	if (r->data.len + v.n + 1 > r->max_event)
		return SSE_READER_TOO_LONG;
	if (r->has_data)
		buf_addc(&r->data, '\n');
	buf_add(&r->data, v.p, v.n);
	r->has_data = true;
	return SSE_READER_MORE;
}

/* One whole line, without its end. */
static enum sse_reader_outcome on_line(struct sse_reader *r, struct str line, struct sse_event *ev)
{
	const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
	struct str field = {line.p, colon ? (size_t)(colon - line.p) : line.n};
	struct str value = {"", 0};

	if (line.n == 0) {
		if (r->has_data)
			return tell(r, ev);
		buf_clear(&r->name); /* an event without data is none */
		return SSE_READER_MORE;
	}
	if (colon) {
		value = (struct str){colon + 1, line.n - field.n - 1};
		if (value.n > 0 && value.p[0] == ' ') {
			value.p++;
			value.n--;
		}
	}
	if (str_eq(field, "data"))
		return add_data(r, value);
	if (str_eq(field, "event")) {
		buf_clear(&r->name);
		buf_add(&r->name, value.p, value.n);
	} else if (str_eq(field, "error")) {
		*ev = (struct sse_event){.name = str_of("error"), .data = value, .is_error = true};
		return SSE_READER_EVENT;
	}
	return SSE_READER_MORE;
}

/* Drops a byte order mark at the very start, however it is split. */
static void skip_bom(struct sse_reader *r, const char **p, size_t *n)
{
	while (*n > 0 && r->bom < BOM_DONE) {
		if ((unsigned char)**p != bom[r->bom]) {
			/* no mark: what looked like one is the start of the first line */
			buf_add(&r->line, bom, r->bom);
			r->bom = BOM_DONE;
			return;
		}
		r->bom++;
		++*p;
		--*n;
	}
}

/* The length of the text before the first line end, or n. */
static size_t line_length(const char *p, size_t n)
{
	const char *lf = memchr(p, '\n', n);
	size_t len = lf ? (size_t)(lf - p) : n;
	const char *cr = memchr(p, '\r', len);

	return cr ? (size_t)(cr - p) : len;
}

enum sse_reader_outcome sse_reader_feed(struct sse_reader *r, const char **p, size_t *n,
					struct sse_event *ret_event)
{
	forget_told(r);
	skip_bom(r, p, n);
	while (*n > 0) {
		enum sse_reader_outcome out;
		struct str line;
		size_t len;

		if (r->after_cr) {
			r->after_cr = false;
			if (**p == '\n') {
				++*p;
				--*n;
				continue;
			}
		}
		if (r->line.len > 0 && r->line.data[r->line.len - 1] == '\n')
			buf_clear(&r->line); /* the line of the event told last */
		len = line_length(*p, *n);
		if (r->line.len + len > r->max_event)
			return SSE_READER_TOO_LONG;
		if (len == *n) {
			buf_add(&r->line, *p, len);
			*p += len;
			*n = 0;
			break;
		}
		line = (struct str){*p, len};
		if (r->line.len > 0) {
			buf_add(&r->line, *p, len);
			line = (struct str){r->line.data, r->line.len};
			/* marks the line as used up, but leaves its bytes for the event that
			 * borrows them */
			buf_addc(&r->line, '\n');
			line.p = r->line.data;
		}
		r->after_cr = (*p)[len] == '\r';
		*p += len + 1;
		*n -= len + 1;
		out = on_line(r, line, ret_event);
		if (out != SSE_READER_MORE)
			return out;
	}
	return SSE_READER_MORE;
}

enum sse_reader_outcome sse_reader_end(struct sse_reader *r, struct sse_event *ret_event)
{
	enum sse_reader_outcome out = SSE_READER_MORE;

	forget_told(r);
	if (r->line.len > 0 && r->line.data[r->line.len - 1] != '\n') {
		struct str line;

		buf_addc(&r->line, '\n');
		line = (struct str){r->line.data, r->line.len - 1};
		out = on_line(r, line, ret_event);
	}
	if (out == SSE_READER_MORE && r->has_data)
		return tell(r, ret_event);
	return out;
}
