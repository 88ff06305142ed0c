/*
 * channel.h - one connection of the bus: framed messages over a Unix stream socket.
 *
 * Both ends speak hello first. The peer must be of our uid, root, or whom we were told to allow
 * (SO_PEERCRED, SO_PEERGROUPS). A peer that breaks the protocol is cut off: `down` is called with
 * the reason and nothing more comes. Sending only queues; everything that has gathered goes out in
 * one write at the end of the loop's pass.
 *
 * A worker's side takes no requests while more than LIMIT_BUS_HIGH bytes are unsent, and no more
 * than LIMIT_BUS_BURST in one pass of the loop: a burst of them waits unread and is answered as
 * fast as the peer reads. What is sent unasked can't wait: a peer that does not read it until
 * LIMIT_BUS_QUEUE is reached is cut off. So is the channel on which a message over LIMIT_FRAME was
 * to be sent.
 *
 * Callbacks never run inside channel_new() or channel_send(). Inside a callback the channel may
 * be freed. After `down` the owner must call channel_free().
 */
#pragma once

#include <event2/event.h>
#include <sys/types.h>

#include "proto/messages.h"

struct channel;

/* Who may be at the other end besides our own user and root; (uid_t)-1 and (gid_t)-1: nobody. */
struct channel_allow {
	uid_t user;
	gid_t group; /* its members */
};

#define CHANNEL_ALLOW_NONE ((struct channel_allow){(uid_t)-1, (gid_t)-1})

struct channel_ops {
	void (*up)(void *arg, const struct msg_hello *peer); /* hello exchanged */
	void (*message)(void *arg, const struct msg *m);     /* m is valid during the call */
	void (*down)(void *arg, const char *why);	     /* why: static text */
};

/*
 * Takes fd (also a connecting one). `self` is who we are; our hello is sent at once. Never NULL.
 */
struct channel *channel_new(struct event_base *base, int fd, enum msg_sender self,
			    const struct msg_hello *hello, struct channel_allow allow,
			    const struct channel_ops *ops, void *arg);
void channel_free(struct channel *c); /* closes; NULL is fine */

void channel_send(struct channel *c, const struct msg *m); /* silently dropped once down */
size_t channel_queued(const struct channel *c);		   /* unsent bytes */
int channel_is_up(const struct channel *c);
