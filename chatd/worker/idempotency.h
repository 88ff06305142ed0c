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
};

/*
 * FAULT_NONE with *ret_answer NULL: it is new. With *ret_answer (new reference): it was seen, and
 * this was the answer; *ret_pending is the session whose commit it waits for, or NULL if it is
 * stored. FAULT_IDEMPOTENCY_MISMATCH: seen with another body. FAULT_LOG_UNAVAILABLE: can't be read.
 */
enum fault idempotency_find(struct worker *w, const struct idempotency_key *k, json_t **ret_answer,
			    struct session **ret_pending);
/*
 * Stores the answer under the key; appended to the writes of s. Does nothing without a key. The
 * same request always comes to the same worker; one that puts the key of another session's request
 * on its own, in the same instant, at another worker, is taken as well: the first one keeps the
 * key.
 */
void idempotency_store(struct worker *w, const struct idempotency_key *k, struct session *s,
		       const json_t *answer);
