/*
 * log_reader.h - the event log's file, opened to be read.
 *
 * Read-only, one read transaction for as long as the reader lives: what it sees is one moment. It
 * never checkpoints, so it can't disturb a chatd that runs. What can't be read is remembered and
 * ends every loop; who uses a reader looks at `failed` at the end.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>

#include "common/buf.h"

struct log_reader {
	sqlite3 *db;
	bool failed; /* something could not be read; why says what */
	char why[256];
};

/* 0; or -1 with why: not there, not an event log, of a newer version. Closed in both cases by
 * log_reader_close(). */
int log_reader_open(struct log_reader *r, const char *path);
void log_reader_close(struct log_reader *r);

/*
 * Prepares sql and binds ?1, ?2 ... as far as `types` goes: 'i' int64_t, 's' const char * (NULL is
 * NULL; it must live as long as the statement). NULL if that fails. Finalize it.
 */
sqlite3_stmt *log_reader_query(struct log_reader *r, const char *sql, const char *types, ...);
/* True if there is a row; false at the end, and on an error. NULL gives false. */
bool log_reader_step(struct log_reader *r, sqlite3_stmt *st);
/* The first column of the first row; `none` if there is no row or it is NULL. */
int64_t log_reader_int(struct log_reader *r, int64_t none, const char *sql, const char *types, ...);

static inline struct str log_reader_str(sqlite3_stmt *st, int column)
{
	const char *p = (const char *)sqlite3_column_text(st, column);

	return (struct str){p ? p : "", p ? (size_t)sqlite3_column_bytes(st, column) : 0};
}

static inline const char *log_reader_text(sqlite3_stmt *st, int column)
{
	const char *p = (const char *)sqlite3_column_text(st, column);

	return p ? p : "";
}

static inline void log_reader_end(sqlite3_stmt **st)
{
	(void)sqlite3_finalize(*st); /* its error was told by step */
}
#define auto_stmt __attribute__((cleanup(log_reader_end)))
