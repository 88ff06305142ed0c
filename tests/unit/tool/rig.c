/*
 * rig.c - a toolbox with the misbehaving server of tests/lib behind it. See rig.h.
 *
 * TMPDIR is a folder of the rig's own, so that the folders of servers can be counted.
 */
#include "tests/unit/tool/rig.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"

static int count_entries(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	ck_assert_int_eq(closedir(d), 0);
	return n;
}

void rig_start(struct rig *r)
{
	*r = (struct rig){0};
	(void)signal(SIGPIPE, SIG_IGN);
	(void)snprintf(r->tmp, sizeof(r->tmp), "/tmp/test-tool-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(r->tmp));
	ck_assert_int_eq(setenv("TMPDIR", r->tmp, 1), 0);
	r->fds = count_entries("/proc/self/fd");
	r->base = event_base_new();
	ck_assert_ptr_nonnull(r->base);
}

struct tool_conf *rig_add_command(struct rig *r, const char *command)
{
	char name[16];
	const char *key;
	struct tool_conf *c;

	(void)snprintf(name, sizeof(name), "s%zu", r->n);
	c = tool_conf_new(name);
	c->command = strdup(command);
	c->timeout_ms = LIMIT_TOOL_CALL_MAX_MS;
	ck_assert_ptr_null(tool_conf_finish(c, &key));
	r->confs[r->n++] = c;
	return c;
}

struct tool_conf *rig_add(struct rig *r, const char *mode, const char *argument)
{
	char command[1024];

	ck_assert_ptr_nonnull(getenv("BAD_SERVER"));
	(void)snprintf(command, sizeof(command), "'%s' -IS '%s' %s '%s'", getenv("PYTHON"),
		       getenv("BAD_SERVER"), mode, argument ? argument : "");
	return rig_add_command(r, command);
}

static bool is_settled(void *arg)
{
	return toolbox_is_settled(arg);
}

void rig_open(struct rig *r)
{
	r->box = toolbox_new(r->base, r->confs, r->n);
	rig_until(r, is_settled, r->box);
}

void rig_close(struct rig *r)
{
	int64_t start = clock_mono_ms();

	toolbox_free(r->box);
	ck_assert_int_lt(clock_mono_ms() - start, 2000);
	for (size_t i = 0; i < r->n; i++)
		tool_conf_unref(r->confs[i]);
	event_base_free(r->base);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	ck_assert_int_eq(count_entries("/proc/self/fd"), r->fds);
	ck_assert_int_eq(rmdir(r->tmp), 0); /* which it is only when empty */
}

void rig_for(struct rig *r, int ms)
{
	const struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

	ck_assert_int_eq(event_base_loopexit(r->base, &tv), 0);
	(void)event_base_dispatch(r->base);
}

void rig_until(struct rig *r, bool (*holds)(void *arg), void *arg)
{
	int64_t deadline = clock_mono_ms() + RIG_DEADLINE_MS;

	while (!holds(arg)) {
		const struct timeval tv = {0, 10000};

		ck_assert_msg(clock_mono_ms() < deadline, "it does not come true");
		ck_assert_int_eq(event_base_loopexit(r->base, &tv), 0);
		(void)event_base_dispatch(r->base);
	}
}

static void on_progress(void *arg, double progress, const char *message)
{
	struct outcome *o = arg;

	o->n_progress++;
	o->last_progress = progress;
	(void)snprintf(o->message, sizeof(o->message), "%s", message ? message : "");
}

static void on_done(void *arg, const struct tool_result *result)
{
	struct outcome *o = arg;

	o->n_done++;
	o->is_error = result->is_error;
	o->uncertain = result->uncertain;
	free(o->text);
	o->text = str_dup(result->text);
	o->len = result->text.n;
}

const struct tool_call_ops outcome_ops = {.progress = on_progress, .done = on_done};

bool outcome_is_there(void *outcome)
{
	return ((struct outcome *)outcome)->n_done > 0;
}

void outcome_fini(struct outcome *o)
{
	free(o->text);
	*o = (struct outcome){0};
}

void rig_call(struct rig *r, const char *tool, const char *arguments, struct outcome *o)
{
	outcome_fini(o);
	ck_assert_ptr_nonnull(toolbox_call(r->box, "s0", tool, str_of(arguments), &outcome_ops, o));
	ck_assert_int_eq(o->n_done, 0); /* never inside the call */
	rig_until(r, outcome_is_there, o);
}
