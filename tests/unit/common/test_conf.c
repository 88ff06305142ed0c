/*
 * test_conf.c - INI files, read strictly. Each test writes a small file and reads it.
 */
#include "common/conf.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/limits.h"
#include "tests/unit/common/run_case.h"

struct thing {
	char *name;
	char *value;
};

struct opts {
	char *path;
	bool flag;
	int count;
	int64_t time, size;
	struct thing things[4];
	size_t n_things;
};

static char path[] = "/tmp/test_conf.XXXXXX";
static struct opts o;
static struct conf_error e;

static void *named(void *base, const char *kind, const char *name, const char **why)
{
	struct opts *opts = base;

	ck_assert_str_eq(kind, "thing");
	for (size_t i = 0; i < opts->n_things; i++) {
		if (strcmp(opts->things[i].name, name) == 0)
			return &opts->things[i];
	}
	if (strcmp(name, "bad") == 0) {
		*why = "not that one";
		return NULL;
	}
	opts->things[opts->n_things].name = strdup(name);
	return &opts->things[opts->n_things++];
}

static const struct conf_key keys[] = {
	{"log", "path", conf_string, offsetof(struct opts, path)},
	{"log", "flag", conf_bool, offsetof(struct opts, flag)},
	{"more", "count", conf_count, offsetof(struct opts, count)},
	{"more", "time", conf_seconds, offsetof(struct opts, time)},
	{"more", "size", conf_bytes, offsetof(struct opts, size)},
	{"thing *", "value", conf_string, offsetof(struct thing, value)},
};
static const struct conf_schema schema = {keys, sizeof(keys) / sizeof(*keys), named};

static void setup(void)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	(void)close(fd);
}

static void teardown(void)
{
	(void)unlink(path);
	free(o.path);
	for (size_t i = 0; i < o.n_things; i++) {
		free(o.things[i].name);
		free(o.things[i].value);
	}
	o = (struct opts){0};
}

static int load_bytes(const char *text, size_t n)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, n, f), n);
	ck_assert_int_eq(fclose(f), 0);
	e.text[0] = '\0';
	return conf_load(path, &schema, &o, &e);
}

static int load(const char *text)
{
	return load_bytes(text, strlen(text));
}

/* RUN-2 */
START_TEST(a_good_file_sets_its_fields_and_leaves_the_others)
{
	o.count = 77;
	ck_assert_msg(load("\xef\xbb\xbf# comment\n; comment\n\n[log]\r\npath = /a b/c.db ; "
			   "why\nflag=yes\n"
			   "  [more]  # indented\n\ttime: 1.5\n[thing one]\nvalue = x=y\n[thing "
			   "two]\n") == 0,
		      "%s", e.text);
	ck_assert_str_eq(o.path, "/a b/c.db");
	ck_assert(o.flag);
	ck_assert_int_eq(o.count, 77);
	ck_assert_int_eq(o.time, 1500);
	ck_assert_uint_eq(o.n_things, 2); /* a section without keys counts */
	ck_assert_str_eq(o.things[0].value, "x=y");
	ck_assert_ptr_null(o.things[1].value);
}
END_TEST

START_TEST(an_empty_file_is_fine)
{
	ck_assert_int_eq(load(""), 0);
	ck_assert_int_eq(load("\n\n# only this"), 0);
}
END_TEST

START_TEST(an_indented_line_is_a_key_of_its_own)
{
	ck_assert_int_eq(load("[log]\nflag = no\n   path = /x\n"), 0);
	ck_assert_str_eq(o.path, "/x");
	ck_assert(!o.flag);
}
END_TEST

/* RUN-1, RUN-2: one line that names file, line and key */
static const struct {
	const char *text;
	const char *error; /* behind "FILE:" */
} bad[] = {
	{"[log]\npath = x\nnope = 1\n", "3: [log] nope: unknown key"},
	{"[log]\npath = x\n[nope]\n", "3: [nope]: unknown section"},
	{"\n\n[nope]\nkey = 1\n", "3: [nope]: unknown section"},
	{"[more]\ncount = x\n", "2: [more] count: must be a whole number that is not negative"},
	{"[log]\nflag = maybe\n", "2: [log] flag: must be yes or no"},
	{"[log]\nPath = x\n", "2: [log] Path: unknown key"},
	{"path = x\n", "1: [] path: stands before any section"},
	{"[log]\npath = a\n[log]\n", "3: [log]: stands twice"},
	{"[log]\npath = a\nflag = no\npath = b\n", "4: [log] path: stands twice"},
	{"[thing a]\n[thing a]\n", "2: [thing a]: stands twice"},
	{"[thing bad]\n", "1: [thing bad]: not that one"},
	{"[thing]\n", "1: [thing]: unknown section"},
	{"[thing ]\n", "1: [thing ]: unknown section"},
	{"[log]\njust words\n", "2: not a section, a key or a comment"},
	{"[log\npath = x\n", "1: not a section such as [log] or [provider local]"},
	{"[]\n", "1: not a section such as [log] or [provider local]"},
	{"[log] path = x\n", "1: a section's name stands on a line of its own"},
	{"[thing 0123456789012345678901234567890123456789012]\n",
	 "1: not a section such as [log] or [provider local]"},
	{"[thing a;b]\n", "1: not a section such as [log] or [provider local]"},
};

START_TEST(what_is_wrong_is_named_by_file_line_and_key)
{
	char want[600];

	ck_assert_int_eq(load(bad[_i].text), -1);
	(void)snprintf(want, sizeof(want), "%s:%s", path, bad[_i].error);
	ck_assert_str_eq(e.text, want);
}
END_TEST

START_TEST(a_missing_file_and_a_folder_are_errors_with_their_name)
{
	ck_assert_int_eq(conf_load("/nowhere/x.conf", &schema, &o, &e), -1);
	ck_assert_str_eq(e.text, "/nowhere/x.conf: No such file or directory");
	ck_assert_int_eq(conf_load("/tmp", &schema, &o, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "/tmp"));
}
END_TEST

START_TEST(a_line_is_read_up_to_the_limit_and_refused_one_past_it)
{
	static const char head[] = "[log]\n";
	char text[sizeof(head) + LIMIT_CONF_LINE + 16];
	/* the reader's buffer holds the line with its line end and a NUL */
	const size_t longest = LIMIT_CONF_LINE - 2;

	for (size_t more = 0; more < 2; more++) {
		size_t n = sizeof(head) - 1;

		memcpy(text, head, n);
		memset(text + n, 'x', longest + more);
		memcpy(text + n, "path = ", 7);
		n += longest + more;
		text[n++] = '\n';
		ck_assert_int_eq(load_bytes(text, n), more ? -1 : 0);
		if (!more)
			ck_assert_uint_eq(strlen(o.path), longest - 7);
		else
			ck_assert_ptr_nonnull(strstr(e.text, ":2: line too long"));
	}
}
END_TEST

START_TEST(a_nul_byte_is_refused)
{
	ck_assert_int_eq(load_bytes("[log]\npath = a\0b\n", 17), -1);
	ck_assert_ptr_nonnull(strstr(e.text, ":2: "));
}
END_TEST

START_TEST(a_last_line_without_an_end_counts)
{
	ck_assert_int_eq(load("[log]\npath = x"), 0);
	ck_assert_str_eq(o.path, "x");
	ck_assert_int_eq(load("[log]\nnope = x"), -1);
	ck_assert_ptr_nonnull(strstr(e.text, ":2: "));
}
END_TEST

START_TEST(a_complaint_after_loading_finds_the_line)
{
	static const struct {
		const char *section, *key, *want;
	} t[] = {{"log", "path", ":3: [log] path: why"},
		 {"log", "flag", ":2: [log] flag: why"},
		 {"more", "count", ": [more] count: why"}};

	ck_assert_int_eq(load("\n[log]\npath = x\n"), 0);
	for (size_t i = 0; i < 3; i++) {
		char want[600];

		(void)snprintf(want, sizeof(want), "%s%s", path, t[i].want);
		conf_complain(&e, path, t[i].section, t[i].key, "why");
		ck_assert_str_eq(e.text, want);
	}
}
END_TEST

static const struct {
	const char *text;
	int64_t want; /* -1: refused */
} seconds[] = {{"0", 0},	{"30", 30000},	   {"0.5", 500},
	       {"250ms", 250},	{"250 ms", 250},   {"5m", 300000},
	       {"1h", 3600000}, {"7d", 604800000}, {"2s", 2000},
	       {"", -1},	{"-1", -1},	   {"+1", -1},
	       {"1x", -1},	{"0x10", -1},	   {"1e3", -1},
	       {"1..2", -1},	{"nan", -1},	   {"inf", -1},
	       {".5", -1},	{"1 2", -1},	   {"99999999999999d", -1}};

START_TEST(times_have_units)
{
	int64_t v = -1;
	const char *why = conf_seconds(seconds[_i].text, &v);

	ck_assert_msg((why == NULL) == (seconds[_i].want >= 0), "%s", seconds[_i].text);
	ck_assert_int_eq(v, seconds[_i].want);
}
END_TEST

static const struct {
	const char *text;
	int64_t want;
} bytes[] = {{"0", 0},	     {"4096", 4096}, {"64K", 65536}, {"8M", 8388608}, {"2G", 2147483648},
	     {"1.5K", 1536}, {"64k", -1},    {"8MB", -1},    {"", -1},	      {"-1", -1}};

START_TEST(sizes_have_units)
{
	int64_t v = -1;
	const char *why = conf_bytes(bytes[_i].text, &v);

	ck_assert_msg((why == NULL) == (bytes[_i].want >= 0), "%s", bytes[_i].text);
	ck_assert_int_eq(v, bytes[_i].want);
}
END_TEST

START_TEST(numbers_are_whole_and_not_negative)
{
	static const char *const no[] = {
		"",   "-1", "+1", "1.5", "x", "1x", " 1", "1000000001", "99999999999999999999",
		"0x1"};
	int v = -1;

	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
		ck_assert_msg(conf_count(no[i], &v) != NULL, "%s", no[i]);
	ck_assert_int_eq(v, -1);
	ck_assert_ptr_null(conf_count("0", &v));
	ck_assert_int_eq(v, 0);
	ck_assert_ptr_null(conf_count("1000000000", &v));
	ck_assert_int_eq(v, 1000000000);
}
END_TEST

#define N(a) (sizeof(a) / sizeof(*(a)))

int main(void)
{
	TCase *t = tcase_create("conf");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_good_file_sets_its_fields_and_leaves_the_others);
	tcase_add_test(t, an_empty_file_is_fine);
	tcase_add_test(t, an_indented_line_is_a_key_of_its_own);
	tcase_add_loop_test(t, what_is_wrong_is_named_by_file_line_and_key, 0, N(bad));
	tcase_add_test(t, a_missing_file_and_a_folder_are_errors_with_their_name);
	tcase_add_test(t, a_line_is_read_up_to_the_limit_and_refused_one_past_it);
	tcase_add_test(t, a_nul_byte_is_refused);
	tcase_add_test(t, a_last_line_without_an_end_counts);
	tcase_add_test(t, a_complaint_after_loading_finds_the_line);
	tcase_add_loop_test(t, times_have_units, 0, N(seconds));
	tcase_add_loop_test(t, sizes_have_units, 0, N(bytes));
	tcase_add_test(t, numbers_are_whole_and_not_negative);
	return run_case("conf", t);
}
