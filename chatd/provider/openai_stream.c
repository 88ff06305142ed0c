/*
 * openai_stream.c - chunks of /chat/completions, mapped to an answer. See openai_stream.h.
 *
 * Many servers speak "the OpenAI protocol" and each has its own idea of it; tests/golden/providers
 * holds what they really send. The rules that make all of them come out right:
 *
 *   - only choice 0 is taken; a choice may lack delta, finish_reason, or both; choices may be
 * empty;
 *   - content is a string, null, or (Mistral) an array of typed parts with "thinking" among them;
 *   - reasoning is the first of reasoning_content, reasoning that is not empty, else what
 *     reasoning_details say; never two of them, because some servers send the same text twice;
 *   - a call is known by its index; id and name are the first ones that are not empty, because some
 *     repeat them as "" later. A missing index means "the one before", unless a new id comes;
 *   - usage is the last one that is not null; it is never added up (Perplexity repeats it in every
 *     chunk), and x_groq.usage is taken only for lack of a better one;
 *   - an error may come as a member of any chunk, as `event: error`, or in a field named error;
 *   - the end without a finish_reason is a cut stream, unless there was text and then [DONE]
 *     (Snowflake never sends a reason).
 *
 * <think> tags inside content stay text: only the model knows whether they mean something.
 * Unknown members are ignored.
 */
#include "chatd/provider/openai_stream.h"

#include <string.h>

#include "chatd/provider/chunk_json.h"
#include "chatd/provider/provider_error.h"
#include "chatd/provider/text_chunk.h"
#include "common/json.h"
#include "common/require.h"

static const char member_text[] = "text";
static const char member_summary[] = "summary";

void openai_stream_init(struct openai_stream *s, struct answer *answer)
{
	*s = (struct openai_stream){.answer = answer};
}

void openai_stream_fini(struct openai_stream *s)
{
	json_decref(s->details);
	buf_fini(&s->tail);
	buf_fini(&s->reasoning_content);
	buf_fini(&s->unescaped);
}

static void add(struct openai_stream *s, enum delta_kind kind, const json_t *v)
{
	if (json_is_string(v))
		answer_delta(s->answer, kind, json_string_value(v), json_string_length(v));
}

/* Mistral: [{"type":"text","text"}, {"type":"thinking","thinking":[{"type":"text","text"}]}] */
static void on_parts(struct openai_stream *s, const json_t *parts, enum delta_kind kind, int depth)
{
	const json_t *part;
	size_t i;

	json_array_foreach (parts, i, part) {
		const json_t *thinking = json_get(part, "thinking");

		if (json_is_string(part)) {
			add(s, kind, part);
			continue;
		}
		add(s, kind, json_get(part, "text"));
		if (json_is_string(thinking))
			add(s, DELTA_REASONING, thinking);
		else if (depth > 0)
			on_parts(s, thinking, DELTA_REASONING, depth - 1);
	}
}

/* Puts the gathered text into the last of the details. */
static void flush_tail(struct openai_stream *s)
{
	json_t *last = json_array_get(s->details, json_array_size(s->details) - 1);

	if (s->tail_key)
		REQUIRE(json_object_set_new(last, s->tail_key,
					    json_stringn(buf_str(&s->tail), s->tail.len)) == 0);
	s->tail_key = NULL;
	buf_clear(&s->tail);
}

/* Appends v to the member key of the last of the details; gathered, or it would be quadratic. */
static void append_tail(struct openai_stream *s, json_t *last, const char *key, const json_t *v)
{
	if (s->tail_key != key) {
		const json_t *old;

		flush_tail(s);
		old = json_object_get(last, key);
		if (json_is_string(old))
			buf_add(&s->tail, json_string_value(old), json_string_length(old));
		s->tail_key = key;
	}
	buf_add(&s->tail, json_string_value(v), json_string_length(v));
}

/* Does item go on where last ended? Encrypted ones come whole. */
static bool goes_on(const json_t *last, const json_t *item)
{
	const char *type = json_get_str(item, "type");
	const char *last_type = json_get_str(last, "type");

	return type && last_type && strcmp(type, last_type) == 0 &&
	       strcmp(type, "reasoning.encrypted") != 0 &&
	       json_equal(json_object_get(last, "index"), json_object_get(item, "index"));
}

/* Keeps reasoning_details for the way back: fragments are joined, all else is kept as it is. */
static void keep_details(struct openai_stream *s, json_t *details)
{
	json_t *item;
	size_t i;

	if (!s->details) {
		s->details = json_array();
		REQUIRE(s->details);
	}
	json_array_foreach (details, i, item) {
		json_t *last = json_array_get(s->details, json_array_size(s->details) - 1);
		const char *key;
		json_t *v;

		if (!json_is_object(item))
			continue;
		if (!last || !goes_on(last, item)) {
			flush_tail(s);
			REQUIRE(json_array_append_new(s->details, json_copy(item)) == 0);
			continue;
		}
		json_object_foreach (item, key, v) {
			if (json_is_string(v) && strcmp(key, "text") == 0)
				append_tail(s, last, member_text, v);
			else if (json_is_string(v) && strcmp(key, "summary") == 0)
				append_tail(s, last, member_summary, v);
			else if (!json_is_null(v))
				REQUIRE(json_object_set(last, key, v) == 0);
		}
	}
}

/* What reasoning is told under one of two names; never both. */
static bool on_reasoning_text(struct openai_stream *s, struct str content, struct str reasoning)
{
	if (content.n > 0) {
		buf_add(&s->reasoning_content, content.p, content.n);
		answer_delta(s->answer, DELTA_REASONING, content.p, content.n);
	} else if (reasoning.n > 0) {
		answer_delta(s->answer, DELTA_REASONING, reasoning.p, reasoning.n);
	}
	return content.n > 0 || reasoning.n > 0;
}

static void on_reasoning(struct openai_stream *s, const json_t *delta)
{
	json_t *details = json_object_get(delta, "reasoning_details");
	const json_t *item;
	size_t i;

	if (json_array_size(details) > 0)
		keep_details(s, details);
	if (on_reasoning_text(s, json_str(json_object_get(delta, "reasoning_content")),
			      json_str(json_object_get(delta, "reasoning"))))
		return;
	json_array_foreach (details, i, item) {
		const char *type = json_get_str(item, "type");

		if (type && strcmp(type, "reasoning.text") == 0)
			add(s, DELTA_REASONING, json_object_get(item, "text"));
		else if (type && strcmp(type, "reasoning.summary") == 0)
			add(s, DELTA_REASONING, json_object_get(item, "summary"));
	}
}

/* The call that this fragment belongs to; NULL if there are too many. */
static struct answer_call *call_of(struct answer *a, const json_t *fragment, size_t position)
{
	const char *id = json_get_str(fragment, "id");
	const char *name = json_get_str(json_get(fragment, "function"), "name");
	struct answer_call *c = NULL;
	long long index;
	bool other_id;

	if (json_get_int(fragment, "index", &index)) {
		c = answer_call(a, index);
	} else {
		index = a->n_calls ? a->calls[a->n_calls - 1].index : (long long)position;
		if (a->n_calls > 0 && !(id && *id))
			return &a->calls[a->n_calls - 1];
		c = answer_call(a, index);
	}
	/* servers that number every call 0: a whole call, and then another one with name and id */
	other_id = c && c->id && id && *id && strcmp(c->id, id) != 0;
	if (other_id && name && *name && chunk_json_is_whole(c->arguments.data, c->arguments.len))
		c = answer_new_call(a, index);
	return c;
}

static void on_calls(struct openai_stream *s, const json_t *fragments)
{
	const json_t *fragment;
	size_t i;

	json_array_foreach (fragments, i, fragment) {
		const json_t *function = json_get(fragment, "function");
		const json_t *arguments = json_get(function, "arguments");
		struct answer_call *c;

		if (!json_is_object(fragment))
			continue;
		c = call_of(s->answer, fragment, i);
		if (!c)
			return;
		answer_first(&c->id, json_get_str(fragment, "id"));
		answer_first(&c->name, json_get_str(function, "name"));
		if (json_is_string(arguments))
			buf_add(&c->arguments, json_string_value(arguments),
				json_string_length(arguments));
		else if (json_is_object(arguments))
			json_add_value(&c->arguments, arguments); /* older Ollama */
	}
}

static void on_choice(struct openai_stream *s, const json_t *choice, const char *member)
{
	const json_t *delta = json_get(choice, member);
	const json_t *content = json_get(delta, "content");
	const json_t *refusal = json_get(delta, "refusal");

	if (json_is_object(delta)) {
		on_reasoning(s, delta);
		if (json_is_array(content))
			on_parts(s, content, DELTA_TEXT, 2);
		else
			add(s, DELTA_TEXT, content);
		if (json_is_string(refusal))
			buf_add(&s->answer->refusal, json_string_value(refusal),
				json_string_length(refusal));
		on_calls(s, json_get(delta, "tool_calls"));
	}
	answer_stop_reason(s->answer, json_get_str(choice, "finish_reason"));
}

static int64_t tokens(const json_t *usage, const char *key)
{
	long long v;

	return json_get_int(usage, key, &v) && v >= 0 ? v : -1;
}

static void on_usage(struct openai_stream *s, const json_t *usage, bool top)
{
	struct provider_usage u = {.cache_write = -1};

	if (!json_is_object(usage) || (s->usage_is_top && !top))
		return;
	u.input = tokens(usage, "prompt_tokens");
	u.output = tokens(usage, "completion_tokens");
	u.cache_read = tokens(json_get(usage, "prompt_tokens_details"), "cached_tokens");
	if (u.cache_read < 0)
		u.cache_read = tokens(usage, "prompt_cache_hit_tokens"); /* DeepSeek */
	if (u.input < 0 && u.output < 0)
		return;
	u.known = true;
	s->usage_is_top = top;
	s->answer->usage = u;
}

static void on_chunk(struct openai_stream *s, const json_t *o, const char *member)
{
	const char *object = json_get_str(o, "object");
	const json_t *choice;
	size_t i;

	on_usage(s, json_get(json_get(o, "x_groq"), "usage"), false);
	on_usage(s, json_get(o, "usage"), true);
	/* an old vLLM says {"object":"error","message":...} */
	if (provider_error_read(&s->answer->problem, o, 200,
				object && strcmp(object, "error") == 0)) {
		s->answer->over = true;
		return;
	}
	json_array_foreach (json_get(o, "choices"), i, choice) {
		long long index = 0;

		(void)json_get_int(choice, "index", &index); /* absent means 0 */
		if (index == 0)
			on_choice(s, choice, member);
	}
}

static bool is_done(struct str d)
{
	while (d.n > 0 && (d.p[d.n - 1] == ' ' || d.p[d.n - 1] == '\t'))
		d.n--;
	return str_eq(d, "[DONE]");
}

/* `event: error`, or a line "error: ...": whatever it says, the answer has failed. */
static void on_error_event(struct openai_stream *s, const json_t *o, struct str data)
{
	struct answer *a = s->answer;

	if (!provider_error_read(&a->problem, o, 200, true))
		problem_set(&a->problem, FAULT_PROVIDER_ERROR, 200, str_of(NULL), str_of(NULL),
			    data);
	a->over = true;
}

/* The usual chunk, without a document. False: it is not one. */
static bool on_text(struct openai_stream *s, const struct sse_event *ev)
{
	struct text_chunk c;

	buf_clear(&s->unescaped);
	if (ev->is_error || str_eq(ev->name, "error") ||
	    !text_chunk_openai(ev->data, &s->unescaped, &c))
		return false;
	(void)on_reasoning_text(s, c.reasoning_content, c.reasoning);
	answer_delta(s->answer, DELTA_TEXT, c.content.p, c.content.n);
	return true;
}

void openai_stream_event(struct openai_stream *s, const struct sse_event *ev)
{
	struct answer *a = s->answer;
	json_t *auto_json o = NULL;

	if (a->over || ev->data.n == 0)
		return;
	if (is_done(ev->data)) {
		s->done = true;
		a->over = true;
		return;
	}
	if (on_text(s, ev)) {
		if (a->stop_reason)
			a->finished = true;
		return;
	}
	o = chunk_json_read(ev->data.p, ev->data.n);
	if (ev->is_error || str_eq(ev->name, "error")) {
		on_error_event(s, o, ev->data);
		return;
	}
	if (!o) {
		problem_ours(&a->problem, FAULT_PROVIDER_PROTOCOL, 200,
			     "a chunk of the answer is not valid JSON");
		a->over = true;
		return;
	}
	on_chunk(s, o, "delta");
	if (a->stop_reason)
		a->finished = true;
}

void openai_stream_document(struct openai_stream *s, const json_t *o)
{
	struct answer *a = s->answer;

	if (json_array_size(json_get(o, "choices")) > 0) {
		s->done = true;
		on_chunk(s, o, "message");
	} else if (!provider_error_read(&a->problem, o, 200, true)) {
		problem_ours(&a->problem, FAULT_PROVIDER_PROTOCOL, 200,
			     "the provider sent a JSON document instead of a stream");
	}
	a->finished = a->stop_reason != NULL;
	a->over = true;
}

static void make_echo(struct openai_stream *s)
{
	json_t *echo;

	flush_tail(s);
	if (s->reasoning_content.len == 0 && json_array_size(s->details) == 0)
		return;
	echo = json_object();
	REQUIRE(echo);
	if (s->reasoning_content.len > 0)
		REQUIRE(json_object_set_new(echo, "reasoning_content",
					    json_stringn(s->reasoning_content.data,
							 s->reasoning_content.len)) == 0);
	if (json_array_size(s->details) > 0)
		REQUIRE(json_object_set(echo, "reasoning_details", s->details) == 0);
	json_decref(s->answer->echo);
	s->answer->echo = echo;
}

void openai_stream_end(struct openai_stream *s)
{
	struct answer *a = s->answer;

	if (a->problem.fault != FAULT_NONE)
		return;
	if (!a->stop_reason && !(a->has_text && s->done)) {
		problem_set(&a->problem, FAULT_PROVIDER_TRUNCATED, 200, str_of("truncated"),
			    str_of(NULL), str_of("the answer ended before the provider said so"));
		return;
	}
	a->finished = true;
	/* what length or a filter cut is the end of the answer: the last call, or one that is no
	 * JSON */
	for (size_t i = 0; i < a->n_calls; i++) {
		struct answer_call *c = &a->calls[i];

		c->ended = !answer_was_cut(a) ||
			   (i + 1 < a->n_calls &&
			    chunk_json_is_whole(c->arguments.data, c->arguments.len));
	}
	make_echo(s);
}
