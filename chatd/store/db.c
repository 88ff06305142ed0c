/*
 * db.c - one connection to the event log. See db.h.
 *
 * synchronous = FULL makes a commit survive power loss: NORMAL loses the last ones at every power
 * cut. A new database file's directory entry is synced by us, SQLite does it only for journals.
 */
#include "chatd/store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "chatd/store/migrate.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/require.h"

static const struct {
	const char *text;
	unsigned flags;
} statements[SQL_N] = {
#define S(name, flags, text) [SQL_##name] = {text, flags},
	SQL_STATEMENTS(S)
#undef S
};

struct db {
	sqlite3 *handle; /* owned */
	sqlite3_stmt *stmt[SQL_N];
	int gate_fd; /* owned */
	int wal_pages;
};

static char error_text[256];

static int on_wal(void *arg, sqlite3 *handle, const char *name, int pages)
{
	((struct db *)arg)->wal_pages = pages;
	return SQLITE_OK;
}

static int sync_folder_of(const char *path)
{
	auto_free char *copy = str_dup(str_of(path));
	auto_close int fd = -1;

	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return -1;
	return 0;
}

/* What concerns the connection alone. */
static void set_up_handle(struct db *db)
{
	(void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_extended_result_codes(db->handle, 1);
	(void)sqlite3_busy_timeout(db->handle, LIMIT_BUSY_MS);
}

static int configure(struct db *db, bool durability_full)
{
	char *message = NULL;
	int rc;

	rc = sqlite3_exec(db->handle,
			  /* a new file's first page is written with a rollback journal, where
			   * NORMAL would let a power cut leave half of it */
			  "PRAGMA synchronous = FULL;"
			  /* auto_vacuum first: it needs a file that is still empty */
			  "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
			  "PRAGMA foreign_keys = ON;"
			  "PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY",
			  NULL, NULL, &message);
	if (rc == SQLITE_OK && !durability_full)
		rc = sqlite3_exec(db->handle, "PRAGMA synchronous = NORMAL", NULL, NULL, &message);
	/* after journal_mode, which sets its own hook */
	(void)sqlite3_wal_autocheckpoint(db->handle, 0);
	(void)sqlite3_wal_hook(db->handle, on_wal, db);
	if (message)
		(void)snprintf(error_text, sizeof(error_text), "%s", message);
	sqlite3_free(message);
	return rc;
}

/* What people said is not for every user of the machine: SQLite would make it 0644, and gives the
 * WAL the same mode. A file that is there, or can't be made, is SQLite's to judge. */
static void make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0660);

	if (fd >= 0)
		(void)close(fd);
}

/* Root, who prunes or restores, leaves a gate that chatd can open: SQLite does so for its files. */
static int open_gate(const char *path, bool create)
{
	auto_free char *gate = NULL;
	struct stat log, it;
	int fd;

	REQUIRE(asprintf(&gate, "%s-gate", path) > 0);
	fd = open(gate, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0660);
	if (fd < 0)
		return -errno;
	if (geteuid() == 0 && stat(path, &log) == 0 && fstat(fd, &it) == 0 &&
	    (it.st_uid != log.st_uid || it.st_gid != log.st_gid) &&
	    fchown(fd, log.st_uid, log.st_gid) < 0) {
		int why = errno;

		(void)close(fd);
		return -why;
	}
	return fd;
}

static int open_log(const char *path, bool durability_full, bool create, struct db **ret_db,
		    const char **ret_error)
{
	struct db *db = calloc(1, sizeof(*db));
	int r;

	REQUIRE(db);
	*ret_error = error_text;
	db->gate_fd = open_gate(path, create);
	if (db->gate_fd < 0) {
		(void)snprintf(error_text, sizeof(error_text), "%s-gate: %s", path,
			       strerror(-db->gate_fd));
		db_close(db);
		return -1;
	}
	if (db_gate_enter(db) < 0) {
		(void)snprintf(error_text, sizeof(error_text), "%s-gate: held by another process",
			       path);
		db_close(db);
		return -1;
	}
	if (create)
		make_file(path);
	r = sqlite3_open_v2(path, &db->handle,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
				    (create ? SQLITE_OPEN_CREATE : 0),
			    NULL);
	(void)snprintf(error_text, sizeof(error_text), "%s: %s", path,
		       db->handle ? sqlite3_errmsg(db->handle) : "out of memory");
	r = r == SQLITE_OK ? 0 : -1;
	if (r == 0) {
		set_up_handle(db);
		/* before journal_mode, which would change a stranger's file */
		r = migrate_check(db->handle, error_text, sizeof(error_text));
	}
	if (r == 0 && !create && !migrate_is_current(db->handle)) {
		(void)snprintf(error_text, sizeof(error_text), "%s: it isn't the log any more",
			       path);
		r = -1;
	}
	if (r == 0 && db_is_read_only(db)) { /* SQLite's own answer to a file it can't write */
		(void)snprintf(error_text, sizeof(error_text), "%s: it can only be read", path);
		r = -1;
	}
	if (r == 0 && configure(db, durability_full) != SQLITE_OK)
		r = -1;
	if (r == 0)
		r = migrate(db->handle, error_text, sizeof(error_text));
	if (r == 0 && sync_folder_of(path) < 0) {
		(void)snprintf(error_text, sizeof(error_text), "%s: folder can't be synced", path);
		r = -1;
	}
	db_gate_leave(db);
	if (r != 0) {
		db_close(db);
		return r;
	}
	*ret_db = db;
	return 0;
}

int db_open(const char *path, bool durability_full, struct db **ret_db, const char **ret_error)
{
	return open_log(path, durability_full, true, ret_db, ret_error);
}

int db_reopen(const char *path, bool durability_full, struct db **ret_db, const char **ret_error)
{
	return open_log(path, durability_full, false, ret_db, ret_error);
}

struct db *db_open_read_only(const char *path)
{
	struct db *db = calloc(1, sizeof(*db));

	REQUIRE(db);
	db->gate_fd = -1;
	if (sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) !=
	    SQLITE_OK) {
		db_close(db);
		return NULL;
	}
	set_up_handle(db);
	if (!migrate_is_current(db->handle)) {
		db_close(db);
		return NULL;
	}
	return db;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	for (int i = 0; i < SQL_N; i++)
		(void)sqlite3_finalize(db->stmt[i]);
	if (db->handle && sqlite3_close(db->handle) != SQLITE_OK)
		log_error("db.close", "why=\"%s\"", sqlite3_errmsg(db->handle));
	if (db->gate_fd >= 0)
		(void)close(db->gate_fd);
	free(db);
}

bool db_is_read_only(const struct db *db)
{
	return sqlite3_db_readonly(db->handle, "main") == 1;
}

bool db_is_writing(const struct db *db)
{
	return sqlite3_txn_state(db->handle, "main") == SQLITE_TXN_WRITE;
}

sqlite3 *db_handle(struct db *db)
{
	return db->handle;
}

sqlite3_stmt *db_stmt(struct db *db, enum sql which)
{
	sqlite3_stmt *s = db->stmt[which];

	if (!s) {
		if (sqlite3_prepare_v3(db->handle, statements[which].text, -1,
				       SQLITE_PREPARE_PERSISTENT, &s, NULL) != SQLITE_OK)
			return NULL;
		db->stmt[which] = s;
	} else {
		(void)sqlite3_reset(
			s); /* repeats the error of the last step, which was seen then */
		(void)sqlite3_clear_bindings(s);
	}
	return s;
}

unsigned db_flags(enum sql which)
{
	return statements[which].flags;
}

static void on_alarm(int sig)
{
	/* only there to interrupt flock() */
}

/*
 * Waits in the kernel, where waiters queue, but not for ever: whoever holds the gate may have been
 * stopped. The alarm repeats, so one that comes before flock() sleeps does no harm.
 */
static int gate_wait(struct db *db)
{
	struct sigaction ours = {.sa_handler = on_alarm}, before;
	struct itimerval tick = {{0, 50000}, {0, 50000}}, off = {{0, 0}, {0, 0}};
	int64_t until = clock_mono_ms() + LIMIT_GATE_MS;
	int r;

	(void)sigaction(SIGALRM, &ours, &before);
	(void)setitimer(ITIMER_REAL, &tick, NULL);
	do
		r = flock(db->gate_fd, LOCK_EX);
	while (r < 0 && errno == EINTR && clock_mono_ms() < until);
	(void)setitimer(ITIMER_REAL, &off, NULL);
	(void)sigaction(SIGALRM, &before, NULL);
	return r;
}

int db_gate_try(struct db *db)
{
	return flock(db->gate_fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -1;
}

int db_gate_enter(struct db *db)
{
	return db_gate_try(db) == 0 || gate_wait(db) == 0 ? 0 : -1;
}

void db_gate_leave(struct db *db)
{
	REQUIRE(flock(db->gate_fd, LOCK_UN) == 0);
}

int db_wal_pages(const struct db *db)
{
	return db->wal_pages;
}

int db_checkpoint(struct db *db, bool *ret_all)
{
	int frames = -1, copied = -1;
	int rc = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames,
					   &copied);

	if (ret_all)
		*ret_all = rc == SQLITE_OK && frames == copied;
	return rc;
}
