/*
 * shim_vfs.c - the default VFS of SQLite with a hook and a recorder in front of what writes. See
 * shim_vfs.h.
 *
 * Everything is passed on to the real file that stands behind ours. Shared memory and mapping are
 * passed on as well (io methods of version 3), so the WAL works across processes as ever, and so
 * that SQLite calls xUnfetch: sqlite3WalCheckpoint() does so between reading the WAL's header and
 * comparing it with what was backfilled, which is the only place from where the race of
 * test_wal_race.c can be forced from outside.
 */
#include "tests/unit/store/shim_vfs.h"

#include <stdlib.h>
#include <string.h>

struct shim_file {
	sqlite3_file base; /* first: SQLite's view */
	const char *path;  /* borrowed from SQLite, lives as long as the file */
	sqlite3_file *real;
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs shim_vfs;
static sqlite3_io_methods methods;
static shim_hook_fn hook;
static shim_record_fn recorder;

static sqlite3_file *real_of(sqlite3_file *f)
{
	return ((struct shim_file *)f)->real;
}

static void record(enum shim_op op, const char *path, const void *data, int n, sqlite3_int64 at)
{
	struct shim_io io = {op, path, data, n, at};

	if (recorder)
		recorder(&io);
}

/* True if the operation was dealt with; its code is in *ret. */
static bool hooked(enum shim_op op, sqlite3_file *f, int *ret, bool *really)
{
	*really = false;
	*ret = hook ? hook(op, ((struct shim_file *)f)->path, really) : SQLITE_OK;
	return *ret != SQLITE_OK;
}

static int shim_close(sqlite3_file *f)
{
	int rc = real_of(f)->pMethods->xClose(real_of(f));

	free(real_of(f));
	return rc;
}

static int shim_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return real_of(f)->pMethods->xRead(real_of(f), p, n, at);
}

static int shim_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	bool really;
	int rc;

	if (!hooked(SHIM_WRITE, f, &rc, &really)) {
		record(SHIM_WRITE, ((struct shim_file *)f)->path, p, n, at);
		return real_of(f)->pMethods->xWrite(real_of(f), p, n, at);
	}
	if (really)
		(void)real_of(f)->pMethods->xWrite(real_of(f), p, n, at);
	return rc;
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	record(SHIM_TRUNCATE, ((struct shim_file *)f)->path, NULL, 0, size);
	return real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int shim_sync(sqlite3_file *f, int flags)
{
	bool really;
	int rc;

	if (!hooked(SHIM_SYNC, f, &rc, &really)) {
		record(SHIM_SYNC, ((struct shim_file *)f)->path, NULL, 0, 0);
		return real_of(f)->pMethods->xSync(real_of(f), flags);
	}
	if (really)
		(void)real_of(f)->pMethods->xSync(real_of(f), flags);
	return rc;
}

static int shim_file_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static int shim_lock(sqlite3_file *f, int level)
{
	return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int shim_unlock(sqlite3_file *f, int level)
{
	return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int shim_check_lock(sqlite3_file *f, int *ret)
{
	return real_of(f)->pMethods->xCheckReservedLock(real_of(f), ret);
}

static int shim_control(sqlite3_file *f, int op, void *arg)
{
	return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int shim_sector_size(sqlite3_file *f)
{
	return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int shim_characteristics(sqlite3_file *f)
{
	return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int shim_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret)
{
	return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, ret);
}

static int shim_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void shim_shm_barrier(sqlite3_file *f)
{
	real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int shim_shm_unmap(sqlite3_file *f, int delete)
{
	return real_of(f)->pMethods->xShmUnmap(real_of(f), delete);
}

static int shim_fetch(sqlite3_file *f, sqlite3_int64 at, int n, void **ret)
{
	return real_of(f)->pMethods->xFetch(real_of(f), at, n, ret);
}

static int shim_unfetch(sqlite3_file *f, sqlite3_int64 at, void *p)
{
	bool really;
	int rc;

	if (!p)
		(void)hooked(SHIM_UNFETCH, f, &rc, &really);
	return real_of(f)->pMethods->xUnfetch(real_of(f), at, p);
}

static int shim_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *ret_flags)
{
	struct shim_file *s = (struct shim_file *)f;
	int rc, there = 1;

	memset(s, 0, sizeof(*s));
	if (recorder && path && (flags & SQLITE_OPEN_CREATE))
		(void)real_vfs->xAccess(real_vfs, path, SQLITE_ACCESS_EXISTS, &there);
	if (!there)
		record(SHIM_CREATE, path, NULL, 0, 0);
	s->real = calloc(1, (size_t)real_vfs->szOsFile);
	if (!s->real)
		return SQLITE_NOMEM;
	rc = real_vfs->xOpen(real_vfs, path, s->real, flags, ret_flags);
	if (rc != SQLITE_OK) {
		free(s->real);
		return rc;
	}
	s->path = path ? path : "";
	s->base.pMethods = &methods;
	return SQLITE_OK;
}

static int shim_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
	record(SHIM_DELETE, path, NULL, 0, 0);
	return real_vfs->xDelete(real_vfs, path, sync_folder);
}

void shim_install(void)
{
	if (real_vfs)
		return;
	real_vfs = sqlite3_vfs_find(NULL);
	methods = (sqlite3_io_methods){
		.iVersion = 3,
		.xClose = shim_close,
		.xRead = shim_read,
		.xWrite = shim_write,
		.xTruncate = shim_truncate,
		.xSync = shim_sync,
		.xFileSize = shim_file_size,
		.xLock = shim_lock,
		.xUnlock = shim_unlock,
		.xCheckReservedLock = shim_check_lock,
		.xFileControl = shim_control,
		.xSectorSize = shim_sector_size,
		.xDeviceCharacteristics = shim_characteristics,
		.xShmMap = shim_shm_map,
		.xShmLock = shim_shm_lock,
		.xShmBarrier = shim_shm_barrier,
		.xShmUnmap = shim_shm_unmap,
		.xFetch = shim_fetch,
		.xUnfetch = shim_unfetch,
	};
	shim_vfs = *real_vfs;
	shim_vfs.zName = "shim";
	shim_vfs.szOsFile = sizeof(struct shim_file);
	shim_vfs.pNext = NULL;
	shim_vfs.xOpen = shim_open;
	shim_vfs.xDelete = shim_delete;
	(void)sqlite3_vfs_register(&shim_vfs, 1);
}

void shim_set_hook(shim_hook_fn fn)
{
	hook = fn;
}

void shim_set_recorder(shim_record_fn fn)
{
	recorder = fn;
}
