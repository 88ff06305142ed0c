/*
 * problem.h - a provider_error that owns its texts.
 */
#pragma once

#include <stdbool.h>

#include "chatd/provider/provider.h"

struct problem {
	enum fault fault;	     /* FAULT_NONE: there is no problem, and error means nothing */
	struct provider_error error; /* its texts point to the ones below */
	char *type, *code, *message, *request_id;
};

/* Embedded in its owner; zero-initialised is no problem. */
void problem_fini(struct problem *p);
/* Replaces whatever p held. Texts are copied and cut to LIMIT_ERROR_TEXT; empty ones become NULL.
 */
void problem_set(struct problem *p, enum fault fault, int http_status, struct str type,
		 struct str code, struct str message);
/* The same with a message of our own and nothing else. */
void problem_ours(struct problem *p, enum fault fault, int http_status, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void problem_set_request_id(struct problem *p, struct str id);
/* Replaces each occurrence of key in the texts by "***": some servers quote the key they refuse. */
void problem_hide(struct problem *p, const char *key);
