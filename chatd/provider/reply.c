/*
 * reply.c - the body of a 200, from bytes to an answer. See reply.h.
 *
 * A 200 promises a stream, but what comes may be a JSON error (older llama.cpp, gateways), a whole
 * JSON answer (servers that overlook "stream": true) or a proxy's HTML page; the content type is
 * no help. The first byte that is no white space tells: '{' or '[' start a document and '<' a
 * page, for neither starts a line of an event stream.
 */
#include "chatd/provider/reply.h"

#include <string.h>

#include "chatd/provider/chunk_json.h"
#include "common/json.h"
#include "common/limits.h"

void reply_init(struct reply *r, enum dialect dialect)
{
	memset(r, 0, sizeof(*r));
	r->dialect = dialect;
	answer_init(&r->answer);
	sse_reader_init(&r->reader, LIMIT_SSE_LINE);
	switch (dialect) {
	case DIALECT_OPENAI:
		openai_stream_init(&r->stream.openai, &r->answer);
		break;
	case DIALECT_ANTHROPIC:
		anthropic_stream_init(&r->stream.anthropic, &r->answer);
		break;
	}
}

void reply_fini(struct reply *r)
{
	switch (r->dialect) {
	case DIALECT_OPENAI:
		openai_stream_fini(&r->stream.openai);
		break;
	case DIALECT_ANTHROPIC:
		anthropic_stream_fini(&r->stream.anthropic);
		break;
	}
	answer_fini(&r->answer);
	sse_reader_fini(&r->reader);
	buf_fini(&r->document);
}

static void fail(struct reply *r, const char *why)
{
	problem_ours(&r->answer.problem, FAULT_PROVIDER_PROTOCOL, 200, "%s", why);
	r->answer.over = true;
}

static void look(struct reply *r, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = p[i];

		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			continue;
		r->form = c == '{' || c == '[' ? REPLY_DOCUMENT
			  : c == '<'	       ? REPLY_HTML
					       : REPLY_STREAM;
		return;
	}
}

static void on_event(struct reply *r, const struct sse_event *ev)
{
	switch (r->dialect) {
	case DIALECT_OPENAI:
		openai_stream_event(&r->stream.openai, ev);
		break;
	case DIALECT_ANTHROPIC:
		anthropic_stream_event(&r->stream.anthropic, ev);
		break;
	}
}

static bool feed_stream(struct reply *r, const char **p, size_t *n)
{
	struct sse_event ev;

	switch (sse_reader_feed(&r->reader, p, n, &ev)) {
	case SSE_READER_MORE:
		return false;
	case SSE_READER_EVENT:
		on_event(r, &ev);
		return true;
	case SSE_READER_TOO_LONG:
		break;
	}
	fail(r, "a line of the answer is too long");
	*p += *n;
	*n = 0;
	return true;
}

bool reply_feed(struct reply *r, const char **p, size_t *n)
{
	if (r->form == REPLY_UNKNOWN)
		look(r, *p, *n);
	if (r->form == REPLY_STREAM || r->form == REPLY_UNKNOWN)
		return feed_stream(r, p, n); /* white space means nothing to the reader */
	if (r->form == REPLY_DOCUMENT && r->document.len + *n <= LIMIT_SSE_LINE)
		buf_add(&r->document, *p, *n);
	else if (r->form == REPLY_DOCUMENT)
		fail(r, "the answer is one JSON document and too long");
	else
		fail(r, "the provider sent HTML where its answer should be");
	*p += *n;
	*n = 0;
	return r->answer.over;
}

static void end_document(struct reply *r)
{
	json_t *auto_json o = chunk_json_read(r->document.data, r->document.len);

	if (!o) {
		fail(r, "the provider's answer is neither a stream nor valid JSON");
		return;
	}
	switch (r->dialect) {
	case DIALECT_OPENAI:
		openai_stream_document(&r->stream.openai, o);
		break;
	case DIALECT_ANTHROPIC:
		anthropic_stream_document(&r->stream.anthropic, o);
		break;
	}
}

/* An event without its blank line counts if it is whole; half of one is a stream that was cut. */
static void end_stream(struct reply *r)
{
	struct sse_event ev;

	while (!r->answer.over && sse_reader_end(&r->reader, &ev) == SSE_READER_EVENT) {
		if (str_eq(ev.data, "[DONE]") || chunk_json_is_whole(ev.data.p, ev.data.n))
			on_event(r, &ev);
	}
}

void reply_end(struct reply *r)
{
	if (r->form == REPLY_DOCUMENT && !r->answer.over)
		end_document(r);
	else
		end_stream(r);
	switch (r->dialect) {
	case DIALECT_OPENAI:
		openai_stream_end(&r->stream.openai);
		break;
	case DIALECT_ANTHROPIC:
		anthropic_stream_end(&r->stream.anthropic);
		break;
	}
}
