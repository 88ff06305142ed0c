/*
 * anthropic.c - requests to Anthropic's /v1/messages. See anthropic.h.
 *
 * Demands of the API that shape this file: roles alternate, so neighbours of one role become one
 * message; the first one is the user's; an empty text block is refused; all results of a step stand
 * at the front of one user message; an assistant message of the same provider goes back with the
 * very blocks that came (thinking with its signature first of all), which `echo` holds.
 *
 * `input` of a block is the raw text that the model wrote (anthropic_stream.h). It goes in as it is
 * if it is a JSON object; what is none (the model slipped) becomes {}, for the API takes nothing
 * else and the model learns of its slip from the result.
 */
#include "chatd/provider/anthropic.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/provider/request_json.h"
#include "common/json.h"

/* Writes messages whose content is an array of blocks, joining neighbours of one role. */
struct writer {
	struct buf *b;
	const char *role; /* of the open message; NULL: none is open */
	bool any_message, any_block;
};

static void close_message(struct writer *w)
{
	if (w->role)
		buf_adds(w->b, "]}");
	w->role = NULL;
}

/* Call it right before the bytes of a block are written. */
static void begin_block(struct writer *w, const char *role)
{
	if (w->role && strcmp(w->role, role) != 0)
		close_message(w);
	if (!w->role) {
		buf_addf(w->b, "%s{\"role\":\"%s\",\"content\":[", w->any_message ? "," : "", role);
		w->role = role;
		w->any_message = true;
		w->any_block = false;
	}
	if (w->any_block)
		buf_addc(w->b, ',');
	w->any_block = true;
}

static void add_string(struct buf *b, const json_t *v)
{
	json_add_string(b, json_string_value(v), json_string_length(v));
}

static void add_text_block(struct writer *w, const char *role, const json_t *text)
{
	if (json_string_length(text) == 0)
		return;
	begin_block(w, role);
	buf_adds(w->b, "{\"type\":\"text\",\"text\":");
	add_string(w->b, text);
	buf_addc(w->b, '}');
}

static void add_image_block(struct writer *w, const json_t *part)
{
	const json_t *media = json_get(part, "media_type");
	const json_t *data = json_get(part, "data");

	if (!json_is_string(media) || !json_is_string(data))
		return;
	begin_block(w, "user");
	buf_adds(w->b, "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":");
	add_string(w->b, media);
	buf_adds(w->b, ",\"data\":");
	add_string(w->b, data);
	buf_adds(w->b, "}}");
}

static void add_user(struct writer *w, const json_t *message)
{
	const json_t *content = json_get(message, "content");
	const json_t *part;
	size_t i;

	if (json_is_string(content))
		add_text_block(w, "user", content);
	json_array_foreach (content, i, part) {
		const char *type = json_get_str(part, "type");

		if (type && strcmp(type, "text") == 0)
			add_text_block(w, "user", json_get(part, "text"));
		else if (type && strcmp(type, "image") == 0)
			add_image_block(w, part);
	}
}

/* The raw text of an input object, or {}. */
static void add_input(struct buf *b, const json_t *raw)
{
	json_t *auto_json o = json_is_string(raw) ? json_read(json_string_value(raw),
							      json_string_length(raw), NULL, 0)
						  : NULL;

	if (json_is_object(raw))
		json_add_value(b, raw);
	else if (json_is_object(o))
		buf_add(b, json_string_value(raw), json_string_length(raw));
	else
		buf_adds(b, "{}");
}

static void add_result(struct writer *w, const json_t *messages, size_t at, const char *id)
{
	const json_t *result = request_result(messages, at, id);
	const json_t *content = json_get(result, "content");

	begin_block(w, "user");
	buf_adds(w->b, "{\"type\":\"tool_result\",\"tool_use_id\":");
	json_add_string(w->b, id, strlen(id));
	if (!result) {
		buf_adds(w->b, ",\"content\":");
		json_add_string(w->b, request_no_result, strlen(request_no_result));
	} else if (json_string_length(content) > 0) {
		buf_adds(w->b, ",\"content\":");
		add_string(w->b, content);
	}
	if (!result || json_is_true(json_get(result, "is_error")))
		buf_adds(w->b, ",\"is_error\":true");
	buf_addc(w->b, '}');
}

/* One block of an echo, unchanged but for `input`, whose raw text is put in. */
static void add_echo_block(struct writer *w, const json_t *block)
{
	const char *key;
	bool any = false;
	json_t *v;

	begin_block(w, "assistant");
	buf_addc(w->b, '{');
	json_object_foreach ((json_t *)block, key, v) {
		if (any)
			buf_addc(w->b, ',');
		any = true;
		json_add_string(w->b, key, strlen(key));
		buf_addc(w->b, ':');
		if (strcmp(key, "input") == 0)
			add_input(w->b, v);
		else
			json_add_value(w->b, v);
	}
	buf_addc(w->b, '}');
}

static void add_call_block(struct writer *w, const json_t *call)
{
	const char *id = json_get_str(call, "id");
	const char *name = json_get_str(call, "name");

	begin_block(w, "assistant");
	buf_adds(w->b, "{\"type\":\"tool_use\",\"id\":");
	json_add_string(w->b, id ? id : "", id ? strlen(id) : 0);
	buf_adds(w->b, ",\"name\":");
	json_add_string(w->b, name ? name : "", name ? strlen(name) : 0);
	buf_adds(w->b, ",\"input\":");
	add_input(w->b, json_get(call, "arguments"));
	buf_addc(w->b, '}');
}

static bool is_tool_use(const json_t *block)
{
	const char *type = json_get_str(block, "type");

	return type && strcmp(type, "tool_use") == 0;
}

static void add_assistant(struct writer *w, const json_t *messages, size_t at)
{
	const json_t *message = json_array_get(messages, at);
	const json_t *echo = request_echo(message, "anthropic");
	const json_t *calls = json_get(message, "tool_calls");
	const json_t *v;
	const char *id;
	size_t i;

	if (!w->any_message)
		return; /* the user speaks first: the history was shortened here */
	if (json_array_size(echo) > 0) {
		json_array_foreach (echo, i, v) {
			if (json_is_object(v))
				add_echo_block(w, v);
		}
		json_array_foreach (echo, i, v) {
			id = json_get_str(v, "id");
			if (is_tool_use(v))
				add_result(w, messages, at, id ? id : "");
		}
		return;
	}
	add_text_block(w, "assistant", json_get(message, "content"));
	json_array_foreach (calls, i, v)
		add_call_block(w, v);
	json_array_foreach (calls, i, v) {
		id = json_get_str(v, "id");
		add_result(w, messages, at, id ? id : "");
	}
}

static void add_messages(struct buf *b, const struct question *q)
{
	struct writer w = {.b = b};
	const json_t *message;
	size_t i;

	buf_addc(b, '[');
	json_array_foreach (q->messages, i, message) {
		const char *role = json_get_str(message, "role");

		if (role && strcmp(role, "user") == 0)
			add_user(&w, message);
		else if (role && strcmp(role, "assistant") == 0)
			add_assistant(&w, q->messages, i);
	}
	close_message(&w);
	buf_addc(b, ']');
}

static void add_tools(struct buf *b, const json_t *tools)
{
	const json_t *tool;
	size_t i;

	buf_addc(b, '[');
	json_array_foreach (tools, i, tool) {
		const json_t *parameters = json_get(tool, "parameters");
		const json_t *description = json_get(tool, "description");
		const char *name = json_get_str(tool, "name");

		buf_adds(b, i ? ",{\"name\":" : "{\"name\":");
		json_add_string(b, name ? name : "", name ? strlen(name) : 0);
		if (json_is_string(description)) {
			buf_adds(b, ",\"description\":");
			add_string(b, description);
		}
		buf_adds(b, ",\"input_schema\":");
		if (parameters)
			json_add_value(b, parameters);
		else
			buf_adds(b, "{\"type\":\"object\",\"properties\":{}}");
		buf_addc(b, '}');
	}
	buf_addc(b, ']');
}

/* 0 if thinking is off or adaptive. */
static long thinking_budget(const struct provider_conf *c)
{
	return c->thinking ? strtol(c->thinking, NULL, 10) : 0;
}

/* A budget counts into max_tokens, so the default grows with it; provider.c checks a configured
 * one. */
static long max_tokens(const struct provider_conf *c)
{
	return c->max_tokens > 0 ? c->max_tokens : ANTHROPIC_MAX_TOKENS + thinking_budget(c);
}

static void add_thinking(struct members *m, const struct provider_conf *c)
{
	if (!c->thinking || !*c->thinking || !members_key(m, "thinking"))
		return;
	if (strcmp(c->thinking, "adaptive") == 0)
		buf_adds(m->out, "{\"type\":\"adaptive\"}");
	else
		buf_addf(m->out, "{\"type\":\"enabled\",\"budget_tokens\":%ld}",
			 thinking_budget(c));
}

static void add_body(struct buf *b, const struct question *q)
{
	const struct provider_conf *c = q->conf;
	const char *model = q->model && *q->model ? q->model : c->model;
	struct members m;

	members_begin(&m, b, c);
	if (model && *model && members_key(&m, "model"))
		json_add_string(b, model, strlen(model));
	if (members_key(&m, "max_tokens"))
		buf_addu(b, (uint64_t)max_tokens(c));
	if (members_key(&m, "stream"))
		buf_adds(b, "true");
	if (q->system && *q->system && members_key(&m, "system"))
		json_add_string(b, q->system, strlen(q->system));
	if (members_key(&m, "messages"))
		add_messages(b, q);
	if (json_array_size(q->tools) > 0 && members_key(&m, "tools"))
		add_tools(b, q->tools);
	add_thinking(&m, c);
	members_end(&m);
}

void anthropic_request(struct provider_request *r, const struct question *q)
{
	const struct provider_conf *c = q->conf;
	struct buf url = BUF_INIT;

	buf_adds(&url, c->base_url);
	buf_adds(&url, "/v1/messages");
	r->url = buf_steal(&url, NULL);
	provider_request_header(r, "Content-Type", "application/json");
	provider_request_header(r, "Accept", "text/event-stream");
	provider_request_header(r, "User-Agent", "chatd/" CHATD_VERSION);
	if (q->traceparent)
		provider_request_header(r, "traceparent", q->traceparent);
	provider_request_header(r, "anthropic-version", c->api_version);
	if (c->api_key)
		provider_request_header(r, "x-api-key", c->api_key);
	add_body(&r->body, q);
}
