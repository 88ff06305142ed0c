/*
 * tool_input.c - do these arguments fit the tool? See tool_input.h.
 *
 * Models send arguments that are cut, misspelt or of the wrong type. To say so here, in words that
 * a model can act on, is cheaper than to ask a person about a call that its server would refuse,
 * and it is what FAF-5 wants shown. The server checks again by its own rules: so what this file
 * doesn't know of JSON Schema counts as fitting, and a tool is never lost to a keyword ($ref among
 * them).
 *
 * Two things are stricter than JSON needs: a name that stands twice in one object is refused
 * (which of the two a person saw when asked, and which one the server takes, could differ), and so
 * are lone surrogates.
 *
 * Arguments come from a model and schemas from a server, either of which may be hostile: nesting
 * is bounded by jansson, and the number of comparisons by LIMIT_TOOL_STEPS, beyond which the rest
 * counts as fitting. Pure: no state, no clock.
 */
#include "chatd/tool/tool_input.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "common/require.h"

struct check {
	struct buf path; /* of the value at hand, as in /a/0/b */
	char *error;	 /* NULL while alternatives of an anyOf are tried: nobody reads it */
	size_t error_size;
	size_t steps;
};

static bool fits(struct check *c, const json_t *v, const json_t *schema);

/* The arguments of a %.*s that shows up to n bytes of s, in whole characters. */
#define SHORT(s, n) (int)json_utf8_prefix((s), strnlen((s), (n))), (s)

__attribute__((format(printf, 2, 3))) static bool misfit(struct check *c, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;
	size_t n;

	if (!c->error)
		return false;
	if (c->path.len > 0)
		buf_addf(&b, "%s: ", buf_str(&c->path));
	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	n = json_utf8_prefix(b.data, b.len < c->error_size ? b.len : c->error_size - 1);
	memcpy(c->error, b.data, n);
	c->error[n] = '\0';
	buf_fini(&b);
	return false;
}

/* One comparison more. False once there were too many: the caller then takes it as fitting. */
static bool step(struct check *c)
{
	return ++c->steps <= LIMIT_TOOL_STEPS;
}

static bool is_whole(const json_t *v)
{
	return json_is_integer(v) ||
	       (json_is_real(v) && floor(json_real_value(v)) == json_real_value(v));
}

static bool is_of_type(const json_t *v, const char *type)
{
	if (strcmp(type, "integer") == 0)
		return is_whole(v);
	if (strcmp(type, "number") == 0)
		return json_is_number(v);
	if (strcmp(type, "string") == 0)
		return json_is_string(v);
	if (strcmp(type, "boolean") == 0)
		return json_is_boolean(v);
	if (strcmp(type, "object") == 0)
		return json_is_object(v);
	if (strcmp(type, "array") == 0)
		return json_is_array(v);
	if (strcmp(type, "null") == 0)
		return json_is_null(v);
	return true; /* no type that we know */
}

static bool fits_type(struct check *c, const json_t *v, const json_t *type)
{
	const json_t *one;
	size_t i;

	if (json_is_string(type))
		return is_of_type(v, json_string_value(type)) ||
		       misfit(c, "must be of type %.*s", SHORT(json_string_value(type), 40));
	if (!json_is_array(type) || json_array_size(type) == 0)
		return true;
	json_array_foreach (type, i, one) {
		if (!step(c) || !json_is_string(one) || is_of_type(v, json_string_value(one)))
			return true;
	}
	return misfit(c, "is of none of the types that are allowed");
}

/* As JSON Schema has it: 1 equals 1.0. */
static bool same(const json_t *a, const json_t *b)
{
	if (json_is_number(a) && json_is_number(b) && !(json_is_integer(a) && json_is_integer(b)))
		return json_number_value(a) >= json_number_value(b) &&
		       json_number_value(a) <= json_number_value(b);
	return json_equal(a, b);
}

static bool fits_values(struct check *c, const json_t *v, const json_t *schema)
{
	const json_t *constant = json_object_get(schema, "const");
	const json_t *list = json_object_get(schema, "enum");
	const json_t *one;
	struct buf names = BUF_INIT;
	size_t i;

	if (constant && !same(v, constant))
		return misfit(c, "is not the one value that is allowed");
	if (!json_is_array(list))
		return true;
	json_array_foreach (list, i, one) {
		if (!step(c) || same(v, one))
			return true;
	}
	json_array_foreach (list, i, one) {
		if (c->error && names.len < 120 && json_is_string(one))
			buf_addf(&names, "%s\"%.*s\"", names.len ? ", " : "",
				 SHORT(json_string_value(one), 40));
	}
	(void)misfit(c, "must be one of %s", names.len ? buf_str(&names) : "the allowed values");
	buf_fini(&names);
	return false;
}

/* How v compares with bound: below 0, 0, above 0. Exact for two integers. */
static int compare(const json_t *v, const json_t *bound)
{
	if (json_is_integer(v) && json_is_integer(bound)) {
		json_int_t a = json_integer_value(v), b = json_integer_value(bound);

		return (a > b) - (a < b);
	}
	return (json_number_value(v) > json_number_value(bound)) -
	       (json_number_value(v) < json_number_value(bound));
}

static bool fits_number(struct check *c, const json_t *v, const json_t *schema)
{
	const json_t *min = json_object_get(schema, "minimum");
	const json_t *max = json_object_get(schema, "maximum");

	if (json_is_number(min) && compare(v, min) < 0)
		return misfit(c, "must be at least %g", json_number_value(min));
	if (json_is_number(max) && compare(v, max) > 0)
		return misfit(c, "must be at most %g", json_number_value(max));
	return true;
}

/* A size against minX and maxX. */
static bool fits_size(struct check *c, size_t n, const json_t *schema, const char *min_key,
		      const char *max_key, const char *unit)
{
	long long min, max;

	if (json_get_int(schema, min_key, &min) && min > 0 && n < (unsigned long long)min)
		return misfit(c, "must have at least %lld %s", min, unit);
	if (json_get_int(schema, max_key, &max) && max >= 0 && n > (unsigned long long)max)
		return misfit(c, "must have at most %lld %s", max, unit);
	return true;
}

static size_t characters(const json_t *string)
{
	const char *s = json_string_value(string);
	size_t n = 0;

	for (size_t i = 0; i < json_string_length(string); i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

/* A member or an element against its own schema, with its name on the path. */
static bool child_fits(struct check *c, const char *name, const json_t *v, const json_t *schema)
{
	size_t len = c->path.len;
	bool r;

	if (c->error)
		buf_addf(&c->path, "/%.*s", SHORT(name, 60));
	r = fits(c, v, schema);
	c->path.len = len;
	return r;
}

static bool fits_object(struct check *c, const json_t *v, const json_t *schema)
{
	const json_t *properties = json_object_get(schema, "properties");
	const json_t *required = json_object_get(schema, "required");
	const json_t *rest = json_object_get(schema, "additionalProperties");
	const json_t *one, *known;
	const char *name;
	size_t i;
	void *at;

	json_array_foreach (required, i, one) {
		if (!step(c))
			return true;
		if (json_is_string(one) && !json_object_get(v, json_string_value(one)))
			return misfit(c, "\"%.*s\" is missing", SHORT(json_string_value(one), 60));
	}
	/* jansson's own macro wants a v that is not const */
	for (at = json_object_iter((json_t *)(uintptr_t)v); at;
	     at = json_object_iter_next((json_t *)(uintptr_t)v, at)) {
		name = json_object_iter_key(at);
		known = json_object_get(properties, name);
		if (!step(c))
			return true;
		if (!known && json_is_false(rest) && !json_object_get(schema, "patternProperties"))
			return misfit(c, "\"%.*s\" is not known", SHORT(name, 60));
		if (known && !child_fits(c, name, json_object_iter_value(at), known))
			return false;
	}
	return true;
}

static bool fits_array(struct check *c, const json_t *v, const json_t *schema)
{
	const json_t *items = json_object_get(schema, "items");
	const json_t *one;
	char name[24];
	size_t i;

	if (!fits_size(c, json_array_size(v), schema, "minItems", "maxItems", "items"))
		return false;
	/* behind prefixItems, and where items is an array, elements have schemas of their own */
	if (json_is_array(items) || json_object_get(schema, "prefixItems"))
		return true;
	if (!items)
		return true;
	json_array_foreach (v, i, one) {
		if (!step(c))
			return true;
		(void)snprintf(name, sizeof(name), "%zu", i);
		if (!child_fits(c, name, one, items))
			return false;
	}
	return true;
}

/* anyOf and oneOf: one of them fits. The words of a failure are those for all of them together. */
static bool fits_one(struct check *c, const json_t *v, const json_t *choices)
{
	char *error = c->error;
	const json_t *one;
	size_t i;

	if (!json_is_array(choices) || json_array_size(choices) == 0)
		return true;
	c->error = NULL;
	json_array_foreach (choices, i, one) {
		if (fits(c, v, one)) {
			c->error = error;
			return true;
		}
	}
	c->error = error;
	return misfit(c, "fits none of the forms that are allowed");
}

static bool fits(struct check *c, const json_t *v, const json_t *schema)
{
	if (!step(c))
		return true;
	if (json_is_false(schema))
		return misfit(c, "must not be there");
	if (!json_is_object(schema))
		return true;
	if (!fits_type(c, v, json_object_get(schema, "type")) || !fits_values(c, v, schema))
		return false;
	if (json_is_number(v) && !fits_number(c, v, schema))
		return false;
	if (json_is_string(v) &&
	    !fits_size(c, characters(v), schema, "minLength", "maxLength", "characters"))
		return false;
	if (json_is_object(v) && !fits_object(c, v, schema))
		return false;
	if (json_is_array(v) && !fits_array(c, v, schema))
		return false;
	return fits_one(c, v, json_object_get(schema, "anyOf")) &&
	       fits_one(c, v, json_object_get(schema, "oneOf"));
}

static bool is_blank(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!strchr(" \t\r\n", s.p[i]) || !s.p[i])
			return false;
	}
	return true;
}

json_t *tool_input_check(struct str arguments, const json_t *schema, char *error, size_t error_size)
{
	struct check c = {.error = error, .error_size = error_size};
	char words[sizeof(((json_error_t *)NULL)->text) + 32];
	json_error_t e;
	json_t *v;
	bool ok;

	REQUIRE(error_size > 0);
	if (is_blank(arguments)) {
		v = json_object();
		REQUIRE(v);
	} else {
		v = json_loadb(arguments.p, arguments.n,
			       JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
	}
	if (!v) {
		json_error_words(&e, words, sizeof(words));
		(void)misfit(&c, "not valid JSON: %s", words);
		return NULL;
	}
	ok = json_is_object(v) ? fits(&c, v, schema) : misfit(&c, "must be a JSON object");
	buf_fini(&c.path);
	if (ok)
		return v;
	json_decref(v);
	return NULL;
}
