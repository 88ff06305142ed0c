/*
 * api_messages.c - POST /v1/messages: the one entry point that sends a message (SDC-7).
 *
 * The form is checked here, the meaning by the worker. With a session_id the message goes to the
 * worker that owns it; without one, to any that is up, which creates a session of its own shard. An
 * Idempotency-Key must find the worker that saw it first, so there the key decides.
 */
#include <sodium.h>

#include "common/limits.h"
#include "proto/trace.h"
#include "streamerd/app.h"
#include "streamerd/reply.h"
#include "streamerd/request_body.h"

/* Printable ASCII of 1 to LIMIT_KEY bytes. */
static bool is_key(struct str s)
{
	if (s.n < 1 || s.n > LIMIT_KEY)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < 0x21 || s.p[i] > 0x7e)
			return false;
	}
	return true;
}

static int choose_worker(struct app *app, const struct message_body *m, struct str owner,
			 struct str key)
{
	auto_buf struct buf both = BUF_INIT;

	if (m->session_id.n)
		return backend_worker_of(app->backend, m->session_id);
	if (!key.n)
		return backend_pick(app->backend);
	buf_add(&both, owner.p, owner.n);
	buf_addc(&both, '\n');
	buf_add(&both, key.p, key.n);
	return backend_worker_of(app->backend, (struct str){both.data, both.len});
}

void api_send_message(struct app *app, struct http_request *req, const struct call_info *info)
{
	struct str encoding = http_header(req, "Content-Encoding");
	struct str key = http_header(req, "Idempotency-Key");
	unsigned char hash[crypto_hash_sha256_BYTES];
	struct str body = http_body(req);
	char traceparent[TRACE_LEN];
	struct message_body m;
	struct body_error e;
	struct msg msg = {.type = MSG_SEND_MESSAGE};

	if (encoding.p && !str_eq(encoding, "identity")) {
		reply_fault(app->options, req, FAULT_UNSUPPORTED_MEDIA_TYPE,
			    "a body must not be compressed", "Content-Encoding");
		return;
	}
	if (key.p && !is_key(key)) {
		reply_fault(app->options, req, FAULT_BAD_FIELD,
			    "Idempotency-Key must be 1 to 255 printable ASCII characters",
			    "Idempotency-Key");
		return;
	}
	if (request_body_message(http_header(req, "Content-Type"), body, &m, &e) < 0) {
		reply_fault(app->options, req, e.fault, e.message, e.field);
		return;
	}
	trace_take(http_header(req, "traceparent"), traceparent);
	msg.send_message = (struct msg_send_message){
		.owner = info->owner,
		.session_id = m.session_id,
		.content = {m.content.data, m.content.len},
		.provider = m.provider,
		.model = m.model,
		.system = m.system,
		.on_busy = m.on_busy,
		.metadata = {m.metadata.data, m.metadata.len},
		.traceparent = str_of(traceparent),
	};
	if (key.p) {
		(void)crypto_hash_sha256(hash, (const unsigned char *)body.p, body.n);
		msg.send_message.idempotency_key = key;
		msg.send_message.fingerprint = (struct str){(const char *)hash, sizeof(hash)};
	}
	app_forward(app, req, info, choose_worker(app, &m, info->owner, key), &msg, 202);
	message_body_fini(&m);
}
