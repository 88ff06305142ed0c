/*
 * run_cases.h - what the tests of the provider room share: main()'s work, and reading files.
 */
#pragma once

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"

/* Runs one case with a time limit in seconds; the exit status. Takes over t. */
static inline int run_cases(const char *name, TCase *t, double limit)
{
	Suite *s = suite_create(name);
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, limit);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The folder with the recorded streams. */
static inline const char *golden_dir(void)
{
	const char *dir = getenv("GOLDEN_PROVIDERS");

	ck_assert_msg(dir, "GOLDEN_PROVIDERS is not set");
	return dir;
}

/* Reads a file as a whole. */
static inline void read_file(struct buf *out, const char *path)
{
	FILE *f = fopen(path, "rb");
	char piece[16384];
	size_t n;

	ck_assert_msg(f, "%s can't be opened", path);
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_add(out, piece, n);
	ck_assert(!ferror(f));
	(void)fclose(f);
}
