/*
 * owners.c - how many turns each owner has here. See owners.h.
 *
 * An entry lives while its count is not 0, so there are no more of them than turns.
 */
#include "chatd/worker/owners.h"

#include <stdlib.h>

#include "chatd/worker/worker.h"
#include "common/hash.h"

struct owner_turns {
	char *owner; /* owned */
	size_t n;
	UT_hash_handle hh;
};

static struct owner_turns *find(const struct worker *w, struct str owner)
{
	struct owner_turns *o;

	HASH_FIND(hh, w->owners, owner.p, owner.n, o);
	return o;
}

void owners_add(struct worker *w, const char *owner)
{
	struct str name = str_of(owner);
	struct owner_turns *o = find(w, name);

	if (!o) {
		o = calloc(1, sizeof(*o));
		REQUIRE(o);
		o->owner = str_dup(name);
		HASH_ADD_KEYPTR(hh, w->owners, o->owner, name.n, o);
	}
	o->n++;
}

void owners_remove(struct worker *w, const char *owner)
{
	struct owner_turns *o = find(w, str_of(owner));

	REQUIRE(o);
	if (--o->n > 0)
		return;
	HASH_DEL(w->owners, o);
	free(o->owner);
	free(o);
}

size_t owners_turns(const struct worker *w, struct str owner)
{
	const struct owner_turns *o = find(w, owner);

	return o ? o->n : 0;
}
