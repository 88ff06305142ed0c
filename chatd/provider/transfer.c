/*
 * transfer.c - one HTTP POST whose answer comes as a stream. See transfer.h.
 *
 *	curl_loop: socket ready, timer --> libcurl --> on_prereq, on_header, on_write, on_finished
 *	                                                   (note things down, mark ready)
 *	           then on_ran() --> dispatch() walks the ready list and calls the ops
 *
 * libcurl forbids most calls from inside its callbacks (removing a handle, above all), so nothing
 * of ours runs there: they append to `in` and set flags. Everything that a listener sees happens
 * in dispatch(), with libcurl off the stack. That is why a listener may cancel at any time and the
 * connection is closed before transfer_cancel() returns.
 *
 * Memory: libcurl reads at most 16 KiB of a connection in one go, and `in` holds what one go
 * brought. A paused transfer holds that much and one more buffer inside libcurl; the rest stays in
 * the socket, which is the back-pressure.
 *
 * Time: libcurl watches the connecting (its DNS included); from then on one timer of ours watches
 * the silence. It is set to a deadline that moves with each byte and re-armed only when it fires.
 * It is there while connecting, too, a little later than libcurl's: without memory at the wrong
 * moment libcurl forgets a transfer, and its time-out with it.
 *
 * Teardown order, which valgrind checks: easy handles, multi, events, then the caller's base.
 */
#include "chatd/provider/transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chatd/provider/curl_loop.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/list.h"
#include "common/require.h"

#define LATE_MS	  50  /* a timer that comes later than this was held up by a busy loop */
#define EXCUSE_MS 100 /* then a transfer that looks silent gets this much more, once */

#define NO_CONNECTION "no connection to %s within %.3g s"

struct transfer {
	struct transfer_pool *pool; /* borrowed */
	const struct transfer_ops *ops;
	void *arg;
	CURL *easy;		     /* owned; NULL once it is gone */
	struct curl_slist *headers;  /* owned */
	struct event *timer;	     /* owned */
	char *authority;	     /* "host:port" for messages; owned */
	char error[CURL_ERROR_SIZE]; /* libcurl's own words */
	int64_t connect_ms, first_byte_ms, idle_ms, max_bytes, bytes;
	int64_t deadline; /* monotonic ms */
	struct answer_head head;
	struct buf in;
	TAILQ_ENTRY(transfer) link; /* in pool->ready, if is_ready */
	/* what libcurl said that the listener was not told yet */
	bool is_ready, connected, head_done, resumed, finished;
	/* facts */
	bool told_connected, told_head, curl_paused, paused, too_large, has_bytes;
	bool excused;	 /* a time-out was put off, because the loop was late */
	bool busy, dead; /* a callback is on the stack; cancelled meanwhile */
	enum transfer_outcome outcome;
	CURLcode code;
};

TAILQ_HEAD(transfer_list, transfer);

struct transfer_pool {
	struct event_base *base; /* borrowed */
	struct curl_loop loop;
	struct event *wake; /* something became ready outside libcurl */
	struct transfer_list ready;
	size_t n; /* transfers */
};

/* For what is awaited next: the connection, the first byte, or another one. */
static void expect(struct transfer *t)
{
	int64_t ms = t->connect_ms + LIMIT_CONNECT_GRACE_MS;

	if (t->connected)
		ms = t->has_bytes ? t->idle_ms : t->first_byte_ms;
	t->deadline = clock_mono_ms() + ms;
}

static void arm(struct transfer *t)
{
	/* deadlines move while the timer runs; no step longer than the shorter limit, so none is
	 * missed */
	int64_t longest = t->first_byte_ms < t->idle_ms ? t->first_byte_ms : t->idle_ms;
	int64_t ms = t->deadline - clock_mono_ms();
	struct timeval tv;

	if (ms > longest)
		ms = longest;
	if (ms < 1)
		ms = 1;
	tv = (struct timeval){ms / 1000, (ms % 1000) * 1000};
	REQUIRE(event_add(t->timer, &tv) == 0);
}

/* --- telling the listener --- */

static void mark_ready(struct transfer *t)
{
	if (t->is_ready)
		return;
	t->is_ready = true;
	TAILQ_INSERT_TAIL(&t->pool->ready, t, link);
}

static void unready(struct transfer *t)
{
	if (t->is_ready)
		TAILQ_REMOVE(&t->pool->ready, t, link);
	t->is_ready = false;
}

static void drop_easy(struct transfer *t)
{
	if (!t->easy)
		return;
	(void)curl_multi_remove_handle(t->pool->loop.multi,
				       t->easy); /* it was added: can't fail here */
	curl_easy_cleanup(t->easy);
	t->easy = NULL;
	event_free(t->timer);
	t->timer = NULL;
}

static void destroy(struct transfer *t)
{
	drop_easy(t);
	unready(t);
	t->pool->n--;
	curl_slist_free_all(t->headers);
	free(t->authority);
	answer_head_fini(&t->head);
	buf_fini(&t->in);
	free(t);
}

/* What libcurl's verdict means here, and words for it. */
static enum transfer_outcome judge(struct transfer *t, struct buf *why)
{
	long os_errno = 0;

	(void)curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
	switch ((int)t->code) {
	case CURLE_OK:
		return TRANSFER_OK;
	case CURLE_COULDNT_RESOLVE_HOST:
		buf_addf(why, "the name of %s can't be resolved", t->authority);
		return TRANSFER_UNREACHABLE;
	case CURLE_COULDNT_CONNECT:
		if (os_errno == ECONNREFUSED)
			buf_addf(why, "the connection to %s was refused", t->authority);
		else
			buf_addf(why, "can't connect to %s: %s", t->authority,
				 os_errno ? strerror((int)os_errno) : "no address works");
		return TRANSFER_UNREACHABLE;
	case CURLE_OPERATION_TIMEDOUT:
		buf_addf(why, NO_CONNECTION, t->authority, (double)t->connect_ms / 1000);
		return TRANSFER_NO_CONNECTION;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		buf_addf(why, "TLS with %s failed: %s", t->authority,
			 t->error[0] ? t->error : curl_easy_strerror(t->code));
		return TRANSFER_UNTRUSTED;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_HTTP2:
	case CURLE_BAD_CONTENT_ENCODING:
		buf_addf(why, "what %s answers is not HTTP", t->authority);
		return TRANSFER_GARBLED;
	default:
		buf_addf(why, "the connection to %s was lost: %s", t->authority,
			 curl_easy_strerror(t->code));
		return TRANSFER_BROKEN;
	}
}

static void tell_end(struct transfer *t)
{
	struct buf auto_buf why = BUF_INIT;

	if (t->outcome == TRANSFER_NO_FIRST_BYTE)
		buf_addf(&why, "%s sent nothing within %.3g s", t->authority,
			 (double)t->first_byte_ms / 1000);
	else if (t->outcome == TRANSFER_IDLE)
		buf_addf(&why, "%s fell silent for %.3g s", t->authority,
			 (double)t->idle_ms / 1000);
	else if (t->outcome == TRANSFER_NO_CONNECTION)
		buf_addf(&why, NO_CONNECTION, t->authority, (double)t->connect_ms / 1000);
	else if (t->too_large) {
		t->outcome = TRANSFER_TOO_LARGE;
		buf_addf(&why, "the answer is over %lld bytes", (long long)t->max_bytes);
	} else {
		t->outcome = judge(t, &why);
	}
	drop_easy(t);
	t->dead = true;
	t->ops->end(t->arg, t->outcome, buf_str(&why));
}

/* One transfer's news, in order, for as long as the listener wants them. */
static void deliver(struct transfer *t)
{
	if (t->connected && !t->told_connected) {
		t->told_connected = true;
		arm(t);
		t->ops->connected(t->arg);
	}
	if (!t->dead && t->head_done && !t->told_head) {
		t->told_head = true;
		t->ops->head(t->arg, &t->head);
	}
	if (!t->dead && !t->paused && (t->in.len > 0 || t->resumed)) {
		size_t n = t->in.len;
		size_t taken;

		t->resumed = false;
		taken = t->ops->data(t->arg, buf_str(&t->in), n);
		if (t->dead)
			return;
		REQUIRE(taken == n || (taken < n && t->paused));
		buf_consume(&t->in, taken);
	}
	if (t->dead || t->paused)
		return;
	if (t->curl_paused) {
		/* may call on_write() at once, which marks it ready again */
		t->curl_paused = false;
		expect(t);
		(void)curl_easy_pause(t->easy, CURLPAUSE_CONT); /* a failure shows as the end */
	}
	if (t->finished && t->in.len == 0 && !t->is_ready)
		tell_end(t);
}

static void dispatch(struct transfer_pool *p)
{
	struct transfer *t;

	while ((t = TAILQ_FIRST(&p->ready))) {
		TAILQ_REMOVE(&p->ready, t, link);
		t->is_ready = false;
		t->busy = true;
		deliver(t);
		t->busy = false;
		if (t->dead)
			destroy(t);
	}
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	dispatch(arg);
}

/* --- what libcurl calls: it only notes things down --- */

static int on_prereq(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct transfer *t = arg;

	t->connected = true;
	expect(t);
	mark_ready(t);
	return CURL_PREREQFUNC_OK;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	if (t->head_done)
		return n; /* a trailer */
	answer_head_add(&t->head, p, n);
	if (n <= 2 && (p[0] == '\r' || p[0] == '\n') && t->head.status >= 200) {
		t->head_done = true;
		mark_ready(t);
	}
	return n;
}

static size_t on_write(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;

	if (t->paused) {
		t->curl_paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	t->bytes += (int64_t)n;
	if (t->bytes > t->max_bytes) {
		t->too_large = true;
		return n + 1; /* anything but n ends the transfer */
	}
	t->has_bytes = true;
	t->excused = false;
	expect(t);
	buf_add(&t->in, p, n);
	mark_ready(t);
	return n;
}

static void on_finished(void *arg, CURL *easy, CURLcode code)
{
	char *self = NULL;
	struct transfer *t;

	(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &self);
	t = (struct transfer *)(void *)self;
	t->code = code;
	t->finished = true;
	mark_ready(t);
}

static void on_ran(void *arg)
{
	dispatch(arg);
}

static const struct curl_loop_ops loop_ops = {on_finished, on_ran};

/* --- the pool --- */

struct transfer_pool *transfer_pool_new(struct event_base *base)
{
	struct transfer_pool *p = calloc(1, sizeof(*p));

	REQUIRE(p);
	p->base = base;
	TAILQ_INIT(&p->ready);
	curl_loop_init(&p->loop, base, &loop_ops, p);
	p->wake = event_new(base, -1, 0, on_wake, p);
	REQUIRE(p->wake);
	return p;
}

void transfer_pool_free(struct transfer_pool *p)
{
	if (!p)
		return;
	REQUIRE(p->n == 0);
	curl_loop_fini(&p->loop);
	event_free(p->wake);
	free(p);
}

/* --- one transfer --- */

static void on_silence(evutil_socket_t fd, short what, void *arg)
{
	struct transfer *t = arg;

	if (t->paused || t->finished || t->in.len > 0 || t->deadline > clock_mono_ms()) {
		if (t->paused || t->in.len > 0)
			expect(t);
		arm(t);
		return;
	}
	if (!t->excused && clock_mono_ms() - t->deadline > LATE_MS) {
		/* it was the loop that slept: bytes may have been on their way meanwhile */
		t->excused = true;
		t->deadline = clock_mono_ms() + EXCUSE_MS;
		arm(t);
		return;
	}
	t->outcome = t->has_bytes   ? TRANSFER_IDLE
		     : t->connected ? TRANSFER_NO_FIRST_BYTE
				    : TRANSFER_NO_CONNECTION;
	t->finished = true;
	mark_ready(t);
	dispatch(t->pool);
}

static char *authority_of(const char *url)
{
	const char *p = strstr(url, "://");
	size_t n;

	p = p ? p + 3 : url;
	n = strcspn(p, "/?#");
	for (size_t i = n; i > 0; i--) {
		if (p[i - 1] == '@')
			return str_dup((struct str){p + i, n - i}); /* no password in a message */
	}
	return str_dup((struct str){p, n});
}

static void set_options(struct transfer *t, const struct transfer_request *req)
{
	CURL *e = t->easy;

	(void)curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(e, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
	(void)curl_easy_setopt(e, CURLOPT_QUICK_EXIT,
			       1L); /* don't wait for a resolver thread on cancel */
	(void)curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
	(void)curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)t->connect_ms);
	(void)curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error);
	(void)curl_easy_setopt(e, CURLOPT_PRIVATE, t);
	(void)curl_easy_setopt(e, CURLOPT_URL, req->url);
	(void)curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
	(void)curl_easy_setopt(e, CURLOPT_POST, 1L);
	(void)curl_easy_setopt(e, CURLOPT_POSTFIELDS, req->body.p);
	(void)curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.n);
	(void)curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_prereq);
	(void)curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
	(void)curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	(void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write);
	(void)curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
}

static void add_header(struct transfer *t, const char *line)
{
	struct curl_slist *l = curl_slist_append(t->headers, line);

	REQUIRE(l);
	t->headers = l;
}

struct transfer *transfer_start(struct transfer_pool *p, const struct transfer_request *req,
				const struct transfer_ops *ops, void *arg)
{
	struct transfer *t = calloc(1, sizeof(*t));

	REQUIRE(t);
	t->pool = p;
	t->ops = ops;
	t->arg = arg;
	t->connect_ms = req->connect_ms;
	t->first_byte_ms = req->first_byte_ms;
	t->idle_ms = req->idle_ms;
	t->max_bytes = req->max_bytes;
	t->authority = authority_of(req->url);
	for (size_t i = 0; i < req->n_headers; i++)
		add_header(t, req->headers[i]);
	add_header(t, "Expect:"); /* no waiting for "100 Continue" with large bodies */
	t->timer = event_new(p->base, -1, 0, on_silence, t);
	t->easy = curl_easy_init();
	REQUIRE(t->timer && t->easy);
	set_options(t, req);
	p->n++;
	REQUIRE(curl_multi_add_handle(p->loop.multi, t->easy) == CURLM_OK);
	expect(t);
	arm(t);
	return t;
}

void transfer_cancel(struct transfer *t)
{
	REQUIRE(!t->dead);
	if (!t->busy) {
		destroy(t);
		return;
	}
	t->dead = true;
	drop_easy(t);
}

void transfer_pause(struct transfer *t, bool paused)
{
	if (t->paused == paused || t->dead)
		return;
	t->paused = paused;
	if (paused)
		return;
	t->resumed = true;
	expect(t);
	mark_ready(t);
	event_active(t->pool->wake, EV_TIMEOUT, 1);
}
