/*
 * bus_client.h - one connection to the worker of a session, used by a program that waits.
 *
 * Requests are made one at a time. Events of a subscription come in bus_client_wait().
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>

#include "common/buf.h"
#include "proto/fault.h"
#include "proto/messages.h"

struct bus_client;

/* Connects to the worker that has the session; NULL: to worker 0. NULL if that fails, and *ret_why
 * (static text) says why. on_event may be NULL. */
struct bus_client *bus_client_open(const char *bus_dir, const char *session_id,
				   void (*on_event)(void *arg, const struct msg_event *e),
				   void *arg, const char **ret_why);
/* The same, to the worker of that number. */
struct bus_client *bus_client_open_worker(const char *bus_dir, unsigned worker,
					  const char **ret_why);
void bus_client_close(struct bus_client *b); /* NULL is fine */

unsigned bus_client_workers(const struct bus_client *b); /* how many there are */

/* Where the number of the next request stands in every request: m->...req = bus_client_req(b). */
uint64_t bus_client_req(struct bus_client *b);
/*
 * Sends m and waits for its reply. The fault that was answered; FAULT_WORKER_UNAVAILABLE if none
 * came. The body replaces *ret_body: JSON, or empty.
 */
enum fault bus_client_ask(struct bus_client *b, const struct msg *m, struct buf *ret_body);
/* Handles what comes until *stop, or the connection ends. True: stopped. */
bool bus_client_wait(struct bus_client *b, const bool *stop);
