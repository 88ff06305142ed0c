/*
 * request_json.c - what the request bodies of all dialects have in common. See request_json.h.
 *
 * Bodies are written by hand into a buf, not built as a tree: the raw texts of tool arguments go in
 * as they are, and a long history is copied once.
 *
 * Both dialects refuse a history in which a call has no result, or a result has no call. A turn
 * that was interrupted leaves the first, a history that was shortened leaves the second. So results
 * are looked up from the calls, in the order of the calls (TOL-4): what is missing is filled in,
 * and what nobody called for is left out.
 */
#include "chatd/provider/request_json.h"

#include <string.h>

#include "common/json.h"

const char request_no_result[] = "There is no result: the call was interrupted before it ended.";

void members_begin(struct members *m, struct buf *out, const struct provider_conf *conf)
{
	*m = (struct members){.out = out};
	if (conf->extra && *conf->extra)
		m->extra = json_read(conf->extra, strlen(conf->extra), NULL, 0);
	buf_addc(out, '{');
}

bool members_key(struct members *m, const char *key)
{
	if (json_object_get(m->extra, key))
		return false;
	if (m->any)
		buf_addc(m->out, ',');
	m->any = true;
	json_add_string(m->out, key, strlen(key));
	buf_addc(m->out, ':');
	return true;
}

void members_end(struct members *m)
{
	const char *key;
	json_t *v;

	json_object_foreach (m->extra, key, v) {
		if (m->any)
			buf_addc(m->out, ',');
		m->any = true;
		json_add_string(m->out, key, strlen(key));
		buf_addc(m->out, ':');
		json_add_value(m->out, v);
	}
	buf_addc(m->out, '}');
	json_decref(m->extra);
	m->extra = NULL;
}

const json_t *request_result(const json_t *messages, size_t i, const char *id)
{
	const json_t *m;

	while ((m = json_array_get(messages, ++i))) {
		const char *role = json_get_str(m, "role");
		const char *of = json_get_str(m, "tool_call_id");

		if (!role || strcmp(role, "tool") != 0)
			return NULL;
		if (of && id && strcmp(of, id) == 0)
			return m;
	}
	return NULL;
}

json_t *request_echo(const json_t *message, const char *dialect)
{
	const json_t *echo = json_get(message, "echo");
	const char *of = json_get_str(echo, "provider");

	return of && strcmp(of, dialect) == 0 ? json_get(echo, "blocks") : NULL;
}
