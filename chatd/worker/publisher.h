/*
 * publisher.h - a committed event on its way to who asked for it.
 */
#pragma once

#include "chatd/worker/session.h"

/* Sends it to each subscribed streamerd, once each. */
void publish(struct session *s, const struct chat_event *e);
/* Sends a notice: an event that is not stored, without seq, for whoever is there now. */
void publish_notice(struct session *s, enum chat_event_type type, struct str payload);
