/*
 * disk.h - a disk that forgets: what the files of a database may be like after a power cut.
 *
 * disk_record() notes, in order, every write, truncation, creation, deletion and sync of one
 * database, its WAL and its journal, and every sync of its folder. A cut is a number of those
 * operations, from 0 to disk_ops(): the power fails after that many. disk_cut() goes to a cut and
 * disk_write_image() writes the files as they could then be found, as often as one likes.
 *
 * What a sync of a file covers is kept: its data and size. What a sync of the folder covers is
 * kept: which files there are. The rest may be kept or not:
 *	- each write whole, or some of its 512-byte sectors, or not at all; then the file may have
 *	  grown nevertheless, by zeros
 *	- each truncation
 *	- creations and deletions up to any one of them
 * A sector keeps or gets the bytes of a write, never something else: SQLite's own assumption.
 *
 * One recording at a time, one thread. While the program is linked with disk.c, fsync() and
 * fdatasync() do nothing really: what is synced is for the recording to say, and it is faster.
 */
#pragma once

#include <stdbool.h>

#include "tests/unit/store/dice.h"

/* Mutants, to prove that somebody would notice. */
enum disk_lie { DISK_HONEST, DISK_IGNORES_WAL_SYNC, DISK_IGNORES_FOLDER_SYNC };

enum disk_keep {
	DISK_KEEP_SYNCED, /* the least */
	DISK_KEEP_ALL,	  /* the most: as if a process had died */
	DISK_KEEP_SOME,	  /* the dice say */
};

/* path: of the database, which must not exist; its folder must. Forgets the last recording. */
void disk_record(const char *path, enum disk_lie lie);
/* From here on it counts that `n` was told to somebody. n never falls. */
void disk_note_told(int n);
/* Whether the operations, all kept, give what is now really in the files. */
bool disk_is_as_recorded(void);
void disk_stop(void);

int disk_ops(void);
int disk_folder_syncs(void);
/* Whether the cut is right before or after a sync, or right after something was told. */
bool disk_is_boundary(int cut);
/* Cuts must be taken in ascending order. Returns what had been told by then; 0: nothing. */
int disk_cut(int cut);
/* Writes those files that exist into folder, which has none of them: events.db, events.db-wal, … */
void disk_write_image(const char *folder, enum disk_keep keep, struct dice *d);
