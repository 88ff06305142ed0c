/*
 * demo.h - the built-in provider: no network, no key, something to look at.
 *
 * It thinks a little, then explains in Markdown what the person is looking at and quotes their
 * message, at conf->rate chunks a second (0: as fast as the loop goes). The same message always
 * gets the same answer.
 *
 * For tests and benchmarks a message may say what to do instead:
 *
 *	demo: chunks=N size=M	exactly N text deltas of M bytes each (at most 1000000 and 16384),
 *no reasoning demo: error		some text, then a provider error (FAULT_PROVIDER_ERROR,
 *"demo_error")
 *
 * Usage counts words as tokens: of the last user message, and of the answer.
 */
#pragma once

#include "chatd/provider/asking.h"

#define DEMO_MAX_CHUNKS 1000000
#define DEMO_MAX_SIZE	16384

struct asking *demo_asking_new(struct provider_env *e, const struct question *q,
			       const struct answer_ops *ops, void *arg);
