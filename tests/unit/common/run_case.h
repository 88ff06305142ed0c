/*
 * run_case.h - the main() that the tests of common share.
 */
#pragma once

#include <check.h>
#include <stdlib.h>

/* Runs one case; the exit status. Takes over t. */
static inline int run_case(const char *name, TCase *t)
{
	Suite *s = suite_create(name);
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
