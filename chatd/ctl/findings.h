/*
 * findings.h - what a check found, told as it is found.
 *
 * Plain: one line a finding, "session=ID turn=ID seq=N: text". JSON: one object a line, {"session",
 * "turn","seq","finding"}, with what does not apply left out. Nothing is kept but the count.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct findings {
	bool json;
	uint64_t count;
};

/* Where; NULL or 0 for what does not apply. */
struct place {
	const char *session, *turn;
	int64_t seq;
};

void finding(struct findings *f, struct place at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
