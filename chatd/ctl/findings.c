/*
 * findings.c - what a check found, told as it is found. See findings.h.
 */
#include "chatd/ctl/findings.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/json.h"

static void tell_json(struct place at, struct buf *text)
{
	json_t *o = json_pack("{s:s*, s:s*}", "session", at.session, "turn", at.turn);
	struct buf line = BUF_INIT;

	if (at.seq)
		(void)json_object_set_new(o, "seq", json_integer(at.seq));
	(void)json_object_set_new(o, "finding", json_stringn_nocheck(text->data, text->len));
	json_add_value(&line, o);
	(void)printf("%s\n", buf_str(&line));
	json_decref(o);
	buf_fini(&line);
}

static void tell_plain(struct place at, struct buf *text)
{
	const char *gap = "";

	if (at.session) {
		(void)printf("session=%s", at.session);
		gap = " ";
	}
	if (at.turn) {
		(void)printf("%sturn=%s", gap, at.turn);
		gap = " ";
	}
	if (at.seq) {
		(void)printf("%sseq=%lld", gap, (long long)at.seq);
		gap = " ";
	}
	(void)printf("%s%s\n", *gap ? ": " : "", buf_str(text));
}

/* Text of a damaged file may hold anything: a finding stays one line of printable ASCII. */
static void make_printable(struct buf *b)
{
	for (size_t i = 0; i < b->len; i++) {
		if (b->data[i] < 0x20 || b->data[i] > 0x7e)
			b->data[i] = '?';
	}
}

void finding(struct findings *f, struct place at, const char *fmt, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	make_printable(&text);
	f->count++;
	if (f->json)
		tell_json(at, &text);
	else
		tell_plain(at, &text);
	buf_fini(&text);
}
