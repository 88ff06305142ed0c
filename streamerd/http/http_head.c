/*
 * http_head.c - a request head, parsed strictly. See http_head.h for what is refused and why.
 *
 *	START ──(request line)──────────────> FIELDS ──(empty line)──> whole
 *	  └─(empty line)─> START_AGAIN ─(request line)─┘└─(field)─┐
 *	                                         └────────────────┘
 *
 * Each whole line is checked twice: first as bytes (its end, control characters), then by its
 * stage. The framing of the body is judged only at the end of the head, when all fields are known:
 * a Content-Length beside a Transfer-Encoding is 400 whichever came first.
 *
 * Spans are 16 bit, which LIMIT_HTTP_HEAD must fit.
 *
 * It does not decode the target (http_path.h, http_query.h), and it does not judge what a method, a
 * Host or a length means to the server: that is for its callers.
 */
#include "streamerd/http/http_head.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

_Static_assert(LIMIT_HTTP_HEAD <= UINT16_MAX, "spans are 16 bit");

static const char *const methods[] = {
	[HTTP_GET] = "GET",	[HTTP_HEAD] = "HEAD",	  [HTTP_POST] = "POST",
	[HTTP_PUT] = "PUT",	[HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
	[HTTP_PATCH] = "PATCH",
};

static enum http_head_outcome refuse(struct http_head *h, enum fault fault, const char *detail)
{
	h->fault = fault;
	h->detail = detail;
	return HTTP_HEAD_REFUSED;
}

static enum http_head_outcome bad(struct http_head *h, const char *detail)
{
	return refuse(h, FAULT_BAD_REQUEST, detail);
}

static bool is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_token(unsigned char c)
{
	return is_alnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct http_span span(size_t at, size_t len)
{
	return (struct http_span){(uint16_t)at, (uint16_t)len};
}

static bool is_name(const char *p, size_t n, const char *name)
{
	return strlen(name) == n && strncasecmp(p, name, n) == 0;
}

/* host[:port] as a browser or curl writes it: a name or IPv4 address, or an IPv6 one in brackets.
 */
static bool is_host(const char *p, size_t n)
{
	char ip[INET6_ADDRSTRLEN];
	struct in6_addr addr;
	unsigned port = 0;
	size_t i = 0;

	if (n && p[0] == '[') {
		const char *close = memchr(p, ']', n);

		if (!close || (size_t)(close - p - 1) >= sizeof(ip))
			return false;
		i = (size_t)(close - p - 1);
		memcpy(ip, p + 1, i);
		ip[i] = '\0';
		if (memchr(ip, '\0', i) || inet_pton(AF_INET6, ip, &addr) != 1)
			return false;
		i += 2;
	} else {
		while (i < n && (is_alnum((unsigned char)p[i]) || strchr("-._", p[i]) != NULL) &&
		       p[i])
			i++;
		if (i == 0 || i > 255)
			return false;
	}
	if (i == n)
		return true;
	if (p[i] != ':' || n - i < 2 || n - i > 6)
		return false;
	while (++i < n) {
		if (!is_digit(p[i]))
			return false;
		port = port * 10 + (unsigned)(p[i] - '0');
	}
	return port <= 65535;
}

static enum http_head_outcome parse_method(struct http_head *h, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_token((unsigned char)p[i]))
			return bad(h, "the method is not a token");
	}
	if (n > LIMIT_HTTP_METHOD)
		return refuse(h, FAULT_NOT_IMPLEMENTED, "there is no such method");
	memcpy(h->method_name, p, n);
	h->method_name[n] = '\0';
	h->method = HTTP_OTHER;
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(methods[i], h->method_name) == 0)
			h->method = (enum http_method)i;
	}
	return HTTP_HEAD_MORE;
}

static enum http_head_outcome parse_version(struct http_head *h, const char *p, size_t n)
{
	if (n != 8 || memcmp(p, "HTTP/", 5) != 0 || !is_digit(p[5]) || p[6] != '.' ||
	    !is_digit(p[7]))
		return bad(h, "the request line does not end in HTTP/1.1");
	if (p[5] != '1' || p[7] > '1')
		return refuse(h, FAULT_HTTP_VERSION, "only HTTP/1.0 and HTTP/1.1 are spoken here");
	h->minor = p[7] - '0';
	return HTTP_HEAD_MORE;
}

/* Origin form, from *at on: /path?query. An absolute target may have neither. */
static void parse_origin(struct http_head *h, const char *p, size_t at, size_t end)
{
	const char *q = memchr(p + at, '?', end - at);
	size_t path_end = q ? (size_t)(q - p) : end;

	h->path = span(at, path_end - at);
	h->query = q ? span(path_end + 1, end - path_end - 1) : span(end, 0);
}

static enum http_head_outcome parse_target(struct http_head *h, const char *p, size_t at, size_t n)
{
	size_t end = at + n;
	size_t i;

	for (i = at; i < end; i++) {
		if ((unsigned char)p[i] >= 0x80 || p[i] == ' ')
			return bad(h, "the request target holds a byte that must be escaped");
		if (p[i] == '#')
			return bad(h, "the request target has a fragment");
	}
	if (strcmp(h->method_name, "CONNECT") == 0)
		return refuse(h, FAULT_NOT_IMPLEMENTED, "this is not a proxy");
	if (n == 1 && p[at] == '*' && h->method == HTTP_OPTIONS) {
		h->path = span(at, n);
		return HTTP_HEAD_MORE;
	}
	if (n && p[at] == '/') {
		parse_origin(h, p, at, end);
		return HTTP_HEAD_MORE;
	}
	if (n <= 7 || strncasecmp(p + at, "http://", 7) != 0)
		return bad(h, "the request target is neither /path nor http://host/path");
	at += 7;
	for (i = at; i < end && p[i] != '/' && p[i] != '?'; i++)
		;
	if (!is_host(p + at, i - at))
		return bad(h, "the request target's authority is not host[:port]");
	h->authority = span(at, i - at);
	parse_origin(h, p, i, end);
	return HTTP_HEAD_MORE;
}

/* p[at, end) is the line without its CRLF. Exactly two single spaces part three words. */
static enum http_head_outcome parse_request_line(struct http_head *h, const char *p, size_t at,
						 size_t end)
{
	const char *first = memchr(p + at, ' ', end - at);
	const char *last = memrchr(p + at, ' ', end - at);
	enum http_head_outcome o;
	size_t target;

	if (!first || last == first || first == p + at)
		return bad(h, "the request line is not \"METHOD target HTTP/1.1\"");
	target = (size_t)(first - p) + 1;
	o = parse_method(h, p + at, (size_t)(first - p) - at);
	if (o == HTTP_HEAD_MORE && (size_t)(last - p) - target > LIMIT_HTTP_URI)
		o = refuse(h, FAULT_URI_TOO_LONG, "the request target is over 8 KiB");
	if (o == HTTP_HEAD_MORE)
		o = parse_version(h, last + 1, end - (size_t)(last - p) - 1);
	if (o == HTTP_HEAD_MORE)
		o = parse_target(h, p, target, (size_t)(last - p) - target);
	h->stage = HTTP_HEAD_FIELDS;
	return o;
}

static enum http_head_outcome parse_length(struct http_head *h, const char *v, size_t n)
{
	if (h->n_length++)
		return bad(h, "there are two Content-Length fields");
	if (n == 0)
		return bad(h, "Content-Length is empty");
	for (size_t i = 0; i < n; i++) {
		if (!is_digit(v[i]))
			return bad(h, "Content-Length is not a number");
		if (h->length > (INT64_MAX - (v[i] - '0')) / 10)
			return bad(h, "Content-Length is out of range");
		h->length = h->length * 10 + (v[i] - '0');
	}
	return HTTP_HEAD_MORE;
}

/* A comma-separated list; other options than these two mean nothing to us. */
static void parse_connection(struct http_head *h, const char *v, size_t n)
{
	size_t i = 0;

	while (i < n) {
		const char *comma = memchr(v + i, ',', n - i);
		size_t end = comma ? (size_t)(comma - v) : n;
		size_t a = i;
		size_t b = end;

		while (a < b && is_blank(v[a]))
			a++;
		while (b > a && is_blank(v[b - 1]))
			b--;
		h->asks_close |= is_name(v + a, b - a, "close");
		h->asks_keep |= is_name(v + a, b - a, "keep-alive");
		i = end + 1;
	}
}

/* What a field means to the layer itself. */
static enum http_head_outcome parse_known(struct http_head *h, const char *p,
					  const struct http_field *f)
{
	const char *name = p + f->name.at;
	const char *v = p + f->value.at;
	size_t len = f->name.len;
	size_t n = f->value.len;

	if (is_name(name, len, "Host")) {
		if (h->n_host++)
			return bad(h, "there are two Host fields");
		if (!is_host(v, n))
			return bad(h, "Host is not host[:port]");
		h->host = f->value;
	} else if (is_name(name, len, "Content-Length")) {
		return parse_length(h, v, n);
	} else if (is_name(name, len, "Transfer-Encoding")) {
		h->n_encoding++;
	} else if (is_name(name, len, "Connection")) {
		parse_connection(h, v, n);
	} else if (is_name(name, len, "Expect")) {
		h->expect_continue = true;
		h->bad_expect |= !is_name(v, n, "100-continue");
	}
	return HTTP_HEAD_MORE;
}

static enum http_head_outcome parse_field(struct http_head *h, const char *p, size_t at, size_t end)
{
	struct http_field f;
	size_t i = at;

	if (is_blank(p[at]))
		return bad(h, "a header line starts with white space");
	while (i < end && is_token((unsigned char)p[i]))
		i++;
	if (i == end || p[i] != ':' || i == at)
		return bad(h, "a header line is not \"name: value\"");
	if (h->n_fields == LIMIT_HTTP_HEADERS)
		return refuse(h, FAULT_HEAD_TOO_LARGE, "there are more than 100 header lines");
	f.name = span(at, i - at);
	i++;
	while (i < end && is_blank(p[i]))
		i++;
	while (end > i && is_blank(p[end - 1]))
		end--;
	f.value = span(i, end - i);
	h->fields[h->n_fields++] = f;
	return parse_known(h, p, &f);
}

/* The empty line: everything is known, now it must fit together. */
static enum http_head_outcome finish(struct http_head *h, const char *p)
{
	if (h->minor == 1 && !h->n_host)
		return bad(h, "there is no Host field");
	if (h->authority.len) {
		if (h->n_host &&
		    (h->host.len != h->authority.len ||
		     strncasecmp(p + h->host.at, p + h->authority.at, h->host.len) != 0))
			return bad(h, "Host differs from the request target's authority");
		h->host = h->authority;
	}
	if (h->n_encoding && h->n_length)
		return bad(h, "there are both Content-Length and Transfer-Encoding");
	if (h->n_encoding && h->minor == 0)
		return bad(h, "HTTP/1.0 has no Transfer-Encoding");
	if (h->n_encoding)
		return refuse(h, FAULT_NOT_IMPLEMENTED,
			      "Transfer-Encoding is not spoken here: send a Content-Length");
	if (h->minor == 0)
		h->expect_continue = h->bad_expect = false; /* to be ignored: RFC 9110, 10.1.1 */
	if (h->bad_expect)
		return refuse(h, FAULT_EXPECTATION_FAILED, "only 100-continue can be expected");
	h->keep_alive = !h->asks_close && (h->minor == 1 || h->asks_keep);
	return HTTP_HEAD_WHOLE;
}

/* The bytes of a line: its end at LF, and nothing inside that could be taken for one. */
static enum http_head_outcome check_bytes(struct http_head *h, const char *p, size_t lf)
{
	if (lf == h->line || p[lf - 1] != '\r')
		return bad(h, "a line ends in LF without CR");
	for (size_t i = h->line; i < lf - 1; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c == '\r')
			return bad(h, "there is a CR inside a line");
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return bad(h, "there is a control character in the head");
		if (c == '\t' && h->stage != HTTP_HEAD_FIELDS)
			return bad(h, "there is a tab in the request line");
	}
	return HTTP_HEAD_MORE;
}

/* The line [h->line, lf], lf being its LF. */
static enum http_head_outcome parse_line(struct http_head *h, const char *p, size_t lf)
{
	enum http_head_outcome o = check_bytes(h, p, lf);
	size_t at = h->line;
	size_t end = lf - 1;

	if (o != HTTP_HEAD_MORE)
		return o;
	if (h->stage == HTTP_HEAD_FIELDS)
		return at == end ? finish(h, p) : parse_field(h, p, at, end);
	if (at == end) { /* only at START: the first byte has been looked at */
		h->stage = HTTP_HEAD_START_AGAIN;
		return HTTP_HEAD_MORE;
	}
	return parse_request_line(h, p, at, end);
}

/* What the first byte of a request line tells, before the line is whole. */
static enum http_head_outcome check_first(struct http_head *h, unsigned char c)
{
	if (c == 0x16)
		return bad(h, "this port speaks plain HTTP, not TLS");
	if (is_token(c) || (c == '\r' && h->stage == HTTP_HEAD_START))
		return HTTP_HEAD_MORE;
	return bad(h, "the request does not start with a method");
}

enum http_head_outcome http_head_parse(struct http_head *h, const char *p, size_t n,
				       size_t *ret_used)
{
	while (h->line < n) {
		enum http_head_outcome o;
		bool starting = h->stage != HTTP_HEAD_FIELDS;
		/* a request line that long can only hold a target over its limit */
		size_t longest = LIMIT_HTTP_METHOD + LIMIT_HTTP_URI + 16;
		size_t limit = starting ? h->line + longest : LIMIT_HTTP_HEAD;
		const char *lf = memchr(p + h->seen, '\n', n - h->seen);
		size_t end = lf ? (size_t)(lf - p) + 1 : n;

		if (starting && check_first(h, (unsigned char)p[h->line]) != HTTP_HEAD_MORE)
			return HTTP_HEAD_REFUSED;
		if (end > limit)
			return starting ? refuse(h, FAULT_URI_TOO_LONG,
						 "the request line is too long")
					: refuse(h, FAULT_HEAD_TOO_LARGE,
						 "the request head is over 16 KiB");
		h->seen = end;
		if (!lf)
			return HTTP_HEAD_MORE;
		o = parse_line(h, p, end - 1);
		h->line = end;
		if (o == HTTP_HEAD_WHOLE)
			*ret_used = end;
		if (o != HTTP_HEAD_MORE)
			return o;
	}
	return HTTP_HEAD_MORE;
}

const struct http_field *http_head_find(const struct http_head *h, const char *p, const char *name,
					size_t index)
{
	for (size_t i = 0; i < h->n_fields; i++) {
		const struct http_field *f = &h->fields[i];

		if (is_name(p + f->name.at, f->name.len, name) && index-- == 0)
			return f;
	}
	return NULL;
}
