/*
 * json_scan.h - JSON read from left to right, for what comes ten thousand times a second and has a
 * known shape: no document, no allocation.
 *
 * It takes a part of JSON and nothing that is not JSON. Whatever is outside that part (a number
 * with a fraction, an escaped key, half of a surrogate pair) makes it fail, and its user then
 * reads the same bytes with jansson, which knows. So failing is cheap and says nothing of the
 * bytes. After a failure everything fails.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

struct json_scan {
	const char *p, *end;
	bool failed;
};

void json_scan_init(struct json_scan *s, const char *p, size_t n);
/* Only white space is left, and nothing failed. */
bool json_scan_end(struct json_scan *s);

/* Each takes one token, or fails. */
void json_scan_open(struct json_scan *s, char c); /* '{' or '[' */
/* The next member of an object: its key, borrowed from the bytes. False at its '}', or after a
 * failure. first: true before the first one, kept by the caller. */
bool json_scan_member(struct json_scan *s, bool *first, struct str *ret_key);
void json_scan_close(struct json_scan *s, char c); /* ']' */
/* Decoded: borrowed from the bytes where nothing is escaped, else from room, which must be empty
 * and is appended to. room NULL: a string with an escape fails. */
struct str json_scan_string(struct json_scan *s, struct buf *room);
int64_t json_scan_int(struct json_scan *s); /* up to 15 digits */
/* Is it null? Then it is taken. */
bool json_scan_null(struct json_scan *s);
/* A string, an integer, true, false or null, whatever it is. */
void json_scan_skip(struct json_scan *s);
