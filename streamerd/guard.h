/*
 * guard.h - which Host and Origin are served (SEC-1, SEC-3). Pure.
 *
 * A page on the internet can make a browser send requests to this server in two ways: with a name
 * of its own that resolves to us (DNS rebinding: a foreign Host), or from its own origin (a foreign
 * Origin). Both are turned away on every route.
 */
#pragma once

#include <stdbool.h>

#include "common/buf.h"
#include "proto/fault.h"
#include "streamerd/options.h"

/*
 * FAULT_NONE, FAULT_FOREIGN_HOST or FAULT_FOREIGN_ORIGIN. p == NULL stands for an absent header.
 * Loopback names and the addresses that are listened at are always good hosts; an origin is good
 * if it is the same as the host, or on the list.
 */
enum fault guard_check(const struct options *o, struct str host, struct str origin);
/* 1 if the origin is on the list: its pages may read the answer. */
bool guard_is_listed_origin(const struct options *o, struct str origin);
/* Appends the header lines that let a listed origin read the answer; nothing for others. */
void guard_add_cors(struct buf *b, const struct options *o, struct str origin);
