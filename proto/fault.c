/*
 * fault.c - the fault table, looked up. See fault.h.
 */
#include "proto/fault.h"

#include <stddef.h>

struct row {
	unsigned num;
	int status;
	const char *code;
	const char *text;
};

static const struct row rows[] = {
#define F(num, name, code, status, text) {num, status, code, text},
	FAULTS(F)
#undef F
};

static const struct row *find(unsigned long n)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].num == n)
			return &rows[i];
	}
	return NULL;
}

int fault_is_known(unsigned long n)
{
	return find(n) != NULL;
}

const char *fault_code(enum fault f)
{
	const struct row *r = find(f);

	return r ? r->code : "internal";
}

int fault_status(enum fault f)
{
	const struct row *r = find(f);

	return r ? r->status : 500;
}

const char *fault_message(enum fault f)
{
	const struct row *r = find(f);

	return r ? r->text : "something broke on our side";
}
