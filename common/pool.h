/*
 * pool.h - several processes of one kind: started, watched, replaced, stopped.
 *
 * chatd's supervisor keeps its workers with it, streamerd's parent its serving processes; below
 * both are called workers. A pool has one link for each. What a link goes through is a table
 * (pool.c draws it). The pool reads single bytes from a worker's control socket: 'R' ready, 'H'
 * alive, and digits in front of an 'H': so many jobs run in it; any other byte is as good as 'H'.
 * Nothing else comes from a worker.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum link_state {
	LINK_BACKOFF,
	LINK_STARTING,
	LINK_READY,
	LINK_HUNG,
	LINK_STOPPING,
	LINK_DEAD,
	LINK_STATE_N
};

const char *link_state_name(enum link_state s);
/* The table: 1 if a link may go from one state to the other. */
int link_may(enum link_state from, enum link_state to);

struct pool;

/* Times in ms. */
struct pool_times {
	int64_t respawn_min, respawn_max; /* back-off between a death and the next start */
	int64_t healthy;		  /* ready for this long: the back-off starts anew */
	int64_t start; /* silent for this long before it is ready: the same; 0: as hang */
	int64_t hang;  /* silent for this long: SIGABRT ... */
	int64_t abort; /* ... and this much later SIGKILL */
	int64_t stop;  /* from SIGTERM to SIGKILL when the pool stops */
};

/* None is called inside a pool_ call other than pool_reap() and pool_stop(). */
struct pool_ops {
	/* Starts worker `index`, as spawn_process() does. 0 or -errno. */
	int (*start)(void *arg, unsigned index, pid_t *ret_pid, int *ret_control);
	/* A worker became ready or was lost, or the number of running jobs changed. */
	void (*changed)(void *arg);
	/* The pool was stopped and the last worker is gone. May free the pool's base loop, not the
	 * pool. */
	void (*stopped)(void *arg);
	/* A worker said by its exit status (78) that starting it again is of no use. Told once. */
	void (*hopeless)(void *arg, int status);
};

/*
 * n workers, which start once the loop runs. noun is what log lines call them: "worker" makes
 * "worker.ready worker=0"; static text. All but base and arg is copied.
 */
struct pool *pool_new(struct event_base *base, const char *noun, const struct pool_times *times,
		      unsigned n, const struct pool_ops *ops, void *arg);
/* After `stopped`; before the base is freed. Workers that still live are killed. NULL is fine. */
void pool_free(struct pool *p);

void pool_reap(struct pool *p);		   /* at SIGCHLD */
void pool_signal(struct pool *p, int sig); /* to all workers that live */
/* Starts no more, SIGTERM to all. Called again: SIGKILL to all that are left. */
void pool_stop(struct pool *p);
unsigned pool_ready(const struct pool *p); /* how many are ready */
/* Jobs that run (chatd: turns, streamerd: viewers), as the workers that are ready last told:
 * seconds old. */
unsigned long pool_jobs(const struct pool *p);
unsigned pool_size(const struct pool *p);
bool pool_stopping(const struct pool *p);
enum link_state pool_state(const struct pool *p, unsigned index);
pid_t pool_pid(const struct pool *p, unsigned index); /* 0 if it has none */
