/*
 * follow.c - `chatctl follow`: a session's events as they are stored.
 *
 * Subscribes at the session's worker, reads from the log what came before, then prints what comes.
 * An event is printed once, by its seq. A worker that goes away is waited for: its successor has
 * the session, and what came meanwhile is in the log.
 */
#include "chatd/ctl/follow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chatd/ctl/act.h"
#include "chatd/ctl/find.h"
#include "chatd/ctl/rows.h"
#include "chatd/ctl/transcript.h"

#define RETRY_US  200000
#define RETRY_MAX 150 /* half a minute: longer than any restart */

struct following {
	struct follow *f;
	struct transcript transcript;
	bool live;    /* the log has been read up to here: what comes is printed */
	bool ended;   /* a turn has: the log is asked whether another one follows */
	bool over;    /* cleared, or idle and that was waited for */
	bool printed; /* something, since the last connection was made */
	bool whole;   /* the last turn that ended did so with its answer */
};

static bool ends_turn(enum chat_event_type type, const json_t *payload)
{
	return type == CHAT_EVENT_RESPONSE_END || type == CHAT_EVENT_ABORTED ||
	       (type == CHAT_EVENT_ERROR && json_is_true(json_get(payload, "fatal")));
}

static void print(struct following *g, const struct chat_event *e)
{
	auto_json json_t *payload = json_read(e->payload.p, e->payload.n, NULL, 0);

	if (e->seq != 0 && e->seq <= g->f->after)
		return;
	if (e->seq != 0)
		g->f->after = e->seq;
	if (g->f->ctl->json) {
		auto_buf struct buf line = BUF_INIT;

		chat_event_add_json(&line, e);
		(void)puts(buf_str(&line));
		(void)fflush(stdout);
	} else {
		transcript_event(&g->transcript, e, payload);
	}
	g->printed = true;
	g->over = e->type == CHAT_EVENT_SESSION_CLEARED;
	if (ends_turn(e->type, payload)) {
		g->ended = true;
		g->whole = e->type == CHAT_EVENT_RESPONSE_END;
	}
	g->ended = g->ended || g->over;
}

static void on_event(void *arg, const struct msg_event *m)
{
	struct following *g = arg;
	struct chat_event e = {
		.session_id = str_of(g->f->session_id),
		.turn_id = m->turn_id,
		.generation = m->generation,
		.seq = m->seq,
		.ts = m->ts,
		.type = (enum chat_event_type)m->type,
		.payload = m->payload,
	};

	if (g->live && m->type < CHAT_EVENT_N) /* else the log has it, or will */
		print(g, &e);
}

/* Prints what the log has behind `after`. *ret_idle: no turn runs or waits in line. */
static int backfill(struct following *g, bool *ret_idle)
{
	struct log_reader r;
	int status = CTL_OK;

	if (log_reader_open(&r, g->f->ctl->log_path) == 0) {
		auto_stmt sqlite3_stmt *st = log_reader_query(
			&r,
			"SELECT p.seq, e.generation, e.ts, e.type, t.id, e.payload "
			"FROM event_places p JOIN events e ON e.row = p.event "
			"JOIN sessions s ON s.row = p.session LEFT JOIN turns t ON t.row = e.turn "
			"WHERE s.id = ?1 AND p.seq > ?2 ORDER BY p.seq",
			"si", g->f->session_id, (int64_t)g->f->after);

		while (log_reader_step(&r, st)) {
			struct chat_event e = {
				.session_id = str_of(g->f->session_id),
				.seq = (uint64_t)sqlite3_column_int64(st, 0),
				.generation = (uint64_t)sqlite3_column_int64(st, 1),
				.ts = sqlite3_column_int64(st, 2),
				.type = (enum chat_event_type)sqlite3_column_int(st, 3),
				.turn_id = log_reader_str(st, 4),
				.payload = log_reader_str(st, 5),
			};

			print(g, &e);
		}
		*ret_idle =
			log_reader_int(&r, 0,
				       "SELECT s.state = 'idle' AND NOT EXISTS (SELECT 1 FROM "
				       "turns t WHERE t.session = s.row AND t.state = 'queued') "
				       "FROM sessions s WHERE s.id = ?1",
				       "s", g->f->session_id) != 0;
	}
	if (r.failed)
		status = ctl_fail("%s: %s", g->f->ctl->log_path, r.why);
	log_reader_close(&r);
	return status;
}

/* One connection. CTL_OK: it was lost, or the end is reached. */
static int view(struct following *g, struct bus_client *b)
{
	struct msg m = {.type = MSG_SUBSCRIBE,
			.subscribe = {.req = bus_client_req(b),
				      .owner = str_of(g->f->owner),
				      .session_id = str_of(g->f->session_id),
				      .sub = 1}};
	auto_buf struct buf body = BUF_INIT;
	enum fault fault = bus_client_ask(b, &m, &body);
	bool idle = false, there = true;
	int status = CTL_OK;

	if (fault == FAULT_WORKER_UNAVAILABLE)
		return CTL_OK;
	if (fault != FAULT_NONE)
		return act_status(fault, &body);
	while (status == CTL_OK && there && !g->over) {
		/* what comes before this is read in the log, what comes later is printed */
		status = backfill(g, &idle);
		g->live = true;
		if (g->f->until_idle && idle)
			g->over = true;
		g->ended = g->over;
		there = bus_client_wait(b, &g->ended);
	}
	return status;
}

int follow(struct follow *f)
{
	struct following g = {.f = f, .whole = true};
	int status = CTL_OK, tries = 0;

	transcript_init(&g.transcript, f->reasoning);
	while (status == CTL_OK && !g.over) {
		const char *why = "it does not take the session up";
		struct bus_client *b;

		tries = g.printed ? 1 : tries + 1;
		if (tries > RETRY_MAX)
			return ctl_fail("%s: chatd can't be reached: %s", f->ctl->bus_dir, why);
		if (tries == 2)
			(void)ctl_fail("the worker of the session is away; waiting for it");
		if (tries > 1)
			(void)usleep(RETRY_US);
		b = bus_client_open(f->ctl->bus_dir, f->session_id, on_event, &g, &why);
		if (!b)
			continue;
		g.live = g.printed = false;
		status = view(&g, b);
		bus_client_close(b);
	}
	return status == CTL_OK && f->until_idle && !g.whole ? CTL_NO : status;
}

static uint64_t start_of_last_turn(struct log_reader *r, int64_t session)
{
	int64_t first = log_reader_int(
		r, 1,
		"SELECT first_seq FROM turns WHERE session = ?1 AND state <> 'queued' "
		"ORDER BY generation DESC LIMIT 1",
		"i", session);

	return first > 0 ? (uint64_t)first - 1 : 0;
}

int follow_main(struct ctl *c, int argc, char **argv)
{
	static const struct option options[] = {{"until-idle", no_argument, NULL, 'u'},
						{"reasoning", no_argument, NULL, 'r'},
						{"after", required_argument, NULL, 'a'},
						CTL_OPTIONS};
	struct follow f = {.ctl = c};
	const char *after = NULL;
	struct log_reader r;
	struct found found = {0};
	int o, status;

	while ((o = ctl_getopt(c, argc, argv, options)) != -1) {
		if (o == 'u')
			f.until_idle = true;
		else if (o == 'r')
			f.reasoning = true;
		else if (o == 'a')
			after = optarg;
		else
			return CTL_FAILED;
	}
	if (optind + 1 != argc)
		return ctl_fail("usage: chatctl follow SESSION [--until-idle] [--reasoning] "
				"[--after SEQ]");
	if (ctl_locate(c) != 0)
		return CTL_FAILED;
	if (log_reader_open(&r, c->log_path) < 0)
		status = ctl_fail("%s: %s", c->log_path, r.why);
	else
		status = find_session(&r, argv[optind], &found);
	if (status == CTL_OK)
		f.after = after ? strtoull(after, NULL, 10) : start_of_last_turn(&r, found.row);
	log_reader_close(&r);
	if (status != CTL_OK)
		return status;
	f.session_id = found.session_id;
	f.owner = found.owner;
	return follow(&f);
}
