/*
 * find.c - from what an operator types to a session. See find.h.
 */
#include "chatd/ctl/find.h"

#include <stdio.h>
#include <string.h>

/* Beginnings are ranges, so that the index on ids finds them. "~" comes behind all that ids have.
 */
static const char sessions_sql[] = "SELECT s.row, s.id, s.owner, s.id FROM sessions s "
				   "WHERE s.id >= ?1 AND s.id < ?1 || '~' AND s.removed_at IS NULL "
				   "ORDER BY s.id <> ?1, s.id LIMIT 2";
static const char prompts_sql[] =
	"SELECT s.row, s.id, s.owner, p.id FROM prompts p JOIN sessions s ON s.row = p.session "
	"WHERE p.id >= ?1 AND p.id < ?1 || '~' AND s.removed_at IS NULL "
	"ORDER BY p.id <> ?1, p.id LIMIT 2";

static void copy(char out[FIND_ID], sqlite3_stmt *st, int column)
{
	(void)snprintf(out, FIND_ID, "%s", log_reader_text(st, column));
}

static int find(struct log_reader *r, const char *sql, const char *what, const char *prefix,
		const char *typed, struct found *ret)
{
	char id[FIND_ID];
	auto_stmt sqlite3_stmt *st = NULL;
	size_t n = strlen(prefix);

	(void)snprintf(id, sizeof(id), "%s%s", strncmp(typed, prefix, n) == 0 ? "" : prefix, typed);
	st = log_reader_query(r, sql, "s", id);
	if (!log_reader_step(r, st)) {
		if (r->failed)
			return ctl_fail("%s", r->why);
		(void)ctl_fail("there is no %s %s", what, typed);
		return CTL_NOT_FOUND;
	}
	ret->row = sqlite3_column_int64(st, 0);
	copy(ret->session_id, st, 1);
	copy(ret->owner, st, 2);
	copy(ret->id, st, 3);
	if (strcmp(ret->id, id) != 0 && log_reader_step(r, st)) {
		(void)ctl_fail("more than one %s begins with %s", what, typed);
		return CTL_NOT_FOUND;
	}
	return CTL_OK;
}

int find_session(struct log_reader *r, const char *typed, struct found *ret)
{
	return find(r, sessions_sql, "session", "ses_", typed, ret);
}

int find_prompt(struct log_reader *r, const char *typed, struct found *ret)
{
	return find(r, prompts_sql, "prompt", "prm_", typed, ret);
}
