/*
 * show.c - `chatctl show`: one session, as the log has it at this moment.
 */
#include <stdio.h>

#include "chatd/ctl/ctl.h"
#include "chatd/ctl/find.h"
#include "chatd/ctl/rows.h"
#include "chatd/ctl/transcript.h"

static const struct {
	const char *name, *sql, *parsed;
} parts[] = {
	{"turns",
	 "SELECT turn_id, generation, state, provider, model, started, ended, duration_ms, "
	 "stop_reason, error_code, error_message, input_tokens, output_tokens, crashes "
	 "FROM v_turns WHERE session_id = ?1 ORDER BY started, turn_id",
	 NULL},
	{"messages",
	 "SELECT message_id, turn_id, role, status, content, extra, stop_reason, created "
	 "FROM v_messages WHERE session_id = ?1 ORDER BY created, message_id",
	 "content extra"},
	{"pending_prompts",
	 "SELECT prompt_id, turn_id, kind, server, tool, arguments, request, asked, "
	 "waiting_seconds FROM v_open_prompts WHERE session_id = ?1 ORDER BY asked",
	 "request arguments"},
};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

static json_t *read_session(struct log_reader *r, const char *id)
{
	auto_stmt sqlite3_stmt *st =
		log_reader_query(r, "SELECT * FROM v_sessions WHERE session_id = ?1", "s", id);
	json_t *o = rows_read_one(r, st, NULL);

	for (size_t i = 0; o && i < PARTS; i++) {
		auto_stmt sqlite3_stmt *rows = log_reader_query(r, parts[i].sql, "s", id);

		(void)json_object_set_new(o, parts[i].name, rows_read(r, rows, parts[i].parsed));
	}
	return o;
}

static void print(const json_t *o)
{
	static const char *const head[] = {"session_id", "title", "owner",   "state",
					   "provider",	 "model", "created", "updated"};
	const json_t *one;
	size_t i;

	for (i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
		const char *value = json_get_str(o, head[i]);

		(void)printf("%-10s ", head[i]);
		rows_print_text(value ? value : "-",
				value ? json_string_length(json_get(o, head[i])) : 1);
		(void)putchar('\n');
	}
	(void)putchar('\n');
	rows_print(json_get(o, "turns"),
		   "turn_id generation state started duration_ms input_tokens output_tokens "
		   "stop_reason error_code error_message",
		   "no turns");
	(void)putchar('\n');
	json_array_foreach (json_get(o, "messages"), i, one)
		transcript_message(one);
	json_array_foreach (json_get(o, "pending_prompts"), i, one)
		transcript_prompt(one);
}

int show_main(struct ctl *c, int argc, char **argv)
{
	static const struct option options[] = {CTL_OPTIONS};
	auto_json json_t *o = NULL;
	struct log_reader r;
	struct found f;
	int status;

	if (ctl_getopt(c, argc, argv, options) != -1)
		return CTL_FAILED;
	if (optind + 1 != argc)
		return ctl_fail("usage: chatctl show SESSION");
	if (ctl_locate(c) != 0)
		return CTL_FAILED;
	if (log_reader_open(&r, c->log_path) < 0)
		status = ctl_fail("%s: %s", c->log_path, r.why);
	else
		status = find_session(&r, argv[optind], &f);
	if (status == CTL_OK) {
		o = read_session(&r, f.session_id);
		if (r.failed || !o)
			status = ctl_fail("%s: %s", c->log_path, r.why);
	}
	log_reader_close(&r);
	if (status == CTL_OK && c->json)
		rows_print_json(o);
	else if (status == CTL_OK)
		print(o);
	return status;
}
