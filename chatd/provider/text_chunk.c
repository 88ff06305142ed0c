/*
 * text_chunk.c - see text_chunk.h.
 *
 * Members that openai_stream.c and anthropic_stream.c look at are either known here or end the
 * attempt; others are skipped if they are scalars. A member that comes twice ends it too.
 */
#include "chatd/provider/text_chunk.h"

#include "common/json_scan.h"

/* Of the names, which one is key? -1: none. *seen keeps who was there; twice fails. */
static int which(struct json_scan *s, const char *const *names, struct str key, unsigned *seen)
{
	for (int i = 0; names[i]; i++) {
		if (!str_eq(key, names[i]))
			continue;
		s->failed = s->failed || (*seen & 1u << i);
		*seen |= 1u << i;
		return i;
	}
	return -1;
}

static struct str text_or_null(struct json_scan *s, struct buf *room)
{
	return json_scan_null(s) ? (struct str){"", 0} : json_scan_string(s, room);
}

/* null, or not for us */
static void nothing(struct json_scan *s)
{
	if (!json_scan_null(s))
		s->failed = true;
}

static void read_delta(struct json_scan *s, struct buf *room, struct text_chunk *c)
{
	static const char *const names[] = {"content", "reasoning_content", "reasoning",
					    "refusal", "tool_calls",	    "reasoning_details",
					    NULL};
	unsigned seen = 0;
	bool first = true;
	struct str key;

	json_scan_open(s, '{');
	while (json_scan_member(s, &first, &key)) {
		switch (which(s, names, key, &seen)) {
		case 0:
			c->content = text_or_null(s, room);
			break;
		case 1:
			c->reasoning_content = text_or_null(s, room);
			break;
		case 2:
			c->reasoning = text_or_null(s, room);
			break;
		case -1:
			json_scan_skip(s);
			break;
		default:
			nothing(s);
		}
	}
}

static void read_choice(struct json_scan *s, struct buf *room, struct text_chunk *c)
{
	static const char *const names[] = {"delta", "index", "finish_reason", NULL};
	unsigned seen = 0;
	bool first = true;
	struct str key;

	json_scan_open(s, '[');
	json_scan_open(s, '{');
	while (json_scan_member(s, &first, &key)) {
		switch (which(s, names, key, &seen)) {
		case 0:
			read_delta(s, room, c);
			break;
		case 1:
			s->failed = json_scan_int(s) != 0 || s->failed;
			break;
		case 2:
			nothing(s);
			break;
		default:
			json_scan_skip(s);
		}
	}
	json_scan_close(s, ']');
}

bool text_chunk_openai(struct str chunk, struct buf *room, struct text_chunk *ret)
{
	static const char *const names[] = {"choices", "object", "usage", "x_groq", "error", NULL};
	struct text_chunk c = {{"", 0}, {"", 0}, {"", 0}};
	struct json_scan s;
	unsigned seen = 0;
	bool first = true;
	struct str key;

	json_scan_init(&s, chunk.p, chunk.n);
	json_scan_open(&s, '{');
	while (json_scan_member(&s, &first, &key)) {
		switch (which(&s, names, key, &seen)) {
		case 0:
			read_choice(&s, room, &c);
			break;
		case 1:
			if (!str_eq(json_scan_string(&s, NULL), "chat.completion.chunk"))
				s.failed = true;
			break;
		case -1:
			json_scan_skip(&s);
			break;
		default:
			nothing(&s);
		}
	}
	if (!json_scan_end(&s) || !(seen & 1))
		return false;
	*ret = c;
	return true;
}

static void read_block_delta(struct json_scan *s, struct buf *room, struct text_block_chunk *c)
{
	static const char *const names[] = {"type", "text", "thinking", NULL};
	unsigned seen = 0;
	bool first = true;
	struct str key, type = {"", 0};

	json_scan_open(s, '{');
	while (json_scan_member(s, &first, &key)) {
		switch (which(s, names, key, &seen)) {
		case 0:
			type = json_scan_string(s, NULL);
			break;
		case -1:
			json_scan_skip(s);
			break;
		default:
			c->text = json_scan_string(s, room);
		}
	}
	c->is_thinking = str_eq(type, "thinking_delta");
	if (!(c->is_thinking && seen == 5) && !(str_eq(type, "text_delta") && seen == 3))
		s->failed = true;
}

bool text_chunk_anthropic(struct str chunk, struct buf *room, struct text_block_chunk *ret)
{
	static const char *const names[] = {"type", "index", "delta", "error", NULL};
	struct text_block_chunk c = {0};
	struct json_scan s;
	unsigned seen = 0;
	bool first = true;
	struct str key;

	json_scan_init(&s, chunk.p, chunk.n);
	json_scan_open(&s, '{');
	while (json_scan_member(&s, &first, &key)) {
		switch (which(&s, names, key, &seen)) {
		case 0:
			if (!str_eq(json_scan_string(&s, NULL), "content_block_delta"))
				s.failed = true;
			break;
		case 1:
			c.index = json_scan_int(&s);
			break;
		case 2:
			read_block_delta(&s, room, &c);
			break;
		case -1:
			json_scan_skip(&s);
			break;
		default:
			nothing(&s);
		}
	}
	if (!json_scan_end(&s) || (seen & 7) != 7)
		return false;
	*ret = c;
	return true;
}
