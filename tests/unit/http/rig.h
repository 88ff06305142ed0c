/*
 * rig.h - a real server on loopback and raw clients, in one thread and one event loop.
 *
 * What the handler does with a request is said by its path:
 *	/hold	nothing yet: the request is put into held[]
 *	/gone	as /hold, and http_on_gone() is set
 *	/take	http_take() into taken
 *	/drop	http_drop()
 *	/big	200 with RIG_BIG bytes
 *	/204, /304
 *	other	200 with "METHOD path body"
 */
#pragma once

#include <check.h>
#include <event2/event.h>
#include <stdbool.h>

#include "common/buf.h"
#include "common/clock.h"
#include "streamerd/http/http.h"

#define RIG_BIG	 (8 * 1024 * 1024)
#define RIG_HELD 64

struct rig {
	struct event_base *base;
	struct http_server *server;
	struct quota *quota; /* owned, if conf named none */
	char addr[128];	     /* of the last listener: "127.0.0.1:PORT", or a socket's path */
	int requests;	     /* that reached the handler */
	struct http_request *held[RIG_HELD];
	size_t n_held;
	bool yields; /* what the handler says before a connection is accepted ... */
	int asked;   /* ... and how often it was asked */
	int taken, taken_http10;
	int gone; /* calls of the gone callback */
	int answered, last_status;
	char last_line[256]; /* "METHOD path" of the last answered one */
};

/* Deadlines long enough not to be met by chance. */
struct http_conf rig_conf(void);
void rig_start(struct rig *r, struct http_conf conf);
void rig_listen_tcp(struct rig *r);
void rig_listen_unix(struct rig *r);
void rig_stop(struct rig *r); /* checks that nothing is left open */

/* Answers held[0] with 200 and "late", and moves the others up. */
void rig_answer_held(struct rig *r);

void rig_pass(struct rig *r); /* one turn of the loop; waits 1 ms at most */

/* Turns the loop until cond holds; the test fails if it doesn't in 20 s. */
#define RIG_WAIT(r, cond)                                                                     \
	do {                                                                                  \
		int64_t until_ = clock_mono_ms() + 20000;                                     \
		while (!(cond)) {                                                             \
			ck_assert_msg(clock_mono_ms() < until_, "waited in vain for " #cond); \
			rig_pass(r);                                                          \
		}                                                                             \
	} while (0)

/* --- raw clients --- */
int rig_connect(struct rig *r);			     /* to addr; a non-blocking socket */
int rig_connect_from(struct rig *r, const char *ip); /* of 127.0.0.0/8 */
void rig_send(struct rig *r, int fd, const char *p, size_t n);
void rig_sends(struct rig *r, int fd, const char *text);
/* Reads what is there. 1 if the server has closed, 2 if with a reset. */
int rig_read(int fd, struct buf *in);
/* Reads until the text is in it. Anything read stays in it. */
void rig_expect(struct rig *r, int fd, struct buf *in, const char *text);
void rig_expect_eof(struct rig *r, int fd, struct buf *in);
int rig_count(const struct buf *in, const char *text);
