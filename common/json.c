/*
 * json.c - what we do to JSON, on top of jansson. See json.h.
 */
#include "common/json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "common/require.h"
#include "common/utf8.h"

static void *allocate(size_t n)
{
	void *p = malloc(n);

	REQUIRE(p);
	return p;
}

void json_require_memory(void)
{
	json_set_alloc_funcs(allocate, free);
}

void json_add_string(struct buf *b, const char *s, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	size_t from = 0;

	buf_reserve(b, n + 2);
	buf_addc(b, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		char esc[6] = {'\\', 'u', '0', '0', 0, 0};
		size_t len = 2;

		if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
			continue;
		buf_add(b, s + from, i - from);
		from = i + 1;
		switch (c) {
		case '"':
		case '\\':
			esc[1] = (char)c;
			break;
		case '\n':
			esc[1] = 'n';
			break;
		case '\r':
			esc[1] = 'r';
			break;
		case '\t':
			esc[1] = 't';
			break;
		default:
			esc[4] = hex[c >> 4];
			esc[5] = hex[c & 15];
			len = 6;
		}
		buf_add(b, esc, len);
	}
	buf_add(b, s + from, n - from);
	buf_addc(b, '"');
}

static int dump_to_buf(const char *p, size_t n, void *arg)
{
	buf_add(arg, p, n);
	return 0;
}

void json_add_value(struct buf *b, const json_t *v)
{
	/* our callback can't fail, and depth was bounded when v was read */
	REQUIRE(json_dump_callback(v, dump_to_buf, b, JSON_COMPACT | JSON_ENCODE_ANY) == 0);
}

char *json_text(const json_t *v)
{
	struct buf b = BUF_INIT;

	json_add_value(&b, v);
	return buf_steal(&b, NULL);
}

size_t json_utf8_prefix(const char *s, size_t n)
{
	size_t back = 0;

	while (back < 4 && back < n) {
		unsigned char c = (unsigned char)s[n - 1 - back];

		if (c < 0x80)
			return n - back;
		back++;
		if (c >= 0xc0) {
			size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;

			return need <= back ? n : n - back;
		}
	}
	return n > 3 ? n - back : 0;
}

/* jansson quotes the bytes that it stumbled over: half a character, or none. */
void json_error_words(const json_error_t *e, char *ret, size_t size)
{
	auto_buf struct buf b = BUF_INIT;
	size_t n;

	utf8_add(&b, e->text, strlen(e->text));
	buf_addf(&b, " (byte %d)", e->position);
	n = b.len < size ? b.len : json_utf8_prefix(b.data, size - 1);
	memcpy(ret, b.data, n);
	ret[n] = '\0';
}

json_t *json_read(const char *p, size_t n, char *ret_error, size_t error_size)
{
	json_error_t e;
	json_t *v = json_loadb(p, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);

	if (!v && ret_error)
		json_error_words(&e, ret_error, error_size);
	return v;
}

const char *json_get_str(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

int json_get_int(const json_t *o, const char *key, long long *ret)
{
	const json_t *v = json_object_get(o, key);

	if (json_is_integer(v)) {
		*ret = json_integer_value(v);
		return 1;
	}
	if (json_is_real(v) && json_real_value(v) >= -9e15 && json_real_value(v) <= 9e15) {
		long long whole = (long long)json_real_value(v);

		if ((double)whole == json_real_value(v)) {
			*ret = whole;
			return 1;
		}
	}
	return 0;
}

json_t *json_get(const json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	return json_is_null(v) ? NULL : v;
}

struct str json_str(const json_t *v)
{
	if (!json_is_string(v))
		return str_of(NULL);
	return (struct str){json_string_value(v), json_string_length(v)};
}

/* Recursion is bounded by the parser, which refuses more than 2048 levels. */
int json_depth(const json_t *v)
{
	const char *key;
	json_t *member;
	size_t i;
	int deepest = -1;

	if (json_is_array(v)) {
		json_array_foreach (v, i, member) {
			int d = json_depth(member);

			deepest = d > deepest ? d : deepest;
		}
	} else if (json_is_object(v)) {
		json_object_foreach ((json_t *)(uintptr_t)v, key, member) {
			int d = json_depth(member);

			deepest = d > deepest ? d : deepest;
		}
	} else {
		return 0;
	}
	return deepest < 0 ? 1 : deepest + 1;
}

json_t *json_read_flat(const char *p, size_t n)
{
	json_t *v = json_read(p, n, NULL, 0);

	if (v && json_depth(v) > LIMIT_JSON_DEPTH) {
		json_decref(v);
		return NULL;
	}
	return v;
}
