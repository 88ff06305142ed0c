/*
 * fuzz_http_head.c - any bytes as a request head, whole and cut in two: the outcome must be the
 * same, what is accepted must be what http_head.h promises, and no span may lie outside.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/require.h"
#include "streamerd/http/http_head.h"
#include "streamerd/http/http_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum http_head_outcome parse(struct http_head *h, const uint8_t *data, size_t n,
				    size_t *used)
{
	char *copy = malloc(n ? n : 1); /* exactly n bytes: the sanitizer sees any look beyond */
	enum http_head_outcome o;

	REQUIRE(copy);
	if (n)
		memcpy(copy, data, n);
	o = http_head_parse(h, copy, n, used);
	free(copy);
	return o;
}

static void check_span(struct http_span s, size_t used)
{
	REQUIRE((size_t)s.at + s.len <= used);
}

static void check_whole(const struct http_head *h, const char *p, size_t used)
{
	auto_buf struct buf path = BUF_INIT;
	auto_buf struct buf query = BUF_INIT;

	REQUIRE(used >= strlen("X / HTTP/1.0\r\n\r\n") && used <= LIMIT_HTTP_HEAD &&
		memcmp(p + used - 4, "\r\n\r\n", 4) == 0);
	REQUIRE(memchr(p, '\0', used) == NULL);
	REQUIRE(h->minor == 0 || h->minor == 1);
	REQUIRE(h->minor == 0 || h->host.len > 0);
	REQUIRE(h->length >= 0 && h->method_name[0] && h->n_fields <= LIMIT_HTTP_HEADERS);
	REQUIRE(!http_head_find(h, p, "transfer-encoding", 0));
	REQUIRE(!http_head_find(h, p, "content-length", 1));
	REQUIRE(!http_head_find(h, p, "host", 1));
	check_span(h->path, used);
	check_span(h->query, used);
	check_span(h->host, used);
	for (size_t i = 0; i < h->n_fields; i++) {
		check_span(h->fields[i].name, used);
		check_span(h->fields[i].value, used);
		REQUIRE(h->fields[i].name.len > 0);
	}
	(void)http_path_decode((struct str){p + h->path.at, h->path.len}, &path);
	(void)http_query_decode((struct str){p + h->query.at, h->query.len}, &query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_head whole;
	static struct http_head cut;
	size_t used = 0;
	size_t used_cut = 0;
	size_t at = size ? (data[size / 2] * 257u + data[0]) % (size + 1) : 0;
	enum http_head_outcome o;
	enum http_head_outcome o_cut;

	memset(&whole, 0, sizeof(whole));
	memset(&cut, 0, sizeof(cut));
	o = parse(&whole, data, size, &used);
	o_cut = parse(&cut, data, at, &used_cut);
	if (o_cut == HTTP_HEAD_MORE)
		o_cut = parse(&cut, data, size, &used_cut);
	REQUIRE(o == o_cut && used == used_cut);
	if (o == HTTP_HEAD_REFUSED) {
		REQUIRE(whole.fault == cut.fault && whole.detail == cut.detail);
		REQUIRE(fault_status(whole.fault) >= 400 && whole.detail);
	}
	if (o == HTTP_HEAD_WHOLE) {
		REQUIRE(memcmp(&whole, &cut, sizeof(whole)) == 0);
		check_whole(&whole, (const char *)data, used);
	}
	return 0;
}
