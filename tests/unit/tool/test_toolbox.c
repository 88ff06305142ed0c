/*
 * test_toolbox.c - what becomes of calls, whatever their server does.
 */
#include "chatd/tool/toolbox.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/limits.h"
#include "tests/unit/common/run_case.h"
#include "tests/unit/tool/rig.h"

#define SILENT "The tool did not answer within 0.5 seconds."
#define TEXT   "{\"text\": \"hi\"}"

static struct rig rig;
static struct outcome o;

static void start(void)
{
	rig_start(&rig);
	o = (struct outcome){0};
}

static void end(void)
{
	outcome_fini(&o);
	rig_close(&rig);
}

static bool takes_calls(void *arg)
{
	json_t *down = toolbox_down(rig.box);
	bool r = json_array_size(down) == 0;

	(void)arg;
	json_decref(down);
	return r;
}

/* TOL-1, TOL-4: each way to misbehave, and how a call ends then */
static const struct {
	const char *mode, *argument;
	bool is_error, uncertain;
	const char *text; /* what it starts with; a time-out is of half a second then */
} ways[] = {
	{"good", NULL, false, false, "hi"},
	{"dies_during", NULL, true, true,
	 "The tool server \"s0\" ended with status 3; its last words: Error: out of cheese during "
	 "the call. It is not known whether the call had an effect."},
	{"is_killed_during", NULL, true, true,
	 "The tool server \"s0\" was ended by signal 9 (Killed) during the call."},
	{"dies_after", NULL, false, false, "hi"},
	{"never_answers", NULL, true, true,
	 "The tool did not answer within 0.5 seconds. It may have had an effect."},
	{"hangs", NULL, true, true, SILENT},
	{"answers_twice", NULL, false, false, "hi"},
	{"other_id", NULL, true, true, SILENT},
	{"big_result", NULL, false, false, "\u00e4\u00e4\u00e4"},
	{"too_long", NULL, true, true, "The tool's answer was too long to be read"},
	{"invalid_json", NULL, true, true, SILENT},
	{"floods_nonsense", NULL, true, true,
	 "The tool server \"s0\" writes what is no MCP message on its standard output"},
	{"floods_stderr", NULL, false, false, "hi"},
	{"reports_progress", "3", false, false, "hi"},
	{"asks_us", NULL, false, false,
	 "ping=ok roots/list=-32601 sampling/createMessage=-32601 elicitation/create=-32601"},
	{"asks_for_ever", NULL, true, true, "The tool server \"s0\" does not read what it is sent"},
	{"lone_surrogate", NULL, false, false, "a\ufffdb"},
	{"isnt_utf8", NULL, false, false, "a\ufffdb"},
	{"not_a_result", NULL, true, true, "The tool server's answer is not a result."},
	{"refuses", NULL, true, false, "The tool server answered with error -32602: no such\nluck"},
	{"speaks", "2024-11-05", false, false, "hi"},
	{"modern", NULL, false, false, "hi"},
	{"wants_input", NULL, false, false, "[{\"sure\": {\"action\": \"decline\"}}, \"s1\"]"},
	{"wants_input", "always", true, false, "The tool asks for input that can't be given here."},
	{"wants_input", "sampling", true, false, "The tool asks for input that can't be given"},
	{"ignores_end", NULL, false, false, "hi"},
};

START_TEST(a_call_ends_once_and_as_stated_whatever_its_server_does)
{
	struct tool_conf *c = rig_add(&rig, ways[_i].mode, ways[_i].argument);

	if (strncmp(ways[_i].text, SILENT, strlen(SILENT)) == 0)
		c->timeout_ms = 500;
	rig_open(&rig);
	ck_assert_msg(takes_calls(NULL), "%s", ways[_i].mode);
	rig_call(&rig, "act", TEXT, &o);
	ck_assert_msg(strncmp(o.text, ways[_i].text, strlen(ways[_i].text)) == 0, "%s: %s",
		      ways[_i].mode, o.text);
	ck_assert_int_eq(o.is_error, ways[_i].is_error);
	ck_assert_int_eq(o.uncertain, ways[_i].uncertain);
	ck_assert_uint_le(o.len, LIMIT_TOOL_RESULT);
	rig_for(&rig, 100); /* for a second end */
	ck_assert_int_eq(o.n_done, 1);
	end();
}
END_TEST

/* TOL-4: bytes of a result have a limit, and the cut says so */
START_TEST(a_big_result_is_cut_and_says_so)
{
	static const char note[] = " of 8388608 bytes]";

	rig_add(&rig, "big_result", NULL);
	rig_open(&rig);
	rig_call(&rig, "act", TEXT, &o);
	ck_assert_uint_gt(o.len, LIMIT_TOOL_RESULT - 200);
	ck_assert_str_eq(o.text + o.len - strlen(note), note);
	end();
}
END_TEST

/* TOL-1: a server that went wrong is started again */
START_TEST(a_server_that_went_wrong_is_back_for_later_calls)
{
	static const char *const modes[] = {"dies_during", "hangs", "floods_nonsense"};

	rig_add(&rig, modes[_i], NULL)->timeout_ms = 300;
	rig_open(&rig);
	for (int i = 0; i < 2; i++) {
		rig_until(&rig, takes_calls, NULL);
		rig_call(&rig, "act", TEXT, &o);
		ck_assert_msg(o.is_error && o.uncertain, "%s", o.text);
	}
	end();
}
END_TEST

/* TOL-1: before the call */
static const struct {
	const char *mode, *argument;
	const char *why;
} broken[] = {
	{"exits_at_once", NULL,
	 "ended with status 1; its last words: Error: Cannot find module 'x'"},
	{"never_opens", NULL,
	 "was not ready within 3 seconds; its last words: waiting for the moon"},
	{"refuses_to_open", NULL, "refuses to be opened: error -32601, Method not found"},
	{"speaks", "1999-01-01", "speaks a version of MCP that is not known here: 1999-01-01"},
	{"modern_only", NULL, "speaks no version of MCP that is known here"},
	{"cant_list", NULL, "does not list its tools: error -32601, Method not found"},
};

START_TEST(a_server_that_does_not_start_is_named_with_the_reason)
{
	json_t *down;

	rig_add(&rig, broken[_i].mode, broken[_i].argument);
	rig_add(&rig, "good", NULL);
	rig_open(&rig);
	down = toolbox_down(rig.box);
	ck_assert_uint_eq(json_array_size(down), 1);
	ck_assert_str_eq(json_get_str(json_array_get(down, 0), "server"), "s0");
	ck_assert_str_eq(json_get_str(json_array_get(down, 0), "why"), broken[_i].why);
	json_decref(down);
	down = toolbox_list(rig.box); /* the others' tools are there, and ask_user */
	ck_assert_uint_eq(json_array_size(down), 3);
	json_decref(down);
	rig_call(&rig, "act", TEXT, &o);
	ck_assert(o.is_error && !o.uncertain);
	ck_assert_ptr_eq(strstr(o.text, "The call was not made: the tool server \"s0\""), o.text);
	end();
}
END_TEST

START_TEST(a_command_that_is_not_there_is_a_reason_too)
{
	json_t *down;

	rig_add_command(&rig, "/no/such/program");
	rig_open(&rig);
	down = toolbox_down(rig.box);
	ck_assert_str_eq(json_get_str(json_array_get(down, 0), "why"),
			 "can't be started: No such file or directory");
	json_decref(down);
	end();
}
END_TEST

static bool is_down(void *arg)
{
	(void)arg;
	return !takes_calls(NULL);
}

START_TEST(a_server_that_dies_again_and_again_is_down_and_its_calls_end_at_once)
{
	static const char *const modes[] = {"dies_idle", "goes_deaf"};

	rig_add(&rig, modes[_i], NULL);
	rig_open(&rig);
	rig_until(&rig, is_down, NULL);
	rig_call(&rig, "act", TEXT, &o);
	ck_assert(o.is_error);
	end();
}
END_TEST

static bool has_tool_new(void *arg)
{
	(void)arg;
	return toolbox_get(rig.box, "s0", "new") != NULL;
}

/* TOL-1: list_changed */
START_TEST(a_changed_list_of_tools_is_read_again)
{
	rig_add(&rig, "replaces_tools", NULL);
	rig_open(&rig);
	ck_assert_ptr_null(toolbox_get(rig.box, "s0", "new"));
	rig_call(&rig, "act", TEXT, &o);
	rig_until(&rig, has_tool_new, NULL);
	ck_assert_ptr_null(toolbox_get(rig.box, "s0", "act"));
	rig_call(&rig, "act", TEXT, &o);
	ck_assert_str_eq(o.text, "The tool server \"s0\" has no tool \"act\".");
	end();
}
END_TEST

/* TOL-1: tools/list with paging */
START_TEST(all_pages_of_a_list_are_read_but_not_for_ever)
{
	static const struct {
		const char *mode, *argument, *last, *none;
	} t[] = {{"pages", "5", "tool4", "tool5"}, {"pages_for_ever", NULL, "tool63", "tool64"}};

	rig_add(&rig, t[_i].mode, t[_i].argument);
	rig_open(&rig);
	ck_assert_ptr_nonnull(toolbox_get(rig.box, "s0", "tool0"));
	ck_assert_ptr_nonnull(toolbox_get(rig.box, "s0", t[_i].last));
	ck_assert_ptr_null(toolbox_get(rig.box, "s0", t[_i].none));
	end();
}
END_TEST

START_TEST(a_server_without_tools_is_ready_and_offers_none)
{
	json_t *list;

	rig_add(&rig, "no_tools", NULL);
	rig_open(&rig);
	ck_assert(takes_calls(NULL));
	list = toolbox_list(rig.box);
	ck_assert_uint_eq(json_array_size(list), 1); /* ask_user */
	json_decref(list);
	end();
}
END_TEST

/* TOL-1: progress, which keeps a call alive */
START_TEST(progress_is_told_and_keeps_a_slow_call_alive)
{
	rig_add(&rig, "reports_progress", "8")->timeout_ms = 600; /* it takes 1.2 s */
	rig_open(&rig);
	rig_call(&rig, "act", TEXT, &o);
	ck_assert_msg(!o.is_error, "%s", o.text);
	ck_assert_int_ge(o.n_progress, 3);
	ck_assert_str_eq(o.message, "step 7");
	ck_assert(o.last_progress > 0.87 && o.last_progress < 0.88);
	end();
}
END_TEST

/* TOL-4: time per call */
START_TEST(progress_does_not_keep_a_call_alive_for_ever)
{
	rig_add(&rig, "reports_progress", "1000");
	rig_open(&rig);
	rig_call(&rig, "act", TEXT, &o);
	ck_assert(o.is_error && o.uncertain);
	ck_assert_ptr_eq(strstr(o.text, "The tool was still running after 3 seconds"), o.text);
	end();
}
END_TEST

/* TOL-4: side by side, more than may be in flight at once wait in order */
START_TEST(many_calls_run_at_once_and_each_gets_its_own_answer)
{
	enum { N = LIMIT_TOOL_CALLS_OPEN + 36 };
	struct outcome all[N] = {0};
	char text[32];

	rig_add(&rig, "good", NULL);
	rig_open(&rig);
	for (int i = 0; i < N; i++) {
		(void)snprintf(text, sizeof(text), "{\"text\": \"%d\"}", i);
		(void)toolbox_call(rig.box, "s0", "echo", str_of(text), &outcome_ops, &all[i]);
	}
	for (int i = 0; i < N; i++) {
		rig_until(&rig, outcome_is_there, &all[i]);
		(void)snprintf(text, sizeof(text), "%d", i);
		ck_assert_str_eq(all[i].text, text);
		ck_assert_int_eq(all[i].n_done, 1);
		outcome_fini(&all[i]);
	}
	end();
}
END_TEST

/* PRC-5, TOL-4: at the limit of calls in flight to one server, and one past it */
START_TEST(one_call_more_than_may_be_in_flight_waits)
{
	struct outcome all[2 * LIMIT_TOOL_CALLS_OPEN] = {0};
	char limit[16];

	(void)snprintf(limit, sizeof(limit), "%d", LIMIT_TOOL_CALLS_OPEN);
	rig_add(&rig, "counts", limit);
	rig_open(&rig);
	for (int i = 0; i < 2 * LIMIT_TOOL_CALLS_OPEN; i++)
		(void)toolbox_call(rig.box, "s0", "echo", str_of(TEXT), &outcome_ops, &all[i]);
	for (int i = 0; i < 2 * LIMIT_TOOL_CALLS_OPEN; i++) {
		rig_until(&rig, outcome_is_there, &all[i]);
		ck_assert_str_eq(all[i].text, limit);
		outcome_fini(&all[i]);
	}
	end();
}
END_TEST

/* TOL-1: cancellation */
START_TEST(a_cancelled_call_is_never_heard_of_again)
{
	struct tool_call *c;

	rig_add(&rig, "slow", "0.2");
	rig_open(&rig);
	c = toolbox_call(rig.box, "s0", "echo", str_of(TEXT), &outcome_ops, &o);
	tool_call_cancel(c); /* before it is sent */
	c = toolbox_call(rig.box, "s0", "echo", str_of(TEXT), &outcome_ops, &o);
	rig_for(&rig, 50);
	tool_call_cancel(c); /* while it runs */
	c = toolbox_call(rig.box, "s0", "nope", str_of(TEXT), &outcome_ops, &o);
	tool_call_cancel(c); /* when its end is already known */
	tool_call_cancel(NULL);
	rig_for(&rig, 600);
	ck_assert_int_eq(o.n_done, 0);
	rig_call(&rig, "echo", TEXT, &o);
	ck_assert_str_eq(o.text, "hi");
	end();
}
END_TEST

/* What can't be run ends as a result like any other. */
START_TEST(a_call_that_can_not_be_made_is_a_result_that_says_so)
{
	rig_add(&rig, "good", NULL);
	rig_open(&rig);
	rig_call(&rig, "nope", TEXT, &o);
	ck_assert_str_eq(o.text, "The tool server \"s0\" has no tool \"nope\".");
	ck_assert(o.is_error && !o.uncertain);
	rig_call(&rig, "act", "[1]", &o);
	ck_assert_str_eq(o.text, "The arguments are not a JSON object.");
	rig_call(&rig, "act", "", &o); /* empty counts as {} */
	ck_assert_str_eq(o.text, "");
	ck_assert(!o.is_error);
	rig_call(&rig, "act", "{\"text\":\n\"a b\"\r\n}",
		 &o); /* newlines don't break the framing */
	ck_assert_str_eq(o.text, "a b");
	end();
}
END_TEST

/* TOL-1: scrubbed environment, own folder, own process group */
START_TEST(a_server_sees_nothing_of_ours)
{
	json_t *seen, *env;
	struct tool_conf *c;
	const char *key;

	ck_assert_int_eq(setenv("OPENAI_API_KEY", "sk-secret", 1), 0);
	ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", "/secret", 1), 0);
	ck_assert_int_eq(setenv("PASSED", "through", 1), 0);
	c = rig_add(&rig, "sees", "two  words");
	c->env = strdup("PASSED LANG=xx 'A=b c' NOT_THERE");
	ck_assert_ptr_null(tool_conf_finish(c, &key));
	rig_open(&rig);
	rig_call(&rig, "act", TEXT, &o);
	seen = json_read(o.text, o.len, NULL, 0);
	env = json_get(seen, "env");
	ck_assert_ptr_null(json_get(env, "OPENAI_API_KEY"));
	ck_assert_ptr_null(json_get(env, "CREDENTIALS_DIRECTORY"));
	ck_assert_ptr_null(json_get(env, "BAD_SERVER"));
	ck_assert_ptr_null(json_get(env, "NOT_THERE"));
	ck_assert_ptr_nonnull(json_get(env, "PATH"));
	ck_assert_str_eq(json_get_str(env, "PASSED"), "through");
	ck_assert_str_eq(json_get_str(env, "LANG"), "xx");
	ck_assert_str_eq(json_get_str(env, "A"), "b c");
	ck_assert_ptr_eq(strstr(json_get_str(seen, "cwd"), rig.tmp), json_get_str(seen, "cwd"));
	ck_assert_str_eq(json_get_str(seen, "mode"), "0o700");
	ck_assert_str_eq(json_string_value(json_array_get(json_get(seen, "argv"), 0)),
			 "two  words");
	ck_assert(json_is_true(json_get(seen, "session")));
	ck_assert(json_is_true(json_get(seen, "group")));
	ck_assert_uint_le(json_array_size(json_get(seen, "fds")), 3);
	json_decref(seen);
	end();
}
END_TEST

/* TOL-1: the whole process group goes */
START_TEST(what_a_server_leaves_behind_ends_with_it)
{
	pid_t pid;
	int64_t deadline = clock_mono_ms() + 5000;

	rig_add(&rig, "leaves_a_child", NULL);
	rig_open(&rig);
	rig_call(&rig, "act", TEXT, &o);
	pid = (pid_t)strtol(o.text, NULL, 10);
	ck_assert_int_gt(pid, 1);
	ck_assert_int_eq(kill(pid, 0), 0);
	end();
	while (kill(pid, 0) == 0 && clock_mono_ms() < deadline)
		(void)usleep(1000); /* its parent is init now, which reaps it in its own time */
	if (kill(pid, 0) == 0) {
		char path[64], state[256] = "";
		FILE *f;

		(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
		f = fopen(path, "r"); /* where nobody reaps, a zombie is dead enough */
		if (f) {
			(void)!fread(state, 1, sizeof(state) - 1, f);
			(void)fclose(f);
		}
		ck_assert_ptr_nonnull(strstr(state, ") Z"));
	}
}
END_TEST

/* A worker that is killed can't remove its servers' folders: the next one does. */
START_TEST(folders_that_nobody_uses_any_more_are_removed)
{
	char left[128], inside[160], used[128], other[128];
	int fd;

	(void)snprintf(left, sizeof(left), "%s/chatd-tool-left", rig.tmp);
	(void)snprintf(inside, sizeof(inside), "%s/file", left);
	(void)snprintf(used, sizeof(used), "%s/chatd-tool-used", rig.tmp);
	(void)snprintf(other, sizeof(other), "%s/something", rig.tmp);
	ck_assert(!mkdir(left, 0700) && !mkdir(used, 0700) && !mkdir(other, 0700));
	ck_assert_int_eq(symlink(other, inside), 0);
	fd = open(used, O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	rig.box = toolbox_new(rig.base, NULL, 0);
	ck_assert_int_ne(access(left, F_OK), 0);
	ck_assert_int_eq(rmdir(used), 0);
	ck_assert_int_eq(rmdir(other), 0); /* the link was not followed */
	ck_assert_int_eq(close(fd), 0);
	end();
}
END_TEST

static void count_ready(void *arg)
{
	(*(int *)arg)++;
}

START_TEST(who_waits_for_the_servers_is_told_once_and_can_be_forgotten)
{
	int told = 0;
	int forgotten = 0;

	rig_add(&rig, "good", NULL);
	rig.box = toolbox_new(rig.base, rig.confs, rig.n);
	ck_assert(!toolbox_is_settled(rig.box));
	toolbox_when_settled(rig.box, count_ready, &told);
	toolbox_when_settled(rig.box, count_ready, &forgotten);
	toolbox_forget(rig.box, &forgotten);
	while (!told)
		rig_for(&rig, 10);
	ck_assert(toolbox_is_settled(rig.box));
	toolbox_when_settled(rig.box, count_ready, &told); /* settled already: at the next pass */
	ck_assert_int_eq(told, 1);
	rig_for(&rig, 20);
	ck_assert_int_eq(told, 2);
	ck_assert_int_eq(forgotten, 0);
	end();
}
END_TEST

START_TEST(a_toolbox_is_freed_with_servers_starting_and_calls_open)
{
	rig_add(&rig, "never_opens", NULL);
	rig_add(&rig, "never_answers", NULL);
	rig.box = toolbox_new(rig.base, rig.confs, rig.n);
	while (!toolbox_get(rig.box, "s1", "act"))
		rig_for(&rig, 10);
	for (int i = 0; i < 100; i++)
		(void)toolbox_call(rig.box, "s1", "act", str_of(TEXT), &outcome_ops, &o);
	rig_for(&rig, 10);
	toolbox_when_settled(rig.box, count_ready, &rig);
	end();
	ck_assert_int_eq(o.n_done, 0);
}
END_TEST

/* TOL-2, TOL-3, SEC-6: names, what is offered, what is built in */
START_TEST(tools_are_offered_under_names_that_lead_back_to_them)
{
	const struct tool *t;
	struct tool_conf *c;
	const char *key;
	json_t *list;

	c = rig_add(&rig, "good", NULL);
	c->deny_tools = strdup("act");
	ck_assert_ptr_null(tool_conf_finish(c, &key));
	rig_open(&rig);
	list = toolbox_list(rig.box);
	ck_assert_uint_eq(json_array_size(list), 2);
	ck_assert_str_eq(json_get_str(json_array_get(list, 0), "name"), "s0__echo");
	ck_assert_str_eq(json_get_str(json_array_get(list, 0), "description"), "says it again");
	ck_assert(json_is_object(json_get(json_array_get(list, 0), "parameters")));
	ck_assert_str_eq(json_get_str(json_array_get(list, 1), "name"), "ask_user");
	json_decref(list);
	t = toolbox_find(rig.box, "s0__echo");
	ck_assert_str_eq(t->server, "s0");
	ck_assert_str_eq(t->name, "echo");
	ck_assert(t->read_only && !t->idempotent && t->destructive);
	ck_assert_ptr_eq(toolbox_get(rig.box, "s0", "echo"), t);
	ck_assert_ptr_eq(toolbox_conf(rig.box, "s0"), rig.confs[0]);
	ck_assert_ptr_null(toolbox_conf(rig.box, "builtin"));
	ck_assert_str_eq(toolbox_find(rig.box, "ask_user")->server, "builtin");
	ck_assert_ptr_null(toolbox_find(rig.box, "nope"));
	ck_assert_ptr_null(toolbox_get(rig.box, "demo", "roll_dice"));
	end();
}
END_TEST

START_TEST(the_demo_tool_is_there_once_it_is_asked_for)
{
	json_t *list;

	rig.box = toolbox_new(rig.base, NULL, 0);
	ck_assert(toolbox_is_settled(rig.box));
	toolbox_add_demo(rig.box);
	list = toolbox_list(rig.box);
	ck_assert_uint_eq(json_array_size(list), 2);
	json_decref(list);
	ck_assert_str_eq(toolbox_find(rig.box, "demo__roll_dice")->name, "roll_dice");
	(void)toolbox_call(rig.box, "demo", "roll_dice", str_of("{\"count\": 3}"), &outcome_ops,
			   &o);
	ck_assert_int_eq(o.n_done, 0);
	rig_until(&rig, outcome_is_there, &o);
	ck_assert_ptr_nonnull(strstr(o.text, "(sum "));
	ck_assert(!o.is_error);
	end();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("toolbox");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, start, NULL);
	tcase_add_loop_test(t, a_call_ends_once_and_as_stated_whatever_its_server_does, 0,
			    (int)(sizeof(ways) / sizeof(*ways)));
	tcase_add_test(t, a_big_result_is_cut_and_says_so);
	tcase_add_loop_test(t, a_server_that_went_wrong_is_back_for_later_calls, 0, 3);
	tcase_add_loop_test(t, a_server_that_does_not_start_is_named_with_the_reason, 0,
			    (int)(sizeof(broken) / sizeof(*broken)));
	tcase_add_test(t, a_command_that_is_not_there_is_a_reason_too);
	tcase_add_loop_test(t, a_server_that_dies_again_and_again_is_down_and_its_calls_end_at_once,
			    0, 2);
	tcase_add_test(t, a_changed_list_of_tools_is_read_again);
	tcase_add_loop_test(t, all_pages_of_a_list_are_read_but_not_for_ever, 0, 2);
	tcase_add_test(t, a_server_without_tools_is_ready_and_offers_none);
	tcase_add_test(t, progress_is_told_and_keeps_a_slow_call_alive);
	tcase_add_test(t, progress_does_not_keep_a_call_alive_for_ever);
	tcase_add_test(t, many_calls_run_at_once_and_each_gets_its_own_answer);
	tcase_add_test(t, one_call_more_than_may_be_in_flight_waits);
	tcase_add_test(t, a_cancelled_call_is_never_heard_of_again);
	tcase_add_test(t, a_call_that_can_not_be_made_is_a_result_that_says_so);
	tcase_add_test(t, a_server_sees_nothing_of_ours);
	tcase_add_test(t, what_a_server_leaves_behind_ends_with_it);
	tcase_add_test(t, folders_that_nobody_uses_any_more_are_removed);
	tcase_add_test(t, who_waits_for_the_servers_is_told_once_and_can_be_forgotten);
	tcase_add_test(t, a_toolbox_is_freed_with_servers_starting_and_calls_open);
	tcase_add_test(t, tools_are_offered_under_names_that_lead_back_to_them);
	tcase_add_test(t, the_demo_tool_is_there_once_it_is_asked_for);
	return run_case("toolbox", t);
}
