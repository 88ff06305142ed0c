/*
 * shim_vfs.h - the default VFS of SQLite with a hook in front of what writes.
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
};

/*
 * Called before the operation on the file. SQLITE_OK lets it happen. Any other code is what SQLite
 * gets to see, after the operation was really done if *really is set. The code of SHIM_UNFETCH is
 * ignored.
 */
typedef int (*shim_hook_fn)(enum shim_op op, const char *path, bool *really);

void shim_install(void);
void shim_set_hook(shim_hook_fn hook); /* NULL: none */
