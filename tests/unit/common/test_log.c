/*
 * test_log.c - one line an event. The lines are read back from stderr.
 */
#include "common/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/common/run_case.h"

static int pipe_fd = -1;

static void setup(void)
{
	int p[2];

	ck_assert_int_eq(pipe2(p, O_NONBLOCK), 0);
	ck_assert_int_eq(dup2(p[1], STDERR_FILENO), STDERR_FILENO);
	(void)close(p[1]);
	pipe_fd = p[0];
}

static const char *logged(void)
{
	static char text[8192];
	ssize_t n = read(pipe_fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* RUN-1: levels as systemd reads them */
START_TEST(a_line_has_level_who_event_and_fields)
{
	log_set_who("worker.3");
	log_warning("disk.slow", "ms=%d", 12);
	ck_assert_str_eq(logged(), "<4>worker.3 disk.slow ms=12\n");
	log_set_who("");
	log_error("x.y", "a=%s", "b");
	ck_assert_str_eq(logged(), "<3>x.y a=b\n");
}
END_TEST

START_TEST(lines_above_the_level_are_not_written)
{
	static const char *const names[] = {"error", "warning", "notice", "info", "debug"};

	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(log_set_level(names[i]), 0);
		for (int l = LOG_LEVEL_ERR; l <= LOG_LEVEL_DEBUG; l++) {
			log_at((enum log_level)l, "e", "n=%d", l);
			ck_assert_int_eq(*logged() != '\0', l <= LOG_LEVEL_ERR + i);
		}
	}
	ck_assert_int_eq(log_set_level("loud"), -1);
	ck_assert_int_eq(log_max, LOG_LEVEL_DEBUG);
}
END_TEST

/* FAF-6: an error's line is one line, whatever is in it */
START_TEST(nothing_breaks_a_line)
{
	log_info("e", "a=%s", "x\ny\r\x1b[31m\x7f");
	ck_assert_str_eq(logged(), "<6>e a=x?y??[31m?\n");
}
END_TEST

START_TEST(a_line_that_is_too_long_is_cut_and_says_so)
{
	char big[3000];
	const char *line;

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	log_info("e", "%s", big);
	line = logged();
	ck_assert_uint_le(strlen(line), 1024);
	ck_assert_str_eq(line + strlen(line) - 5, "x...\n");
}
END_TEST

START_TEST(safe_text_has_no_quotes_or_controls_and_an_end)
{
	char big[200];

	ck_assert_str_eq(log_safe("plain \xc3\xa9"), "plain \xc3\xa9");
	ck_assert_str_eq(log_safe("a\"b\\c\nd\x7f"), "a?b?c?d?");
	ck_assert_str_eq(log_safe(""), "");
	/* SEC-5: neither broken UTF-8 nor what a terminal or a reader could take for something else
	 */
	ck_assert_str_eq(log_safe("\xe2\x82\xac \xf0\x9f\x98\x80"),
			 "\xe2\x82\xac \xf0\x9f\x98\x80");
	ck_assert_str_eq(log_safe("a\xff\xc0\xaf\xe2\x82"), "a?????");
	ck_assert_str_eq(log_safe("\xed\xa0\x80|\xf4\x90\x80\x80|\xf5x|\xe0\x80\xaf"), "?|?|?x|?");
	ck_assert_str_eq(log_safe("\xc2\x85\xc2\x9b"
				  "2J"),
			 "??2J");
	ck_assert_str_eq(log_safe("\xe2\x80\xa8|\xe2\x80\xae|\xef\xbb\xbf|\xe2\x80\x8b"),
			 "?|?|?|?");
	memset(big, 'y', sizeof(big));
	big[120] = '\0';
	ck_assert_str_eq(log_safe(big), big);
	big[120] = 'y';
	big[121] = '\0';
	ck_assert_uint_eq(strlen(log_safe(big)), 123);
	ck_assert_str_eq(log_safe(big) + 120, "...");
	memcpy(big + 119, "\xc3\xa9", 3);
	ck_assert_str_eq(log_safe(big) + 119, "..."); /* no half character */
}
END_TEST

/* SEC-5: what stands without quotes can't look like another field */
START_TEST(a_word_adds_no_field)
{
	log_info("e", "tool=%s ms=1", log_word("x session=ses_other\n<3>y"));
	ck_assert_str_eq(logged(), "<6>e tool=x?session?ses_other?<3>y ms=1\n");
}
END_TEST

START_TEST(four_safe_texts_fit_into_one_line)
{
	log_info("e", "%s %s %s %s", log_safe("a"), log_safe("b"), log_safe("c"), log_safe("d"));
	ck_assert_str_eq(logged(), "<6>e a b c d\n");
}
END_TEST

START_TEST(lines_that_a_peer_causes_are_limited_and_the_first_drop_is_said)
{
	struct log_limit l = {0};
	int allowed = 0;

	for (int i = 0; i < 50; i++)
		allowed += log_allowed(&l, 5);
	/* a window may turn once in the middle of it */
	ck_assert(allowed == 5 || allowed == 10);
	ck_assert_ptr_nonnull(strstr(logged(), "log.limited"));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("log");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, a_line_has_level_who_event_and_fields);
	tcase_add_test(t, lines_above_the_level_are_not_written);
	tcase_add_test(t, nothing_breaks_a_line);
	tcase_add_test(t, a_word_adds_no_field);
	tcase_add_test(t, a_line_that_is_too_long_is_cut_and_says_so);
	tcase_add_test(t, safe_text_has_no_quotes_or_controls_and_an_end);
	tcase_add_test(t, four_safe_texts_fit_into_one_line);
	tcase_add_test(t, lines_that_a_peer_causes_are_limited_and_the_first_drop_is_said);
	return run_case("log", t);
}
