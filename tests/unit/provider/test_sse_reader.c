/*
 * test_sse_reader.c - server-sent events out of bytes that arrive in any pieces.
 */
#include "chatd/provider/sse_reader.h"

#include "tests/unit/provider/run_cases.h"

#define MAX 64

/* Writes what was told as "name|data;" for each event; "error!data;" for error lines. */
static enum sse_reader_outcome feed(struct sse_reader *r, const char *p, size_t n, struct buf *out)
{
	struct sse_event ev;

	for (;;) {
		enum sse_reader_outcome o = sse_reader_feed(r, &p, &n, &ev);

		if (o != SSE_READER_EVENT)
			return o;
		buf_add(out, ev.name.p, ev.name.n);
		buf_addc(out, ev.is_error ? '!' : '|');
		buf_add(out, ev.data.p, ev.data.n);
		buf_addc(out, ';');
	}
}

static void end(struct sse_reader *r, struct buf *out)
{
	struct sse_event ev;

	while (sse_reader_end(r, &ev) == SSE_READER_EVENT) {
		buf_adds(out, ev.is_error ? "end!" : "end|");
		buf_add(out, ev.data.p, ev.data.n);
		buf_addc(out, ';');
	}
}

static const struct {
	const char *name, *in, *out;
} cases[] = {
	{"LF", "data: a\n\ndata: b\n\n", "|a;|b;"},
	{"CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", "|a;|b;"},
	{"CR", "data: a\r\rdata: b\r\r", "|a;|b;"},
	{"mixed line ends", "data: a\r\n\ndata: b\n\r\ndata: c\r\n\r\n", "|a;|b;|c;"},
	{"no blank after the colon", "data:a\n\n", "|a;"},
	{"one blank is dropped, not two", "data:  a\n\n", "| a;"},
	{"several lines join", "data: a\ndata: b\ndata\n\n", "|a\nb\n;"},
	{"names", "event: x\ndata: a\n\ndata: b\n\n", "x|a;|b;"},
	{"the last name counts", "event: x\nevent: y\ndata: a\n\n", "y|a;"},
	{"a name without data is nothing", "event: x\n\ndata: a\n\n", "|a;"},
	{"empty data is an event", "data:\n\n", "|;"},
	{"comments", ": hi\n:\n: ping\n\ndata: a\n: mid\n\n", "|a;"},
	{"unknown fields", "id: 1\nretry: 5\nfoo: bar\nbaz\ndata: a\n\n", "|a;"},
	{"a byte order mark",
	 "\xef\xbb\xbf"
	 "data: a\n\n",
	 "|a;"},
	{"half a byte order mark is a field",
	 "\xef\xbb"
	 "data: a\n\ndata: b\n\n",
	 "|b;"},
	{"a mark later on is a field",
	 "data: a\n\n\xef\xbb\xbf"
	 "data: b\n\n",
	 "|a;"},
	{"llama-box", "data: a\n\nerror: {\"x\":1}\n\ndata: b\n\n", "|a;error!{\"x\":1};|b;"},
	{"an error line inside an event", "data: a\nerror: no\n\n", "error!no;|a;"},
	{"the end without a blank line", "data: a\n", "end|a;"},
	{"the end without a line end", "data: a\n\nevent: e\ndata: b", "|a;end|b;"},
	{"an error line without an end", "error: b", "end!b;"},
	{"the end with a lone CR", "data: a\r", "end|a;"},
	{"nothing", "", ""},
	{"blank lines", "\n\r\n\r\r\n", ""},
};

/* PRV-5 */
START_TEST(events_are_the_same_however_the_bytes_are_split)
{
	size_t n = strlen(cases[_i].in);

	/* at each place, and at all places at once */
	for (size_t split = 0; split <= n + 1; split++) {
		struct buf auto_buf out = BUF_INIT;
		struct sse_reader r;

		sse_reader_init(&r, MAX);
		if (split <= n) {
			char *first = str_dup((struct str){cases[_i].in, split});

			ck_assert_int_eq(feed(&r, first, split, &out), SSE_READER_MORE);
			free(first);
			ck_assert_int_eq(feed(&r, cases[_i].in + split, n - split, &out),
					 SSE_READER_MORE);
		} else {
			for (size_t i = 0; i < n; i++)
				ck_assert_int_eq(feed(&r, cases[_i].in + i, 1, &out),
						 SSE_READER_MORE);
		}
		end(&r, &out);
		ck_assert_msg(strcmp(buf_str(&out), cases[_i].out) == 0, "%s, split at %zu: %s",
			      cases[_i].name, split, buf_str(&out));
		sse_reader_fini(&r);
	}
}
END_TEST

/* PRV-5 */
START_TEST(a_line_at_the_limit_is_taken_and_one_past_it_is_not)
{
	for (int past = 0; past < 2; past++) {
		for (size_t piece = 1; piece < 90; piece += 88) {
			struct buf auto_buf in = BUF_INIT;
			struct buf auto_buf out = BUF_INIT;
			struct sse_reader r;
			enum sse_reader_outcome o = SSE_READER_MORE;

			buf_adds(&in, ":");
			while (in.len < MAX + (size_t)past)
				buf_addc(&in, 'x');
			buf_adds(&in, "\ndata: a\n\n");
			sse_reader_init(&r, MAX);
			for (size_t at = 0; at < in.len && o == SSE_READER_MORE; at += piece)
				o = feed(&r, in.data + at,
					 piece < in.len - at ? piece : in.len - at, &out);
			ck_assert_int_eq(o, past ? SSE_READER_TOO_LONG : SSE_READER_MORE);
			ck_assert_str_eq(buf_str(&out), past ? "" : "|a;");
			sse_reader_fini(&r);
		}
	}
}
END_TEST

START_TEST(the_data_of_an_event_has_the_same_limit)
{
	struct buf auto_buf out = BUF_INIT;
	struct sse_reader r;

	sse_reader_init(&r, MAX);
	for (int i = 0; i < MAX / 8; i++)
		ck_assert_int_eq(feed(&r, "data: 1234567\n", 14, &out), SSE_READER_MORE);
	ck_assert_int_eq(feed(&r, "data: 1\n", 8, &out), SSE_READER_TOO_LONG);
	sse_reader_fini(&r);
}
END_TEST

START_TEST(a_caller_may_stop_after_any_event)
{
	const char *p = "data: a\n\ndata: b\n\n";
	size_t n = strlen(p);
	struct sse_event ev;
	struct sse_reader r;

	sse_reader_init(&r, MAX);
	ck_assert_int_eq(sse_reader_feed(&r, &p, &n, &ev), SSE_READER_EVENT);
	ck_assert_uint_eq(n, 9);
	ck_assert_str_eq(p, "data: b\n\n");
	ck_assert_int_eq(sse_reader_feed(&r, &p, &n, &ev), SSE_READER_EVENT);
	ck_assert(str_eq(ev.data, "b"));
	ck_assert_int_eq(sse_reader_feed(&r, &p, &n, &ev), SSE_READER_MORE);
	sse_reader_fini(&r);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("sse_reader");

	tcase_add_loop_test(t, events_are_the_same_however_the_bytes_are_split, 0,
			    sizeof(cases) / sizeof(*cases));
	tcase_add_test(t, a_line_at_the_limit_is_taken_and_one_past_it_is_not);
	tcase_add_test(t, the_data_of_an_event_has_the_same_limit);
	tcase_add_test(t, a_caller_may_stop_after_any_event);
	return run_cases("sse_reader", t, 20);
}
