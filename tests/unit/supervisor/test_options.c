/*
 * test_options.c - chatd.conf, read and checked as a whole.
 */
#include "chatd/options.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/log.h"

static char dir[] = "/tmp/test_options.XXXXXX";
static char path[64], key_path[64];
static struct conf_error e;

static void put(const char *file, const char *text)
{
	FILE *f = fopen(file, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static struct options *load(const char *text)
{
	put(path, text);
	e.text[0] = '\0';
	return options_load(path, &e);
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/c", dir);
	(void)snprintf(key_path, sizeof(key_path), "%s/key", dir);
}

static void teardown(void)
{
	(void)unlink(path);
	(void)unlink(key_path);
	(void)rmdir(dir);
}

/* RUN-2 */
START_TEST(a_whole_config_is_read)
{
	char text[2048];
	struct options *o;

	put(key_path, "sk-secret\n");
	(void)snprintf(
		text, sizeof(text),
		"[general]\nlog_level = debug\n"
		"[log]\npath = /var/lib/chatd/events.db\ndurability = normal\n"
		"[bus]\ndir = /run/x\nuser = root\n"
		"[workers]\ncount = 3\ndrain_timeout = 30\nmax_turns = 7\non_crash = interrupt\n"
		"[defaults]\nprovider = local\nmodel = m2\nsystem = be brief\n"
		"[provider demo]\ntype = demo\nrate = 5\n"
		"[provider local]\ntype = openai\nbase_url = http://127.0.0.1:8081/v1\nmodel = "
		"qwen3\n"
		"models = qwen3, m2\napi_key_file = %s\nmax_retries = 0\nidle_timeout = 5\n"
		"[tools fs]\ncommand = npx -y server /srv\npermission = ask\nread_only = allow\n"
		"allow_tools = a, b\nask_tools = c\ndeny_tools = d\ntimeout = 5m\n"
		"env = HOME A='b c'\ncwd = /srv\n"
		"[tools x]\ncommand = y\npermission = deny\n",
		key_path);
	o = load(text);
	ck_assert_msg(o != NULL, "%s", e.text);
	ck_assert_str_eq(o->log_level, "debug");
	ck_assert_int_eq(log_max, LOG_LEVEL_INFO); /* to load is not to apply */
	ck_assert_str_eq(o->log_path, "/var/lib/chatd/events.db");
	ck_assert(!o->durability_full);
	ck_assert_str_eq(o->bus_dir, "/run/x");
	ck_assert_str_eq(o->bus_user, "root");
	ck_assert_int_eq(o->workers, 3);
	ck_assert_int_eq(o->drain_ms, 30000);
	ck_assert_int_eq(o->max_turns, 7);
	ck_assert_int_eq(o->on_crash, ON_CRASH_INTERRUPT);
	ck_assert_str_eq(o->model, "m2");
	ck_assert_str_eq(o->system, "be brief");
	ck_assert_uint_eq(o->n_providers, 2);
	ck_assert_int_eq(o->providers[0]->rate, 5);
	ck_assert_str_eq(o->providers[1]->api_key, "sk-secret");
	ck_assert_int_eq(o->providers[1]->max_retries, 0);
	ck_assert_int_eq(o->providers[1]->idle_ms, 5000);
	ck_assert_ptr_eq(options_provider(o, ""), o->providers[1]);
	ck_assert_ptr_eq(options_provider(o, NULL), o->providers[1]);
	ck_assert_ptr_eq(options_provider(o, "demo"), o->providers[0]);
	ck_assert_ptr_null(options_provider(o, "nope"));
	ck_assert_uint_eq(o->n_tools, 2);
	ck_assert_str_eq(o->tools[0]->words[3], "/srv");
	ck_assert_int_eq(o->tools[0]->permission, TOOL_ASK);
	ck_assert_int_eq(o->tools[0]->read_only, TOOL_ALLOW);
	ck_assert_str_eq(o->tools[0]->allow_tools, "a, b");
	ck_assert_str_eq(o->tools[0]->ask_tools, "c");
	ck_assert_str_eq(o->tools[0]->deny_tools, "d");
	ck_assert_int_eq(o->tools[0]->timeout_ms, 300000);
	ck_assert_str_eq(o->tools[0]->env_words[1], "A=b c");
	ck_assert_str_eq(o->tools[0]->cwd, "/srv");
	ck_assert_int_eq(o->tools[1]->read_only, TOOL_DENY); /* follows permission */
	ck_assert_int_eq(o->tools[1]->timeout_ms, LIMIT_TOOL_CALL_MS);
	options_free(o);
}
END_TEST

/* RUN-2: the keys that others rely on, with their comments; but the key file has to be there */
START_TEST(the_known_config_is_read)
{
	char text[2048];
	struct options *o;

	put(key_path, "sk-secret\n");
	(void)snprintf(
		text, sizeof(text),
		"[log]\n"
		"path = /var/lib/chatd/events.db\n"
		"durability = full\n"
		"[bus]\n"
		"dir = /run/chatd\n"
		"[workers]\n"
		"count = auto\n"
		"drain_timeout = 30\n"
		"[defaults]\n"
		"provider = demo\n"
		"[provider demo]\n"
		"type = demo\n"
		"[provider local]\n"
		"type = openai\n"
		"base_url = http://127.0.0.1:8081/v1\n"
		"model = qwen3\n"
		"api_key_file = %s\n"
		"[tools fs]\n"
		"command = npx -y @modelcontextprotocol/server-filesystem /srv/docs\n"
		"permission = ask\n"
		"read_only = allow       ; TOL-2: what says it only reads needs no question\n",
		key_path);
	o = load(text);
	ck_assert_msg(o != NULL, "%s", e.text);
	ck_assert_str_eq(o->log_path, "/var/lib/chatd/events.db");
	ck_assert(o->durability_full);
	ck_assert_str_eq(o->bus_dir, "/run/chatd");
	ck_assert_int_ge(o->workers, 1);
	ck_assert_int_eq(o->drain_ms, 30000);
	ck_assert_str_eq(options_provider(o, NULL)->name, "demo");
	ck_assert_str_eq(options_provider(o, "local")->base_url, "http://127.0.0.1:8081/v1");
	ck_assert_str_eq(options_provider(o, "local")->model, "qwen3");
	ck_assert_str_eq(options_provider(o, "local")->api_key, "sk-secret");
	ck_assert_uint_eq(o->n_tools, 1);
	ck_assert_str_eq(o->tools[0]->words[2], "@modelcontextprotocol/server-filesystem");
	ck_assert_int_eq(o->tools[0]->permission, TOOL_ASK);
	ck_assert_int_eq(o->tools[0]->read_only, TOOL_ALLOW);
	options_free(o);
}
END_TEST

START_TEST(the_example_config_is_fine)
{
	char text[8192] = "";
	struct options *o;
	char *group;
	FILE *f;

	ck_assert_ptr_nonnull(getenv("EXAMPLE_CONF"));
	f = fopen(getenv("EXAMPLE_CONF"), "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_gt(fread(text, 1, sizeof(text) - 1, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	group = strstr(text, "group = chatd\n"); /* there is none here */
	ck_assert_ptr_nonnull(group);
	memcpy(group, "group = root \n", strlen("group = root \n"));
	o = load(text);
	ck_assert_msg(o != NULL, "%s", e.text);
	options_free(o);
}
END_TEST

#define LEAST "[log]\npath = x.db\n[provider demo]\ntype = demo\n"

START_TEST(the_least_config_gets_safe_defaults)
{
	struct options *o = load(LEAST);

	ck_assert_msg(o != NULL, "%s", e.text);
	ck_assert(o->durability_full);
	ck_assert_str_eq(o->bus_dir, "/run/chatd");
	ck_assert_int_ge(o->workers, 1);
	ck_assert_int_le(o->workers, 4);
	ck_assert_int_eq(o->drain_ms, 30000);
	ck_assert_int_eq(o->max_turns, LIMIT_TURNS);
	ck_assert_int_eq(o->on_crash, ON_CRASH_RESUME);
	ck_assert_str_eq(o->provider, "demo"); /* the only one */
	ck_assert_ptr_null(o->bus_user);
	options_free(o);
}
END_TEST

/* TOL-1: in the folders above what is hidden a tool can make no file (test_box.c) */
static const struct {
	const char *text;
	size_t n_hidden;
	bool open;
} reach[] = {
	{"[log]\npath = /var/lib/chatd/events.db\n", 2, false},
	{"[log]\npath = /home/anna/chat/events.db\n", 1, true}, /* the bus is in /run */
	{"[log]\npath = /var/lib/chatd/events.db\n[bus]\ndir = /tmp/bus\n", 1, true},
	{"[log]\npath = /var/lib/chatd/events.db\n[bus]\ndir = /var/run/chatd\n", 2, false},
	{"[log]\npath = /tmp/x/events.db\n[bus]\ndir = /tmp/x/bus\n[tools fs]\nconfine = yes\n", 2,
	 false},
	{"[log]\npath = /tmp/x/events.db\n[tools fs]\nconfine = auto\n", 1, true},
	{"[log]\npath = /tmp/x/events.db\n[tools fs]\nconfine = no\n", 1, false},
};

START_TEST(a_log_where_people_keep_files_is_hidden_only_if_asked_for)
{
	char text[512];
	struct options *o;
	size_t n = 0;

	(void)snprintf(text, sizeof(text), "%s%scommand = x\n[provider demo]\ntype = demo\n",
		       reach[_i].text, strstr(reach[_i].text, "[tools") ? "" : "[tools fs]\n");
	o = load(text);
	ck_assert_msg(o != NULL, "%s", e.text);
	while (o->tools[0]->hidden[n])
		n++;
	ck_assert_uint_eq(n, reach[_i].n_hidden);
	ck_assert(o->tools[0]->open == reach[_i].open);
	options_free(o);
}
END_TEST

#define DIR_80	 "/run/678901234567890123456789012345678901234567890123456789012345678901234567890"
#define PROVIDER "[provider demo]\ntype = demo\n"

/* RUN-1, RUN-2, PRV-6: one line with file, line and key */
static const struct {
	const char *text;
	const char *error; /* behind the file's name */
} bad[] = {
	{"", ": [log] path: is missing: where the event log is kept"},
	{"\n[log]\ndurability = full\n" PROVIDER,
	 ":2: [log] path: is missing: where the event log is kept"},
	{"[log]\npath =\n" PROVIDER, ":2: [log] path: must not be empty"},
	{"[log]\npath = x\n",
	 ": [defaults] provider: there is no [provider NAME] section; one is needed"},
	{LEAST "[defaults]\nprovider = nope\n",
	 ":6: [defaults] provider: there is no provider of that name"},
	{LEAST "[provider b]\ntype = demo\n",
	 ": [defaults] provider: is missing: there are several providers, which is the default?"},
	{LEAST "[log]\n", ":5: [log]: stands twice"},
	{LEAST "[workers]\ncount = 0\n",
	 ":6: [workers] count: must be auto or a number from 1 to 64"},
	{LEAST "[workers]\ncount = 65\n",
	 ":6: [workers] count: must be auto or a number from 1 to 64"},
	{LEAST "[workers]\nmax_turns = 0\n",
	 ":6: [workers] max_turns: must be a whole number of at least 1"},
	{LEAST "[workers]\ndrain_timeout = 25h\n",
	 ":6: [workers] drain_timeout: must be at most 1d"},
	{LEAST "[workers]\non_crash = maybe\n",
	 ":6: [workers] on_crash: must be resume or interrupt"},
	{LEAST "[workers]\nthreads = 2\n", ":6: [workers] threads: unknown key"},
	{LEAST "[bus]\nuser = no such user\n", ":6: [bus] user: no such user"},
	{LEAST "[bus]\ndir = "
	       "" DIR_80 "x\n",
	 ":6: [bus] dir: must be a path of at most 80 bytes: a socket's name has to fit behind it"},
	{LEAST "[general]\nlog_level = loud\n",
	 ":6: [general] log_level: must be error, warning, notice, info or debug"},
	{"[log]\npath = x\ndurability = most\n", ":3: [log] durability: must be full or normal"},
	{"[log]\npath = x\n[provider p]\n", ":3: [provider p] type: is missing"},
	{"[log]\npath = x\n[provider p]\ntype = nope\n",
	 ":4: [provider p] type: must be openai, anthropic or demo"},
	{LEAST "[provider a b]\ntype = demo\n",
	 ":5: [provider a b]: a name is one word of letters, digits, dots, - and _"},
	{LEAST "models = a, b\n[defaults]\nmodel = c\n",
	 ":7: [defaults] model: the default provider does not offer it"},
	{LEAST "[tools fs]\npermission = ask\n", ":5: [tools fs] command: is missing"},
	{LEAST "[tools fs]\ncommand = x\npermission = perhaps\n",
	 ":7: [tools fs] permission: must be ask, allow or deny"},
	{LEAST "[tools fs]\ncommand = x\nread_only = yes\n",
	 ":7: [tools fs] read_only: must be ask, allow or deny"},
	{LEAST "[tools demo]\ncommand = x\n",
	 ":6: [tools demo] command: this name is taken by a built-in server"},
	{LEAST "[tools fs]\ncommand = x 'y\n",
	 ":6: [tools fs] command: a quote or a backslash has no end"},
	{LEAST "[tools fs]\ncommand = x\nconfine = maybe\n",
	 ":7: [tools fs] confine: must be auto, yes or no"},
	{LEAST "[tools fs]\ncommand = '' x\n", ":6: [tools fs] command: names no program"},
	{LEAST "[tools fs]\ncommand = x\nenv = A=1 =2\n",
	 ":7: [tools fs] env: must be words of the form NAME=VALUE or NAME"},
	{LEAST "[tools fs]\ncommand = x\nenv = CREDENTIALS_DIRECTORY\n",
	 ":7: [tools fs] env: must not give a tool our credentials"},
	{LEAST "[tools fs]\ncommand = x\ncwd = here\n",
	 ":7: [tools fs] cwd: must be an absolute path"},
	{LEAST "[tools fs]\ncommand = x\ntimeout = 0\n",
	 ":7: [tools fs] timeout: must be more than 0 and at most 1h"},
	{LEAST "[tools fs]\ncommand = x\nallow_tools = a, b\ndeny_tools = c,b\n",
	 ":7: [tools fs] allow_tools: names a tool that ask_tools or deny_tools names too"},
	{LEAST "[tools fs]\ncommand = x\nask_tools = a\ndeny_tools = a\n",
	 ":7: [tools fs] ask_tools: names a tool that deny_tools names too"},
};

START_TEST(what_is_wrong_is_one_line_with_file_line_and_key)
{
	char want[600];
	struct options *o = load(bad[_i].text);

	ck_assert_ptr_null(o);
	(void)snprintf(want, sizeof(want), "%s%s", path, bad[_i].error);
	ck_assert_str_eq(e.text, want);
}
END_TEST

/* PRV-6: a key file that can't be read is found at the start, not by the first user */
START_TEST(a_key_file_that_is_not_there_is_an_error_that_names_the_key)
{
	char text[512];
	struct options *o;

	(void)snprintf(
		text, sizeof(text),
		"[log]\npath = x\n[provider p]\ntype = openai\nbase_url = http://127.0.0.1:1/v1\n"
		"model = m\napi_key_file = %s\n",
		key_path);
	o = load(text);
	ck_assert_ptr_null(o);
	(void)snprintf(text, sizeof(text), "%s:7: [provider p] api_key_file: ", path);
	ck_assert_int_eq(strncmp(e.text, text, strlen(text)), 0);
}
END_TEST

START_TEST(the_largest_numbers_are_taken)
{
	struct options *o = load(LEAST "[workers]\ncount = 64\ndrain_timeout = 1d\n");

	ck_assert_msg(o != NULL, "%s", e.text);
	ck_assert_int_eq(o->workers, LIMIT_WORKERS);
	options_free(o);
	o = load(LEAST "[workers]\ncount = auto\ndrain_timeout = 0\n");
	ck_assert_msg(o != NULL, "%s", e.text);
	ck_assert_int_eq(o->drain_ms, 0);
	options_free(o);
	o = load(LEAST "[bus]\ndir = " DIR_80 "\n");
	ck_assert_msg(o != NULL, "%s", e.text);
	ck_assert_uint_eq(strlen(o->bus_dir), 80);
	options_free(o);
	options_free(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("options");
	TCase *t = tcase_create("options");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_whole_config_is_read);
	tcase_add_test(t, the_known_config_is_read);
	tcase_add_test(t, the_example_config_is_fine);
	tcase_add_test(t, the_least_config_gets_safe_defaults);
	tcase_add_loop_test(t, a_log_where_people_keep_files_is_hidden_only_if_asked_for, 0,
			    sizeof(reach) / sizeof(*reach));
	tcase_add_loop_test(t, what_is_wrong_is_one_line_with_file_line_and_key, 0,
			    sizeof(bad) / sizeof(*bad));
	tcase_add_test(t, a_key_file_that_is_not_there_is_an_error_that_names_the_key);
	tcase_add_test(t, the_largest_numbers_are_taken);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
