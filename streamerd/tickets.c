/*
 * tickets.c - stand-ins for a token in the URL of an event stream. See tickets.h.
 *
 * A ticket carries all that it says, sealed: serial number, end, owner and session, encrypted and
 * authenticated with a key that lives as long as this service (XSalsa20-Poly1305, random nonce).
 * What must be shared is only whether it was used: a ring of LIMIT_TICKETS words, in memory that
 * processes have in common. Giving a ticket writes its serial into serial modulo the ring;
 * taking one replaces exactly that serial by 0, in one atomic step, which succeeds for one taker
 * alone. When the ring comes round, the oldest ticket is no longer there to be taken.
 *
 * So no process waits for another, and one that dies in between leaves nothing behind. The key is
 * agreed upon the same way (agree.h). After a restart there is another key, and old tickets are
 * nothing.
 *
 * How many an owner was given lately is counted in windows of LIMIT_TICKET_MS, by all processes
 * together (quota.h). What counts is the owner's name in that window, so it does no harm that a
 * process takes its counts back only when it is asked for a ticket in a later one.
 */
#include "streamerd/tickets.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/agree.h"
#include "common/cleanup.h"
#include "common/hash.h"
#include "common/quota.h"
#include "streamerd/base64url.h"

#define KEY_WORDS (crypto_secretbox_KEYBYTES / sizeof(uint64_t))

struct shared {
	_Atomic uint64_t last; /* serial */
	_Atomic uint64_t ring[LIMIT_TICKETS];
	_Atomic uint64_t key[KEY_WORDS]; /* none is 0 */
};

/* To be taken back from the quota. */
struct given {
	uint64_t key;
	int n;
	UT_hash_handle hh;
};

struct tickets {
	struct shared *shared; /* borrowed */
	struct quota *quota;   /* borrowed */
	unsigned char key[crypto_secretbox_KEYBYTES];
	struct given *given; /* owned: in this window */
	int64_t window;
};

/* What is sealed; behind it stand the owner and the session. */
struct seal {
	uint64_t serial;
	int64_t until_ms;
	uint8_t owner_n, session_n;
};

#define NONCE  crypto_secretbox_NONCEBYTES
#define MAC    crypto_secretbox_MACBYTES
#define PLAIN  (sizeof(struct seal) + LIMIT_OWNER + LIMIT_ID)
#define SEALED (NONCE + MAC + PLAIN)

_Static_assert(sizeof(struct shared) <= LIMIT_SHARED_TICKETS, "they fit");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "shared between processes");
_Static_assert(LIMIT_OWNER <= 255 && LIMIT_ID <= 255, "lengths are one byte");

struct tickets *tickets_new(void *memory, struct quota *quota)
{
	struct tickets *t = calloc(1, sizeof(*t));

	REQUIRE(t);
	t->shared = memory;
	t->quota = quota;
	agree_on_secret(t->shared->key, KEY_WORDS, t->key);
	return t;
}

static void take_back(struct tickets *t)
{
	struct given *g, *next;

	HASH_ITER (hh, t->given, g, next) {
		while (g->n--)
			quota_leave(t->quota, g->key);
		HASH_DEL(t->given, g);
		free(g);
	}
}

void tickets_free(struct tickets *t)
{
	if (!t)
		return;
	take_back(t);
	sodium_memzero(t->key, sizeof(t->key));
	free(t);
}

static uint64_t key_in_window(const struct tickets *t, struct str owner)
{
	auto_buf struct buf name = BUF_INIT;

	buf_add(&name, &t->window, sizeof(t->window));
	buf_add(&name, owner.p, owner.n);
	return quota_key(t->quota, QUOTA_TICKETS, (struct str){name.data, name.len});
}

static bool may_have_one(struct tickets *t, struct str owner, int64_t now_ms)
{
	struct given *g;
	uint64_t key;

	if (now_ms / LIMIT_TICKET_MS != t->window) {
		take_back(t);
		t->window = now_ms / LIMIT_TICKET_MS;
	}
	key = key_in_window(t, owner);
	if (!quota_enter(t->quota, key, LIMIT_TICKETS_OWNER))
		return false;
	HASH_FIND(hh, t->given, &key, sizeof(key), g);
	if (!g) {
		g = calloc(1, sizeof(*g));
		REQUIRE(g);
		g->key = key;
		HASH_ADD(hh, t->given, key, sizeof(g->key), g);
	}
	g->n++;
	return true;
}

bool tickets_issue(struct tickets *t, struct str owner, struct str session_id, int64_t now_ms,
		   struct buf *out)
{
	unsigned char plain[PLAIN], sealed[SEALED];
	char text[SEALED * 4 / 3 + 4];
	struct seal s = {.until_ms = now_ms + LIMIT_TICKET_MS,
			 .owner_n = (uint8_t)owner.n,
			 .session_n = (uint8_t)session_id.n};
	size_t n = sizeof(s) + owner.n + session_id.n;

	REQUIRE(owner.n <= LIMIT_OWNER && session_id.n <= LIMIT_ID);
	if (!may_have_one(t, owner, now_ms))
		return false;
	s.serial = atomic_fetch_add(&t->shared->last, 1) + 1;
	atomic_store(&t->shared->ring[s.serial % LIMIT_TICKETS], s.serial);
	memcpy(plain, &s, sizeof(s));
	memcpy(plain + sizeof(s), owner.p, owner.n);
	if (session_id.n)
		memcpy(plain + sizeof(s) + owner.n, session_id.p, session_id.n);
	randombytes_buf(sealed, NONCE);
	(void)crypto_secretbox_easy(sealed + NONCE, plain, n, sealed, t->key);
	(void)sodium_bin2base64(text, sizeof(text), sealed, NONCE + MAC + n,
				sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	buf_adds(out, text);
	return true;
}

/* The seal and what stands behind it; false if it was not made by us. */
static bool open_ticket(const struct tickets *t, struct str ticket, unsigned char plain[PLAIN],
			struct seal *ret)
{
	unsigned char sealed[SEALED];
	size_t n;

	if (!base64url_decode(ticket, sealed, sizeof(sealed), &n) ||
	    n < NONCE + MAC + sizeof(*ret) ||
	    crypto_secretbox_open_easy(plain, sealed + NONCE, n - NONCE, sealed, t->key) < 0)
		return false;
	memcpy(ret, plain, sizeof(*ret));
	return true;
}

bool tickets_redeem(struct tickets *t, struct str ticket, struct str session_id, int64_t now_ms,
		    char owner[LIMIT_OWNER + 1])
{
	unsigned char plain[PLAIN];
	const unsigned char *bound;
	struct seal s;
	uint64_t serial;

	if (!open_ticket(t, ticket, plain, &s) || now_ms >= s.until_ms)
		return false;
	bound = plain + sizeof(s) + s.owner_n;
	if (s.session_n &&
	    (s.session_n != session_id.n || memcmp(bound, session_id.p, s.session_n) != 0))
		return false;
	serial = s.serial;
	if (!atomic_compare_exchange_strong(&t->shared->ring[s.serial % LIMIT_TICKETS], &serial, 0))
		return false;
	memcpy(owner, plain + sizeof(s), s.owner_n);
	owner[s.owner_n] = '\0';
	return true;
}
