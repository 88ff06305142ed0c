/*
 * turns.c - `chatctl abort`, `allow`, `deny` and `answer`: what a person may do to a turn.
 *
 * The form of an answer is the worker's to judge, as for any viewer's: it goes over the bus as it
 * would come over HTTP.
 */
#include <stdio.h>
#include <string.h>

#include "chatd/ctl/act.h"
#include "chatd/ctl/find.h"
#include "chatd/ctl/rows.h"

/* Finds the session (or the prompt's) in the log; the log is closed again. ret_request: the prompt
 * as viewers see it, or NULL. */
static int look_up(struct ctl *c, const char *typed,
		   int (*find)(struct log_reader *, const char *, struct found *),
		   struct found *ret, json_t **ret_request)
{
	struct log_reader r;
	int status;

	if (ctl_locate(c) != 0)
		return CTL_FAILED;
	if (log_reader_open(&r, c->log_path) < 0)
		status = ctl_fail("%s: %s", c->log_path, r.why);
	else
		status = find(&r, typed, ret);
	if (status == CTL_OK && ret_request) {
		auto_stmt sqlite3_stmt *st = log_reader_query(
			&r, "SELECT request FROM prompts WHERE id = ?1", "s", ret->id);
		auto_json json_t *row = rows_read_one(&r, st, "request");

		*ret_request = json_incref(json_get(row, "request"));
	}
	log_reader_close(&r);
	return status;
}

int abort_main(struct ctl *c, int argc, char **argv)
{
	static const struct option options[] = {CTL_OPTIONS};
	struct msg m = {.type = MSG_ABORT};
	struct found f;
	int status;

	if (ctl_getopt(c, argc, argv, options) != -1)
		return CTL_FAILED;
	if (argc - optind < 1 || argc - optind > 2)
		return ctl_fail("usage: chatctl abort SESSION [TURN]");
	status = look_up(c, argv[optind], find_session, &f, NULL);
	if (status != CTL_OK)
		return status;
	m.abort.owner = str_of(f.owner);
	m.abort.session_id = str_of(f.session_id);
	m.abort.turn_id = str_of(argc - optind == 2 ? argv[optind + 1] : NULL);
	return act(c, f.session_id, &m, &m.abort.req, "aborted");
}

/* Does this question take a list? */
static bool takes_list(const json_t *request, const char *id)
{
	json_t *questions = json_get(request, "questions");
	const json_t *q;
	size_t i;

	json_array_foreach (questions, i, q) {
		const char *known = json_get_str(q, "id");

		if (known && strcmp(known, id) == 0)
			return json_is_true(json_get(q, "multiple"));
	}
	return false;
}

/* "ID=VALUE" into o; for a question that takes several, VALUE is one of them. */
static int add_answer(json_t *o, const json_t *request, const char *argument)
{
	const char *is = strchr(argument, '=');
	auto_json json_t *value = is ? json_string(is + 1) : NULL;
	char id[FIND_ID];

	if (!value || (size_t)(is - argument) >= sizeof(id))
		return -1;
	(void)snprintf(id, sizeof(id), "%.*s", (int)(is - argument), argument);
	if (!takes_list(request, id))
		return json_object_set(o, id, value);
	if (!json_object_get(o, id))
		(void)json_object_set_new(o, id, json_array());
	return json_array_append(json_object_get(o, id), value);
}

static json_t *make_answer(const char *verb, bool for_session, const json_t *request, int argc,
			   char **argv)
{
	json_t *answers;

	if (strcmp(verb, "deny") == 0)
		return argc == 0 ? json_pack("{s:b}", "allow", 0) : NULL;
	if (strcmp(verb, "allow") == 0)
		return argc > 0	     ? NULL
		       : for_session ? json_pack("{s:b, s:s}", "allow", 1, "remember", "session")
				     : json_pack("{s:b}", "allow", 1);
	answers = json_object();
	for (int i = 0; i < argc; i++) {
		if (add_answer(answers, request, argv[i]) < 0) {
			json_decref(answers);
			return NULL;
		}
	}
	return json_pack("{s:o}", "answers", answers);
}

static int resolve_usage(void)
{
	return ctl_fail("usage: chatctl allow PROMPT [--session] | deny PROMPT | "
			"answer PROMPT QUESTION=VALUE...");
}

int resolve_main(struct ctl *c, int argc, char **argv)
{
	static const struct option options[] = {{"session", no_argument, NULL, 's'}, CTL_OPTIONS};
	struct msg m = {.type = MSG_RESOLVE_PROMPT};
	auto_json json_t *answer = NULL, *request = NULL;
	auto_buf struct buf text = BUF_INIT;
	bool for_session = false;
	struct found f;
	int o, status;

	while ((o = ctl_getopt(c, argc, argv, options)) != -1) {
		if (o != 's' || strcmp(argv[0], "allow") != 0)
			return ctl_fail("only allow takes --session");
		for_session = true;
	}
	if (optind == argc)
		return resolve_usage();
	status = look_up(c, argv[optind], find_prompt, &f, &request);
	if (status != CTL_OK)
		return status;
	answer = make_answer(argv[0], for_session, request, argc - optind - 1, argv + optind + 1);
	if (!answer)
		return resolve_usage();
	json_add_value(&text, answer);
	m.resolve_prompt.owner = str_of(f.owner);
	m.resolve_prompt.session_id = str_of(f.session_id);
	m.resolve_prompt.prompt_id = str_of(f.id);
	m.resolve_prompt.answer = (struct str){text.data, text.len};
	return act(c, f.session_id, &m, &m.resolve_prompt.req, "resolved");
}
