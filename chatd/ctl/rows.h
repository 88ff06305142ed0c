/*
 * rows.h - what a query found, as JSON for scripts and as a table for people.
 *
 * Text that users, models and tools wrote reaches a terminal only with its control characters
 * replaced: no title can move the cursor (SEC-5).
 */
#pragma once

#include "chatd/ctl/log_reader.h"
#include "common/json.h"

/*
 * All rows of st, an array of objects by column name. A column whose name is in `parsed` ("content
 * extra", may be NULL) holds JSON and is put in as such. What could not be read is in r.
 */
json_t *rows_read(struct log_reader *r, sqlite3_stmt *st, const char *parsed);
/* One row of that, or NULL. */
json_t *rows_read_one(struct log_reader *r, sqlite3_stmt *st, const char *parsed);

/*
 * Prints these columns ("session_id owner title"), each as wide as it must be; on a terminal the
 * last one is cut at its edge. `none` is said if there are no rows.
 */
void rows_print(const json_t *rows, const char *columns, const char *none);
void rows_print_json(const json_t *value); /* one line */

/* Prints n bytes of text: line breaks and tabs as they are, other control characters replaced. */
void rows_print_text(const char *p, size_t n);
