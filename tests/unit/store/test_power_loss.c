/*
 * test_power_loss.c - the power fails: writes that were not synced are lost, or torn, or not.
 *
 * A life of the log (log_life.h) runs on a disk that remembers every operation (disk.h). Then, for
 * cuts before and after every sync, after everything that was told and at random, the files are
 * rebuilt as they could be found after a power cut at that moment: with only what was synced, with
 * everything, with a random choice. Each such image is opened by plain SQLite and must be, in
 * whole, what it was after some commit, none before the last that was told to a viewer or a client.
 *
 * The controls: with durability = normal, on a disk that ignores syncs of the WAL, and on one that
 * ignores syncs of the folder, the same checks must find losses; else they would prove nothing.
 *
 * POWER_LOSS_IMAGES sets how many images are looked at (each control: a tenth), SEED the first of
 * the seeds; a life is recorded anew, with the next seed, as often as it takes.
 *
 * Not here: bytes that no write put there (a sector that dies), and what a disk does that says a
 * sync is done when it is not: nothing could be promised on it.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/store/disk.h"
#include "tests/unit/store/log_life.h"

#define IMAGES	     3000
#define IMAGES_LEAST 500 /* of a control */

static char dir[32], path[64];
static uint64_t first_seed;
static int wanted = IMAGES;

struct tally {
	int lives, ops, images;
	int whole;   /* lives that were looked at on every boundary */
	int lost;    /* images that lack what had been told */
	int corrupt; /* images that are no state after any commit */
	int ahead;   /* images that hold a commit that was not yet told: allowed, and to be seen */
	int most;    /* commits lost in one image */
	int removed; /* events that retention took out meanwhile */
	int lagging; /* commits that left events without entries in the index */
};

static void set_up(void)
{
	strcpy(dir, "/tmp/test_power_loss.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/events.db", dir);
}

static void remove_files(const char *folder)
{
	static const char *const names[] = {"", "-wal", "-journal", "-shm", "-gate"};
	char file[96];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(file, sizeof(file), "%s/events.db%s", folder, names[i]);
		(void)unlink(file); /* not every image has every file */
	}
}

static void tear_down(void)
{
	remove_files(dir);
	ck_assert_int_eq(rmdir(dir), 0);
}

/* One image at the cut where the disk is. Prints a fault if `where` is given. */
static void look(struct tally *t, enum disk_keep keep, int told, struct dice *d, const char *where)
{
	char folder[64], file[80];
	const char *why = "";
	sqlite3 *db = NULL;
	int n = -1;

	(void)snprintf(folder, sizeof(folder), "%s/image", dir);
	(void)snprintf(file, sizeof(file), "%s/events.db", folder);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	disk_write_image(folder, keep, d);
	/* SQLite's own VFS, not the shim */
	if (sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "unix") ==
	    SQLITE_OK)
		n = life_check(db, &why);
	(void)sqlite3_close(db);
	remove_files(folder);
	ck_assert_int_eq(rmdir(folder), 0);
	t->images++;
	t->corrupt += n < 0;
	t->lost += n >= 0 && n < told;
	t->ahead += n > told;
	if (n >= 0 && told - n > t->most)
		t->most = told - n;
	if (where && n < told)
		(void)fprintf(stderr, "%s keep=%d: told %d, found %d: %s\n", where, (int)keep, told,
			      n, why);
}

/*
 * Records a life and looks at its images: three at each boundary, one at about as many random
 * cuts; of fewer cuts, spread over the whole life, if that is more than is still wanted.
 */
static void live_and_cut(struct tally *t, uint64_t seed, bool full, enum disk_lie lie)
{
	bool strict = full && lie == DISK_HONEST;
	struct dice d = {~seed};
	int boundaries = 0, of_1000;

	disk_record(path, lie);
	life_run(path, seed, full);
	ck_assert(disk_is_as_recorded());
	disk_stop();
	remove_files(dir);
	for (int cut = 0; cut <= disk_ops(); cut++)
		boundaries += disk_is_boundary(cut);
	of_1000 = (wanted - t->images) * 1000 / (4 * boundaries) + 1;
	for (int cut = 0; cut <= disk_ops(); cut++) {
		bool boundary = disk_is_boundary(cut);
		char where[80];
		int told;

		if ((!boundary && dice_below(&d, disk_ops()) >= boundaries) ||
		    dice_below(&d, 1000) >= of_1000)
			continue;
		(void)snprintf(where, sizeof(where), "seed %llu, cut %d", (unsigned long long)seed,
			       cut);
		told = disk_cut(cut);
		if (boundary) {
			look(t, DISK_KEEP_SYNCED, told, &d, strict ? where : NULL);
			look(t, DISK_KEEP_ALL, told, &d, strict ? where : NULL);
		}
		look(t, DISK_KEEP_SOME, told, &d, strict ? where : NULL);
	}
	t->lives++;
	t->removed += life_removed_events;
	t->lagging += life_lagging_commits;
	t->whole += of_1000 >= 1000;
	t->ops += disk_ops();
}

static struct tally measure(const char *name, bool full, enum disk_lie lie)
{
	struct tally t = {0};
	int64_t start = clock_mono_ms();

	while (t.images < wanted)
		live_and_cut(&t, first_seed + (uint64_t)t.lives, full, lie);
	(void)fprintf(stderr,
		      "%s: SEED=%llu lives=%d (whole: %d) operations=%d images=%d lost=%d (at most "
		      "%d commits) "
		      "corrupt=%d ahead=%d removed=%d lagging=%d ms=%lld\n",
		      name, (unsigned long long)first_seed, t.lives, t.whole, t.ops, t.images,
		      t.lost, t.most, t.corrupt, t.ahead, t.removed, t.lagging,
		      (long long)(clock_mono_ms() - start));
	return t;
}

/* DUR-1, DUR-2, DUR-3: what was answered or shown is there after any power cut, and nothing by
 * halves. */
START_TEST(with_durability_full_nothing_that_was_told_is_lost_by_a_power_cut)
{
	struct tally t = measure("full", true, DISK_HONEST);

	ck_assert_int_eq(t.lost, 0);
	ck_assert_int_eq(t.corrupt, 0);
	ck_assert_int_gt(t.ahead, 0);
	ck_assert_int_gt(t.removed, 0); /* there were slices of retention to cut */
	ck_assert_int_gt(t.lagging, 0); /* and events without entries in the index */
}
END_TEST

static const struct control {
	const char *name;
	bool full;
	enum disk_lie lie;
	bool may_corrupt;
} controls[] = {
	{"durability = normal", false, DISK_HONEST, false},
	{"syncs of the WAL ignored", true, DISK_IGNORES_WAL_SYNC, true},
	{"syncs of the folder ignored", true, DISK_IGNORES_FOLDER_SYNC, true},
};
#define N_CONTROLS (int)(sizeof(controls) / sizeof(controls[0]))

/* The controls: where something is lost, it is seen. */
START_TEST(the_harness_sees_a_loss_where_there_must_be_one)
{
	const struct control *c = &controls[_i];
	struct tally t;

	wanted = wanted / 10 < IMAGES_LEAST ? IMAGES_LEAST : wanted / 10;
	t = measure(c->name, c->full, c->lie);
	ck_assert_int_gt(t.lost, 0);
	if (!c->may_corrupt)
		ck_assert_int_eq(t.corrupt, 0);
}
END_TEST

/* The recording stands for the real files, so it must see what SQLite and db.c do to them. */
START_TEST(the_recording_is_what_is_on_the_disk)
{
	disk_record(path, DISK_HONEST);
	life_run(path, first_seed, true);
	ck_assert(disk_is_as_recorded());
	/* by db.c at each of three openings, and by SQLite for a new WAL */
	ck_assert_int_ge(disk_folder_syncs(), 4);
	disk_stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("power_loss");
	TCase *tc = tcase_create("power_loss");
	const char *seed = getenv("SEED"), *images = getenv("POWER_LOSS_IMAGES");
	SRunner *sr;
	int failed;

	first_seed = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
	if (images && atoi(images) > 0)
		wanted = atoi(images);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 90 + wanted / 20);
	tcase_add_test(tc, the_recording_is_what_is_on_the_disk);
	tcase_add_test(tc, with_durability_full_nothing_that_was_told_is_lost_by_a_power_cut);
	tcase_add_loop_test(tc, the_harness_sees_a_loss_where_there_must_be_one, 0, N_CONTROLS);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
