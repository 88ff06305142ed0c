/*
 * idempotency.c - a POST that is sent again starts nothing. See idempotency.h.
 */
#include "chatd/worker/idempotency.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/worker/key_claim.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/require.h"

/* A key whose transaction is not committed yet. */
struct fresh_key {
	LIST_ENTRY(fresh_key) link;
	char *owner, *key, *fingerprint, *answer; /* owned */
	struct session *session;
	int keys_fd; /* borrowed; -1: not claimed */
};

static char *hex(struct str bytes)
{
	static const char digits[] = "0123456789abcdef";
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < bytes.n; i++) {
		buf_addc(&b, digits[(unsigned char)bytes.p[i] >> 4]);
		buf_addc(&b, digits[(unsigned char)bytes.p[i] & 15]);
	}
	return buf_steal(&b, NULL);
}

static enum fault compare(const char *have, const char *got, const char *answer,
			  json_t **ret_answer)
{
	if (strcmp(have, got) != 0)
		return FAULT_IDEMPOTENCY_MISMATCH;
	*ret_answer = json_read(answer, strlen(answer), NULL, 0);
	return *ret_answer ? FAULT_NONE : FAULT_INTERNAL;
}

enum fault idempotency_find(struct worker *w, struct idempotency_key *k, json_t **ret_answer,
			    struct session **ret_pending)
{
	auto_free char *owner = str_dup(k->owner);
	auto_free char *key = str_dup(k->key);
	auto_free char *fingerprint = hex(k->fingerprint);
	auto_free char *have = NULL;
	auto_free char *answer = NULL;
	struct fresh_key *f;
	int r;

	*ret_answer = NULL;
	*ret_pending = NULL;
	if (k->key.n == 0)
		return FAULT_NONE;
	LIST_FOREACH (f, &w->fresh_keys, link) {
		if (strcmp(f->owner, owner) == 0 && strcmp(f->key, key) == 0) {
			*ret_pending = f->session;
			return compare(f->fingerprint, fingerprint, f->answer, ret_answer);
		}
	}
	/* first the claim, then the look: whoever had it before is in the log by then */
	if (key_claim_take(w->keys_fd, k->owner, k->key) < 0)
		return FAULT_WORKER_UNAVAILABLE;
	k->is_claimed = true;
	r = query_key(event_log_db(w->log), owner, key, clock_wall_ms() - LIMIT_KEY_KEEP_MS, &have,
		      &answer);
	if (r < 0)
		return FAULT_LOG_UNAVAILABLE;
	return r == 0 ? FAULT_NONE : compare(have, fingerprint, answer, ret_answer);
}

static void on_stored(void *arg, bool ok)
{
	struct fresh_key *f = arg;

	LIST_REMOVE(f, link);
	key_claim_release(f->keys_fd, str_of(f->owner), str_of(f->key));
	free(f->owner);
	free(f->key);
	free(f->fingerprint);
	free(f->answer);
	free(f);
}

void idempotency_settle(struct worker *w, struct idempotency_key *k)
{
	if (k->is_claimed)
		key_claim_release(w->keys_fd, k->owner, k->key);
	k->is_claimed = false;
}

void idempotency_store(struct worker *w, struct idempotency_key *k, struct session *s,
		       const json_t *answer)
{
	struct fresh_key *f;
	int64_t now = clock_wall_ms();

	if (k->key.n == 0)
		return;
	f = calloc(1, sizeof(*f));
	REQUIRE(f);
	f->owner = str_dup(k->owner);
	f->key = str_dup(k->key);
	f->fingerprint = hex(k->fingerprint);
	f->answer = json_text(answer);
	f->session = s;
	f->keys_fd = k->is_claimed ? w->keys_fd : -1;
	k->is_claimed = false;
	LIST_INSERT_HEAD(&w->fresh_keys, f, link);
	event_log_write(w->log, SQL_KEY_INSERT, &s->log, NULL, s->generation, "ttttii", f->owner,
			f->key, f->fingerprint, f->answer, now, now - LIMIT_KEY_KEEP_MS);
	event_log_after(w->log, &s->log, on_stored, f);
}
