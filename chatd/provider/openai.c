/*
 * openai.c - requests to servers that speak OpenAI's /chat/completions. See openai.h.
 *
 * Compatible servers differ in which members they refuse, so nothing is sent that is not needed:
 * stream_options can be switched off, max_tokens is sent only if it is configured, and whatever a
 * server wants besides (max_completion_tokens, temperature, ...) comes from `extra`, which also
 * replaces members of ours.
 *
 * What goes back with an assistant message: reasoning_details always, since OpenRouter wants its
 * signatures unchanged; reasoning_content only within the turn that is still going on, since
 * DeepSeek and its kin demand it inside a tool loop and refuse or waste it afterwards.
 */
#include "chatd/provider/openai.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/provider/request_json.h"
#include "common/json.h"

static void add_text(struct buf *b, const json_t *v)
{
	if (json_is_string(v))
		json_add_string(b, json_string_value(v), json_string_length(v));
	else
		buf_adds(b, "\"\"");
}

/* One part of a user message. False: it is of no known kind, nothing was written. */
static bool add_part(struct buf *b, const json_t *part, bool first)
{
	const char *type = json_get_str(part, "type");
	const char *sep = first ? "" : ",";

	if (type && strcmp(type, "text") == 0) {
		buf_addf(b, "%s{\"type\":\"text\",\"text\":", sep);
		add_text(b, json_get(part, "text"));
		buf_addc(b, '}');
		return true;
	}
	if (type && strcmp(type, "image") == 0) {
		const char *media = json_get_str(part, "media_type");
		const char *data = json_get_str(part, "data");
		struct buf auto_buf url = BUF_INIT;

		buf_adds(&url, "data:");
		buf_adds(&url, media ? media : "image/png");
		buf_adds(&url, ";base64,");
		buf_adds(&url, data ? data : "");
		buf_addf(b, "%s{\"type\":\"image_url\",\"image_url\":{\"url\":", sep);
		json_add_string(b, url.data, url.len);
		buf_adds(b, "}}");
		return true;
	}
	return false;
}

static void add_user(struct buf *b, const json_t *message)
{
	const json_t *content = json_get(message, "content");
	const json_t *part;
	bool first = true;
	size_t i;

	buf_adds(b, "{\"role\":\"user\",\"content\":");
	if (!json_is_array(content)) {
		add_text(b, content);
		buf_addc(b, '}');
		return;
	}
	buf_addc(b, '[');
	json_array_foreach (content, i, part) {
		if (add_part(b, part, first))
			first = false;
	}
	buf_adds(b, "]}");
}

static void add_calls(struct buf *b, const json_t *calls)
{
	const json_t *call;
	size_t i;

	buf_adds(b, ",\"tool_calls\":[");
	json_array_foreach (calls, i, call) {
		const json_t *arguments = json_get(call, "arguments");

		buf_adds(b, i ? ",{\"id\":" : "{\"id\":");
		add_text(b, json_get(call, "id"));
		buf_adds(b, ",\"type\":\"function\",\"function\":{\"name\":");
		add_text(b, json_get(call, "name"));
		buf_adds(b, ",\"arguments\":");
		if (json_string_length(arguments) > 0)
			add_text(b, arguments);
		else
			buf_adds(b, "\"{}\"");
		buf_adds(b, "}}");
	}
	buf_addc(b, ']');
}

/* An assistant message with the results of its calls behind it. False: there was nothing in it. */
static bool add_assistant(struct buf *b, const json_t *messages, size_t at, bool this_turn)
{
	const json_t *message = json_array_get(messages, at);
	const json_t *content = json_get(message, "content");
	const json_t *calls = json_get(message, "tool_calls");
	const json_t *echo = request_echo(message, "openai");
	const json_t *call, *v;
	size_t i;

	if (json_string_length(content) == 0 && json_array_size(calls) == 0)
		return false;
	buf_adds(b, "{\"role\":\"assistant\",\"content\":");
	if (json_string_length(content) > 0)
		add_text(b, content);
	else
		buf_adds(b, "null");
	v = json_get(echo, "reasoning_content");
	if (v && this_turn) {
		buf_adds(b, ",\"reasoning_content\":");
		json_add_value(b, v);
	}
	v = json_get(echo, "reasoning_details");
	if (v) {
		buf_adds(b, ",\"reasoning_details\":");
		json_add_value(b, v);
	}
	if (json_array_size(calls) > 0)
		add_calls(b, calls);
	buf_addc(b, '}');
	json_array_foreach (calls, i, call) {
		const char *id = json_get_str(call, "id");
		const json_t *result = request_result(messages, at, id);

		buf_adds(b, ",{\"role\":\"tool\",\"tool_call_id\":");
		json_add_string(b, id ? id : "", id ? strlen(id) : 0);
		buf_adds(b, ",\"content\":");
		if (result)
			add_text(b, json_get(result, "content"));
		else
			json_add_string(b, request_no_result, strlen(request_no_result));
		buf_addc(b, '}');
	}
	return true;
}

static size_t last_user(const json_t *messages)
{
	size_t i = json_array_size(messages);

	while (i > 0) {
		const char *role = json_get_str(json_array_get(messages, i - 1), "role");

		if (role && strcmp(role, "user") == 0)
			return i - 1;
		i--;
	}
	return 0;
}

static void add_messages(struct buf *b, const struct question *q)
{
	size_t turn = last_user(q->messages);
	bool first = true;
	json_t *message;
	size_t i;

	buf_addc(b, '[');
	if (q->system && *q->system) {
		buf_adds(b, "{\"role\":\"system\",\"content\":");
		json_add_string(b, q->system, strlen(q->system));
		buf_addc(b, '}');
		first = false;
	}
	json_array_foreach (q->messages, i, message) {
		const char *role = json_get_str(message, "role");
		size_t before = b->len;

		if (!first)
			buf_addc(b, ',');
		if (role && strcmp(role, "user") == 0) {
			add_user(b, message);
			first = false;
		} else if (role && strcmp(role, "assistant") == 0 &&
			   add_assistant(b, q->messages, i, i > turn)) {
			first = false;
		} else {
			b->len = before; /* results were written with their calls */
		}
	}
	buf_addc(b, ']');
}

static void add_tools(struct buf *b, const json_t *tools)
{
	const json_t *tool;
	size_t i;

	buf_addc(b, '[');
	json_array_foreach (tools, i, tool) {
		const json_t *description = json_get(tool, "description");
		const json_t *parameters = json_get(tool, "parameters");

		buf_adds(b, i ? "," : "");
		buf_adds(b, "{\"type\":\"function\",\"function\":{\"name\":");
		add_text(b, json_get(tool, "name"));
		if (description) {
			buf_adds(b, ",\"description\":");
			add_text(b, description);
		}
		buf_adds(b, ",\"parameters\":");
		if (parameters)
			json_add_value(b, parameters);
		else
			buf_adds(b, "{\"type\":\"object\",\"properties\":{}}");
		buf_adds(b, "}}");
	}
	buf_addc(b, ']');
}

static void add_body(struct buf *b, const struct question *q)
{
	const struct provider_conf *c = q->conf;
	const char *model = q->model && *q->model ? q->model : c->model;
	struct members m;

	members_begin(&m, b, c);
	if (model && *model && members_key(&m, "model"))
		json_add_string(b, model, strlen(model));
	if (members_key(&m, "messages"))
		add_messages(b, q);
	if (members_key(&m, "stream"))
		buf_adds(b, "true");
	if (c->stream_options && members_key(&m, "stream_options"))
		buf_adds(b, "{\"include_usage\":true}");
	if (c->max_tokens > 0 && members_key(&m, "max_tokens"))
		buf_addu(b, (uint64_t)c->max_tokens);
	if (json_array_size(q->tools) > 0 && members_key(&m, "tools"))
		add_tools(b, q->tools);
	members_end(&m);
}

void openai_request(struct provider_request *r, const struct question *q)
{
	const struct provider_conf *c = q->conf;
	struct buf url = BUF_INIT;

	buf_adds(&url, c->base_url);
	buf_adds(&url, "/chat/completions");
	r->url = buf_steal(&url, NULL);
	provider_request_header(r, "Content-Type", "application/json");
	provider_request_header(r, "Accept", "text/event-stream");
	provider_request_header(r, "User-Agent", "chatd/" CHATD_VERSION);
	if (q->traceparent)
		provider_request_header(r, "traceparent", q->traceparent);
	if (c->api_key) {
		struct buf bearer = BUF_INIT;

		buf_reserve(&bearer, strlen(c->api_key) + 7);
		buf_adds(&bearer, "Bearer ");
		buf_adds(&bearer, c->api_key);
		provider_request_header(r, "Authorization", buf_str(&bearer));
		explicit_bzero(bearer.data, bearer.len);
		buf_fini(&bearer);
	}
	add_body(&r->body, q);
}
