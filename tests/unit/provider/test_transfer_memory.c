/*
 * test_transfer_memory.c - a libcurl that falls silent, with its own time-outs, is noticed.
 *
 * It does so without memory at the wrong moment, which curl_loop.c prevents; here it has allocators
 * of our own before that, and each allocation fails once.
 */
#include "chatd/provider/transfer.h"

#include <check.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/limits.h"
#include "tests/unit/provider/run_cases.h"
#include "tests/unit/provider/scripted_server.h"

#define ANSWER	      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
#define CONNECT_MS    200
#define FIRST_BYTE_MS 5000

static int left; /* allocations until the one that fails; 0: none will */

static bool fails(void)
{
	return left > 0 && --left == 0;
}

static void *take(size_t n)
{
	return fails() ? NULL : malloc(n);
}

static void *take_again(void *p, size_t n)
{
	return fails() ? NULL : realloc(p, n);
}

static void *take_zeroed(size_t n, size_t size)
{
	return fails() ? NULL : calloc(n, size);
}

static char *copy(const char *s)
{
	return fails() ? NULL : strdup(s);
}

struct heard {
	struct event_base *base;
	bool ended;
	enum transfer_outcome how;
	struct buf text;
};

static void on_connected(void *arg)
{
}

static void on_head(void *arg, const struct answer_head *head)
{
}

static size_t on_data(void *arg, const char *p, size_t n)
{
	buf_add(&((struct heard *)arg)->text, p, n);
	return n;
}

static void on_end(void *arg, enum transfer_outcome how, const char *why)
{
	struct heard *h = arg;

	h->ended = true;
	h->how = how;
	(void)event_base_loopbreak(h->base);
}

static const struct transfer_ops ops = {on_connected, on_head, on_data, on_end};

/* One transfer of which libcurl's nth allocation fails. True if it made so many. */
static bool one(int n, int64_t *ret_ms, enum transfer_outcome *ret_how)
{
	static const struct play plays[] = {{ANSWER, 0, AFTER_CLOSE}};
	static const char *const headers[] = {"Content-Type: application/json"};
	struct heard h = {.base = event_base_new(), .text = BUF_INIT};
	struct scripted_server s;
	struct transfer_pool *p = transfer_pool_new(h.base);
	struct transfer_request req = {
		.headers = headers,
		.n_headers = 1,
		.body = str_of("{}"),
		.connect_ms = CONNECT_MS,
		.first_byte_ms = FIRST_BYTE_MS,
		.idle_ms = FIRST_BYTE_MS,
		.max_bytes = 1000,
	};
	int64_t start = clock_mono_ms();

	scripted_server_start(&s, h.base, plays, 1);
	req.url = s.url;
	(void)transfer_start(p, &req, &ops, &h);
	left = n;
	while (!h.ended)
		ck_assert_int_ge(event_base_loop(h.base, EVLOOP_ONCE), 0);
	*ret_ms = clock_mono_ms() - start;
	*ret_how = h.how;
	if (h.how == TRANSFER_OK)
		ck_assert_str_eq(buf_str(&h.text), "hi");
	n = left;
	left = 0;
	transfer_pool_free(p);
	scripted_server_stop(&s);
	buf_fini(&h.text);
	event_base_free(h.base);
	return n == 0;
}

/* FAF-6, PRV-4 */
START_TEST(a_libcurl_that_falls_silent_is_noticed)
{
	enum transfer_outcome how;
	int64_t ms;
	int n = 1, silent = 0;

	ck_assert_int_eq(curl_global_init_mem(CURL_GLOBAL_DEFAULT, take, free, take_again, copy,
					      take_zeroed),
			 CURLE_OK);
	for (; one(n, &ms, &how); n++) {
		if (how != TRANSFER_NO_CONNECTION) {
			ck_assert_msg(how == TRANSFER_OK || how == TRANSFER_UNREACHABLE ||
					      how == TRANSFER_BROKEN,
				      "allocation %d: outcome %d", n, (int)how);
			continue;
		}
		silent++;
		ck_assert_msg(ms >= CONNECT_MS && ms < FIRST_BYTE_MS, "allocation %d: %d ms", n,
			      (int)ms);
	}
	ck_assert_int_gt(silent, 0); /* else this shows nothing */
	curl_global_cleanup();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("transfer_memory");

	tcase_add_test(tc, a_libcurl_that_falls_silent_is_noticed);
	return run_cases("transfer_memory", tc, 60);
}
