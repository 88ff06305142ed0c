/*
 * guard.c - which Host and Origin are served. See guard.h.
 *
 * The port of Host is not compared: a rebound name is foreign with any port, and a forwarded port
 * is not. In Origin it is, because another port on this machine is another origin.
 */
#include "streamerd/guard.h"

#include <string.h>
#include <strings.h>

/* "Example.org:80" → "Example.org", "[::1]:80" → "[::1]". */
static struct str without_port(struct str host)
{
	const char *colon;

	if (host.n && host.p[0] == '[') {
		const char *end = memchr(host.p, ']', host.n);

		return end ? (struct str){host.p, (size_t)(end - host.p) + 1} : host;
	}
	colon = memchr(host.p, ':', host.n);
	return colon ? (struct str){host.p, (size_t)(colon - host.p)} : host;
}

static bool same(struct str a, const char *b)
{
	return a.n == strlen(b) && strncasecmp(a.p, b, a.n) == 0;
}

static bool is_on(const struct names *list, struct str s)
{
	for (size_t i = 0; i < list->n; i++) {
		if (same(s, list->v[i]))
			return true;
	}
	return false;
}

static bool is_loopback(struct str name)
{
	char c;

	if (same(name, "localhost") || same(name, "[::1]"))
		return true;
	if (name.n < 7 || name.n > 15 || memcmp(name.p, "127.", 4) != 0)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		c = name.p[i];
		if (c != '.' && (c < '0' || c > '9'))
			return false;
	}
	return true;
}

static bool is_good_host(const struct options *o, struct str host)
{
	struct str name = without_port(host);

	if (is_loopback(name) || is_on(&o->allowed_hosts, name) || is_on(&o->allowed_hosts, host))
		return true;
	for (size_t i = 0; i < o->listen.n; i++) {
		struct str own = str_of(o->listen.v[i]);

		if (options_unix_path(own.p))
			continue;
		own = without_port(own);
		if (own.n == name.n && strncasecmp(own.p, name.p, own.n) == 0)
			return true;
	}
	return false;
}

bool guard_is_listed_origin(const struct options *o, struct str origin)
{
	return origin.n > 0 && is_on(&o->allowed_origins, origin);
}

/* "http://HOST" or "https://HOST": the page came from us, perhaps through a proxy with TLS. */
static bool is_own_origin(struct str origin, struct str host)
{
	static const char *const schemes[] = {"http://", "https://"};

	for (int i = 0; i < 2; i++) {
		size_t n = strlen(schemes[i]);

		if (origin.n == n + host.n && memcmp(origin.p, schemes[i], n) == 0 &&
		    strncasecmp(origin.p + n, host.p, host.n) == 0)
			return true;
	}
	return false;
}

enum fault guard_check(const struct options *o, struct str host, struct str origin)
{
	if (!host.p || host.n == 0 || !is_good_host(o, host))
		return FAULT_FOREIGN_HOST;
	if (origin.p && !is_own_origin(origin, host) && !guard_is_listed_origin(o, origin))
		return FAULT_FOREIGN_ORIGIN;
	return FAULT_NONE;
}

void guard_add_cors(struct buf *b, const struct options *o, struct str origin)
{
	if (!guard_is_listed_origin(o, origin))
		return;
	buf_adds(b, "Access-Control-Allow-Origin: ");
	buf_add(b, origin.p, origin.n);
	buf_adds(b, "\r\nAccess-Control-Expose-Headers: Retry-After\r\nVary: Origin\r\n");
}
