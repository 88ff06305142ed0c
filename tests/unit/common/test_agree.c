/*
 * test_agree.c - a secret that processes have in common.
 */
#include "common/agree.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS 64
#define N     4

/* SEC-2, PRC-6: whoever comes first, or in the middle of another's coming */
START_TEST(all_processes_have_the_same_secret)
{
	struct {
		_Atomic uint64_t words[WORDS];
		uint64_t got[N][WORDS];
	} *m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(m, MAP_FAILED);
	for (int i = 0; i < N; i++) {
		if (fork() == 0) {
			agree_on_secret(m->words, WORDS, m->got[i]);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	for (int i = 1; i < N; i++)
		ck_assert_mem_eq(m->got[i], m->got[0], sizeof(m->got[0]));
	for (int i = 0; i < WORDS; i++)
		ck_assert_uint_ne(m->got[0][i], 0);
	memset((void *)m->words, 0, sizeof(m->words));
	agree_on_secret(m->words, WORDS, m->got[1]);
	ck_assert_mem_ne(m->got[1], m->got[0], sizeof(m->got[0]));
	(void)munmap(m, sizeof(*m));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("agree");
	TCase *t = tcase_create("agree");
	SRunner *r;
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	suite_add_tcase(s, t);
	tcase_add_test(t, all_processes_have_the_same_secret);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
