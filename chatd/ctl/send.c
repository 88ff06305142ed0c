/*
 * send.c - `chatctl send`: a message as its owner would send it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chatd/ctl/act.h"
#include "chatd/ctl/find.h"
#include "chatd/ctl/follow.h"
#include "chatd/ctl/rows.h"
#include "common/limits.h"

#define OWNER "local" /* who everybody is without authentication */

struct sending {
	const char *session, *owner, *provider, *model, *on_busy;
	bool follow;
};

static int parse(struct ctl *c, struct sending *s, int argc, char **argv)
{
	static const struct option options[] = {{"session", required_argument, NULL, 's'},
						{"owner", required_argument, NULL, 'o'},
						{"provider", required_argument, NULL, 'p'},
						{"model", required_argument, NULL, 'm'},
						{"on-busy", required_argument, NULL, 'y'},
						{"follow", no_argument, NULL, 'f'},
						CTL_OPTIONS};
	int o;

	while ((o = ctl_getopt(c, argc, argv, options)) != -1) {
		switch (o) {
		case 's':
			s->session = optarg;
			break;
		case 'o':
			s->owner = optarg;
			break;
		case 'p':
			s->provider = optarg;
			break;
		case 'm':
			s->model = optarg;
			break;
		case 'y':
			s->on_busy = optarg;
			break;
		case 'f':
			s->follow = true;
			break;
		default:
			return CTL_FAILED;
		}
	}
	if (optind + 1 != argc)
		return ctl_fail("usage: chatctl send [--session ID | --owner NAME] [--provider P] "
				"[--model M] [--on-busy reject|queue|interrupt] [--follow] TEXT|-");
	return CTL_OK;
}

/* The text as JSON; "-" is standard input. */
static int read_text(const char *argument, struct buf *ret)
{
	auto_buf struct buf text = BUF_INIT;
	auto_json json_t *v = NULL;
	char part[4096];
	size_t n;

	if (strcmp(argument, "-") != 0)
		buf_adds(&text, argument);
	else
		while (text.len <= LIMIT_MESSAGE && (n = fread(part, 1, sizeof(part), stdin)) > 0)
			buf_add(&text, part, n);
	if (text.len == 0)
		return ctl_fail("there is no text to send");
	v = json_stringn(text.data, text.len);
	if (!v)
		return ctl_fail("the text is not UTF-8");
	json_add_value(ret, v);
	return ret->len > LIMIT_MESSAGE
		       ? ctl_fail("the text is longer than %d bytes", LIMIT_MESSAGE)
		       : CTL_OK;
}

static int find_owner(const struct ctl *c, const struct sending *s, struct found *ret)
{
	struct log_reader r;
	int status;

	if (!s->session) {
		(void)snprintf(ret->owner, sizeof(ret->owner), "%s", s->owner ? s->owner : OWNER);
		return CTL_OK;
	}
	if (log_reader_open(&r, c->log_path) < 0)
		status = ctl_fail("%s: %s", c->log_path, r.why);
	else
		status = find_session(&r, s->session, ret);
	log_reader_close(&r);
	if (status == CTL_OK && s->owner && strcmp(s->owner, ret->owner) != 0)
		return ctl_fail("the session belongs to %s", ret->owner);
	return status;
}

/* The answer to an accepted message; then, if that is wanted, what comes of it. */
static int accepted(struct ctl *c, const struct sending *s, const struct found *f,
		    const struct buf *body)
{
	auto_json json_t *o = json_read(body->data, body->len, NULL, 0);
	const char *session = json_get_str(o, "session_id");
	const char *turn = json_get_str(o, "turn_id");
	long long generation = 0;
	struct follow follow_it = {
		.ctl = c, .session_id = session, .owner = f->owner, .until_idle = true};
	struct log_reader r;

	if (!session || !turn)
		return ctl_fail("the worker's answer can't be read");
	if (!s->follow) {
		if (c->json)
			rows_print_json(o);
		else
			(void)printf("%s %s\n", session, turn);
		return CTL_OK;
	}
	(void)json_get_int(o, "generation", &generation);
	if (log_reader_open(&r, c->log_path) == 0) /* its events begin behind the turns before it */
		follow_it.after = (uint64_t)log_reader_int(
			&r, 0,
			"SELECT p.seq FROM event_places p JOIN events e ON e.row = p.event "
			"JOIN sessions s ON s.row = p.session "
			"WHERE s.id = ?1 AND e.generation < ?2 ORDER BY p.seq DESC LIMIT 1",
			"si", session, (int64_t)generation);
	log_reader_close(&r);
	return follow(&follow_it);
}

int send_main(struct ctl *c, int argc, char **argv)
{
	struct msg m = {.type = MSG_SEND_MESSAGE};
	auto_buf struct buf content = BUF_INIT, body = BUF_INIT;
	struct sending s = {0};
	struct found f = {0};
	struct bus_client *b;
	const char *why;
	int status = parse(c, &s, argc, argv);

	if (status == CTL_OK)
		status = ctl_locate(c);
	if (status == CTL_OK)
		status = read_text(argv[optind], &content);
	if (status == CTL_OK)
		status = find_owner(c, &s, &f);
	if (status != CTL_OK)
		return status;
	b = bus_client_open(c->bus_dir, s.session ? f.session_id : NULL, NULL, NULL, &why);
	if (!b)
		return ctl_fail("%s: chatd can't be reached: %s", c->bus_dir, why);
	m.send_message = (struct msg_send_message){
		.req = bus_client_req(b),
		.owner = str_of(f.owner),
		.session_id = str_of(f.session_id),
		.content = {content.data, content.len},
		.provider = str_of(s.provider),
		.model = str_of(s.model),
		.on_busy = str_of(s.on_busy),
	};
	status = act_status(bus_client_ask(b, &m, &body), &body);
	bus_client_close(b);
	return status == CTL_OK ? accepted(c, &s, &f, &body) : status;
}
