/*
 * link.h - one streamerd, as a worker sees it: its channel and its subscriptions.
 */
#pragma once

#include "chatd/worker/session.h"
#include "proto/channel.h"

struct link;

/* Takes over fd. The link frees itself when its channel goes down. */
void link_new(struct worker *w, int fd);
void links_free(struct worker *w);

struct worker *link_worker(const struct link *l);
uint64_t link_id(const struct link *l);		       /* never reused */
struct link *link_find(struct worker *w, uint64_t id); /* NULL once it is gone */

void link_send(struct link *l, const struct msg *m);
/* A reply with a JSON body (taken over; NULL: empty). */
void link_reply(struct link *l, uint64_t req, json_t *body);
/* extra: members for the error object (taken over; NULL: none). */
void link_reply_fault(struct link *l, uint64_t req, enum fault fault, json_t *extra);

void link_add(struct link *l, struct subscription *sub); /* puts it on the link's list */
/* The subscription with streamerd's number `sub`, or NULL. */
struct subscription *link_subscription(struct link *l, uint64_t sub);
/* Cuts the channel: the streamerd connects anew and subscribes again. */
void link_reset(struct link *l);
/* Bytes that streamerds have not taken yet. */
uint64_t links_queued(const struct worker *w);
