/*
 * shim_vfs.h - the default VFS of SQLite with a hook and a recorder in front of what writes.
 *
 * shim_install() makes it the default of the process; connections opened afterwards go through it,
 * without a change to SQLite or to the code under test.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>

enum shim_op {
	SHIM_WRITE,
	SHIM_SYNC,
	SHIM_UNFETCH, /* of the whole mapping: a checkpoint has found the WAL's header changed */
	/* only recorded: */
	SHIM_CREATE,
	SHIM_TRUNCATE,
	SHIM_DELETE,
};

/*
 * Called before the operation on the file. SQLITE_OK lets it happen. Any other code is what SQLite
 * gets to see, after the operation was really done if *really is set. The code of SHIM_UNFETCH is
 * ignored.
 */
typedef int (*shim_hook_fn)(enum shim_op op, const char *path, bool *really);

/* One operation that changes what is on the disk, or what of it is safe. */
struct shim_io {
	enum shim_op op; /* all but SHIM_UNFETCH */
	const char *path;
	const void *data; /* SHIM_WRITE: borrowed, n bytes */
	int n;
	sqlite3_int64 at; /* SHIM_WRITE; SHIM_TRUNCATE: the new size */
};
/*
 * Called before the operation is really done, unless a hook made it fail. What it is told of may
 * still fail: a program that records must see to it that nothing did.
 */
typedef void (*shim_record_fn)(const struct shim_io *io);

void shim_install(void);
void shim_set_hook(shim_hook_fn hook);	       /* NULL: none */
void shim_set_recorder(shim_record_fn record); /* NULL: none */
