/*
 * send_message.h - the one entry point that starts turns.
 *
 * With a session_id it continues that session, without one it creates one. While the session is
 * busy on_busy decides: reject (also when empty), queue, or interrupt.
 */
#pragma once

#include "chatd/worker/link.h"

void send_message(struct worker *w, struct link *l, const struct msg *m);
