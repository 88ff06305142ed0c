/*
 * listeners.h - the sockets that streamerd listens on: its own, or those that systemd holds for it.
 *
 * [http] listen says where. A socket that was passed (LISTEN_FDS) and is at one of these addresses
 * is used for it; the other addresses are bound. A passed socket at none of them is refused, for
 * one of the two is a mistake. Without `listen` in the file, what was passed is what is listened
 * on.
 *
 * Whoever listens beyond loopback without tokens is refused (SEC-1), here for the sockets as they
 * are, whatever the config says.
 */
#pragma once

#include "common/limits.h"
#include "streamerd/options.h"

struct listeners {
	int fds[LIMIT_LISTENERS]; /* owned */
	unsigned n;
};

/* Logs what it can't do. 0, or the exit status: 78 if config and sockets do not fit, 73 if one can
 * not be made. */
int listeners_open(struct listeners *l, const struct options *o);
void listeners_close(struct listeners *l);
/*
 * In a serving process, which was given n of them: 0 if they may be served with these options, or
 * -1, logged. Without `listen` in the file, o->listen becomes what they are.
 */
int listeners_adopt(struct options *o, const int *fds, unsigned n);
