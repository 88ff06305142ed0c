/*
 * fuzz_http_path.c - any bytes as a path and as a query: what is accepted must be clean, and every
 * record of a query must be found within it.
 */
#include <stdint.h>
#include <string.h>

#include "common/limits.h"
#include "common/require.h"
#include "streamerd/http/http_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(struct str raw)
{
	auto_buf struct buf out = BUF_INIT;
	const char *p;

	if (http_path_decode(raw, &out))
		return;
	p = buf_str(&out);
	REQUIRE(strlen(p) == out.len && http_is_utf8((struct str){out.data, out.len}));
	REQUIRE(p[0] == '/' || strcmp(p, "*") == 0);
	REQUIRE(!strstr(p, "//") && !strstr(p, "/./") && !strstr(p, "/../"));
	REQUIRE(out.len < 2 || strcmp(p + out.len - 2, "/.") != 0);
	REQUIRE(out.len < 3 || strcmp(p + out.len - 3, "/..") != 0);
	for (size_t i = 0; i < out.len; i++)
		REQUIRE((unsigned char)p[i] >= 0x20 && p[i] != 0x7f);
}

static void check_query(struct str raw)
{
	auto_buf struct buf out = BUF_INIT;
	auto_buf struct buf name = BUF_INIT;
	size_t at = 0;

	if (http_query_decode(raw, &out))
		return;
	while (at < out.len) {
		uint16_t len[2];
		struct str v;

		REQUIRE(out.len - at >= sizeof(len));
		memcpy(len, out.data + at, sizeof(len));
		at += sizeof(len);
		REQUIRE((size_t)len[0] + len[1] <= out.len - at);
		buf_clear(&name);
		buf_add(&name, out.data + at, len[0]);
		REQUIRE(strlen(buf_str(&name)) == len[0]);
		v = http_query_find((struct str){out.data, out.len}, buf_str(&name));
		REQUIRE(v.p && http_is_utf8(v) && (!v.n || !memchr(v.p, '\0', v.n)));
		at += (size_t)len[0] + len[1];
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str raw = {(const char *)data, size};

	if (size > LIMIT_HTTP_URI)
		return 0;
	check_path(raw);
	check_query(raw);
	return 0;
}
