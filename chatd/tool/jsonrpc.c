/*
 * jsonrpc.c - JSON-RPC 2.0, one message a line. See jsonrpc.h.
 *
 * Framing. A server's stdout is a stream of lines, each one message. Most lines come whole in one
 * read and are handed out where they lie; a line that is spread over reads is gathered. One that
 * grows beyond the limit is not gathered any further but skipped to its end, of which no more than
 * both ends are kept: SDKs write the id at one of them, and with it the call that the line would
 * have answered can be told, instead of being left to its time-out.
 *
 *	gathering --line end--> READY
 *	    | over the limit
 *	skipping  --line end--> TOO_LONG
 *
 * Messages. Kinds are told apart by their members, not by "jsonrpc": "2.0", which some servers
 * forget. A batch (an array) is nonsense: MCP has none.
 *
 * Writing is into a buf, text for text: arguments reach a server as the model wrote them.
 */
#include "chatd/tool/jsonrpc.h"

#include <ctype.h>
#include <string.h>

#include "common/json.h"
#include "common/json_mend.h"
#include "common/limits.h"
#include "common/require.h"

void jsonrpc_reader_fini(struct jsonrpc_reader *r)
{
	buf_fini(&r->line);
	r->used = false;
	r->skipping = false;
}

static bool is_blank(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\r')
			return false;
	}
	return true;
}

/* More of a line that is skipped: of what was kept behind the head only the tail stays. */
static void skip(struct jsonrpc_reader *r, const char *p, size_t n)
{
	if (n > JSONRPC_ENDS) {
		p += n - JSONRPC_ENDS;
		n = JSONRPC_ENDS;
	}
	buf_add(&r->line, p, n);
	if (r->line.len > 2 * JSONRPC_ENDS) {
		memmove(r->line.data + JSONRPC_ENDS, r->line.data + r->line.len - JSONRPC_ENDS,
			JSONRPC_ENDS);
		r->line.len = 2 * JSONRPC_ENDS;
	}
}

/* The first JSONRPC_ENDS bytes are the head, what is behind them may become the tail. */
static void keep_ends(struct jsonrpc_reader *r, const char *p, size_t n)
{
	size_t head = r->line.len < JSONRPC_ENDS ? JSONRPC_ENDS - r->line.len : 0;

	if (n == 0)
		return; /* p may be NULL then */
	head = n < head ? n : head;
	buf_add(&r->line, p, head);
	skip(r, p + head, n - head);
}

/* The line has grown beyond the limit: only its ends stay. */
static void start_to_skip(struct jsonrpc_reader *r, const char *p, size_t n)
{
	struct buf all = r->line;

	r->line = (struct buf)BUF_INIT;
	r->skipping = true;
	keep_ends(r, all.data, all.len);
	keep_ends(r, p, n);
	buf_fini(&all); /* up to the limit of it: not kept for the next line */
}

/* Takes n bytes of the line, which all lie before its end. */
static void gather(struct jsonrpc_reader *r, const char *p, size_t n)
{
	if (r->skipping)
		keep_ends(r, p, n);
	else if (r->line.len + n > r->limit)
		start_to_skip(r, p, n);
	else
		buf_add(&r->line, p, n);
}

enum jsonrpc_line jsonrpc_read_line(struct jsonrpc_reader *r, struct str *in, struct str *ret_line)
{
	if (r->used) {
		/* a rare huge line must not keep its memory for ever */
		if (r->line.cap > LIMIT_TOOL_RESULT)
			buf_fini(&r->line);
		buf_clear(&r->line);
		r->used = false;
	}
	while (in->n > 0) {
		const char *end = memchr(in->p, '\n', in->n);
		size_t n = end ? (size_t)(end - in->p) : in->n;
		struct str here = {in->p, n};
		bool is_long;

		in->p += n + (end != NULL);
		in->n -= n + (end != NULL);
		if (end && r->line.len == 0 && n <= r->limit) {
			if (is_blank(here))
				continue;
			*ret_line = here;
			return JSONRPC_LINE_READY;
		}
		gather(r, here.p, here.n);
		if (!end)
			break;
		is_long = r->skipping;
		r->skipping = false;
		*ret_line = (struct str){r->line.data, r->line.len};
		if (!is_long && is_blank(*ret_line)) {
			buf_clear(&r->line);
			continue;
		}
		r->used = true;
		return is_long ? JSONRPC_LINE_TOO_LONG : JSONRPC_LINE_READY;
	}
	return JSONRPC_LINE_MORE;
}

/* Reads  "id" : 12  at p. Returns the first byte behind it, or NULL. */
static const char *read_id(const char *p, const char *end, long long *ret_id)
{
	long long id = 0;
	int digits = 0;

	if (end - p < 4 || memcmp(p, "\"id\"", 4) != 0)
		return NULL;
	for (p += 4; p < end && (*p == ' ' || *p == ':'); p++)
		;
	for (; p < end && isdigit((unsigned char)*p) && digits < 18; p++, digits++)
		id = id * 10 + (*p - '0');
	while (p < end && *p == ' ')
		p++;
	*ret_id = id;
	return digits ? p : NULL;
}

int jsonrpc_id_of_ends(struct str ends, long long *ret_id)
{
	const char *end = ends.p + ends.n;
	const char *p, *next;

	while (end > ends.p && (end[-1] == '\r' || end[-1] == ' '))
		end--;
	/* at the end: {"result": ..., "id": 12} */
	for (p = end; p > ends.p && end - p < 32; p--) {
		next = read_id(p, end, ret_id);
		if (next && end - next == 1 && *next == '}')
			return 1;
	}
	/* at the start, before anything nested: {"jsonrpc": "2.0", "id": 12, "result": {... */
	for (p = ends.p; p < end && (p == ends.p ? *p == '{' : *p != '{' && *p != '['); p++) {
		next = read_id(p, end, ret_id);
		if (next && next < end && *next == ',')
			return 1;
	}
	return 0;
}

static json_t *read_line(struct str line)
{
	json_t *v = json_read(line.p, line.n, NULL, 0);
	struct buf b = BUF_INIT;

	if (v || (line.n > 0 && *line.p != '{'))
		return v;
	json_mend(&b, line.p, line.n);
	v = json_read(b.data, b.len, NULL, 0);
	buf_fini(&b);
	return v;
}

static enum jsonrpc_kind kind_of(struct jsonrpc_message *m)
{
	const json_t *error = json_get(m->root, "error");
	bool has_id = json_object_get(m->root, "id") != NULL;

	m->id = json_get(m->root, "id");
	if (has_id && !json_is_string(m->id) && !json_is_integer(m->id))
		return JSONRPC_NONSENSE;
	m->method = json_get_str(m->root, "method");
	m->params = json_get(m->root, "params");
	if (m->method)
		return has_id ? JSONRPC_REQUEST : JSONRPC_NOTIFICATION;
	m->result = json_object_get(m->root, "result");
	if (!has_id || (m->result && error))
		return JSONRPC_NONSENSE;
	if (m->result)
		return JSONRPC_RESULT;
	if (!json_is_object(error))
		return JSONRPC_NONSENSE;
	if (!json_get_int(error, "code", &m->code))
		m->code = 0;
	m->error = json_get_str(error, "message");
	if (!m->error)
		m->error = "unknown error";
	m->data = json_get(error, "data");
	return JSONRPC_ERROR;
}

enum jsonrpc_kind jsonrpc_parse(struct str line, struct jsonrpc_message *ret)
{
	*ret = (struct jsonrpc_message){.root = read_line(line)};
	ret->kind = json_is_object(ret->root) ? kind_of(ret) : JSONRPC_NONSENSE;
	return ret->kind;
}

void jsonrpc_message_fini(struct jsonrpc_message *m)
{
	json_decref(m->root);
	*m = (struct jsonrpc_message){0};
}

static void add_params(struct buf *b, const char *method, struct str params)
{
	buf_adds(b, "\"method\":");
	json_add_string(b, method, strlen(method));
	if (params.n > 0) {
		buf_adds(b, ",\"params\":");
		buf_add(b, params.p, params.n);
	}
	buf_adds(b, "}\n");
}

void jsonrpc_add_request(struct buf *b, long long id, const char *method, struct str params)
{
	buf_addf(b, "{\"jsonrpc\":\"2.0\",\"id\":%lld,", id);
	add_params(b, method, params);
}

void jsonrpc_add_notification(struct buf *b, const char *method, struct str params)
{
	buf_adds(b, "{\"jsonrpc\":\"2.0\",");
	add_params(b, method, params);
}

void jsonrpc_add_result(struct buf *b, const json_t *id, struct str result)
{
	buf_adds(b, "{\"jsonrpc\":\"2.0\",\"id\":");
	json_add_value(b, id);
	buf_adds(b, ",\"result\":");
	buf_add(b, result.p, result.n);
	buf_adds(b, "}\n");
}

void jsonrpc_add_error(struct buf *b, const json_t *id, int code, const char *message)
{
	buf_adds(b, "{\"jsonrpc\":\"2.0\",\"id\":");
	json_add_value(b, id);
	buf_addf(b, ",\"error\":{\"code\":%d,\"message\":", code);
	json_add_string(b, message, strlen(message));
	buf_adds(b, "}}\n");
}
