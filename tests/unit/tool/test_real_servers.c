/*
 * test_real_servers.c - the reference servers of npm, where they are installed.
 *
 * NODE_MODULES in the environment is where (npm ci in a copy of tests/node); without it, or without
 * node, there is nothing to test and the suite is empty.
 */
#include "chatd/tool/toolbox.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "tests/unit/common/run_case.h"
#include "tests/unit/tool/rig.h"

static struct rig rig;
static struct outcome o;
static char folder[64];

static void start(void)
{
	rig_start(&rig);
	o = (struct outcome){0};
	(void)snprintf(folder, sizeof(folder), "/tmp/test-docs-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void end(void)
{
	char command[128];

	outcome_fini(&o);
	rig_close(&rig);
	(void)snprintf(command, sizeof(command), "rm -r %s", folder);
	ck_assert_int_eq(system(command), 0);
}

/* Opens one of the servers of the package's .bin with an argument. */
static void open_server(const char *name, const char *argument)
{
	char command[1024], env[128];
	struct tool_conf *c;
	const char *key;
	json_t *down;

	(void)snprintf(command, sizeof(command), "'%s/.bin/mcp-server-%s' %s",
		       getenv("NODE_MODULES"), name, argument);
	c = rig_add_command(&rig, command);
	(void)snprintf(env, sizeof(env), "MEMORY_FILE_PATH=%s/memory", folder);
	c->env = strdup(env);
	ck_assert_ptr_null(tool_conf_finish(c, &key));
	rig_open(&rig);
	down = toolbox_down(rig.box);
	ck_assert_msg(json_array_size(down) == 0, "%s",
		      json_get_str(json_array_get(down, 0), "why"));
	json_decref(down);
}

/* TOL-1 */
START_TEST(the_everything_server_works)
{
	open_server("everything", "stdio");
	ck_assert_ptr_nonnull(toolbox_get(rig.box, "s0", "echo"));
	rig_call(&rig, "echo", "{\"message\": \"h\u00e9llo\"}", &o);
	ck_assert_str_eq(o.text, "Echo: h\u00e9llo");
	rig_call(&rig, "echo", "{\"wrong\": 1}", &o);
	ck_assert(o.is_error && !o.uncertain);
	ck_assert_ptr_nonnull(strstr(o.text, "-32602"));
	rig_call(&rig, "trigger-long-running-operation", "{\"duration\": 1, \"steps\": 4}", &o);
	ck_assert_str_eq(o.text,
			 "Long running operation completed. Duration: 1 seconds, Steps: 4.");
	ck_assert_int_ge(o.n_progress, 3);
	rig_call(&rig, "get-tiny-image", "{}", &o);
	ck_assert_ptr_nonnull(strstr(o.text, "[image image/png, "));
	end(); /* which takes a SIGTERM: it does not end with its stdin */
}
END_TEST

START_TEST(the_filesystem_server_works)
{
	char arguments[256];
	const struct tool *t;

	open_server("filesystem", folder);
	t = toolbox_get(rig.box, "s0", "read_text_file");
	ck_assert(t && t->read_only);
	t = toolbox_get(rig.box, "s0", "write_file");
	ck_assert(t && !t->read_only && t->destructive && t->idempotent);
	(void)snprintf(arguments, sizeof(arguments),
		       "{\"path\": \"%s/a.txt\", \"content\": \"hello\"}", folder);
	rig_call(&rig, "write_file", arguments, &o);
	ck_assert_msg(!o.is_error, "%s", o.text);
	(void)snprintf(arguments, sizeof(arguments), "{\"path\": \"%s/a.txt\"}", folder);
	rig_call(&rig, "read_text_file", arguments, &o);
	ck_assert_str_eq(o.text, "hello");
	rig_call(&rig, "read_text_file", "{\"path\": \"/etc/passwd\"}", &o);
	ck_assert(o.is_error);
	ck_assert_ptr_eq(strstr(o.text, "Access denied"), o.text);
	end();
}
END_TEST

START_TEST(the_memory_server_works)
{
	open_server("memory", "");
	rig_call(&rig, "create_entities",
		 "{\"entities\":[{\"name\":\"A\",\"entityType\":\"t\",\"observations\":[\"o\"]}]}",
		 &o);
	ck_assert_msg(!o.is_error, "%s", o.text);
	ck_assert_ptr_nonnull(strstr(o.text, "\"name\": \"A\""));
	end();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("real_servers");
	const char *modules = getenv("NODE_MODULES");
	char path[1024];

	(void)snprintf(path, sizeof(path), "%s/.bin/mcp-server-everything", modules ? modules : "");
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, start, NULL);
	if (access(path, X_OK) == 0) {
		tcase_add_test(t, the_everything_server_works);
		tcase_add_test(t, the_filesystem_server_works);
		tcase_add_test(t, the_memory_server_works);
	}
	return run_case("real_servers", t);
}
