/*
 * test_asking.c - asking a provider over real sockets: time-outs, retries, pause, cancel, faults.
 */
#include "chatd/provider/asking.h"

#include <arpa/inet.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "tests/unit/provider/listener.h"
#include "tests/unit/provider/run_cases.h"
#include "tests/unit/provider/scripted_server.h"

#define HEAD			    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#define CHUNK(text)		    "data: {\"choices\":[{\"delta\":{\"content\":\"" text "\"}}]}\n\n"
#define STOP			    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define DONE			    "data: [DONE]\n\n"
#define GOOD			    HEAD CHUNK("hi") STOP DONE
#define STATUS(line, headers, body) "HTTP/1.1 " line "\r\n" headers "Connection: close\r\n\r\n" body

struct bench {
	struct listener l;
	struct scripted_server s;
};

static void bench_init(struct bench *b, const char *type, const struct play *plays, int n)
{
	listener_init(&b->l, type, "http://127.0.0.1:9");
	scripted_server_start(&b->s, b->l.base, plays, n);
	free(b->l.conf->base_url);
	b->l.conf->base_url = str_dup(str_of(b->s.url));
}

static void bench_fini(struct bench *b)
{
	scripted_server_stop(&b->s);
	listener_fini(&b->l);
}

static void ask_and_wait(struct bench *b)
{
	listener_ask(&b->l, "hello");
	listener_wait(&b->l, &b->l.dones, 1);
}

/* PRV-1 PRV-6 */
START_TEST(an_answer_is_told_and_the_key_travels_in_its_header_alone)
{
	static const struct play plays[] = {{GOOD, 0, AFTER_CLOSE}};
	struct bench b;

	bench_init(&b, "openai", plays, 1);
	b.l.conf->api_key = str_dup(str_of("sk-secret"));
	ask_and_wait(&b);
	ck_assert_int_eq(b.l.fault, FAULT_NONE);
	ck_assert_str_eq(buf_str(&b.l.text), "hi");
	ck_assert_str_eq(b.l.stop_reason, "stop");
	ck_assert(strstr(buf_str(&b.s.request), "POST /chat/completions HTTP/1.1\r\n"));
	ck_assert(strstr(buf_str(&b.s.request), "\r\nAuthorization: Bearer sk-secret\r\n"));
	ck_assert(!strstr(strstr(buf_str(&b.s.request), "\r\n\r\n"), "sk-secret"));
	ck_assert(!strstr(buf_str(&b.s.request), "Accept-Encoding"));
	ck_assert(!strstr(buf_str(&b.s.request), "Expect"));
	bench_fini(&b);
}
END_TEST

struct failing {
	const char *name;
	const char *type;
	struct play play;
	enum fault fault;
	int status;
	const char *error_type, *message; /* NULL: any */
};

static const struct failing failings[] = {
	{"401",
	 "openai",
	 {STATUS("401 Unauthorized", "", "{\"error\":{\"message\":\"bad key\",\"type\":\"auth\"}}"),
	  0, AFTER_CLOSE},
	 FAULT_PROVIDER_ERROR,
	 401,
	 "auth",
	 "bad key"},
	{"a redirect is not followed",
	 "openai",
	 {STATUS("302 Found", "Location: http://127.0.0.1:9/\r\n", ""), 0, AFTER_CLOSE},
	 FAULT_PROVIDER_ERROR,
	 302,
	 "",
	 NULL},
	{"HTML",
	 "openai",
	 {HEAD "<html>hello</html>", 0, AFTER_CLOSE},
	 FAULT_PROVIDER_PROTOCOL,
	 200,
	 "",
	 NULL},
	{"JSON error with 200",
	 "openai",
	 {HEAD "{\"error\":{\"message\":\"too long\",\"type\":\"t\"}}", 0, AFTER_CLOSE},
	 FAULT_PROVIDER_ERROR,
	 200,
	 "t",
	 "too long"},
	{"garbage",
	 "openai",
	 {HEAD "data: {\n\n", 0, AFTER_CLOSE},
	 FAULT_PROVIDER_PROTOCOL,
	 200,
	 "",
	 NULL},
	{"cut",
	 "openai",
	 {HEAD CHUNK("hi"), 0, AFTER_CLOSE},
	 FAULT_PROVIDER_TRUNCATED,
	 200,
	 "truncated",
	 NULL},
	{"cut by a reset",
	 "openai",
	 {HEAD CHUNK("hi"), 0, AFTER_RESET},
	 FAULT_PROVIDER_TRUNCATED,
	 200,
	 "truncated",
	 NULL},
	{"cut inside a body of known length",
	 "anthropic",
	 {"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\ndata: {}\n\n", 0, AFTER_CLOSE},
	 FAULT_PROVIDER_TRUNCATED,
	 200,
	 "truncated",
	 NULL},
	{"only [DONE]",
	 "openai",
	 {HEAD DONE, 0, AFTER_CLOSE},
	 FAULT_PROVIDER_TRUNCATED,
	 200,
	 "truncated",
	 NULL},
	{"empty",
	 "openai",
	 {HEAD, 0, AFTER_CLOSE},
	 FAULT_PROVIDER_TRUNCATED,
	 200,
	 "truncated",
	 NULL},
	{"no answer at all",
	 "openai",
	 {NULL, 0, AFTER_CLOSE},
	 FAULT_PROVIDER_UNREACHABLE,
	 0,
	 "",
	 NULL},
	{"not HTTP",
	 "openai",
	 {"220 mail.example ready\r\n", 0, AFTER_CLOSE},
	 FAULT_PROVIDER_PROTOCOL,
	 0,
	 "",
	 NULL},
	{"an error in the stream",
	 "openai",
	 {HEAD CHUNK("hi") "data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\"}}\n\n", 0,
	  AFTER_HOLD},
	 FAULT_PROVIDER_ERROR,
	 200,
	 "server_error",
	 "m"},
};

/* PRV-4 PRV-5 FAF-7 */
START_TEST(each_failure_is_told_once_as_what_it_is)
{
	const struct failing *f = &failings[_i];
	struct bench b;

	bench_init(&b, f->type, &f->play, 1);
	ask_and_wait(&b);
	ck_assert_msg(b.l.fault == f->fault, "%s: fault %d: %s", f->name, b.l.fault, b.l.message);
	ck_assert_msg(b.l.http_status == f->status, "%s: status %d", f->name, b.l.http_status);
	ck_assert_msg(strcmp(b.l.type, f->error_type) == 0, "%s: type %s", f->name, b.l.type);
	if (f->message)
		ck_assert_str_eq(b.l.message, f->message);
	ck_assert_msg(b.l.message[0], "%s: no message", f->name);
	listener_idle(&b.l, 20);
	ck_assert_int_eq(b.l.dones, 1);
	ck_assert_int_eq(b.s.requests, 1);
	bench_fini(&b);
}
END_TEST

/* PRV-4 */
START_TEST(a_refused_connection_is_unreachable_after_its_retries)
{
	struct listener l;

	listener_init(&l, "openai", "http://127.0.0.1:9/v1");
	l.conf->max_retries = 1;
	listener_ask(&l, "hello");
	listener_wait(&l, &l.dones, 1);
	ck_assert_int_eq(l.fault, FAULT_PROVIDER_UNREACHABLE);
	ck_assert_int_eq(l.retries, 1);
	ck_assert_int_eq(l.http_status, 0);
	ck_assert_str_eq(l.message, "the connection to 127.0.0.1:9 was refused");
	listener_fini(&l);
}
END_TEST

START_TEST(a_name_that_does_not_exist_is_unreachable)
{
	struct listener l;

	listener_init(&l, "openai", "http://no-such-host.invalid/v1");
	listener_ask(&l, "hello");
	listener_wait(&l, &l.dones, 1);
	ck_assert_int_eq(l.fault, FAULT_PROVIDER_UNREACHABLE);
	ck_assert_str_eq(l.message, "the name of no-such-host.invalid can't be resolved");
	listener_fini(&l);
}
END_TEST

START_TEST(a_cancel_while_the_name_is_looked_up_comes_back_at_once)
{
	struct listener l;
	int64_t started;

	listener_init(&l, "openai", "http://no-such-host.invalid/v1");
	listener_ask(&l, "hello");
	(void)event_base_loop(l.base, EVLOOP_ONCE);
	started = clock_mono_ms();
	asking_cancel(l.asking);
	l.asking = NULL;
	ck_assert_int_lt(clock_mono_ms() - started, 100);
	ck_assert_int_eq(l.dones, 0);
	listener_fini(&l);
}
END_TEST

START_TEST(tls_to_a_server_without_it_is_told_and_not_tried_again)
{
	static const struct play plays[] = {{GOOD, 0, AFTER_CLOSE}};
	struct buf url = BUF_INIT;
	struct bench b;

	bench_init(&b, "openai", plays, 1);
	b.l.conf->max_retries = 2;
	free(b.l.conf->base_url);
	buf_addf(&url, "https%s", b.s.url + 4);
	b.l.conf->base_url = buf_steal(&url, NULL);
	ask_and_wait(&b);
	ck_assert_int_eq(b.l.fault, FAULT_PROVIDER_UNREACHABLE);
	ck_assert_int_eq(b.l.retries, 0);
	ck_assert(strncmp(b.l.message, "TLS with 127.0.0.1:", 19) == 0);
	bench_fini(&b);
}
END_TEST

/* PRV-4 */
START_TEST(a_429_is_tried_again_when_the_provider_asks_for_it)
{
	static const struct play plays[] = {
		{STATUS("429 Too Many Requests", "Retry-After-Ms: 30\r\n", "{}"), 0, AFTER_CLOSE},
		{GOOD, 0, AFTER_CLOSE},
	};
	struct bench b;
	int64_t started = clock_mono_ms();

	bench_init(&b, "openai", plays, 2);
	b.l.conf->max_retries = 2;
	ask_and_wait(&b);
	ck_assert_int_eq(b.l.fault, FAULT_NONE);
	ck_assert_int_eq(b.l.retries, 1);
	ck_assert_int_eq(b.l.retry_wait_ms, 30);
	ck_assert_int_eq(b.l.retry_status, 429);
	ck_assert_int_ge(clock_mono_ms() - started, 29);
	ck_assert_str_eq(buf_str(&b.l.text), "hi");
	bench_fini(&b);
}
END_TEST

/* PRV-4 */
START_TEST(a_server_that_keeps_failing_is_asked_max_retries_times_more)
{
	static const struct play plays[] = {
		{STATUS("529 Overloaded", "retry-after-ms: 5\r\n",
			"{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":"
			"\"O\"}}"),
		 0, AFTER_CLOSE},
		{STATUS("500 Internal Server Error", "retry-after-ms: 5\r\n", ""), 0, AFTER_CLOSE},
		{STATUS("503 Service Unavailable", "retry-after-ms: 5\r\n", "<html>"), 0,
		 AFTER_CLOSE},
	};
	struct bench b;

	bench_init(&b, "anthropic", plays, 3);
	b.l.conf->max_retries = 2;
	ask_and_wait(&b);
	ck_assert_int_eq(b.s.requests, 3);
	ck_assert_int_eq(b.l.retries, 2);
	ck_assert_int_eq(b.l.fault, FAULT_PROVIDER_ERROR);
	ck_assert_int_eq(b.l.http_status, 503);
	ck_assert_str_eq(b.l.message, "503 Service Unavailable");
	bench_fini(&b);
}
END_TEST

/* PRV-4 */
START_TEST(a_wait_of_114_hours_is_reported_not_slept)
{
	static const struct play plays[] = {
		{STATUS("429 Too Many Requests", "Retry-After: 411480\r\n",
			"{\"error\":{\"message\":\"Rate limit\",\"type\":\"tokens\"}}"),
		 0, AFTER_CLOSE},
	};
	struct bench b;

	bench_init(&b, "openai", plays, 1);
	b.l.conf->max_retries = 2;
	ask_and_wait(&b);
	ck_assert_int_eq(b.s.requests, 1);
	ck_assert_int_eq(b.l.retries, 0);
	ck_assert_int_eq(b.l.retry_after_ms, 411480000);
	ck_assert_str_eq(b.l.message, "Rate limit");
	bench_fini(&b);
}
END_TEST

/* PRV-4 */
START_TEST(an_account_without_money_is_not_asked_again)
{
	static const struct play plays[] = {
		{STATUS("429 Too Many Requests", "x-should-retry: true\r\n",
			"{\"error\":{\"message\":\"m\",\"code\":\"insufficient_quota\"}}"),
		 0, AFTER_CLOSE},
	};
	struct bench b;

	bench_init(&b, "openai", plays, 1);
	b.l.conf->max_retries = 2;
	ask_and_wait(&b);
	ck_assert_int_eq(b.s.requests, 1);
	ck_assert_str_eq(b.l.code, "insufficient_quota");
	ck_assert(!b.l.retryable);
	bench_fini(&b);
}
END_TEST

/* PRV-4: after the first token there is no way back */
START_TEST(nothing_is_tried_again_once_text_was_told)
{
	static const struct play plays[] = {
		{HEAD CHUNK("hi") "data: {\"error\":{\"type\":\"overloaded_error\"}}\n\n", 0,
		 AFTER_CLOSE},
		{HEAD CHUNK("hi"), 0, AFTER_RESET},
	};

	for (int i = 0; i < 2; i++) {
		struct bench b;

		bench_init(&b, "openai", &plays[i], 1);
		b.l.conf->max_retries = 2;
		ask_and_wait(&b);
		ck_assert_int_eq(b.s.requests, 1);
		ck_assert_int_eq(b.l.retries, 0);
		ck_assert_str_eq(buf_str(&b.l.text), "hi");
		bench_fini(&b);
	}
}
END_TEST

/* PRV-4 */
START_TEST(an_error_as_the_first_event_is_tried_again)
{
	static const struct play plays[] = {
		{HEAD
		 "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
		 "\"message\":\"Overloaded\"}}\n\n",
		 0, AFTER_CLOSE},
		{HEAD
		 "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n"
		 "data: {\"type\":\"message_stop\"}\n\n",
		 0, AFTER_CLOSE},
	};
	struct bench b;

	bench_init(&b, "anthropic", plays, 2);
	b.l.conf->max_retries = 1;
	ask_and_wait(&b);
	ck_assert_int_eq(b.l.retries, 1);
	ck_assert_int_eq(b.l.retry_status, 200);
	ck_assert_int_eq(b.l.fault, FAULT_NONE);
	bench_fini(&b);
}
END_TEST

/* PRV-4, OPS-2: what a void try has cost is spent */
START_TEST(usage_is_told_while_it_grows_and_each_try_counts)
{
	static const struct play plays[] = {
		{HEAD
		 "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,"
		 "\"output_tokens\":1}}}\n\n"
		 "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
		 0, AFTER_CLOSE},
		{HEAD
		 "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":6,"
		 "\"output_tokens\":1}}}\n\n"
		 "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9}}\n\n"
		 "data: {\"type\":\"message_stop\"}\n\n",
		 0, AFTER_CLOSE},
	};
	struct bench b;

	bench_init(&b, "anthropic", plays, 2);
	b.l.conf->max_retries = 1;
	ask_and_wait(&b);
	ck_assert_int_eq(b.l.retries, 1);
	ck_assert_int_eq(b.l.usages, 3);
	ck_assert_int_eq(b.l.usage_so_far.input, 11);
	ck_assert_int_eq(b.l.usage.input, 11);
	ck_assert_int_eq(b.l.usage.output, 10);
	ck_assert_int_eq(b.l.usage.cache_read, 0);
	bench_fini(&b);
}
END_TEST

/* PRV-4 */
START_TEST(silence_before_the_first_byte_is_a_time_out)
{
	static const struct play plays[] = {
		{HEAD, 0, AFTER_HOLD}, /* a head is no byte of the answer */
		{"", 0, AFTER_HOLD},
	};

	for (int i = 0; i < 2; i++) {
		struct bench b;

		bench_init(&b, "openai", &plays[i], 1);
		b.l.conf->first_byte_ms = 80;
		b.l.conf->max_retries = 2;
		ask_and_wait(&b);
		ck_assert_int_eq(b.l.fault, FAULT_PROVIDER_TIMEOUT);
		ck_assert_int_eq(b.l.retries, 0);
		ck_assert(strstr(b.l.message, "sent nothing within 0.08 s"));
		listener_wait(&b.l, &b.s.closed_by_peer, 1);
		bench_fini(&b);
	}
}
END_TEST

/* PRV-4 */
START_TEST(silence_in_mid_stream_is_a_time_out)
{
	static const struct play plays[] = {{HEAD CHUNK("hi"), 0, AFTER_HOLD}};
	struct bench b;

	bench_init(&b, "openai", plays, 1);
	b.l.conf->idle_ms = 80;
	ask_and_wait(&b);
	ck_assert_int_eq(b.l.fault, FAULT_PROVIDER_TIMEOUT);
	ck_assert_str_eq(buf_str(&b.l.text), "hi");
	ck_assert(strstr(b.l.message, "fell silent for 0.08 s"));
	listener_wait(&b.l, &b.s.closed_by_peer, 1);
	bench_fini(&b);
}
END_TEST

/* PRV-5: the provider said that it is done; what the connection does then is no matter */
START_TEST(a_finished_answer_survives_a_lost_or_silent_connection)
{
	static const struct play plays[] = {
		{HEAD CHUNK("hi") STOP, 0, AFTER_RESET},
		{HEAD CHUNK("hi") STOP, 0, AFTER_HOLD},
		{HEAD CHUNK("hi") STOP DONE, 0, AFTER_HOLD},
	};

	for (int i = 0; i < 3; i++) {
		struct bench b;

		bench_init(&b, "openai", &plays[i], 1);
		b.l.conf->idle_ms = 80;
		ask_and_wait(&b);
		ck_assert_int_eq(b.l.fault, FAULT_NONE);
		ck_assert_str_eq(b.l.stop_reason, "stop");
		bench_fini(&b);
	}
}
END_TEST

/* PRV-4 */
START_TEST(a_cancel_closes_the_connection_and_nothing_is_told_any_more)
{
	static const struct play plays[] = {{HEAD CHUNK("hi") CHUNK("ho"), 0, AFTER_HOLD}};
	struct bench b;

	bench_init(&b, "openai", plays, 1);
	b.l.cancel_at = _i ? AT_TEXT : NEVER; /* inside a callback, or from outside */
	listener_ask(&b.l, "hello");
	listener_wait(&b.l, &b.l.texts, 1);
	if (_i == 0)
		asking_cancel(b.l.asking);
	b.l.asking = NULL;
	listener_wait(&b.l, &b.s.closed_by_peer, 1);
	ck_assert_int_eq(b.l.dones, 0);
	if (_i)
		ck_assert_int_eq(b.l.texts, 1);
	bench_fini(&b);
}
END_TEST

START_TEST(a_cancel_at_any_moment_is_the_end)
{
	static const struct play plays[] = {
		{STATUS("500 X", "retry-after-ms: 1\r\n", ""), 0, AFTER_CLOSE},
		{HEAD "data: "
		      "{\"choices\":[{\"delta\":{\"reasoning\":\"r\",\"content\":\"c\"}}]}\n\n" STOP
			      DONE,
		 0, AFTER_CLOSE},
	};
	static const enum moment moments[] = {AT_RETRY, AT_REASONING, AT_TEXT, AT_DONE};

	for (int i = 0; i < 4; i++) {
		struct bench b;

		bench_init(&b, "openai", plays, 2);
		b.l.conf->max_retries = 1;
		b.l.cancel_at = moments[i];
		listener_ask(&b.l, "hello");
		listener_idle(&b.l, 60);
		ck_assert_ptr_null(b.l.asking);
		ck_assert_int_eq(b.l.dones, moments[i] == AT_DONE);
		ck_assert_int_eq(b.l.texts, moments[i] >= AT_DONE || moments[i] == AT_TEXT);
		bench_fini(&b);
	}
}
END_TEST

START_TEST(a_cancel_before_anything_happened_leaves_nothing_behind)
{
	static const struct play plays[] = {{GOOD, 0, AFTER_CLOSE}};
	struct bench b;

	bench_init(&b, "openai", plays, 1);
	listener_ask(&b.l, "hello");
	asking_cancel(b.l.asking);
	asking_cancel(NULL);
	b.l.asking = NULL;
	listener_idle(&b.l, 20);
	ck_assert_int_eq(b.l.dones, 0);
	bench_fini(&b);
}
END_TEST

/* a stream of n chunks of 32 KiB */
static void write_long_stream(struct buf *b, int n)
{
	buf_adds(b, HEAD);
	for (int i = 0; i < n; i++) {
		buf_adds(b, "data: {\"choices\":[{\"delta\":{\"content\":\"");
		for (int k = 0; k < 512; k++)
			buf_adds(
				b,
				"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
		buf_adds(b, "\"}}]}\n\n");
	}
	buf_adds(b, STOP DONE);
}

/* PRV-4: back-pressure */
START_TEST(a_pause_stops_reading_and_a_resume_loses_nothing)
{
	struct buf auto_buf body = BUF_INIT;
	struct play play = {.after = AFTER_CLOSE};
	struct bench b;
	size_t unsent;
	int texts;

	write_long_stream(&body, 400);
	play.bytes = body.data;
	play.n = body.len;
	bench_init(&b, "openai", &play, 1);
	b.l.conf->idle_ms = 800; /* does not run while paused */
	b.l.pause_at = AT_TEXT;
	listener_ask(&b.l, "hello");
	listener_wait(&b.l, &b.l.texts, 1);
	listener_idle(&b.l, 1200);
	ck_assert_int_eq(b.l.texts, 1);
	unsent = scripted_server_unsent(&b.s);
	ck_assert_uint_gt(unsent, 0);
	b.l.pause_at = NEVER;
	texts = b.l.texts;
	asking_pause(b.l.asking, false);
	ck_assert_int_eq(b.l.texts, texts); /* nothing inside the call */
	listener_wait(&b.l, &b.l.dones, 1);
	ck_assert_msg(b.l.fault == FAULT_NONE, "%s after %d deltas, %zu bytes unsent", b.l.message,
		      b.l.texts, scripted_server_unsent(&b.s));
	ck_assert_uint_eq(b.l.text.len, 400 * 32768);
	bench_fini(&b);
}
END_TEST

/* PRV-4: who pauses before anything came still has the first byte's time, not the shorter one */
START_TEST(a_pause_before_the_first_byte_does_not_shorten_its_time)
{
	static const struct play plays[] = {{HEAD, 0, AFTER_HOLD}};
	struct bench b;
	int64_t began;

	bench_init(&b, "openai", plays, 1);
	b.l.conf->idle_ms = 60;
	b.l.conf->first_byte_ms = 700;
	listener_ask(&b.l, "hello");
	listener_wait(&b.l, &b.s.requests, 1);
	asking_pause(b.l.asking, true);
	began = clock_mono_ms();
	asking_pause(b.l.asking, false);
	listener_wait(&b.l, &b.l.dones, 1);
	ck_assert_int_eq(b.l.fault, FAULT_PROVIDER_TIMEOUT);
	ck_assert_int_ge(clock_mono_ms() - began, 700);
	bench_fini(&b);
}
END_TEST

START_TEST(a_pause_after_every_delta_changes_nothing_but_the_pace)
{
	static const struct play plays[] = {
		{HEAD CHUNK("a") CHUNK("b")
			 CHUNK("c") "data: {\"choices\":[{\"delta\":{\"content\":\"d\"},"
				    "\"finish_reason\":\"stop\"}]}",
		 0, AFTER_CLOSE},
	};
	struct bench b;

	bench_init(&b, "openai", plays, 1);
	b.l.pause_at = AT_TEXT;
	listener_ask(&b.l, "hello");
	for (int i = 1; i <= 4; i++) {
		listener_wait(&b.l, &b.l.texts, i);
		listener_idle(&b.l, 15);
		ck_assert_int_eq(b.l.texts, i);
		ck_assert_int_eq(b.l.dones, 0);
		asking_pause(b.l.asking, false);
	}
	listener_wait(&b.l, &b.l.dones, 1);
	ck_assert_int_eq(b.l.fault, FAULT_NONE);
	ck_assert_str_eq(buf_str(&b.l.text), "abcd");
	bench_fini(&b);
}
END_TEST

START_TEST(a_paused_asking_may_be_cancelled)
{
	static const struct play plays[] = {{HEAD CHUNK("a") CHUNK("b") STOP DONE, 0, AFTER_CLOSE}};
	struct bench b;

	bench_init(&b, "openai", plays, 1);
	b.l.pause_at = AT_TEXT;
	listener_ask(&b.l, "hello");
	listener_wait(&b.l, &b.l.texts, 1);
	listener_idle(&b.l, 20);
	if (_i)
		asking_pause(b.l.asking, false);
	asking_cancel(b.l.asking);
	b.l.asking = NULL;
	listener_idle(&b.l, 20);
	ck_assert_int_eq(b.l.texts, 1);
	ck_assert_int_eq(b.l.dones, 0);
	bench_fini(&b);
}
END_TEST

START_TEST(connections_are_used_again)
{
	static const struct play plays[] = {
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "5c\r\ndata: "
		 "{\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}"
		 "\n\ndata: [DONE]\n\n      \n\r\n0\r\n\r\n",
		 0, AFTER_HOLD},
	};
	struct bench b;

	bench_init(&b, "openai", plays, 1);
	for (int i = 0; i < 3; i++) {
		b.l.dones = b.l.texts = 0;
		ask_and_wait(&b);
		ck_assert_int_eq(b.l.fault, FAULT_NONE);
	}
	ck_assert_int_eq(b.s.requests, 3);
	ck_assert_int_eq(b.s.accepted, 1);
	bench_fini(&b);
}
END_TEST

/* an answer whose error body never ends */
START_TEST(an_error_body_is_read_up_to_its_limit)
{
	struct buf auto_buf body = BUF_INIT;
	struct play play = {.after = AFTER_HOLD};
	struct bench b;

	buf_adds(&body, "HTTP/1.1 500 X\r\n\r\n");
	for (int i = 0; i < LIMIT_ERROR_BODY; i++)
		buf_addc(&body, 'x');
	play.bytes = body.data;
	play.n = body.len;
	bench_init(&b, "openai", &play, 1);
	ask_and_wait(&b);
	ck_assert_int_eq(b.l.http_status, 500);
	ck_assert_str_eq(b.l.message, "500 Internal Server Error");
	bench_fini(&b);
}
END_TEST

START_TEST(an_answer_over_the_limit_is_cut_off)
{
	struct buf auto_buf body = BUF_INIT;
	struct play play = {.after = AFTER_HOLD};
	struct bench b;

	buf_adds(&body, HEAD);
	while (body.len < LIMIT_STREAM + 1000)
		buf_adds(
			&body,
			": a comment that says nothing, to fill the stream with bytes of no use\n");
	play.bytes = body.data;
	play.n = body.len;
	bench_init(&b, "openai", &play, 1);
	ask_and_wait(&b);
	ck_assert_int_eq(b.l.fault, FAULT_PROVIDER_PROTOCOL);
	ck_assert(strstr(b.l.message, "67108864"));
	bench_fini(&b);
}
END_TEST

/* PRV-6 */
START_TEST(a_key_that_the_provider_quotes_is_hidden)
{
	static const struct play plays[] = {
		{STATUS("401 Unauthorized", "",
			"{\"error\":{\"message\":\"key sk-secret is wrong\"}}"),
		 0, AFTER_CLOSE},
	};
	struct bench b;

	bench_init(&b, "openai", plays, 1);
	b.l.conf->api_key = str_dup(str_of("sk-secret"));
	ask_and_wait(&b);
	ck_assert_str_eq(b.l.message, "key *** is wrong");
	bench_fini(&b);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("asking");

	tcase_add_test(t, an_answer_is_told_and_the_key_travels_in_its_header_alone);
	tcase_add_loop_test(t, each_failure_is_told_once_as_what_it_is, 0,
			    sizeof(failings) / sizeof(*failings));
	tcase_add_test(t, a_refused_connection_is_unreachable_after_its_retries);
	tcase_add_test(t, a_name_that_does_not_exist_is_unreachable);
	tcase_add_test(t, a_cancel_while_the_name_is_looked_up_comes_back_at_once);
	tcase_add_test(t, tls_to_a_server_without_it_is_told_and_not_tried_again);
	tcase_add_test(t, a_429_is_tried_again_when_the_provider_asks_for_it);
	tcase_add_test(t, a_server_that_keeps_failing_is_asked_max_retries_times_more);
	tcase_add_test(t, a_wait_of_114_hours_is_reported_not_slept);
	tcase_add_test(t, an_account_without_money_is_not_asked_again);
	tcase_add_test(t, nothing_is_tried_again_once_text_was_told);
	tcase_add_test(t, an_error_as_the_first_event_is_tried_again);
	tcase_add_test(t, usage_is_told_while_it_grows_and_each_try_counts);
	tcase_add_test(t, silence_before_the_first_byte_is_a_time_out);
	tcase_add_test(t, silence_in_mid_stream_is_a_time_out);
	tcase_add_test(t, a_finished_answer_survives_a_lost_or_silent_connection);
	tcase_add_loop_test(t, a_cancel_closes_the_connection_and_nothing_is_told_any_more, 0, 2);
	tcase_add_test(t, a_cancel_at_any_moment_is_the_end);
	tcase_add_test(t, a_cancel_before_anything_happened_leaves_nothing_behind);
	tcase_add_test(t, a_pause_stops_reading_and_a_resume_loses_nothing);
	tcase_add_test(t, a_pause_before_the_first_byte_does_not_shorten_its_time);
	tcase_add_test(t, a_pause_after_every_delta_changes_nothing_but_the_pace);
	tcase_add_loop_test(t, a_paused_asking_may_be_cancelled, 0, 2);
	tcase_add_test(t, connections_are_used_again);
	tcase_add_test(t, an_error_body_is_read_up_to_its_limit);
	tcase_add_test(t, an_answer_over_the_limit_is_cut_off);
	tcase_add_test(t, a_key_that_the_provider_quotes_is_hidden);
	return run_cases("asking", t, 60);
}
