/*
 * peer.c - a word from one worker to another. See peer.h.
 *
 * The other worker's bus socket, our side playing the streamerd: a get_session, whose handler
 * compares its memory with the log. One short connection a poke; the answer is not looked at.
 */
#include "chatd/worker/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "common/log.h"
#include "common/require.h"
#include "common/sock.h"
#include "proto/channel.h"
#include "proto/shard.h"

struct poke {
	struct channel *channel;  /* owned */
	char *session_id, *owner; /* owned */
	LIST_ENTRY(poke) link;
};

static void poke_free(struct poke *p)
{
	LIST_REMOVE(p, link);
	channel_free(p->channel);
	free(p->session_id);
	free(p->owner);
	free(p);
}

static void on_up(void *arg, const struct msg_hello *peer)
{
	struct poke *p = arg;
	struct msg m = {.type = MSG_GET_SESSION,
			.get_session = {.req = 1,
					.owner = str_of(p->owner),
					.session_id = str_of(p->session_id)}};

	channel_send(p->channel, &m);
}

static void on_message(void *arg, const struct msg *m)
{
	poke_free(arg);
}

static void on_down(void *arg, const char *why)
{
	struct poke *p = arg;

	log_debug("peer.down", "session=%s why=\"%s\"", p->session_id, why);
	poke_free(p);
}

static const struct channel_ops ops = {on_up, on_message, on_down};

void peer_poke(struct worker *w, const char *session_id, const char *owner)
{
	struct msg_hello hello = {PROTO_VERSION, str_of("worker"), w->index, w->count};
	char path[256];
	struct poke *p;
	int fd;

	if (snprintf(path, sizeof(path), "%s/worker-%u.sock", w->options->bus_dir,
		     shard_of(str_of(session_id), w->count)) >= (int)sizeof(path))
		return;
	fd = sock_connect_unix(path);
	if (fd < 0) {
		log_info("peer.unreachable", "session=%s why=\"%s\"", session_id, strerror(-fd));
		return;
	}
	p = calloc(1, sizeof(*p));
	REQUIRE(p);
	p->session_id = strdup(session_id);
	p->owner = strdup(owner);
	REQUIRE(p->session_id && p->owner);
	LIST_INSERT_HEAD(&w->pokes, p, link);
	p->channel = channel_new(w->base, fd, FROM_STREAMERD, &hello, CHANNEL_ALLOW_NONE, &ops, p);
}

void peers_free(struct worker *w)
{
	struct poke *p;

	while ((p = LIST_FIRST(&w->pokes)))
		poke_free(p);
}
