/*
 * replay.h - the records inside a replayed message: events packed one behind the other.
 *
 * A record is a msgpack-free, fixed head (big-endian: u64 generation, u64 seq, i64 ts, u8 type,
 * u8 length of turn_id, u32 length of payload) and the two texts. The head is of fixed form so
 * that a page of thousands is walked without a decoder.
 */
#pragma once

#include "proto/chat_event.h"

/* Appends one record. e->session_id is not part of it. */
void replay_add(struct buf *b, const struct chat_event *e);
size_t replay_size(const struct chat_event *e); /* bytes that replay_add() appends */
/*
 * Reads the record at *pos of page and moves *pos behind it. 1 if there was one, 0 at the end,
 * -1 if the page is malformed. Members of *ret_e borrow from the page; session_id is left alone.
 */
int replay_next(struct str page, size_t *pos, struct chat_event *ret_e);
