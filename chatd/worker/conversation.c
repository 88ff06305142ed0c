/*
 * conversation.c - what a provider is sent. See conversation.h.
 *
 * A turn's stored answer is one text; its steps say where in it each of them ended. So an answer
 * with tools becomes again what was said: text and calls of step 1, their results, text and calls
 * of step 2, …, and the text behind the last step.
 */
#include "chatd/worker/conversation.h"

#include <stdlib.h>
#include <string.h>

#include "chatd/store/queries.h"
#include "common/json.h"
#include "common/require.h"

struct step {
	size_t from, to; /* bytes of the turn's text */
	json_t *echo;	 /* owned; NULL if none */
	json_t *calls;	 /* owned: array of {"id","name","arguments"} */
	json_t *results; /* owned: array of tool messages */
};

struct steps {
	struct step *list; /* owned */
	size_t n;
};

static void on_step(void *arg, const struct step_row *row)
{
	struct steps *s = arg;
	struct step *step;

	s->list = reallocarray(s->list, s->n + 1, sizeof(*s->list));
	REQUIRE(s->list);
	step = &s->list[s->n];
	step->from = s->n ? s->list[s->n - 1].to : 0;
	step->to = row->content_end;
	step->echo = row->echo.n ? json_read(row->echo.p, row->echo.n, NULL, 0) : NULL;
	step->calls = json_array();
	step->results = json_array();
	s->n++;
}

static void on_call(void *arg, const struct call_row *c)
{
	struct steps *s = arg;
	struct step *step;
	json_t *result;

	if (c->step < 1 || (size_t)c->step > s->n)
		return;
	step = &s->list[c->step - 1];
	(void)json_array_append_new(
		step->calls, json_pack("{s:s, s:s, s:o}", "id", c->id, "name", c->model_name,
				       "arguments", json_stringn(c->arguments.p, c->arguments.n)));
	result = json_pack("{s:s, s:s, s:o}", "role", "tool", "tool_call_id", c->id, "content",
			   c->output.n ? json_stringn(c->output.p, c->output.n)
				       : json_string(strcmp(c->status, "done") == 0
							     ? ""
							     : "The call was not completed."));
	if (c->is_error || strcmp(c->status, "done") != 0)
		(void)json_object_set_new(result, "is_error", json_true());
	(void)json_array_append_new(step->results, result);
}

static void steps_fini(struct steps *s)
{
	for (size_t i = 0; i < s->n; i++) {
		json_decref(s->list[i].echo);
		json_decref(s->list[i].calls);
		json_decref(s->list[i].results);
	}
	free(s->list);
}

static void add_answer(json_t *out, const char *text, size_t n, json_t *calls, json_t *echo)
{
	json_t *m;

	if (n == 0 && json_array_size(calls) == 0 && !echo)
		return; /* providers refuse empty answers */
	m = json_pack("{s:s, s:o}", "role", "assistant", "content", json_stringn(text, n));
	if (json_array_size(calls))
		(void)json_object_set(m, "tool_calls", calls);
	if (echo)
		(void)json_object_set(m, "echo", echo);
	(void)json_array_append_new(out, m);
}

/* The answer of one turn. 1, or -1. */
static int add_turn(json_t *out, struct db *db, int64_t turn, const char *text, size_t n,
		    json_t *echo)
{
	struct steps s = {0};
	size_t from = 0;
	int r = query_steps(db, turn, on_step, &s);

	if (r > 0 && s.n > 0)
		r = query_calls(db, turn, on_call, &s);
	for (size_t i = 0; r > 0 && i < s.n; i++) {
		size_t to = s.list[i].to > n ? n : s.list[i].to;

		from = s.list[i].from > to ? to : s.list[i].from;
		add_answer(out, text + from, to - from, s.list[i].calls, s.list[i].echo);
		(void)json_array_extend(out, s.list[i].results);
		from = to;
	}
	if (r > 0)
		add_answer(out, text + from, n - from, NULL, echo);
	steps_fini(&s);
	return r;
}

json_t *conversation(struct db *db, int64_t session, int64_t running_turn,
		     const struct accumulator *acc)
{
	auto_json json_t *stored = query_history(db, session);
	json_t *out = json_array();
	json_t *m;
	size_t i;
	int r = stored ? 1 : -1;

	json_array_foreach (stored, i, m) {
		json_t *content = json_object_get(m, "content");
		long long turn = 0;

		if (strcmp(json_get_str(m, "role"), "user") == 0) {
			(void)json_array_append_new(
				out, json_pack("{s:s, s:O}", "role", "user", "content", content));
			continue;
		}
		(void)json_get_int(m, "turn", &turn);
		/* a cut history must not begin with an answer */
		if (r > 0 && json_array_size(out) > 0)
			r = add_turn(out, db, turn, json_string_value(content),
				     json_string_length(content), json_object_get(m, "echo"));
	}
	if (r > 0)
		r = add_turn(out, db, running_turn, acc->content.data ? acc->content.data : "",
			     acc->content.len, NULL);
	if (r > 0)
		return out;
	json_decref(out);
	return NULL;
}
