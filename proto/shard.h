/*
 * shard.h - which worker owns a session.
 *
 * A function of the id and the number of workers alone, so that every streamerd, every worker and
 * chatctl agree without asking. A worker that creates a session draws ids until one is its own.
 */
#pragma once

#include "common/buf.h"

unsigned shard_of(struct str session_id, unsigned workers);
