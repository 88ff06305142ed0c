/*
 * demo.h - the built-in provider: no network, no key, something to look at.
 *
 * What it says is played at conf->rate chunks a second (0: as fast as the loop goes). The same
 * question always gets the same answer.
 *
 *	the first message	a show of several steps: a little reasoning, text, a call of
 *				demo__roll_dice (which needs permission), text that quotes its
 *				result, a call of ask_user, text that uses the answer
 *	names dice, a tool	the dice again
 *	names a question	the question again
 *	anything else		one answer: the tour, which says in Markdown what the person is
 *				looking at and quotes their message
 *
 * Only tools that are offered are called; without any, every message gets the tour.
 *
 * For tests and benchmarks: a message that begins with "demo:" never makes it call a tool. It gets
 * the tour, or
 *
 *	demo: chunks=N size=M	exactly N text deltas of M bytes each (at most 1000000 and 16384),
 *				no reasoning
 *	demo: error		some text, then a provider error (FAULT_PROVIDER_ERROR,
 *				"demo_error")
 *
 * Usage counts words as tokens: of the last user message, and of the answer.
 */
#pragma once

#include "chatd/provider/asking.h"

struct asking *demo_asking_new(struct provider_env *e, const struct question *q,
			       const struct answer_ops *ops, void *arg);
