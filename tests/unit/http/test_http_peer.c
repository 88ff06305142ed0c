/*
 * test_http_peer.c - addresses as limits count them, proxies that are believed.
 */
#include <arpa/inet.h>
#include <check.h>
#include <string.h>

#include "streamerd/http/http_peer.h"

static union http_addr addr_of(const char *text)
{
	union http_addr a = {.sa = {.sa_family = AF_UNIX}};

	if (strchr(text, ':')) {
		a.in6.sin6_family = AF_INET6;
		a.in6.sin6_port = htons(80);
		ck_assert_int_eq(inet_pton(AF_INET6, text, &a.in6.sin6_addr), 1);
	} else if (*text) {
		a.in.sin_family = AF_INET;
		a.in.sin_port = htons(80);
		ck_assert_int_eq(inet_pton(AF_INET, text, &a.in.sin_addr), 1);
	}
	return a;
}

static const struct {
	const char *a, *b;
	bool same;
} shares[] = {
	{"192.0.2.1", "192.0.2.1", true},
	{"192.0.2.1", "192.0.2.2", false},
	{"192.0.2.1", "::ffff:192.0.2.1", true},
	{"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
	{"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true},
	{"2001:db8::1", "2001:db8:0:1::1", false},
	{"::1", "127.0.0.1", false},
};

/* SEC-4 */
START_TEST(an_ipv4_address_and_an_ipv6_network_of_64_bits_have_a_share)
{
	union http_addr a = addr_of(shares[_i].a), b = addr_of(shares[_i].b);
	uint8_t ka[16], kb[16];

	ck_assert(http_peer_key(&a, ka) && http_peer_key(&b, kb));
	ck_assert_int_eq(memcmp(ka, kb, 16) == 0, shares[_i].same);
}
END_TEST

/* SEC-4 */
START_TEST(a_unix_peer_has_no_share)
{
	union http_addr a = addr_of("");
	char name[HTTP_PEER_LEN];
	uint8_t key[16];

	ck_assert(!http_peer_key(&a, key));
	http_peer_name(&a, name);
	ck_assert_str_eq(name, "unix");
}
END_TEST

static const struct {
	const char *net, *addr;
	bool has;
} nets[] = {
	{"192.0.2.1", "192.0.2.1", true},
	{"192.0.2.1", "::ffff:192.0.2.1", true},
	{"192.0.2.1", "192.0.2.2", false},
	{"192.0.2.1/32", "192.0.2.1", true},
	{"10.0.0.0/8", "10.255.1.2", true},
	{"10.0.0.0/8", "11.0.0.0", false},
	{"10.0.0.0/8", "a00::", false},
	{"192.0.2.128/25", "192.0.2.127", false},
	{"192.0.2.128/25", "192.0.2.200", true},
	{"192.0.2.0/31", "192.0.2.1", true},
	{"192.0.2.0/31", "192.0.2.2", false},
	{"0.0.0.0/0", "1.2.3.4", true},
	{"0.0.0.0/0", "2001:db8::1", false},
	{"::/0", "2001:db8::1", true},
	{"::/0", "1.2.3.4", true},
	{"2001:db8::/33", "2001:db8:7fff::1", true},
	{"2001:db8::/33", "2001:db8:8000::1", false},
	{"::1", "::1", true},
	{"::1", "::2", false},
	{"::/0", "", false},
	{"unix", "", true},
	{"unix", "127.0.0.1", false},
};

/* SEC-4 */
START_TEST(a_network_has_the_addresses_that_begin_like_it)
{
	union http_addr a = addr_of(nets[_i].addr);
	struct http_net net;

	ck_assert(http_net_parse(nets[_i].net, &net));
	ck_assert_int_eq(http_net_has(&net, &a), nets[_i].has);
}
END_TEST

static const char *const no_nets[] = {
	"",
	"*",
	"localhost",
	"192.0.2",
	"192.0.2.1:80",
	"192.0.2.1/",
	"192.0.2.1/33",
	"192.0.2.1/-1",
	"10.0.0.0/+8",
	"10.0.0.0/8x",
	"::/129",
	"[::1]",
	"Unix",
	"unix:",
	"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"};

/* SEC-4, RUN-2 */
START_TEST(what_is_no_network_is_refused)
{
	struct http_net net;

	ck_assert(!http_net_parse(no_nets[_i], &net));
}
END_TEST

static const struct {
	const char *value, *name;
} hops[] = {
	{"192.0.2.1", "192.0.2.1"},
	{"192.0.2.1:5000", "192.0.2.1"},
	{"9.9.9.9, 192.0.2.1", "192.0.2.1"},
	{"9.9.9.9,\t192.0.2.1 ", "192.0.2.1"},
	{"unknown, 2001:DB8::1", "[2001:db8::1]"},
	{"[2001:db8::1]:80", "[2001:db8::1]"},
	{"[2001:db8::1]", "[2001:db8::1]"},
	{"", NULL},
	{",", NULL},
	{"192.0.2.1,", NULL},
	{"192.0.2.1 x", NULL},
	{"unknown", NULL},
	{"_hidden", NULL},
	{"192.0.2.256", NULL},
	{"[2001:db8::1]x", NULL},
	{"[2001:db8::1", NULL},
	{"fe80::1%eth0", NULL},
	{"192.0.2.1\" injected=\"1", NULL},
	{"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd", NULL},
};

/* SEC-4, SEC-5: what is no address does not get into a log line. */
START_TEST(the_last_hop_is_read_if_it_is_an_address)
{
	char name[HTTP_PEER_LEN] = "as it was";
	bool is = http_peer_forwarded(str_of(hops[_i].value), name);

	ck_assert_int_eq(is, hops[_i].name != NULL);
	ck_assert_str_eq(name, hops[_i].name ? hops[_i].name : "as it was");
}
END_TEST

#define N(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
	Suite *suite = suite_create("http_peer");
	TCase *tc = tcase_create("http_peer");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, an_ipv4_address_and_an_ipv6_network_of_64_bits_have_a_share, 0,
			    N(shares));
	tcase_add_test(tc, a_unix_peer_has_no_share);
	tcase_add_loop_test(tc, a_network_has_the_addresses_that_begin_like_it, 0, N(nets));
	tcase_add_loop_test(tc, what_is_no_network_is_refused, 0, N(no_nets));
	tcase_add_loop_test(tc, the_last_hop_is_read_if_it_is_an_address, 0, N(hops));
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
