/*
 * worker.h - the chatd worker: a process that owns turns.
 *
 * One thread, one loop. Each pass of the loop ends with one commit of all that the pass wrote, and
 * only then is anything told to anybody: see .lore/specs/architecture.md.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>

#include "chatd/options.h"
#include "chatd/provider/provider.h"
#include "chatd/store/event_log.h"
#include "chatd/tool/toolbox.h"
#include "common/list.h"

struct session;
struct turn;
struct link;
struct keeper;
struct owner_turns;
struct watched_owner;
struct metrics;

struct worker_stats {
	uint64_t calls_ended, calls_failed;
	uint64_t turns_started, turns_done, turns_aborted, turns_failed, turns_resumed;
	uint64_t input_tokens, output_tokens;
	uint64_t events_published, requests, provider_errors, provider_retries;
};

struct worker {
	struct event_base *base;
	struct options *options; /* owned; replaced on SIGHUP */
	const char *config_file;
	struct provider_env *env;
	struct toolbox *toolbox; /* owned */
	struct event_log *log;
	unsigned index, count;			      /* we are `index` of `count` workers */
	bool stopping;				      /* takes no new turns */
	struct session *sessions;		      /* by id; owned */
	TAILQ_HEAD(session_list, session) maybe_idle; /* looked at by sessions_sweep() */
	TAILQ_HEAD(turn_list, turn) turns;	      /* running */
	TAILQ_HEAD(dirty_list, turn) dirty;	      /* with gathered text */
	size_t n_turns;
	struct owner_turns *owners; /* owners.c's */
	int64_t stalled_since;	    /* monotonic ms; 0: the log can be written. stall.c's */
	bool stall_told;
	LIST_HEAD(link_list, link) links;		 /* owned */
	struct watched_owner *watched;			 /* by owner; watch.c's */
	LIST_HEAD(poke_list, poke) pokes;		 /* peer.c's */
	LIST_HEAD(take_over_list, take_over) take_overs; /* exclusive.c's */
	LIST_HEAD(fresh_key_list, fresh_key) fresh_keys; /* idempotency.c's */
	int keys_fd;					 /* owned: key_claim.h */
	struct keeper *keeper;				 /* owned */
	struct worker_stats stats;
	struct metrics *metrics; /* owned */
};

/*
 * Runs until it is told to stop. listen_fd is its bus socket, control_fd the line to the
 * supervisor (-1: none). Takes over o and the descriptors. Returns the process's exit status.
 */
int worker_main(struct options *o, const char *config_file, unsigned index, unsigned count,
		int listen_fd, int control_fd);
