/*
 * answer.c - one answer as it grows. See answer.h.
 *
 * The deltas of one event wait in a queue of bytes and lengths, because the mapping runs to the
 * end of an event while the listener may pause or cancel after any delta. A call is "cut" if the
 * answer ended in a failure, or inside it: whoever runs tools must not run it, though its bytes
 * are shown.
 */
#include "chatd/provider/answer.h"

#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "common/require.h"

void answer_init(struct answer *a)
{
	*a = (struct answer){.usage = {false, -1, -1, -1, -1}};
}

void answer_fini(struct answer *a)
{
	free(a->deltas);
	buf_fini(&a->bytes);
	for (size_t i = 0; i < a->n_calls; i++) {
		free(a->calls[i].id);
		free(a->calls[i].name);
		buf_fini(&a->calls[i].arguments);
	}
	free(a->calls);
	free(a->told_calls);
	free(a->stop_reason);
	buf_fini(&a->refusal);
	json_decref(a->echo);
	problem_fini(&a->problem);
}

void answer_delta(struct answer *a, enum delta_kind kind, const char *p, size_t n)
{
	if (n == 0)
		return;
	if (a->n_deltas == a->cap_deltas) {
		a->cap_deltas = a->cap_deltas ? a->cap_deltas * 2 : 8;
		a->deltas = realloc(a->deltas, a->cap_deltas * sizeof(*a->deltas));
		REQUIRE(a->deltas);
	}
	a->deltas[a->n_deltas++] = (struct delta){kind, n};
	buf_add(&a->bytes, p, n);
	a->has_content = true;
	if (kind == DELTA_TEXT)
		a->has_text = true;
}

bool answer_next(struct answer *a, enum delta_kind *ret_kind, struct str *ret_text)
{
	const struct delta *d;

	if (a->next_delta == a->n_deltas) {
		a->n_deltas = a->next_delta = a->next_byte = 0;
		buf_clear(&a->bytes);
		return false;
	}
	d = &a->deltas[a->next_delta++];
	*ret_kind = d->kind;
	*ret_text = (struct str){a->bytes.data + a->next_byte, d->len};
	a->next_byte += d->len;
	return true;
}

struct answer_call *answer_new_call(struct answer *a, int64_t index)
{
	struct answer_call *c;

	if (a->n_calls == LIMIT_TOOL_CALLS) {
		problem_ours(&a->problem, FAULT_PROVIDER_PROTOCOL, 200,
			     "the answer has more than %d tool calls", LIMIT_TOOL_CALLS);
		a->over = true;
		return NULL;
	}
	if (!a->calls) {
		a->calls = calloc(LIMIT_TOOL_CALLS, sizeof(*a->calls));
		REQUIRE(a->calls);
	}
	a->has_content = true;
	c = &a->calls[a->n_calls++];
	c->index = index;
	return c;
}

struct answer_call *answer_call(struct answer *a, int64_t index)
{
	/* from the end: where an index is used twice the later call is the one that grows */
	for (size_t i = a->n_calls; i > 0; i--) {
		if (a->calls[i - 1].index == index)
			return &a->calls[i - 1];
	}
	return answer_new_call(a, index);
}

void answer_first(char **field, const char *s)
{
	if (*field || !s || !*s)
		return;
	*field = strdup(s);
	REQUIRE(*field);
}

void answer_stop_reason(struct answer *a, const char *s)
{
	if (!s || !*s)
		return;
	free(a->stop_reason);
	a->stop_reason = NULL;
	answer_first(&a->stop_reason, s);
}

bool answer_was_cut(const struct answer *a)
{
	static const char *const reasons[] = {
		"length",  "content_filter", "error", "max_tokens", "model_context_window_exceeded",
		"refusal",
	};

	for (size_t i = 0; a->stop_reason && i < sizeof(reasons) / sizeof(*reasons); i++) {
		if (strcmp(a->stop_reason, reasons[i]) == 0)
			return true;
	}
	return false;
}

void answer_result(struct answer *a, struct provider_result *ret)
{
	bool failed = a->problem.fault != FAULT_NONE;

	free(a->told_calls);
	a->told_calls = calloc(a->n_calls + 1, sizeof(*a->told_calls));
	REQUIRE(a->told_calls);
	for (size_t i = 0; i < a->n_calls; i++) {
		struct answer_call *c = &a->calls[i];

		a->told_calls[i] = (struct provider_call){
			.id = c->id ? c->id : "",
			.name = c->name ? c->name : "",
			.arguments = {buf_str(&c->arguments), c->arguments.len},
			.cut = failed || !c->ended,
		};
	}
	*ret = (struct provider_result){
		.fault = a->problem.fault,
		.error = a->problem.error,
		.stop_reason = a->stop_reason,
		.refusal = a->refusal.len ? buf_str(&a->refusal) : NULL,
		.usage = a->usage,
		.calls = a->told_calls,
		.n_calls = a->n_calls,
		.echo = failed ? NULL : a->echo,
	};
}
