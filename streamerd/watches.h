/*
 * watches.h - in which sessions of an owner something happens, for the bundles that show all.
 *
 * Each worker is asked to tell, once for an owner, while at least one bundle shows all of the
 * owner's sessions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "proto/messages.h"

struct bundle;
struct bundle_list;
struct hub;
struct watched; /* an owner */
struct watches; /* owned by bundle.c's list of all */

struct watches *watches_new(struct hub *h);
void watches_free(struct watches *w); /* nobody may watch any more */

/*
 * b shows all from now on: b->asks lists are on their way, of what runs or waits and what changed
 * at `since` or later (0: none). Each calls bundle_follow(), or sets b->fault; then marks b.
 */
void watches_join(struct watches *w, struct bundle *b, struct str owner, int64_t since);
void watches_leave(struct bundle *b);
struct str watched_name(const struct watched *o);
/* There is room again: asks for what runs or waits once more. */
void watches_ask_again(struct bundle *b);

void watches_on_up(struct watches *w, unsigned worker);
void watches_on_down(struct watches *w, unsigned worker);
/* Tells bundles of workers that stay away, and asks again what failed. May end bundles. */
void watches_tick(struct watches *w, int64_t now);
/* The bundles that a worker's word with this number is for; NULL if nobody's any more. */
struct bundle_list *watches_of_sub(struct watches *w, uint64_t sub);
