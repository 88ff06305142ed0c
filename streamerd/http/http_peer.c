/*
 * http_peer.c - who is at the other end. See http_peer.h.
 */
#include "streamerd/http/http_peer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void map_ipv4(const struct in_addr *in, uint8_t out[16])
{
	memset(out, 0, 10);
	memset(out + 10, 0xff, 2);
	memcpy(out + 12, in, 4);
}

static bool is_ipv4(const uint8_t addr[16])
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(addr, prefix, sizeof(prefix)) == 0;
}

static bool bytes_of(const union http_addr *addr, uint8_t out[16])
{
	if (addr->sa.sa_family == AF_INET)
		map_ipv4(&addr->in.sin_addr, out);
	else if (addr->sa.sa_family == AF_INET6)
		memcpy(out, &addr->in6.sin6_addr, 16);
	else
		return false;
	return true;
}

static bool parse(const char *text, uint8_t out[16])
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) == 1)
		map_ipv4(&in, out);
	else if (inet_pton(AF_INET6, text, out) != 1)
		return false;
	return true;
}

bool http_net_parse(const char *text, struct http_net *ret)
{
	struct http_net net = {.bits = 128};
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	char addr[INET6_ADDRSTRLEN];
	unsigned long bits, most;
	char *end;

	if (strcmp(text, "unix") == 0) {
		*ret = (struct http_net){.is_unix = true};
		return true;
	}
	if (n >= sizeof(addr))
		return false;
	memcpy(addr, text, n);
	addr[n] = '\0';
	if (!parse(addr, net.addr))
		return false;
	if (slash) {
		most = strchr(addr, ':') ? 128 : 32;
		if (slash[1] < '0' || slash[1] > '9')
			return false;
		bits = strtoul(slash + 1, &end, 10);
		if (*end || bits > most)
			return false;
		net.bits = (uint8_t)(128 - most + bits);
	}
	*ret = net;
	return true;
}

bool http_net_has(const struct http_net *net, const union http_addr *addr)
{
	unsigned whole = net->bits / 8;
	unsigned rest = net->bits % 8;
	uint8_t a[16];

	if (!bytes_of(addr, a))
		return net->is_unix;
	return !net->is_unix && memcmp(a, net->addr, whole) == 0 &&
	       (!rest || (a[whole] ^ net->addr[whole]) >> (8 - rest) == 0);
}

bool http_peer_key(const union http_addr *addr, uint8_t key[16])
{
	if (!bytes_of(addr, key))
		return false;
	if (!is_ipv4(key))
		memset(key + 8, 0, 8);
	return true;
}

void http_peer_name(const union http_addr *addr, char out[HTTP_PEER_LEN])
{
	char ip[INET6_ADDRSTRLEN];

	if (addr->sa.sa_family == AF_INET && inet_ntop(AF_INET, &addr->in.sin_addr, ip, sizeof(ip)))
		(void)snprintf(out, HTTP_PEER_LEN, "%s:%d", ip, ntohs(addr->in.sin_port));
	else if (addr->sa.sa_family == AF_INET6 &&
		 inet_ntop(AF_INET6, &addr->in6.sin6_addr, ip, sizeof(ip)))
		(void)snprintf(out, HTTP_PEER_LEN, "[%s]:%d", ip, ntohs(addr->in6.sin6_port));
	else
		(void)snprintf(out, HTTP_PEER_LEN, "unix");
}

/* Behind the last comma, without blanks. */
static struct str last_of(struct str list)
{
	const char *comma = list.n ? memrchr(list.p, ',', list.n) : NULL;

	if (comma)
		list = (struct str){comma + 1, (size_t)(list.p + list.n - comma) - 1};
	while (list.n && (*list.p == ' ' || *list.p == '\t')) {
		list.p++;
		list.n--;
	}
	while (list.n && (list.p[list.n - 1] == ' ' || list.p[list.n - 1] == '\t'))
		list.n--;
	return list;
}

/* "192.0.2.1:80" → "192.0.2.1", "[::1]:80" and "[::1]" → "::1"; others stay. */
static struct str without_port(struct str s)
{
	const char *colon = s.n ? memchr(s.p, ':', s.n) : NULL;
	const char *close = s.n && s.p[0] == '[' ? memchr(s.p, ']', s.n) : NULL;

	if (close && (close + 1 == s.p + s.n || close[1] == ':'))
		return (struct str){s.p + 1, (size_t)(close - s.p) - 1};
	if (colon && memrchr(s.p, ':', s.n) == colon)
		return (struct str){s.p, (size_t)(colon - s.p)};
	return s;
}

bool http_peer_forwarded(struct str value, char out[HTTP_PEER_LEN])
{
	struct str s = without_port(last_of(value));
	char text[INET6_ADDRSTRLEN];
	struct in6_addr in6;
	struct in_addr in;

	if (s.n == 0 || s.n >= sizeof(text) || memchr(s.p, '\0', s.n))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (inet_pton(AF_INET, text, &in) == 1 && inet_ntop(AF_INET, &in, text, sizeof(text)))
		(void)snprintf(out, HTTP_PEER_LEN, "%s", text);
	else if (inet_pton(AF_INET6, text, &in6) == 1 &&
		 inet_ntop(AF_INET6, &in6, text, sizeof(text)))
		(void)snprintf(out, HTTP_PEER_LEN, "[%s]", text);
	else
		return false;
	return true;
}
