/*
 * link.c - one streamerd, as a worker sees it. See link.h.
 *
 * Owned by the worker's list. It ends with its channel; its subscriptions end with it, which is
 * all that a lost streamerd means here: no turn takes notice.
 */
#include "chatd/worker/link.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "chatd/worker/requests.h"
#include "chatd/worker/watch.h"
#include "common/json.h"
#include "common/log.h"
#include "common/require.h"

struct link {
	struct worker *worker;
	struct channel *channel; /* owned */
	uint64_t id;
	struct event *reset; /* owned: cuts the channel at the next pass */
	LIST_HEAD(link_subs, subscription) subs;
	LIST_ENTRY(link) link;
};

static void link_free(struct link *l)
{
	struct subscription *sub;

	while ((sub = LIST_FIRST(&l->subs)))
		subscription_end(sub);
	watch_end_all(l);
	LIST_REMOVE(l, link);
	channel_free(l->channel);
	event_free(l->reset);
	free(l);
}

static void on_up(void *arg, const struct msg_hello *peer)
{
	struct link *l = arg;

	log_info("link.up", "link=%llu", (unsigned long long)l->id);
}

static void on_message(void *arg, const struct msg *m)
{
	struct link *l = arg;

	l->worker->stats.requests++;
	request_handle(l->worker, l, m);
}

static void on_down(void *arg, const char *why)
{
	struct link *l = arg;

	/* leaving is life, everything else is a breach that an operator should see */
	if (strcmp(why, "peer closed") == 0)
		log_info("link.down", "link=%llu why=\"%s\"", (unsigned long long)l->id, why);
	else
		log_warning("link.down", "link=%llu why=\"%s\"", (unsigned long long)l->id, why);
	link_free(l);
}

static const struct channel_ops channel_ops = {on_up, on_message, on_down};

static void on_reset(evutil_socket_t fd, short what, void *arg)
{
	link_free(arg);
}

static struct channel_allow allowed(const struct options *o)
{
	const struct passwd *pw = o->bus_user ? getpwnam(o->bus_user) : NULL;
	const struct group *gr = o->bus_group ? getgrnam(o->bus_group) : NULL;

	return (struct channel_allow){pw ? pw->pw_uid : (uid_t)-1, gr ? gr->gr_gid : (gid_t)-1};
}

void link_new(struct worker *w, int fd)
{
	static uint64_t last_id;
	struct link *l = calloc(1, sizeof(*l));
	struct msg_hello hello = {PROTO_VERSION, str_of("chatd"), w->index, w->count};

	REQUIRE(l);
	l->worker = w;
	l->id = ++last_id;
	LIST_INIT(&l->subs);
	LIST_INSERT_HEAD(&w->links, l, link);
	l->reset = evtimer_new(w->base, on_reset, l);
	REQUIRE(l->reset);
	l->channel =
		channel_new(w->base, fd, FROM_WORKER, &hello, allowed(w->options), &channel_ops, l);
}

void links_free(struct worker *w)
{
	struct link *l;

	while ((l = LIST_FIRST(&w->links)))
		link_free(l);
}

struct worker *link_worker(const struct link *l)
{
	return l->worker;
}

uint64_t link_id(const struct link *l)
{
	return l->id;
}

struct link *link_find(struct worker *w, uint64_t id)
{
	struct link *l;

	LIST_FOREACH (l, &w->links, link) {
		if (l->id == id)
			return l;
	}
	return NULL;
}

void link_send(struct link *l, const struct msg *m)
{
	channel_send(l->channel, m);
}

static void reply(struct link *l, uint64_t req, enum fault fault, json_t *body)
{
	struct buf b = BUF_INIT;
	struct msg m = {.type = MSG_REPLY, .reply = {.req = req, .fault = fault}};

	if (body)
		json_add_value(&b, body);
	json_decref(body);
	if (b.len > LIMIT_FRAME - 4096) {
		log_error("link.reply_too_large", "bytes=%zu", b.len);
		buf_clear(&b);
		m.reply.fault = FAULT_INTERNAL;
	}
	m.reply.body = (struct str){b.data ? b.data : "", b.len};
	channel_send(l->channel, &m);
	buf_fini(&b);
}

void link_reply(struct link *l, uint64_t req, json_t *body)
{
	reply(l, req, FAULT_NONE, body);
}

void link_reply_fault(struct link *l, uint64_t req, enum fault fault, json_t *extra)
{
	reply(l, req, fault, extra);
}

void link_add(struct link *l, struct subscription *sub)
{
	LIST_INSERT_HEAD(&l->subs, sub, of_link);
}

struct subscription *link_subscription(struct link *l, uint64_t number)
{
	struct subscription *sub;

	LIST_FOREACH (sub, &l->subs, of_link) {
		if (sub->sub == number)
			return sub;
	}
	return NULL;
}

void link_reset(struct link *l)
{
	static const struct timeval now = {0, 0};

	REQUIRE(event_add(l->reset, &now) == 0);
}

uint64_t links_queued(const struct worker *w)
{
	const struct link *l;
	uint64_t n = 0;

	LIST_FOREACH (l, &w->links, link)
		n += channel_queued(l->channel);
	return n;
}
