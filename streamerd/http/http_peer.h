/*
 * http_peer.h - who is at the other end: addresses as limits count them, and proxies that are
 * believed. Pure.
 *
 * Addresses are 16 bytes; an IPv4 one is written as IPv6 has it (::ffff:a.b.c.d), however it came.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

#define HTTP_PEER_LEN (INET6_ADDRSTRLEN + sizeof("[]:65535"))

union http_addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* Addresses that share their first bits; or every peer of a Unix socket. */
struct http_net {
	uint8_t addr[16];
	uint8_t bits;
	bool is_unix;
};

/* "unix", "192.0.2.1", "10.0.0.0/8", "2001:db8::/32". False if it is none of these. */
bool http_net_parse(const char *text, struct http_net *ret);
bool http_net_has(const struct http_net *net, const union http_addr *addr);

/*
 * What of an address is counted: of IPv4 all, of IPv6 the first 64 bits, because one subscriber is
 * given at least that many addresses. False for a Unix socket's peer, which is not counted.
 */
bool http_peer_key(const union http_addr *addr, uint8_t key[16]);

/* Writes "192.0.2.1:80", "[2001:db8::1]:80" or "unix". */
void http_peer_name(const union http_addr *addr, char out[HTTP_PEER_LEN]);

/*
 * The last hop that a value of X-Forwarded-For names, which is what the proxy next to us saw:
 * "192.0.2.1" or "[2001:db8::1]". A port is left out. False, and out is untouched, if it is no
 * address.
 */
bool http_peer_forwarded(struct str value, char out[HTTP_PEER_LEN]);
