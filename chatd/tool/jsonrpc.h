/*
 * jsonrpc.h - JSON-RPC 2.0, one message a line. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

/* What JSON-RPC calls its errors. */
#define JSONRPC_NO_METHOD (-32601)

#define JSONRPC_ENDS 128 /* bytes kept of each end of a line that is too long */

enum jsonrpc_line { JSONRPC_LINE_MORE, JSONRPC_LINE_READY, JSONRPC_LINE_TOO_LONG };

/* Cuts a stream into lines. Embedded; {.limit = bytes} is a valid one. */
struct jsonrpc_reader {
	struct buf line; /* owned: what has come of the line at hand */
	size_t limit;	 /* of a line, without its end */
	bool used;	 /* line was handed out and goes with the next call */
	bool skipping;	 /* the line is over the limit; its ends are kept in line */
};

void jsonrpc_reader_fini(struct jsonrpc_reader *r); /* usable afterwards, from a fresh start */
/*
 * Takes bytes from the front of *in. READY: *ret_line is a line, without its end and never blank,
 * valid until the next call (or until the bytes behind *in go). TOO_LONG: a line beyond the limit
 * was skipped to its end; *ret_line holds its first and last JSONRPC_ENDS bytes. MORE: *in is used
 * up.
 */
enum jsonrpc_line jsonrpc_read_line(struct jsonrpc_reader *r, struct str *in, struct str *ret_line);
/* Which request a skipped line was the answer to, as far as its ends tell: 1 and *ret_id, or 0. */
int jsonrpc_id_of_ends(struct str ends, long long *ret_id);

enum jsonrpc_kind {
	JSONRPC_NONSENSE, /* not JSON, a batch, or an object that is no message */
	JSONRPC_REQUEST,
	JSONRPC_NOTIFICATION,
	JSONRPC_RESULT,
	JSONRPC_ERROR
};

/* Everything is borrowed from root. */
struct jsonrpc_message {
	enum jsonrpc_kind kind;
	json_t *root;	    /* owned; NULL for what is not JSON */
	const json_t *id;   /* request, result, error: a string or an integer */
	const char *method; /* request, notification */
	const json_t *params;
	const json_t *result;
	long long code;	   /* error */
	const char *error; /* its message; never NULL there */
	const json_t *data;
};

/*
 * Reads one line. Lone surrogates and bytes that are not UTF-8 (servers cut texts in the middle of
 * a character) become U+FFFD instead of costing the whole message.
 */
enum jsonrpc_kind jsonrpc_parse(struct str line, struct jsonrpc_message *ret);
void jsonrpc_message_fini(struct jsonrpc_message *m);

/* Each appends one message with its line end. params and result are JSON text without newlines. */
void jsonrpc_add_request(struct buf *b, long long id, const char *method, struct str params);
void jsonrpc_add_notification(struct buf *b, const char *method, struct str params);
void jsonrpc_add_result(struct buf *b, const json_t *id, struct str result);
void jsonrpc_add_error(struct buf *b, const json_t *id, int code, const char *message);
