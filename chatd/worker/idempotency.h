/*
 * idempotency.h - a POST that is sent again starts nothing.
 *
 * A key is an owner's. It is stored with the turn that it started, in the same transaction, and
 * known for LIMIT_KEY_KEEP_MS; until that transaction is committed it is known in memory.
 */
#pragma once

#include "chatd/worker/session.h"

struct idempotency_key {
	struct str owner, key;	/* key empty: none was sent */
	struct str fingerprint; /* of the body, bytes */
	bool is_claimed; /* key_claim.h: until idempotency_settle(), or what stores it is over */
};

/*
 * FAULT_NONE with *ret_answer NULL: it is new. With *ret_answer (new reference): it was seen, and
 * this was the answer; *ret_pending is the session whose commit it waits for, or NULL if it is
 * stored. FAULT_IDEMPOTENCY_MISMATCH: seen with another body. FAULT_LOG_UNAVAILABLE: can't be read.
 * FAULT_WORKER_UNAVAILABLE: another worker is storing it just now; the same request always comes to
 * the same worker, so that is another one, which the next try will find.
 */
enum fault idempotency_find(struct worker *w, struct idempotency_key *k, json_t **ret_answer,
			    struct session **ret_pending);
/* Stores the answer under the key; appended to the writes of s. Does nothing without a key. */
void idempotency_store(struct worker *w, struct idempotency_key *k, struct session *s,
		       const json_t *answer);
/* Call when the request was handled: nothing was stored, others may use the key. */
void idempotency_settle(struct worker *w, struct idempotency_key *k);
