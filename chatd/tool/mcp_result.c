/*
 * mcp_result.c - what a call brought, as text for a model. See mcp_result.h.
 *
 * A model gets text. What is not text (images, sounds, files) is named with its type and size, so
 * that the model can speak of it and does not take it for nothing. Structured content repeats the
 * text as JSON in the servers seen; it is used only where there is no other content.
 *
 * A result can be of any size that fits LIMIT_TOOL_LINE. No more than the limit of it is ever
 * copied; the rest is only counted, for the note at the end.
 */
#include "chatd/tool/mcp_result.h"

#include <string.h>

#include "common/json.h"

#define NOTE_MAX 96 /* bytes of the note about a cut */

void mcp_text_add(struct mcp_text *t, const char *p, size_t n)
{
	static const char replacement[] = "\xef\xbf\xbd";

	while (n > 0) {
		size_t run = strnlen(p, n);
		size_t room = t->text.len < t->limit + 4 ? t->limit + 4 - t->text.len : 0;

		buf_add(&t->text, p, run < room ? run : room);
		t->total += run;
		p += run;
		n -= run;
		if (n > 0) {
			if (room > run)
				buf_adds(&t->text, replacement);
			t->total += 3;
			p++;
			n--;
		}
	}
}

void mcp_text_finish(struct mcp_text *t)
{
	size_t keep;

	if (t->total <= t->limit)
		return;
	keep = json_utf8_prefix(t->text.data, t->limit > NOTE_MAX ? t->limit - NOTE_MAX : 0);
	t->text.len = keep;
	buf_addf(&t->text, "\n[cut here: these are the first %zu of %zu bytes]", keep, t->total);
}

static void add_string(struct mcp_text *t, const char *s)
{
	mcp_text_add(t, s, strlen(s));
}

/* Bytes of what n characters of base64 hold. */
static void add_size(struct mcp_text *t, size_t n)
{
	struct buf b = BUF_INIT;
	size_t bytes = n / 4 * 3;

	if (bytes < 1024)
		buf_addf(&b, "%zu bytes", bytes);
	else
		buf_addf(&b, "%zu kB", (bytes + 512) / 1024);
	mcp_text_add(t, b.data, b.len);
	buf_fini(&b);
}

static const char *or_else(const char *s, const char *other)
{
	return s && *s ? s : other;
}

/* "[image image/png, 12 kB]" */
static void add_blob(struct mcp_text *t, const char *what, const char *mime, const json_t *data)
{
	add_string(t, "[");
	add_string(t, what);
	add_string(t, " ");
	add_string(t, or_else(mime, "of unknown type"));
	add_string(t, ", ");
	add_size(t, json_string_length(data));
	add_string(t, "]");
}

static void add_resource(struct mcp_text *t, const json_t *r)
{
	const json_t *text = json_get(r, "text");

	add_string(t, "[resource ");
	add_string(t, or_else(json_get_str(r, "uri"), "without a name"));
	add_string(t, "]");
	add_string(t, json_is_string(text) ? "\n" : " ");
	if (json_is_string(text))
		mcp_text_add(t, json_string_value(text), json_string_length(text));
	else
		add_blob(t, "data", json_get_str(r, "mimeType"), json_get(r, "blob"));
}

static void add_link(struct mcp_text *t, const json_t *part)
{
	const char *name = or_else(json_get_str(part, "title"), json_get_str(part, "name"));

	add_string(t, "[link ");
	add_string(t, or_else(json_get_str(part, "uri"), "to nothing"));
	if (name && *name) {
		add_string(t, " ");
		add_string(t, name);
	}
	add_string(t, "]");
}

static void add_part(struct mcp_text *t, const json_t *part)
{
	const char *type = or_else(json_get_str(part, "type"), "");
	const json_t *text = json_get(part, "text");

	if (strcmp(type, "text") == 0 && json_is_string(text)) {
		mcp_text_add(t, json_string_value(text), json_string_length(text));
	} else if (strcmp(type, "image") == 0 || strcmp(type, "audio") == 0) {
		add_blob(t, type, json_get_str(part, "mimeType"), json_get(part, "data"));
	} else if (strcmp(type, "resource") == 0) {
		add_resource(t, json_get(part, "resource"));
	} else if (strcmp(type, "resource_link") == 0) {
		add_link(t, part);
	} else {
		add_string(t, "[content of the unknown type \"");
		add_string(t, type);
		add_string(t, "\"]");
	}
}

bool mcp_result_text(const json_t *result, struct mcp_text *t)
{
	const json_t *content = json_get(result, "content");
	const json_t *structured = json_get(result, "structuredContent");
	const json_t *part;
	size_t i;

	json_array_foreach (content, i, part) {
		if (i > 0)
			add_string(t, "\n");
		add_part(t, part);
	}
	if (json_array_size(content) == 0 && structured) {
		char *s = json_text(structured);

		add_string(t, s);
		free(s);
	}
	mcp_text_finish(t);
	return json_is_true(json_get(result, "isError"));
}
