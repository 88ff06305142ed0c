/*
 * disk.c - a disk that forgets. See disk.h.
 *
 *	shim VFS ── write, truncate, create, delete, sync of a file ──┐
 *	fsync(), fdatasync() of the folder ───────────────────────────┼──> ops[]
 *	disk_note_told() ─────────────────────────────────────────────┘
 *
 *	disk_cut(c):         kept ─ what ops before c have made safe ─> kept
 *	disk_write_image():  a copy of kept, and of the ops before c that are not safe those that
 *	                     `keep` chooses, in order; then the files
 *
 * Files are known by name (db, WAL, journal) only in the folder; what is written belongs to a node,
 * as on a real disk: a file that was deleted and made anew under its name is another node. The
 * folder maps names to nodes and is synced by itself. SQLite syncs a folder with a call of its own,
 * and so does chatd/store/db.c, which is not seen by a VFS: hence our fsync() and fdatasync(),
 * which take the place of the C library's for the whole program.
 */
#include "tests/unit/store/disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/require.h"
#include "tests/unit/store/shim_vfs.h"

#define SECTOR	  512
#define MAX_NODES 32
#define NONE	  (-1)

enum name { NAME_DB, NAME_WAL, NAME_JOURNAL, NAME_N };
static const char *const suffixes[NAME_N] = {"", "-wal", "-journal"};

enum op_kind { OP_WRITE, OP_TRUNCATE, OP_SYNC, OP_CREATE, OP_DELETE, OP_FOLDER_SYNC, OP_TOLD };

struct op {
	enum op_kind kind;
	enum name name;	     /* OP_CREATE, OP_DELETE */
	int node;	     /* all but OP_DELETE, OP_FOLDER_SYNC, OP_TOLD */
	size_t at, n;	     /* OP_WRITE; OP_TRUNCATE: n is the new size */
	unsigned char *data; /* OP_WRITE: owned */
	int told;	     /* OP_TOLD */
};

struct content {
	unsigned char *data; /* owned */
	size_t size, room;
};

/* What is on a disk, or may be. */
struct disk {
	struct content nodes[MAX_NODES];
	int folder[NAME_N]; /* a node or NONE */
};

static char db_path[128];
static enum disk_lie lie;
static struct op *ops; /* owned */
static int n_ops, room_ops, n_nodes;
static int open_now[NAME_N]; /* the folder as it is while we record */
/* at the cut */
static struct disk kept;
static int cut_at, cut_told;
static int node_synced[MAX_NODES], folder_synced; /* ops below are in `kept` */
static struct disk image;

/* --- recording --- */

static struct op *add_op(enum op_kind kind)
{
	if (n_ops == room_ops) {
		room_ops = room_ops ? 2 * room_ops : 1024;
		ops = realloc(ops, (size_t)room_ops * sizeof(*ops));
		REQUIRE(ops);
	}
	ops[n_ops] = (struct op){.kind = kind, .node = NONE};
	return &ops[n_ops++];
}

static enum name name_of(const char *path)
{
	size_t n = strlen(db_path);

	if (strncmp(path, db_path, n) == 0) {
		for (int i = 0; i < NAME_N; i++) {
			if (strcmp(path + n, suffixes[i]) == 0)
				return (enum name)i;
		}
	}
	return NAME_N;
}

static void record_node_op(const struct shim_io *io, enum op_kind kind, enum name name)
{
	struct op *op;

	if (kind == OP_SYNC && name == NAME_WAL && lie == DISK_IGNORES_WAL_SYNC)
		return;
	REQUIRE(open_now[name] != NONE);
	op = add_op(kind);
	op->node = open_now[name];
	if (kind == OP_TRUNCATE)
		op->n = (size_t)io->at;
	if (kind != OP_WRITE)
		return;
	op->at = (size_t)io->at;
	op->n = (size_t)io->n;
	op->data = malloc(op->n);
	REQUIRE(op->data);
	memcpy(op->data, io->data, op->n);
}

static void record_folder_op(enum op_kind kind, enum name name)
{
	struct op *op;

	if (kind == OP_DELETE && open_now[name] == NONE)
		return; /* SQLite deletes to be sure */
	op = add_op(kind);
	op->name = name;
	REQUIRE(n_nodes < MAX_NODES);
	op->node = open_now[name] = kind == OP_CREATE ? n_nodes++ : NONE;
}

static void record(const struct shim_io *io)
{
	enum name name = name_of(io->path);

	if (name == NAME_N)
		return; /* temporary files */
	switch (io->op) {
	case SHIM_WRITE:
		record_node_op(io, OP_WRITE, name);
		break;
	case SHIM_TRUNCATE:
		record_node_op(io, OP_TRUNCATE, name);
		break;
	case SHIM_SYNC:
		record_node_op(io, OP_SYNC, name);
		break;
	case SHIM_CREATE:
		record_folder_op(OP_CREATE, name);
		break;
	case SHIM_DELETE:
		record_folder_op(OP_DELETE, name);
		break;
	case SHIM_UNFETCH:
		break;
	}
}

static bool is_our_folder(int fd)
{
	struct stat a, b;
	char folder[sizeof(db_path)];

	(void)snprintf(folder, sizeof(folder), "%s", db_path);
	*strrchr(folder, '/') = '\0';
	return fstat(fd, &a) == 0 && S_ISDIR(a.st_mode) && stat(folder, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int fsync(int fd)
{
	if (db_path[0] && is_our_folder(fd) && lie != DISK_IGNORES_FOLDER_SYNC)
		(void)add_op(OP_FOLDER_SYNC);
	return 0;
}

int fdatasync(int fd)
{
	return fsync(fd);
}

static void forget(void)
{
	for (int i = 0; i < n_ops; i++)
		free(ops[i].data);
	free(ops);
	ops = NULL;
	n_ops = room_ops = n_nodes = 0;
	for (int i = 0; i < MAX_NODES; i++) {
		kept.nodes[i].size = 0;
		node_synced[i] = 0;
	}
	for (int i = 0; i < NAME_N; i++)
		open_now[i] = kept.folder[i] = NONE;
	cut_at = cut_told = folder_synced = 0;
}

void disk_record(const char *path, enum disk_lie which)
{
	forget();
	REQUIRE(strlen(path) < sizeof(db_path) && strchr(path, '/'));
	strcpy(db_path, path);
	lie = which;
	shim_install();
	shim_set_recorder(record);
}

void disk_note_told(int n)
{
	if (n_ops == 0 || ops[n_ops - 1].kind != OP_TOLD)
		(void)add_op(OP_TOLD);
	ops[n_ops - 1].told = n;
}

void disk_stop(void)
{
	shim_set_recorder(NULL);
	db_path[0] = '\0';
}

/* --- what is on the disk --- */

static void resize(struct content *c, size_t size)
{
	if (size > c->room) {
		c->room = 2 * size;
		c->data = realloc(c->data, c->room);
		REQUIRE(c->data);
	}
	if (size > c->size)
		memset(c->data + c->size, 0, size - c->size);
	c->size = size;
}

static void grow(struct content *c, size_t size)
{
	if (size > c->size)
		resize(c, size);
}

static void apply(struct disk *d, const struct op *op)
{
	struct content *c = op->node == NONE ? NULL : &d->nodes[op->node];

	switch (op->kind) {
	case OP_WRITE:
		grow(c, op->at + op->n);
		memcpy(c->data + op->at, op->data, op->n);
		break;
	case OP_TRUNCATE:
		resize(c, op->n);
		break;
	case OP_CREATE:
	case OP_DELETE:
		d->folder[op->name] = op->node;
		break;
	case OP_SYNC:
	case OP_FOLDER_SYNC:
	case OP_TOLD:
		break;
	}
}

static bool is_of_folder(const struct op *op)
{
	return op->kind == OP_CREATE || op->kind == OP_DELETE;
}

/* Whether ops[i] changes something of which no sync before the cut speaks. */
static bool is_unsafe(int i)
{
	const struct op *op = &ops[i];

	if (is_of_folder(op))
		return i >= folder_synced;
	return (op->kind == OP_WRITE || op->kind == OP_TRUNCATE) && i >= node_synced[op->node];
}

static int first_unsafe(void)
{
	int first = folder_synced;

	for (int i = 0; i < n_nodes; i++) {
		if (node_synced[i] < first)
			first = node_synced[i];
	}
	return first;
}

int disk_cut(int cut)
{
	REQUIRE(cut >= cut_at && cut <= n_ops);
	for (; cut_at < cut; cut_at++) {
		const struct op *sync = &ops[cut_at];
		bool folder = sync->kind == OP_FOLDER_SYNC;

		if (sync->kind == OP_TOLD)
			cut_told = sync->told;
		if (sync->kind != OP_SYNC && !folder)
			continue;
		for (int i = folder ? folder_synced : node_synced[sync->node]; i < cut_at; i++) {
			if (is_of_folder(&ops[i]) == folder && is_unsafe(i) &&
			    (folder || ops[i].node == sync->node))
				apply(&kept, &ops[i]);
		}
		if (folder)
			folder_synced = cut_at;
		else
			node_synced[sync->node] = cut_at;
	}
	return cut_told;
}

static void tear(struct disk *d, const struct op *op, struct dice *dice)
{
	size_t end = op->at + op->n;

	for (size_t from = op->at; from < end;) {
		size_t to = (from / SECTOR + 1) * SECTOR;
		struct op part = *op;

		if (to > end)
			to = end;
		part.data = op->data + (from - op->at);
		part.at = from;
		part.n = to - from;
		if (dice_is(dice, 50))
			apply(d, &part);
		from = to;
	}
}

static void apply_some(struct disk *d, const struct op *op, int percent, struct dice *dice)
{
	if (dice_is(dice, percent))
		apply(d, op);
	else if (op->kind == OP_WRITE && dice_is(dice, 50))
		tear(d, op, dice);
	else if (op->kind == OP_WRITE && dice_is(dice, 25))
		grow(&d->nodes[op->node], op->at + op->n);
}

/* The files at the cut, in `image`. */
static void imagine(enum disk_keep keep, struct dice *dice)
{
	static const int chances[] = {0, 10, 50, 90, 100};
	int percent[MAX_NODES]; /* a kernel may have written back much of one file, none of another
				 */
	int folder_until = dice_is(dice, 50) ? cut_at : dice_below(dice, cut_at + 1);

	for (int i = 0; i < n_nodes; i++) {
		image.nodes[i].size = 0;
		if (kept.nodes[i].size > 0) {
			grow(&image.nodes[i], kept.nodes[i].size);
			memcpy(image.nodes[i].data, kept.nodes[i].data, kept.nodes[i].size);
		}
		percent[i] = chances[dice_below(dice, 5)];
	}
	memcpy(image.folder, kept.folder, sizeof(image.folder));
	if (keep == DISK_KEEP_SYNCED)
		return;
	for (int i = first_unsafe(); i < cut_at; i++) {
		if (!is_unsafe(i))
			continue;
		if (keep == DISK_KEEP_ALL)
			apply(&image, &ops[i]);
		else if (!is_of_folder(&ops[i]))
			apply_some(&image, &ops[i], percent[ops[i].node], dice);
		else if (i < folder_until)
			apply(&image, &ops[i]);
	}
}

void disk_write_image(const char *folder, enum disk_keep keep, struct dice *d)
{
	imagine(keep, d);
	for (int i = 0; i < NAME_N; i++) {
		const struct content *c;
		char path[sizeof(db_path) + 32];
		int fd;

		if (image.folder[i] == NONE)
			continue;
		c = &image.nodes[image.folder[i]];
		(void)snprintf(path, sizeof(path), "%s/events.db%s", folder, suffixes[i]);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		REQUIRE(fd >= 0);
		REQUIRE(c->size == 0 || write(fd, c->data, c->size) == (ssize_t)c->size);
		(void)close(fd);
	}
}

static bool same_file(const char *path, const struct content *c)
{
	FILE *f = fopen(path, "re");
	unsigned char *data = malloc(c->size + 1);
	bool same;

	REQUIRE(data);
	same = f && fread(data, 1, c->size + 1, f) == c->size &&
	       (c->size == 0 || memcmp(data, c->data, c->size) == 0);
	free(data);
	if (f)
		(void)fclose(f);
	return same;
}

bool disk_is_as_recorded(void)
{
	struct disk all = {.folder = {NONE, NONE, NONE}};
	bool same = true;

	for (int i = 0; i < n_ops; i++)
		apply(&all, &ops[i]);
	for (int i = 0; i < NAME_N; i++) {
		char path[sizeof(db_path) + 32];

		(void)snprintf(path, sizeof(path), "%s%s", db_path, suffixes[i]);
		if (all.folder[i] == NONE)
			same = same && access(path, F_OK) < 0;
		else
			same = same && same_file(path, &all.nodes[all.folder[i]]);
	}
	for (int i = 0; i < MAX_NODES; i++)
		free(all.nodes[i].data);
	return same;
}

int disk_ops(void)
{
	return n_ops;
}

int disk_folder_syncs(void)
{
	int n = 0;

	for (int i = 0; i < n_ops; i++)
		n += ops[i].kind == OP_FOLDER_SYNC;
	return n;
}

static bool is_sync(int i)
{
	return i >= 0 && i < n_ops && (ops[i].kind == OP_SYNC || ops[i].kind == OP_FOLDER_SYNC);
}

bool disk_is_boundary(int cut)
{
	return is_sync(cut) || is_sync(cut - 1) || (cut > 0 && ops[cut - 1].kind == OP_TOLD);
}
