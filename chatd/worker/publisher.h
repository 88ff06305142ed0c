/*
 * publisher.h - a committed event on its way to who asked for it.
 */
#pragma once

#include "chatd/worker/session.h"

/* Sends it to each subscribed streamerd, once each. */
void publish(struct session *s, const struct chat_event *e);
