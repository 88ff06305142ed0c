/*
 * test_tickets.c - tickets: good once, for a while, for whom and what they were given.
 */
#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/quota.h"
#include "streamerd/tickets.h"

#define NOW 1000000

static void *memory;
static struct quota *quota;
static struct tickets *tickets;
static char owner[LIMIT_OWNER + 1];

static void setup(void)
{
	memory = mmap(NULL, LIMIT_SHARED_TICKETS, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	quota = quota_new(NULL, 0, 1);
	tickets = tickets_new(memory, quota);
}

static void teardown(void)
{
	tickets_free(tickets);
	quota_free(quota);
	(void)munmap(memory, LIMIT_SHARED_TICKETS);
}

static void issue(struct buf *b, const char *who, const char *session)
{
	buf_clear(b);
	ck_assert(tickets_issue(tickets, str_of(who), str_of(session), NOW, b));
}

static bool redeem(const struct buf *b, const char *session, int64_t now)
{
	return tickets_redeem(tickets, (struct str){b->data, b->len}, str_of(session), now, owner);
}

/* SEC-2 */
START_TEST(a_ticket_is_good_once)
{
	auto_buf struct buf a = BUF_INIT, b = BUF_INIT;

	issue(&a, "ann", "");
	issue(&b, "bob", "");
	ck_assert(redeem(&a, "ses_1", NOW));
	ck_assert_str_eq(owner, "ann");
	ck_assert(!redeem(&a, "ses_1", NOW));
	ck_assert(redeem(&b, "ses_2", NOW));
	ck_assert_str_eq(owner, "bob");
	ck_assert(!redeem(&b, "ses_2", NOW));
}
END_TEST

/* SEC-2, SEC-4: at its end and a moment before. */
START_TEST(a_ticket_ends)
{
	auto_buf struct buf b = BUF_INIT;

	issue(&b, "ann", "");
	ck_assert(!redeem(&b, "", NOW + LIMIT_TICKET_MS));
	ck_assert(redeem(&b, "", NOW + LIMIT_TICKET_MS - 1));
}
END_TEST

/* SEC-2 */
START_TEST(a_ticket_may_be_bound_to_a_session)
{
	auto_buf struct buf b = BUF_INIT;

	issue(&b, "ann", "ses_1");
	ck_assert(!redeem(&b, "ses_2", NOW));
	ck_assert(!redeem(&b, "ses_11", NOW));
	ck_assert(!redeem(&b, "", NOW));
	ck_assert(redeem(&b, "ses_1", NOW));
}
END_TEST

/* SEC-2: nothing of it can be changed, and nothing be read in it. */
START_TEST(a_ticket_is_sealed)
{
	auto_buf struct buf b = BUF_INIT, same = BUF_INIT;

	issue(&b, "ann", "ses_1");
	issue(&same, "ann", "ses_1");
	ck_assert_uint_gt(b.len, 60);
	ck_assert(b.len != same.len || memcmp(b.data, same.data, b.len) != 0);
	for (size_t i = 0; i < b.len; i++) {
		char was = b.data[i];

		ck_assert((was >= 'a' && was <= 'z') || (was >= 'A' && was <= 'Z') ||
			  (was >= '0' && was <= '9') || was == '-' || was == '_');
		b.data[i] = was == 'A' ? 'B' : 'A';
		ck_assert_msg(!redeem(&b, "ses_1", NOW), "byte %zu", i);
		for (int c = 0; c < 256; c++) {
			b.data[i] = (char)c;
			if (b.data[i] != was)
				ck_assert_msg(!redeem(&b, "ses_1", NOW), "byte %zu", i);
		}
		b.data[i] = was;
	}
	for (size_t n = 0; n < b.len; n++)
		ck_assert(!tickets_redeem(tickets, (struct str){b.data, n}, str_of("ses_1"), NOW,
					  owner));
	for (int i = 0; i < 2000; i++)
		buf_addc(&same, 'A');
	ck_assert(!redeem(&same, "ses_1", NOW));
	ck_assert(redeem(&b, "ses_1", NOW));
}
END_TEST

/* SEC-2: as after a restart. */
START_TEST(a_ticket_of_another_service_is_nothing)
{
	auto_buf struct buf b = BUF_INIT;

	issue(&b, "ann", "");
	teardown();
	setup();
	ck_assert(!redeem(&b, "", NOW));
}
END_TEST

/* SEC-2, PRC-6: ROUNDS tickets, each offered by four processes at once: one gets it. */
#define ROUNDS	  300
#define PROCESSES 4

START_TEST(one_process_of_many_takes_a_ticket)
{
	struct buf all[ROUNDS] = {{NULL, 0, 0}};
	int ends[2], total = 0;
	char byte;

	ck_assert_int_eq(pipe(ends), 0);
	for (int i = 0; i < ROUNDS; i++)
		issue(&all[i], "ann", "");
	for (int p = 0; p < PROCESSES; p++) {
		if (fork() > 0)
			continue;
		tickets_free(tickets); /* they only have the memory in common */
		tickets = tickets_new(memory, quota);
		for (int i = 0; i < ROUNDS; i++) {
			if (redeem(&all[i], "", NOW))
				(void)!write(ends[1], "x", 1);
		}
		_exit(0);
	}
	(void)close(ends[1]);
	while (read(ends[0], &byte, 1) == 1)
		total++;
	ck_assert_int_eq(total, ROUNDS);
	while (wait(NULL) > 0)
		;
	(void)close(ends[0]);
	for (int i = 0; i < ROUNDS; i++) {
		ck_assert(!redeem(&all[i], "", NOW)); /* here neither */
		buf_fini(&all[i]);
	}
}
END_TEST

/* SEC-4: at the limit and one past it; others are not concerned, and a while later all is well. */
START_TEST(an_owner_is_given_so_many_in_a_while)
{
	auto_buf struct buf b = BUF_INIT;
	struct str ann = str_of("ann");

	for (int i = 0; i < LIMIT_TICKETS_OWNER; i++)
		issue(&b, "ann", "");
	ck_assert(redeem(&b, "", NOW));
	buf_clear(&b);
	ck_assert(!tickets_issue(tickets, ann, str_of(""), NOW, &b));
	ck_assert_uint_eq(b.len, 0);
	issue(&b, "bob", "");
	ck_assert(tickets_issue(tickets, ann, str_of(""), NOW + LIMIT_TICKET_MS, &b));
}
END_TEST

/* SEC-4, PRC-6: of two processes each gives some; the windows of one that is not asked any more are
 * over for the other as well. */
START_TEST(an_owner_is_given_so_many_by_all_processes_together)
{
	auto_buf struct buf b = BUF_INIT;
	struct str ann = str_of("ann");
	void *counts = mmap(NULL, quota_bytes(2), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct quota *q[2];
	struct tickets *t[2];

	ck_assert_ptr_ne(counts, MAP_FAILED);
	for (unsigned i = 0; i < 2; i++) {
		q[i] = quota_new(counts, i, 2);
		t[i] = tickets_new(memory, q[i]);
	}
	for (int i = 0; i < LIMIT_TICKETS_OWNER; i++)
		ck_assert(tickets_issue(t[i % 2], ann, str_of(""), NOW, &b));
	for (int i = 0; i < 2; i++)
		ck_assert(!tickets_issue(t[i], ann, str_of(""), NOW, &b));
	for (int i = 0; i < LIMIT_TICKETS_OWNER; i++)
		ck_assert(tickets_issue(t[0], ann, str_of(""), NOW + LIMIT_TICKET_MS, &b));
	ck_assert(!tickets_issue(t[1], ann, str_of(""), NOW + LIMIT_TICKET_MS, &b));
	for (int i = 0; i < 2; i++) {
		tickets_free(t[i]);
		quota_free(q[i]);
	}
	(void)munmap(counts, quota_bytes(2));
}
END_TEST

/* SEC-4: one more than can be good at once: the oldest is the one that is not. */
START_TEST(the_oldest_of_too_many_is_dropped)
{
	auto_buf struct buf first = BUF_INIT, second = BUF_INIT, b = BUF_INIT;
	char name[16];

	issue(&first, "ann", "");
	issue(&second, "ann", "");
	for (int i = 0; i < LIMIT_TICKETS - 1; i++) {
		(void)snprintf(name, sizeof(name), "o%d", i / LIMIT_TICKETS_OWNER);
		issue(&b, name, "");
	}
	ck_assert(!redeem(&first, "", NOW));
	ck_assert(redeem(&second, "", NOW));
	ck_assert(redeem(&b, "", NOW));
}
END_TEST

/* SEC-4 */
START_TEST(the_longest_names_fit)
{
	char who[LIMIT_OWNER + 1] = "", session[LIMIT_ID + 1] = "";
	auto_buf struct buf b = BUF_INIT;

	memset(who, 'w', LIMIT_OWNER);
	memset(session, 's', LIMIT_ID);
	issue(&b, who, session);
	ck_assert(redeem(&b, session, NOW));
	ck_assert_str_eq(owner, who);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tickets");
	TCase *t = tcase_create("tickets");
	SRunner *r;
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	suite_add_tcase(s, t);
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_ticket_is_good_once);
	tcase_add_test(t, a_ticket_ends);
	tcase_add_test(t, a_ticket_may_be_bound_to_a_session);
	tcase_add_test(t, a_ticket_is_sealed);
	tcase_add_test(t, a_ticket_of_another_service_is_nothing);
	tcase_add_test(t, one_process_of_many_takes_a_ticket);
	tcase_add_test(t, an_owner_is_given_so_many_in_a_while);
	tcase_add_test(t, an_owner_is_given_so_many_by_all_processes_together);
	tcase_add_test(t, the_oldest_of_too_many_is_dropped);
	tcase_add_test(t, the_longest_names_fit);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
