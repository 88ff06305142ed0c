/*
 * anthropic_stream.c - events of /v1/messages, mapped to an answer. See anthropic_stream.h.
 *
 *	message_start, { content_block_start, content_block_delta *, content_block_stop } *,
 *	message_delta, message_stop                      with pings and unknown events anywhere
 *
 * Content blocks are kept whole, because a tool loop must send them back unchanged: thinking with
 * its signature, redacted thinking, and what the provider's own tools did. Only `text` and
 * `thinking` become deltas, and only `tool_use` becomes a call: server_tool_use, mcp_tool_use and
 * the *_tool_result blocks were run over there and are never run here.
 *
 *   - usage in message_delta overwrites that of message_start, member by member; it is not added;
 *   - the arguments are the concatenated partial_json, or content_block.input where none came;
 *   - a block without content_block_stop is cut (max_tokens inside a tool call): its call must not
 *     run, and it does not go back;
 *   - the end is known by a stop_reason; without one the stream was cut;
 *   - unknown events, blocks and deltas are taken silently: the API promises that there will be
 *some.
 */
#include "chatd/provider/anthropic_stream.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/provider/chunk_json.h"
#include "chatd/provider/provider_error.h"
#include "chatd/provider/text_chunk.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/require.h"

void anthropic_stream_init(struct anthropic_stream *s, struct answer *answer)
{
	*s = (struct anthropic_stream){.answer = answer};
}

void anthropic_stream_fini(struct anthropic_stream *s)
{
	for (size_t i = 0; i < s->n_blocks; i++) {
		json_decref(s->blocks[i].object);
		buf_fini(&s->blocks[i].text);
		buf_fini(&s->blocks[i].input);
	}
	free(s->blocks);
	buf_fini(&s->unescaped);
}

static bool is(const char *a, const char *b)
{
	return a && strcmp(a, b) == 0;
}

static struct anthropic_block *block_at(struct anthropic_stream *s, int64_t index)
{
	for (size_t i = s->n_blocks; i > 0; i--) {
		if (s->blocks[i - 1].index == index)
			return &s->blocks[i - 1];
	}
	return NULL;
}

static struct anthropic_block *find_block(struct anthropic_stream *s, const json_t *o)
{
	long long index;

	return json_get_int(o, "index", &index) ? block_at(s, index) : NULL;
}

static struct anthropic_block *new_block(struct anthropic_stream *s, json_t *content, int64_t index)
{
	struct anthropic_block *b;

	if (s->n_blocks == LIMIT_BLOCKS) {
		problem_ours(&s->answer->problem, FAULT_PROVIDER_PROTOCOL, 200,
			     "the answer has more than %d content blocks", LIMIT_BLOCKS);
		s->answer->over = true;
		return NULL;
	}
	if (s->n_blocks == s->cap_blocks) {
		s->cap_blocks = s->cap_blocks ? s->cap_blocks * 2 : 8;
		s->blocks = realloc(s->blocks, s->cap_blocks * sizeof(*s->blocks));
		REQUIRE(s->blocks);
	}
	b = &s->blocks[s->n_blocks++];
	*b = (struct anthropic_block){.index = index, .object = json_copy(content), .call = -1};
	REQUIRE(b->object);
	return b;
}

/* Appends v to what gathers for the member key of the block. */
static void gather(struct anthropic_block *b, const char *key, struct str v)
{
	if (b->text_key != key) {
		const json_t *old = json_object_get(b->object, key);

		if (b->text_key)
			return; /* a block has one kind of text */
		b->text_key = key;
		if (json_is_string(old))
			buf_add(&b->text, json_string_value(old), json_string_length(old));
	}
	buf_add(&b->text, v.p, v.n);
}

static void tell(struct anthropic_stream *s, enum delta_kind kind, const json_t *v)
{
	if (json_is_string(v))
		answer_delta(s->answer, kind, json_string_value(v), json_string_length(v));
}

static void on_block_start(struct anthropic_stream *s, const json_t *o)
{
	json_t *content = json_get(o, "content_block");
	const char *type = json_get_str(content, "type");
	struct anthropic_block *b;
	struct answer_call *c;
	long long index;

	if (!json_is_object(content))
		return;
	if (!json_get_int(o, "index", &index))
		index = (long long)s->n_blocks;
	b = new_block(s, content, index);
	if (!b)
		return;
	if (is(type, "text")) {
		tell(s, DELTA_TEXT, json_object_get(content, "text"));
	} else if (is(type, "thinking")) {
		tell(s, DELTA_REASONING, json_object_get(content, "thinking"));
	} else if (is(type, "tool_use")) {
		c = answer_new_call(s->answer, index);
		if (!c)
			return;
		b->call = (int)s->answer->n_calls - 1;
		answer_first(&c->id, json_get_str(content, "id"));
		answer_first(&c->name, json_get_str(content, "name"));
	}
}

static void add_citation(struct anthropic_block *b, json_t *citation)
{
	json_t *list = json_object_get(b->object, "citations");

	if (!json_is_object(citation))
		return;
	if (!json_is_array(list)) {
		list = json_array();
		REQUIRE(list && json_object_set_new(b->object, "citations", list) == 0);
	}
	REQUIRE(json_array_append(list, citation) == 0);
}

static void on_text(struct anthropic_stream *s, struct anthropic_block *b, bool thinks,
		    struct str text)
{
	answer_delta(s->answer, thinks ? DELTA_REASONING : DELTA_TEXT, text.p, text.n);
	if (b)
		gather(b, thinks ? "thinking" : "text", text);
}

static void on_block_delta(struct anthropic_stream *s, const json_t *o)
{
	struct anthropic_block *b = find_block(s, o);
	const json_t *delta = json_get(o, "delta");
	const char *type = json_get_str(delta, "type");
	const json_t *v;

	if (is(type, "text_delta") || is(type, "thinking_delta")) {
		bool thinks = is(type, "thinking_delta");

		v = json_object_get(delta, thinks ? "thinking" : "text");
		if (json_is_string(v))
			on_text(s, b, thinks, json_str(v));
	} else if (b && is(type, "signature_delta")) {
		if (json_is_string(json_object_get(delta, "signature")))
			REQUIRE(json_object_set(b->object, "signature",
						json_object_get(delta, "signature")) == 0);
	} else if (b && is(type, "input_json_delta")) {
		v = json_object_get(delta, "partial_json");
		if (json_is_string(v))
			buf_add(&b->input, json_string_value(v), json_string_length(v));
	} else if (b && is(type, "citations_delta")) {
		add_citation(b, json_get(delta, "citation"));
	} else if (b && is(type, "compaction_delta")) {
		v = json_object_get(delta, "content");
		if (json_is_string(v))
			gather(b, "content", json_str(v));
	}
}

/* Puts what gathered into the block, and the arguments into its call. */
static void settle(struct anthropic_stream *s, struct anthropic_block *b)
{
	const json_t *input = json_object_get(b->object, "input");

	if (b->text_key)
		REQUIRE(json_object_set_new(b->object, b->text_key,
					    json_stringn(buf_str(&b->text), b->text.len)) == 0);
	if (json_is_object(input)) {
		if (b->input.len == 0)
			json_add_value(&b->input, input);
		REQUIRE(json_object_set_new(b->object, "input",
					    json_stringn(buf_str(&b->input), b->input.len)) == 0);
	}
	if (b->call >= 0) {
		struct answer_call *c = &s->answer->calls[b->call];

		buf_clear(&c->arguments);
		buf_add(&c->arguments, b->input.data, b->input.len);
		c->ended = b->stopped;
	}
}

static void set_tokens(const json_t *usage, const char *key, int64_t *field, bool *known)
{
	long long v;

	if (!json_get_int(usage, key, &v) || v < 0)
		return;
	*field = v;
	*known = true;
}

static void on_usage(struct anthropic_stream *s, const json_t *usage)
{
	struct provider_usage *u = &s->answer->usage;

	if (!u->known && json_is_object(usage))
		u->cache_read = u->cache_write = 0; /* not said: no cache was used */
	set_tokens(usage, "input_tokens", &u->input, &u->known);
	set_tokens(usage, "output_tokens", &u->output, &u->known);
	set_tokens(usage, "cache_read_input_tokens", &u->cache_read, &u->known);
	set_tokens(usage, "cache_creation_input_tokens", &u->cache_write, &u->known);
}

static void on_message_delta(struct anthropic_stream *s, const json_t *o)
{
	answer_stop_reason(s->answer, json_get_str(json_get(o, "delta"), "stop_reason"));
	on_usage(s, json_get(o, "usage"));
	s->answer->finished = s->answer->stop_reason != NULL;
}

static void on_error(struct anthropic_stream *s, const json_t *o, struct str data)
{
	struct answer *a = s->answer;

	if (!provider_error_read(&a->problem, o, 200, true))
		problem_set(&a->problem, FAULT_PROVIDER_ERROR, 200, str_of(NULL), str_of(NULL),
			    data);
	a->over = true;
}

/* The usual event, without a document. False: it is not one. */
static bool on_text_event(struct anthropic_stream *s, const struct sse_event *ev)
{
	struct text_block_chunk c;

	buf_clear(&s->unescaped);
	if (ev->is_error || str_eq(ev->name, "error") ||
	    !text_chunk_anthropic(ev->data, &s->unescaped, &c))
		return false;
	on_text(s, block_at(s, c.index), c.is_thinking, c.text);
	return true;
}

void anthropic_stream_event(struct anthropic_stream *s, const struct sse_event *ev)
{
	struct answer *a = s->answer;
	json_t *auto_json o = NULL;
	const char *type;

	if (a->over || ev->data.n == 0 || on_text_event(s, ev))
		return;
	o = chunk_json_read(ev->data.p, ev->data.n);
	type = json_get_str(o, "type");
	if (ev->is_error || str_eq(ev->name, "error") || is(type, "error") ||
	    json_get(o, "error")) {
		on_error(s, o, ev->data);
	} else if (!o) {
		problem_ours(&a->problem, FAULT_PROVIDER_PROTOCOL, 200,
			     "an event of the answer is not valid JSON");
		a->over = true;
	} else if (is(type, "message_start")) {
		on_usage(s, json_get(json_get(o, "message"), "usage"));
	} else if (is(type, "content_block_start")) {
		on_block_start(s, o);
	} else if (is(type, "content_block_delta")) {
		on_block_delta(s, o);
	} else if (is(type, "content_block_stop")) {
		struct anthropic_block *b = find_block(s, o);

		if (b)
			b->stopped = true;
	} else if (is(type, "message_delta")) {
		on_message_delta(s, o);
	} else if (is(type, "message_stop")) {
		s->done = true;
		a->over = true;
	}
}

void anthropic_stream_document(struct anthropic_stream *s, const json_t *o)
{
	struct problem *p = &s->answer->problem;

	if (!provider_error_read(p, o, 200, true))
		problem_ours(p, FAULT_PROVIDER_PROTOCOL, 200,
			     "the provider sent a JSON document instead of a stream");
	s->answer->over = true;
}

/* Goes a block back? An empty text block is refused over there; a cut block is no block. */
static bool goes_back(const struct anthropic_block *b)
{
	const char *type = json_get_str(b->object, "type");

	if (is(type, "text")) {
		const json_t *text = json_object_get(b->object, "text");

		return json_string_length(text) > 0;
	}
	return b->stopped;
}

void anthropic_stream_end(struct anthropic_stream *s)
{
	struct answer *a = s->answer;
	json_t *echo;

	for (size_t i = 0; i < s->n_blocks; i++)
		settle(s, &s->blocks[i]);
	if (a->problem.fault != FAULT_NONE)
		return;
	if (!a->stop_reason) {
		problem_set(&a->problem, FAULT_PROVIDER_TRUNCATED, 200, str_of("truncated"),
			    str_of(NULL), str_of("the answer ended before the provider said so"));
		return;
	}
	a->finished = true;
	echo = json_array();
	REQUIRE(echo);
	for (size_t i = 0; i < s->n_blocks; i++) {
		if (goes_back(&s->blocks[i]))
			REQUIRE(json_array_append(echo, s->blocks[i].object) == 0);
	}
	json_decref(a->echo);
	a->echo = echo;
}
