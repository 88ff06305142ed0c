/*
 * json_mend.h - JSON of peers that are careless with Unicode, made good. Pure.
 */
#pragma once

#include "common/buf.h"

/*
 * Appends n bytes of JSON with U+FFFD in the place of each half of a surrogate pair that is
 * escaped alone and of each byte that belongs to no character. All else is as it was, JSON or not.
 */
void json_mend(struct buf *out, const char *p, size_t n);
