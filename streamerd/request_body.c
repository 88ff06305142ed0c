/*
 * request_body.c - the JSON bodies that clients send, checked field by field. See request_body.h.
 *
 * content is a string or an array of parts:
 *	{"type":"text","text":"…"}
 *	{"type":"image","media_type":"image/png","data":"<base64>"}
 * It is empty if it holds no image and nothing but white space.
 *
 * An unknown field is an error: a misspelt one would otherwise be a setting that silently does not
 * apply. null is not a way to leave a field out.
 */
#include "streamerd/request_body.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/id.h"
#include "common/json.h"
#include "common/limits.h"

static int fail(struct body_error *e, enum fault fault, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int fail(struct body_error *e, enum fault fault, const char *field, const char *fmt, ...)
{
	va_list ap;
	size_t n = strlen(field);

	if (n >= sizeof(e->field))
		n = json_utf8_prefix(field, sizeof(e->field) - 1);
	e->fault = fault;
	memcpy(e->field, field, n);
	e->field[n] = '\0';
	va_start(ap, fmt);
	(void)vsnprintf(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
	return -1;
}

static bool is_json_media_type(struct str s)
{
	static const char name[] = "application/json";
	const char *semicolon = s.p ? memchr(s.p, ';', s.n) : NULL;

	if (!s.p)
		return false;
	if (semicolon)
		s.n = (size_t)(semicolon - s.p);
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s.n == sizeof(name) - 1 && strncasecmp(s.p, name, s.n) == 0;
}

/* An object of known fields, or NULL with *e filled in. */
static json_t *read_object(struct str media_type, struct str body, const char *const *known,
			   struct body_error *e)
{
	json_t *root, *value;
	const char *key;

	if (!is_json_media_type(media_type)) {
		(void)fail(e, FAULT_UNSUPPORTED_MEDIA_TYPE, "", "%s",
			   fault_message(FAULT_UNSUPPORTED_MEDIA_TYPE));
		return NULL;
	}
	/* a name that stands twice would mean one thing here and another to who looks before us */
	root = json_loadb(body.p ? body.p : "", body.n,
			  JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	if (!root) {
		/* the parser's words may quote the input, cut anywhere: only the place is told */
		(void)fail(e, FAULT_BAD_JSON, "", "%s", fault_message(FAULT_BAD_JSON));
		return NULL;
	}
	if (!json_is_object(root)) {
		(void)fail(e, FAULT_BAD_JSON, "", "the body must be a JSON object");
		json_decref(root);
		return NULL;
	}
	json_object_foreach (root, key, value) {
		const char *const *k = known;

		while (*k && strcmp(*k, key) != 0)
			k++;
		if (!*k) {
			(void)fail(e, FAULT_BAD_FIELD, key, "there is no such field");
			json_decref(root);
			return NULL;
		}
	}
	return root;
}

/* A text without control characters of 1 to max bytes, if it is there. */
static int take_name(const json_t *root, const char *field, size_t max, struct str *ret,
		     struct body_error *e)
{
	const json_t *v = json_object_get(root, field);

	if (!v)
		return 0;
	if (!json_is_string(v))
		return fail(e, FAULT_BAD_FIELD, field, "%s must be a string", field);
	*ret = (struct str){json_string_value(v), json_string_length(v)};
	if (ret->n < 1 || ret->n > max)
		return fail(e, FAULT_BAD_FIELD, field, "%s must have 1 to %zu bytes", field, max);
	for (size_t i = 0; i < ret->n; i++) {
		if ((unsigned char)ret->p[i] < 0x20 || ret->p[i] == 0x7f)
			return fail(e, FAULT_BAD_FIELD, field, "%s holds a control character",
				    field);
	}
	return 0;
}

/* An id, if it is there. What can't be one is answered like one that does not exist. */
static int take_id(const json_t *root, const char *field, enum fault otherwise, struct str *ret,
		   struct body_error *e)
{
	const json_t *v = json_object_get(root, field);

	if (!v)
		return 0;
	if (!json_is_string(v))
		return fail(e, FAULT_BAD_FIELD, field, "%s must be a string", field);
	*ret = (struct str){json_string_value(v), json_string_length(v)};
	if (!id_is_plausible(ret->p, ret->n))
		return fail(e, otherwise, field, "%s", fault_message(otherwise));
	return 0;
}

/* The length of the white space character at p, 0 if there is none. */
static size_t space_length(const unsigned char *p, size_t n)
{
	if (p[0] <= 0x20 || p[0] == 0x7f)
		return 1;
	if (n >= 2 && p[0] == 0xc2 && (p[1] == 0x85 || p[1] == 0xa0))
		return 2;
	if (n < 3)
		return 0;
	if (p[0] == 0xe2 && p[1] == 0x80 &&
	    ((p[2] >= 0x80 && p[2] <= 0x8d) || p[2] == 0xa8 || p[2] == 0xa9 || p[2] == 0xaf))
		return 3;
	if ((p[0] == 0xe2 && p[1] == 0x81 && p[2] == 0x9f) ||
	    (p[0] == 0xe3 && p[1] == 0x80 && p[2] == 0x80) ||
	    (p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf))
		return 3;
	return 0;
}

static bool is_blank(const json_t *string)
{
	const unsigned char *p = (const unsigned char *)json_string_value(string);
	size_t n = json_string_length(string);
	size_t len = 1;

	for (; n > 0 && len > 0; p += len, n -= len)
		len = space_length(p, n);
	return n == 0 && len > 0;
}

static bool is_base64(const json_t *string)
{
	const char *p = json_string_value(string);
	size_t n = json_string_length(string);
	size_t padding = 0;

	if (n == 0 || n % 4 != 0)
		return false;
	while (padding < 2 && p[n - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < n - padding; i++) {
		char c = p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '+' || c == '/'))
			return false;
	}
	return true;
}

static bool is_image_type(const char *s)
{
	static const char *const known[] = {"image/png", "image/jpeg", "image/gif", "image/webp"};

	for (size_t i = 0; s && i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(s, known[i]) == 0)
			return true;
	}
	return false;
}

static int check_members(const json_t *part, size_t i, const char *const *known,
			 struct body_error *e)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)part, key, value) {
		const char *const *k = known;

		while (*k && strcmp(*k, key) != 0)
			k++;
		if (!*k)
			return fail(e, FAULT_BAD_FIELD, "content",
				    "content[%zu] has a member that is not known", i);
	}
	return 0;
}

/* One part; *ret_something: it is more than white space. */
static int check_part(const json_t *part, size_t i, bool *ret_something, struct body_error *e)
{
	static const char *const text_members[] = {"type", "text", NULL};
	static const char *const image_members[] = {"type", "media_type", "data", NULL};
	const char *type = json_get_str(part, "type");
	const json_t *text = json_object_get(part, "text");
	const json_t *data = json_object_get(part, "data");

	if (!json_is_object(part) || !type)
		return fail(e, FAULT_BAD_FIELD, "content",
			    "content[%zu] must be an object with a type", i);
	if (strcmp(type, "text") == 0) {
		if (!json_is_string(text))
			return fail(e, FAULT_BAD_FIELD, "content",
				    "content[%zu].text must be a string", i);
		if (!is_blank(text))
			*ret_something = true;
		return check_members(part, i, text_members, e);
	}
	if (strcmp(type, "image") == 0) {
		if (!is_image_type(json_get_str(part, "media_type")))
			return fail(e, FAULT_BAD_FIELD, "content",
				    "content[%zu].media_type must be image/png, image/jpeg, "
				    "image/gif or image/webp",
				    i);
		if (!json_is_string(data) || !is_base64(data))
			return fail(e, FAULT_BAD_FIELD, "content",
				    "content[%zu].data must be base64", i);
		*ret_something = true;
		return check_members(part, i, image_members, e);
	}
	return fail(e, FAULT_BAD_FIELD, "content", "content[%zu].type must be text or image", i);
}

static int take_content(const json_t *root, struct buf *ret, struct body_error *e)
{
	const json_t *v = json_object_get(root, "content");
	bool something = false;
	const json_t *part;
	size_t i;

	if (!json_is_string(v) && !json_is_array(v))
		return fail(e, FAULT_BAD_FIELD, "content",
			    "content must be a string or an array of parts");
	if (json_is_string(v))
		something = !is_blank(v);
	json_array_foreach (v, i, part) {
		if (check_part(part, i, &something, e) < 0)
			return -1;
	}
	if (!something)
		return fail(e, FAULT_EMPTY_CONTENT, "content", "%s",
			    fault_message(FAULT_EMPTY_CONTENT));
	json_add_value(ret, v);
	if (ret->len > LIMIT_MESSAGE)
		return fail(e, FAULT_TOO_LARGE, "content", "content is over %d bytes",
			    LIMIT_MESSAGE);
	return 0;
}

static int take_options(const json_t *root, struct message_body *m, struct body_error *e)
{
	const json_t *system = json_object_get(root, "system");
	const json_t *metadata = json_object_get(root, "metadata");

	if (system) {
		if (!json_is_string(system) ||
		    strlen(json_string_value(system)) != json_string_length(system))
			return fail(e, FAULT_BAD_FIELD, "system",
				    "system must be a string without NUL");
		m->system = (struct str){json_string_value(system), json_string_length(system)};
	}
	if (metadata) {
		if (!json_is_object(metadata))
			return fail(e, FAULT_BAD_FIELD, "metadata", "metadata must be an object");
		json_add_value(&m->metadata, metadata);
	}
	if (take_name(root, "on_busy", LIMIT_KEY, &m->on_busy, e) < 0)
		return -1;
	if (m->on_busy.n && !str_eq(m->on_busy, "reject") && !str_eq(m->on_busy, "queue") &&
	    !str_eq(m->on_busy, "interrupt"))
		return fail(e, FAULT_BAD_FIELD, "on_busy",
			    "on_busy must be reject, queue or interrupt");
	return 0;
}

int request_body_message(struct str media_type, struct str body, struct message_body *ret,
			 struct body_error *e)
{
	static const char *const known[] = {"session_id", "content", "provider", "model",
					    "system",	  "on_busy", "metadata", NULL};
	struct message_body m = {.root = read_object(media_type, body, known, e)};

	if (!m.root)
		return -1;
	if (take_id(m.root, "session_id", FAULT_SESSION_NOT_FOUND, &m.session_id, e) < 0 ||
	    take_name(m.root, "provider", LIMIT_KEY, &m.provider, e) < 0 ||
	    take_name(m.root, "model", LIMIT_KEY, &m.model, e) < 0 ||
	    take_options(m.root, &m, e) < 0 || take_content(m.root, &m.content, e) < 0) {
		message_body_fini(&m);
		return -1;
	}
	*ret = m;
	return 0;
}

void message_body_fini(struct message_body *m)
{
	json_decref(m->root);
	m->root = NULL;
	buf_fini(&m->content);
	buf_fini(&m->metadata);
}

int request_body_abort(struct str media_type, struct str body, struct abort_body *ret,
		       struct body_error *e)
{
	static const char *const known[] = {"turn_id", NULL};
	struct abort_body a = {0};

	if (body.n > 0) {
		a.root = read_object(media_type, body, known, e);
		if (!a.root)
			return -1;
		if (take_id(a.root, "turn_id", FAULT_TURN_MISMATCH, &a.turn_id, e) < 0) {
			abort_body_fini(&a);
			return -1;
		}
	}
	*ret = a;
	return 0;
}

void abort_body_fini(struct abort_body *a)
{
	json_decref(a->root);
	a->root = NULL;
}

int request_body_ticket(struct str media_type, struct str body, struct ticket_body *ret,
			struct body_error *e)
{
	static const char *const known[] = {"session_id", NULL};
	struct ticket_body b = {0};

	if (body.n > 0) {
		b.root = read_object(media_type, body, known, e);
		if (!b.root)
			return -1;
		if (take_id(b.root, "session_id", FAULT_SESSION_NOT_FOUND, &b.session_id, e) < 0) {
			ticket_body_fini(&b);
			return -1;
		}
	}
	*ret = b;
	return 0;
}

void ticket_body_fini(struct ticket_body *b)
{
	json_decref(b->root);
	b->root = NULL;
}

int request_body_answer(struct str media_type, struct str body, struct answer_body *ret,
			struct body_error *e)
{
	static const char *const known[] = {"allow", "remember", "answers", NULL};
	auto_json json_t *root = read_object(media_type, body, known, e);

	if (!root)
		return -1;
	ret->text = (struct buf)BUF_INIT;
	json_add_value(&ret->text, root);
	return 0;
}

void answer_body_fini(struct answer_body *a)
{
	buf_fini(&a->text);
}
