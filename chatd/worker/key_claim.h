/*
 * key_claim.h - which worker of a log is about to store an Idempotency-Key.
 *
 * A claim is held from before the log is asked for the key until what stores it is committed, or
 * nothing is to be. So of two workers that are sent one key in one instant, the second is told, or
 * finds the first one's answer in the log.
 */
#pragma once

#include "common/buf.h"

/* The file behind it, shared by the workers of a bus dir; -1, which is logged: goes on without. */
int key_claim_open(const char *bus_dir);
/*
 * 0, or -1: another worker has it, or one whose hash is the same. Once for each key and process:
 * who asks for his own again gets it, and loses it with the first release.
 */
int key_claim_take(int fd, struct str owner, struct str key);
void key_claim_release(int fd, struct str owner, struct str key);
