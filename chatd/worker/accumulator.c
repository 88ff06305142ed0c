/*
 * accumulator.c - what the events of a turn add up to. See accumulator.h.
 */
#include "chatd/worker/accumulator.h"

#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/require.h"

void accumulator_init(struct accumulator *a)
{
	memset(a, 0, sizeof(*a));
	a->tools = json_array();
	a->prompts = json_array();
	REQUIRE(a->tools && a->prompts);
}

void accumulator_fini(struct accumulator *a)
{
	buf_fini(&a->content);
	buf_fini(&a->reasoning);
	json_decref(a->tools);
	json_decref(a->prompts);
	json_decref(a->usage);
	json_decref(a->error);
	free(a->stop_reason);
	free(a->refusal);
	memset(a, 0, sizeof(*a));
}

void accumulator_reset(struct accumulator *a)
{
	accumulator_fini(a);
	accumulator_init(a);
}

void accumulator_add_text(struct accumulator *a, enum chat_event_type type, const char *p, size_t n)
{
	buf_add(type == CHAT_EVENT_REASONING_CHUNK ? &a->reasoning : &a->content, p, n);
}

static void set_text(char **field, const char *value)
{
	free(*field);
	*field = value ? strdup(value) : NULL;
}

static void set_json(json_t **field, json_t *value) /* takes a new reference */
{
	json_incref(value);
	json_decref(*field);
	*field = value;
}

static void set_buf(struct buf *b, const json_t *text)
{
	buf_clear(b);
	if (json_is_string(text))
		buf_add(b, json_string_value(text), json_string_length(text));
}

/* The invocation that the payload is about, or NULL. Borrowed. */
static json_t *tool_of(const struct accumulator *a, const json_t *payload)
{
	const char *id = json_get_str(payload, "tool_invocation_id");
	json_t *tool;
	size_t i;

	if (!id)
		return NULL;
	json_array_foreach (a->tools, i, tool) {
		const char *have = json_get_str(tool, "id");

		if (have && strcmp(have, id) == 0)
			return tool;
	}
	return NULL;
}

static void set_status(json_t *tool, const char *status)
{
	(void)json_object_set_new(tool, "status", json_string(status));
}

static void tool_start(struct accumulator *a, const json_t *payload)
{
	json_t *tool = json_pack("{s:O?, s:O?, s:O?, s:n, s:s, s:n, s:b}", "id",
				 json_object_get(payload, "tool_invocation_id"), "name",
				 json_object_get(payload, "name"), "server",
				 json_object_get(payload, "server"), "input", "status", "pending",
				 "output", "is_error", 0);

	if (!tool)
		return;
	if (json_object_get(payload, "at"))
		(void)json_object_set(tool, "at", json_object_get(payload, "at"));
	(void)json_array_append_new(a->tools, tool);
}

/* Copies what the payload says of the invocation; a status in it wins over the default. */
static void tool_update(json_t *tool, const json_t *payload, const char *status)
{
	static const char *const members[] = {"input",	  "parse_error", "raw",	       "output",
					      "is_error", "status",	 "duration_ms"};

	if (!tool)
		return;
	if (status)
		set_status(tool, status);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		json_t *v = json_object_get(payload, members[i]);

		if (v)
			(void)json_object_set(tool, members[i], v);
	}
}

static void prompt_pending(struct accumulator *a, const json_t *payload)
{
	json_t *prompt = json_object_get(payload, "prompt");
	json_t *tool = tool_of(a, prompt);

	if (!json_is_object(prompt))
		return;
	(void)json_array_append(a->prompts, prompt);
	if (tool)
		set_status(tool, json_is_true(json_object_get(prompt, "uncertain")) ? "uncertain"
										    : "waiting");
}

static void prompt_resolved(struct accumulator *a, const json_t *payload)
{
	const char *id = json_get_str(payload, "prompt_id");
	json_t *prompt;
	size_t i;

	tool_update(tool_of(a, payload), payload, NULL);
	json_array_foreach (a->prompts, i, prompt) {
		const char *have = json_get_str(prompt, "id");

		if (id && have && strcmp(id, have) == 0) {
			(void)json_array_remove(a->prompts, i);
			return;
		}
	}
}

static bool is_open(const char *status)
{
	return status && (strcmp(status, "pending") == 0 || strcmp(status, "waiting") == 0 ||
			  strcmp(status, "running") == 0);
}

/* A turn's end: nothing runs or waits any more. */
static void close_open(struct accumulator *a)
{
	json_t *tool;
	size_t i;

	json_array_foreach (a->tools, i, tool) {
		if (is_open(json_get_str(tool, "status")))
			set_status(tool, "incomplete");
	}
	(void)json_array_clear(a->prompts);
}

static void resumed(struct accumulator *a, const json_t *payload)
{
	json_t *tools = json_object_get(payload, "tool_invocations");
	json_t *prompts = json_object_get(payload, "pending_prompts");

	set_buf(&a->content, json_object_get(payload, "content"));
	set_buf(&a->reasoning, json_object_get(payload, "reasoning"));
	json_decref(a->tools);
	json_decref(a->prompts);
	a->tools = json_is_array(tools) ? json_deep_copy(tools) : json_array();
	a->prompts = json_is_array(prompts) ? json_deep_copy(prompts) : json_array();
}

void accumulator_apply(struct accumulator *a, enum chat_event_type type, const json_t *payload)
{
	json_t *text;

	switch (type) {
	case CHAT_EVENT_RESPONSE_START:
		accumulator_reset(a);
		break;
	case CHAT_EVENT_RESPONSE_CHUNK:
	case CHAT_EVENT_REASONING_CHUNK:
		text = json_object_get(payload, "content");
		if (json_is_string(text))
			accumulator_add_text(a, type, json_string_value(text),
					     json_string_length(text));
		break;
	case CHAT_EVENT_TOOL_START:
		tool_start(a, payload);
		break;
	case CHAT_EVENT_TOOL_INPUT:
		tool_update(tool_of(a, payload), payload, NULL);
		break;
	case CHAT_EVENT_TOOL_PROGRESS:
		tool_update(tool_of(a, payload), payload, "running");
		break;
	case CHAT_EVENT_TOOL_END:
		tool_update(tool_of(a, payload), payload, "done");
		break;
	case CHAT_EVENT_PROMPT_PENDING:
		prompt_pending(a, payload);
		break;
	case CHAT_EVENT_PROMPT_RESOLVED:
		prompt_resolved(a, payload);
		break;
	case CHAT_EVENT_RESPONSE_END:
		set_text(&a->stop_reason, json_get_str(payload, "stop_reason"));
		set_json(&a->usage, json_get(payload, "usage"));
		close_open(a);
		break;
	case CHAT_EVENT_ABORTED:
		set_json(&a->usage, json_get(payload, "usage"));
		close_open(a);
		break;
	case CHAT_EVENT_ERROR:
		if (!json_is_true(json_object_get(payload, "fatal")))
			break;
		json_decref(a->error);
		a->error = json_deep_copy(payload);
		(void)json_object_del(a->error, "fatal");
		set_json(&a->usage, json_get(payload, "usage"));
		set_text(&a->stop_reason, json_get_str(payload, "stop_reason"));
		close_open(a);
		break;
	case CHAT_EVENT_TURN_RESUMED:
		resumed(a, payload);
		break;
	case CHAT_EVENT_WARNING:
		text = json_object_get(payload, "code");
		if (json_is_string(text) && strcmp(json_string_value(text), "refusal") == 0)
			set_text(&a->refusal, json_get_str(payload, "message"));
		break;
	case CHAT_EVENT_SNAPSHOT:
	case CHAT_EVENT_TURN_QUEUED:
	case CHAT_EVENT_SESSION_CLEARED:
	case CHAT_EVENT_N:
		break;
	}
}

int64_t accumulator_characters(const struct accumulator *a)
{
	int64_t n = 0;

	for (size_t i = 0; i < a->content.len; i++)
		n += ((unsigned char)a->content.data[i] & 0xc0) != 0x80;
	return n;
}

json_t *accumulator_extra(const struct accumulator *a)
{
	json_t *extra = json_object();

	if (a->reasoning.len)
		(void)json_object_set_new(extra, "reasoning",
					  json_stringn(a->reasoning.data, a->reasoning.len));
	if (json_array_size(a->tools))
		(void)json_object_set_new(extra, "tool_invocations", json_deep_copy(a->tools));
	if (a->refusal)
		(void)json_object_set_new(extra, "refusal", json_string(a->refusal));
	if (a->usage)
		(void)json_object_set(extra, "usage", a->usage);
	if (a->error)
		(void)json_object_set(extra, "error", a->error);
	return extra;
}

void accumulator_load(struct accumulator *a, const json_t *answer, const char *stop_reason)
{
	json_t *tools = json_object_get(answer, "tool_invocations");

	accumulator_reset(a);
	set_buf(&a->content, json_object_get(answer, "content"));
	set_buf(&a->reasoning, json_object_get(answer, "reasoning"));
	if (json_is_array(tools)) {
		json_decref(a->tools);
		a->tools = json_deep_copy(tools);
	}
	set_text(&a->refusal, json_get_str(answer, "refusal"));
	set_text(&a->stop_reason, stop_reason);
	set_json(&a->usage, json_get(answer, "usage"));
	set_json(&a->error, json_get(answer, "error"));
}

static void add_text(struct buf *b, const char *name, const char *p, size_t n)
{
	buf_addf(b, ",\"%s\":", name);
	json_add_string(b, p ? p : "", n);
}

static void add_json(struct buf *b, const char *name, const json_t *v)
{
	buf_addf(b, ",\"%s\":", name);
	if (v)
		json_add_value(b, v);
	else
		buf_adds(b, "null");
}

void accumulator_add_snapshot(struct buf *b, const struct accumulator *a, const json_t *error)
{
	add_text(b, "content", a->content.data, a->content.len);
	add_text(b, "reasoning", a->reasoning.data, a->reasoning.len);
	add_json(b, "tool_invocations", a->tools);
	add_json(b, "pending_prompts", a->prompts);
	add_json(b, "usage", a->usage);
	if (a->stop_reason)
		add_text(b, "stop_reason", a->stop_reason, strlen(a->stop_reason));
	else
		add_json(b, "stop_reason", NULL);
	if (a->refusal)
		add_text(b, "refusal", a->refusal, strlen(a->refusal));
	add_json(b, "error", a->error ? a->error : error);
}

json_t *accumulator_resumed(const struct accumulator *a)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "content",
			 json_stringn(a->content.data ? a->content.data : "", a->content.len),
			 "reasoning",
			 json_stringn(a->reasoning.data ? a->reasoning.data : "", a->reasoning.len),
			 "tool_invocations", json_deep_copy(a->tools), "pending_prompts",
			 json_deep_copy(a->prompts));
}
