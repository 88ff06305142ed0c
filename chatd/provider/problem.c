/*
 * problem.c - a provider_error that owns its texts. See problem.h.
 *
 * What a provider says about its failure is shown to the user and stored with the turn, so it is
 * bounded here, and the key that it may quote is taken out here (PRV-6).
 */
#include "chatd/provider/problem.h"

#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "common/utf8.h"

void problem_fini(struct problem *p)
{
	free(p->type);
	free(p->code);
	free(p->message);
	free(p->request_id);
	*p = (struct problem){0};
}

/* Not all of it comes out of JSON: a header, or an error that is no document, may hold anything. */
static char *copy(struct str s)
{
	struct buf auto_buf b = BUF_INIT;

	if (s.n > LIMIT_ERROR_TEXT)
		s.n = json_utf8_prefix(s.p, LIMIT_ERROR_TEXT);
	utf8_add(&b, s.p, s.n);
	b.len = json_utf8_prefix(b.data, b.len < LIMIT_ERROR_TEXT ? b.len : LIMIT_ERROR_TEXT);
	return b.len ? buf_steal(&b, NULL) : NULL;
}

static void point(struct problem *p)
{
	p->error.type = p->type;
	p->error.code = p->code;
	p->error.message = p->message;
	p->error.request_id = p->request_id;
}

void problem_set(struct problem *p, enum fault fault, int http_status, struct str type,
		 struct str code, struct str message)
{
	problem_fini(p);
	p->fault = fault;
	p->error.http_status = http_status;
	p->error.retry_after_ms = -1;
	p->type = copy(type);
	p->code = copy(code);
	p->message = copy(message);
	point(p);
}

void problem_ours(struct problem *p, enum fault fault, int http_status, const char *fmt, ...)
{
	struct buf auto_buf text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	problem_set(p, fault, http_status, str_of(NULL), str_of(NULL),
		    (struct str){text.data, text.len});
}

void problem_set_request_id(struct problem *p, struct str id)
{
	free(p->request_id);
	p->request_id = copy(id);
	point(p);
}

static void hide(char **text, const char *key)
{
	struct buf b = BUF_INIT;
	const char *from = *text;
	const char *hit;

	if (!from || !strstr(from, key))
		return;
	while ((hit = strstr(from, key))) {
		buf_add(&b, from, (size_t)(hit - from));
		buf_adds(&b, "***");
		from = hit + strlen(key);
	}
	buf_adds(&b, from);
	free(*text);
	*text = buf_steal(&b, NULL);
}

void problem_hide(struct problem *p, const char *key)
{
	if (!key || !*key)
		return;
	hide(&p->type, key);
	hide(&p->code, key);
	hide(&p->message, key);
	hide(&p->request_id, key);
	point(p);
}
