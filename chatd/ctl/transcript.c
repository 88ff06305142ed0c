/*
 * transcript.c - events and stored answers for a person at a terminal. See transcript.h.
 */
#include "chatd/ctl/transcript.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "chatd/ctl/rows.h"
#include "common/cleanup.h"
#include "common/require.h"

void transcript_init(struct transcript *t, bool reasoning)
{
	*t = (struct transcript){.at_line_start = true, .reasoning = reasoning};
}

static void text(struct transcript *t, const json_t *v)
{
	const char *p = json_string_value(v);
	size_t n = json_string_length(v);

	if (!p || n == 0)
		return;
	rows_print_text(p, n);
	t->at_line_start = p[n - 1] == '\n';
}

/* "[...]" on a line of its own. */
static void note(struct transcript *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void note(struct transcript *t, const char *fmt, ...)
{
	auto_free char *line = NULL;
	va_list ap;

	va_start(ap, fmt);
	REQUIRE(vasprintf(&line, fmt, ap) >= 0);
	va_end(ap);
	if (!t->at_line_start)
		(void)putchar('\n');
	(void)putchar('[');
	rows_print_text(line, strlen(line));
	(void)puts("]");
	t->at_line_start = true;
}

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_get_str(o, key);

	return s ? s : "";
}

/* What is not text, on one line; free it. */
static char *one_line(const json_t *v)
{
	bool is_tree = v && !json_is_string(v);
	char *s = is_tree ? json_text(v) : str_dup(str_of(json_string_value(v)));

	for (char *p = s; *p; p++) {
		if (*p == '\n')
			*p = ' ';
	}
	return s;
}

static void ending(struct transcript *t, const char *what, const json_t *p)
{
	auto_free char *usage = one_line(json_get(p, "usage"));
	long long ms = 0;

	(void)json_get_int(p, "duration_ms", &ms);
	note(t, "%s after %.1f s; stop %s; usage %s", what, (double)ms / 1000,
	     *str(p, "stop_reason") ? str(p, "stop_reason") : "-", *usage ? usage : "-");
}

void transcript_event(struct transcript *t, const struct chat_event *e, const json_t *p)
{
	auto_free char *input = one_line(json_get(p, "input"));
	auto_free char *output = one_line(json_get(p, "output"));

	if (e->type != t->last && !t->at_line_start &&
	    (e->type == CHAT_EVENT_RESPONSE_CHUNK || e->type == CHAT_EVENT_REASONING_CHUNK)) {
		(void)putchar('\n');
		t->at_line_start = true;
	}
	t->last = e->type;
	switch (e->type) {
	case CHAT_EVENT_RESPONSE_CHUNK:
		text(t, json_get(p, "content"));
		break;
	case CHAT_EVENT_REASONING_CHUNK:
		if (t->reasoning)
			text(t, json_get(p, "content"));
		break;
	case CHAT_EVENT_RESPONSE_START:
		note(t, "turn %.*s", (int)e->turn_id.n, e->turn_id.p);
		break;
	case CHAT_EVENT_TOOL_START:
		note(t, "tool %s %s %s", str(p, "tool_invocation_id"), str(p, "server"),
		     str(p, "name"));
		break;
	case CHAT_EVENT_TOOL_INPUT:
		note(t, "tool %s input %s%s", str(p, "tool_invocation_id"), input,
		     json_get(p, "parse_error") ? " (not valid)" : "");
		break;
	case CHAT_EVENT_TOOL_END:
		note(t, "tool %s %s: %s", str(p, "tool_invocation_id"), str(p, "status"), output);
		break;
	case CHAT_EVENT_PROMPT_PENDING:
		note(t, "waits for an answer to %s: chatctl prompts",
		     str(json_get(p, "prompt"), "id"));
		break;
	case CHAT_EVENT_PROMPT_RESOLVED:
		note(t, "%s is answered", str(p, "prompt_id"));
		break;
	case CHAT_EVENT_RESPONSE_END:
		ending(t, "done", p);
		break;
	case CHAT_EVENT_ABORTED:
		ending(t, "aborted", p);
		break;
	case CHAT_EVENT_ERROR:
	case CHAT_EVENT_WARNING:
		note(t, "%s %s: %s", chat_event_name(e->type), str(p, "code"), str(p, "message"));
		break;
	case CHAT_EVENT_TURN_RESUMED:
		note(t, "taken up again; what still stands:");
		text(t, json_get(p, "content"));
		break;
	case CHAT_EVENT_TURN_QUEUED:
		note(t, "queued %.*s", (int)e->turn_id.n, e->turn_id.p);
		break;
	case CHAT_EVENT_SESSION_CLEARED:
		note(t, "the session is gone");
		break;
	case CHAT_EVENT_TOOL_PROGRESS:
	case CHAT_EVENT_SNAPSHOT:
	case CHAT_EVENT_N:
		break;
	}
	(void)fflush(stdout);
}

static void content(struct transcript *t, const json_t *v)
{
	const json_t *part;
	size_t i;

	text(t, v);
	json_array_foreach (v, i, part) {
		if (strcmp(str(part, "type"), "text") == 0)
			text(t, json_get(part, "text"));
		else
			note(t, "%s %s", str(part, "type"), str(part, "media_type"));
	}
}

void transcript_message(const json_t *row)
{
	struct transcript t;
	const json_t *extra = json_get(row, "extra");
	const json_t *tools = json_get(extra, "tool_invocations");
	const json_t *one;
	size_t i;

	transcript_init(&t, false);
	(void)printf("--- %s  %s  %s  %s\n", str(row, "role"), str(row, "created"),
		     str(row, "turn_id"), str(row, "status"));
	json_array_foreach (tools, i, one) {
		auto_free char *input = one_line(json_get(one, "input"));
		auto_free char *output = one_line(json_get(one, "output"));

		note(&t, "tool %s %s %s %s: %s", str(one, "server"), str(one, "name"), input,
		     str(one, "status"), output);
	}
	content(&t, json_object_get(row, "content"));
	if (!t.at_line_start)
		(void)putchar('\n');
}

static void question(struct transcript *t, const json_t *q)
{
	const json_t *one;
	size_t i;

	note(t, "%s%s: %s", str(q, "id"), json_is_true(json_get(q, "multiple")) ? " (several)" : "",
	     str(q, "question"));
	json_array_foreach (json_get(q, "options"), i, one)
		note(t, "  %s  %s", str(one, "label"), str(one, "description"));
}

void transcript_prompt(const json_t *row)
{
	struct transcript t;
	const json_t *questions = json_get(json_get(row, "request"), "questions");
	auto_free char *arguments = one_line(json_get(row, "arguments"));
	const json_t *one;
	size_t i;

	transcript_init(&t, false);
	(void)printf("--- waits since %s\n", str(row, "asked"));
	if (json_array_size(questions)) {
		json_array_foreach (questions, i, one)
			question(&t, one);
		note(&t, "chatctl answer %s QUESTION=VALUE", str(row, "prompt_id"));
		return;
	}
	note(&t, "may %s %s run with %s", str(row, "server"), str(row, "tool"), arguments);
	note(&t, "chatctl allow %s  |  chatctl deny %s", str(row, "prompt_id"),
	     str(row, "prompt_id"));
}
