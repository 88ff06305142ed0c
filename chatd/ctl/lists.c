/*
 * lists.c - `chatctl sessions` and `chatctl prompts`: what there is, newest first.
 */
#include <stdlib.h>

#include "chatd/ctl/ctl.h"
#include "chatd/ctl/find.h"
#include "chatd/ctl/rows.h"
#include "chatd/store/sql.h"

#define DEFAULT_LIMIT 50

#define SESSIONS(narrowed, newest_first)                                                    \
	"SELECT v.session_id, v.owner, v.state, v.turns, v.messages, v.provider, v.model, " \
	"v.created, v.updated, v.title "                                                    \
	"FROM (SELECT row AS r FROM sessions WHERE removed_at IS NULL AND " narrowed        \
	" AND (?2 IS NULL OR state = ?2) "                                                  \
	"AND (?3 IS NULL OR instr(lower(title), lower(?3)) > 0) "                           \
	"ORDER BY " newest_first " DESC, row DESC LIMIT ?4) JOIN sessions s ON s.row = r "  \
	"JOIN v_sessions v ON v.session_id = s.id ORDER BY s.updated_at DESC, s.row DESC"

/* Each is read along an index, newest first, until there are enough. */
static const char sessions_sql[] = SESSIONS("?1 IS NULL", ISO_TEXT("updated_at"));
static const char sessions_of_owner_sql[] = SESSIONS("owner = ?1", "updated_at");

static const char prompts_sql[] =
	"SELECT prompt_id, session_id, owner, turn_id, kind, server, tool, arguments, request, "
	"asked, waiting_seconds FROM v_open_prompts WHERE ?1 IS NULL OR session_id = ?1 "
	"ORDER BY asked, prompt_id";

/* Prints what the query finds; closes nothing. */
static int print(const struct ctl *c, struct log_reader *r, sqlite3_stmt *st, const char *parsed,
		 const char *columns, const char *none)
{
	auto_json json_t *rows = rows_read(r, st, parsed);

	if (r->failed)
		return ctl_fail("%s: %s", c->log_path, r->why);
	if (c->json)
		rows_print_json(rows);
	else
		rows_print(rows, columns, none);
	return CTL_OK;
}

/* -1 if it is none. */
static int64_t number(const char *text)
{
	char *end;
	long long n = strtoll(text, &end, 10);

	return end == text || *end ? -1 : n;
}

int sessions_main(struct ctl *c, int argc, char **argv)
{
	static const struct option options[] = {{"owner", required_argument, NULL, 'o'},
						{"state", required_argument, NULL, 's'},
						{"search", required_argument, NULL, 'q'},
						{"limit", required_argument, NULL, 'n'},
						CTL_OPTIONS};
	const char *owner = NULL, *state = NULL, *search = NULL;
	int64_t limit = DEFAULT_LIMIT;
	struct log_reader r;
	int o, status;

	while ((o = ctl_getopt(c, argc, argv, options)) != -1) {
		if (o == 'o')
			owner = optarg;
		else if (o == 's')
			state = optarg;
		else if (o == 'q')
			search = optarg;
		else if (o == 'n')
			limit = number(optarg);
		else
			return CTL_FAILED;
	}
	if (limit <= 0)
		return ctl_fail("--limit takes a number above 0");
	if (optind != argc)
		return ctl_fail("sessions takes no arguments");
	if (ctl_locate(c) != 0)
		return CTL_FAILED;
	if (log_reader_open(&r, c->log_path) < 0) {
		status = ctl_fail("%s: %s", c->log_path, r.why);
	} else {
		auto_stmt sqlite3_stmt *st =
			log_reader_query(&r, owner ? sessions_of_owner_sql : sessions_sql, "sssi",
					 owner, state, search, limit);

		status = print(c, &r, st, NULL, "session_id owner state turns updated title",
			       "no sessions");
	}
	log_reader_close(&r);
	return status;
}

int prompts_main(struct ctl *c, int argc, char **argv)
{
	static const struct option options[] = {CTL_OPTIONS};
	struct found found = {0};
	struct log_reader r;
	int status = CTL_OK;

	if (ctl_getopt(c, argc, argv, options) != -1)
		return CTL_FAILED;
	if (argc - optind > 1)
		return ctl_fail("usage: chatctl prompts [SESSION]");
	if (ctl_locate(c) != 0)
		return CTL_FAILED;
	if (log_reader_open(&r, c->log_path) < 0)
		status = ctl_fail("%s: %s", c->log_path, r.why);
	else if (optind < argc)
		status = find_session(&r, argv[optind], &found);
	if (status == CTL_OK) {
		auto_stmt sqlite3_stmt *st = log_reader_query(
			&r, prompts_sql, "s", optind < argc ? found.session_id : NULL);

		status = print(c, &r, st, "request arguments",
			       "prompt_id session_id kind waiting_seconds server tool arguments",
			       "nobody is asked anything");
	}
	log_reader_close(&r);
	return status;
}
