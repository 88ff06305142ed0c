/*
 * test_mcp_recordings.c - recorded exchanges with real servers, played again.
 *
 * GOLDEN in the environment is tests/golden/mcp; its README says what the files hold. The server's
 * part is played by bad_mcp_server.py; here the recorded calls are made one after the other, and
 * what they bring is compared with NAME.expect.json. With EXPECT=write in the environment that file
 * is written instead, to be read by whoever changed something.
 */
#include "chatd/tool/toolbox.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/limits.h"
#include "tests/unit/common/run_case.h"
#include "tests/unit/tool/rig.h"

static const char *const names[] = {
	"everything",
	"everything-callbacks",
	"filesystem",
	"memory",
	"modern-2026-07-28",
	"modern-input-required",
	"modern-sdk-legacy-client",
	"modern-unsupported-version",
	"negotiate-unknown-version",
	"probe-legacy-server",
};

static struct rig rig;

static void start(void)
{
	rig_start(&rig);
}

static void path_of(const char *name, const char *suffix, char out[512])
{
	ck_assert_ptr_nonnull(getenv("GOLDEN"));
	(void)snprintf(out, 512, "%s/%s%s", getenv("GOLDEN"), name, suffix);
}

/* What a model is offered, each with an r where the tool only reads. */
static json_t *offered(void)
{
	json_t *list = toolbox_list(rig.box);
	json_t *out = json_array();
	json_t *one;
	size_t i;

	json_array_foreach (list, i, one) {
		const char *name = json_get_str(one, "name");

		ck_assert(json_is_object(json_get(one, "parameters")));
		(void)json_array_append_new(
			out,
			json_sprintf("%s%s", toolbox_find(rig.box, name)->read_only ? "r " : "",
				     name));
	}
	json_decref(list);
	return out;
}

static json_t *make_call(const json_t *params)
{
	struct outcome o = {0};
	char *arguments = json_text(json_get(params, "arguments"));
	json_t *text;

	rig_call(&rig, json_get_str(params, "name"), arguments, &o);
	ck_assert_int_eq(o.n_done, 1);
	/* of a text of many lines the first is enough to know it by */
	text = json_pack("{s:s,s:b,s:b,s:s%}", "name", json_get_str(params, "name"), "is_error",
			 o.is_error, "uncertain", o.uncertain, "text", o.text,
			 o.len < 300 ? o.len : json_utf8_prefix(o.text, 300));
	ck_assert_ptr_nonnull(text);
	outcome_fini(&o);
	free(arguments);
	return text;
}

/* Makes every call of the recording. */
static json_t *make_calls(const char *path)
{
	FILE *f = fopen(path, "r");
	json_t *out = json_array();
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	ck_assert_ptr_nonnull(f);
	while ((n = getline(&line, &cap, f)) > 0) {
		json_t *entry = json_read(line, (size_t)n, NULL, 0);
		const json_t *m = json_get(entry, "msg");
		const char *method = json_get_str(m, "method");

		if (strcmp(json_get_str(entry, "dir"), ">") == 0 && method &&
		    strcmp(method, "tools/call") == 0)
			(void)json_array_append_new(out, make_call(json_get(m, "params")));
		json_decref(entry);
	}
	free(line);
	ck_assert_int_eq(fclose(f), 0);
	return out;
}

/* TOL-1, TOL-4 */
START_TEST(a_recorded_server_is_understood_as_it_was_meant)
{
	char path[512], expect_path[512];
	json_t *seen, *expected;

	path_of(names[_i], ".jsonl", path);
	path_of(names[_i], ".expect.json", expect_path);
	rig_add(&rig, "replay", path)->timeout_ms = 500; /* one recorded call gets no answer */
	rig_open(&rig);
	seen = json_pack("{s:o,s:o,s:o}", "down", toolbox_down(rig.box), "tools", offered(),
			 "calls", make_calls(path));
	ck_assert_ptr_nonnull(seen);
	if (getenv("EXPECT"))
		ck_assert_int_eq(json_dump_file(seen, expect_path, JSON_INDENT(1)), 0);
	expected = json_load_file(expect_path, 0, NULL);
	ck_assert_ptr_nonnull(expected);
	if (!json_equal(seen, expected)) {
		char *text = json_text(seen);

		ck_abort_msg("%s: %s", names[_i], text);
	}
	json_decref(expected);
	json_decref(seen);
	rig_close(&rig);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("mcp_recordings");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, start, NULL);
	tcase_add_loop_test(t, a_recorded_server_is_understood_as_it_was_meant, 0,
			    (int)(sizeof(names) / sizeof(*names)));
	return run_case("mcp_recordings", t);
}
