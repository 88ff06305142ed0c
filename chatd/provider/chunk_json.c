/*
 * chunk_json.c - JSON out of a provider's stream. See chunk_json.h.
 *
 * Models emit half emoji: a token may end between the two halves of a surrogate pair, and servers
 * that escape as they go then send a lone "\ud83d". jansson refuses it, rightly; the answer goes on
 * all the same, with U+FFFD in its place (json_mend.h). Likewise for counters that need more than
 * 64 bits. Anything else that jansson refuses is refused.
 */
#include "chatd/provider/chunk_json.h"

#include "common/buf.h"
#include "common/json_mend.h"

#define FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL)

json_t *chunk_json_read(const char *p, size_t n)
{
	struct buf auto_buf mended = BUF_INIT;
	json_t *v;

	if (n == 0)
		return NULL;
	v = json_loadb(p, n, FLAGS, NULL);
	if (v)
		return v;
	json_mend(&mended, p, n);
	return json_loadb(mended.data, mended.len, FLAGS | JSON_DECODE_INT_AS_REAL, NULL);
}

int chunk_json_is_whole(const char *p, size_t n)
{
	json_t *v = chunk_json_read(p, n);

	json_decref(v);
	return v != NULL;
}
