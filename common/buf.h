/*
 * buf.h - a growable byte buffer.
 *
 * Embedded in its owner; zero-initialised is empty and valid. Appending never fails: sizes are
 * bounded by limits.h before anything is appended, and memory of a size of our own choosing that
 * can't be had ends the process. Contents are not NUL-terminated unless buf_str() is asked.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data; /* owned */
	size_t len; /* bytes used */
	size_t cap;
};

#define BUF_INIT           \
	{                  \
		NULL, 0, 0 \
	}

void buf_fini(struct buf *b);		      /* frees; b is empty and usable afterwards */
void buf_reserve(struct buf *b, size_t more); /* makes room for more bytes */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_addc(struct buf *b, char c);
void buf_adds(struct buf *b, const char *s);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vaddf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void buf_addu(struct buf *b, uint64_t v);  /* decimal; several times as fast as buf_addf */
void buf_clear(struct buf *b);		   /* len = 0, memory kept */
void buf_consume(struct buf *b, size_t n); /* drops n bytes from the front */
const char *buf_str(struct buf *b);	   /* NUL-terminates (not counted in len), borrows */
char *buf_steal(struct buf *b,
		size_t *ret_len); /* hands over the malloc'ed, NUL-terminated bytes */

#define auto_buf __attribute__((cleanup(buf_fini)))

/* A borrowed run of bytes: not NUL-terminated, not owned. */
struct str {
	const char *p;
	size_t n;
};

struct str str_of(const char *s);	 /* NULL gives an empty one */
int str_eq(struct str a, const char *s); /* 1 if equal */
char *str_dup(struct str s);		 /* malloc'ed, NUL-terminated */
/* Copies all of s and its NUL; that it fits is the caller's to know, and is required. */
void str_put(char *to, size_t size, const char *s);
