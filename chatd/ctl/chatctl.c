/*
 * chatctl.c - the operator's program: a command's name in, its exit status out.
 *
 *	chatctl [COMMON OPTIONS] COMMAND ...
 *
 * A table of commands; each has a function of its own that reads its own arguments, and all take
 * the common options (ctl.h). Here is nothing but the table and the help.
 */
#include <stdio.h>
#include <string.h>

#include "chatd/ctl/ctl.h"

static const struct {
	const char *name;
	int (*run)(struct ctl *c, int argc, char **argv); /* argv[0] is the command's name */
	const char *arguments, *what;
} commands[] = {
	{"sessions", sessions_main, "[--owner NAME] [--state STATE] [--search TEXT] [--limit N]",
	 "list sessions, the last used first"},
	{"show", show_main, "SESSION", "a session: its turns, messages and open prompts"},
	{"follow", follow_main, "SESSION [--until-idle] [--reasoning] [--after SEQ]",
	 "its events as they are stored, from the last turn's first on"},
	{"prompts", prompts_main, "[SESSION]", "what turns wait for"},
	{"allow", resolve_main, "PROMPT [--session]",
	 "let a tool call run; from now on, if --session"},
	{"deny", resolve_main, "PROMPT", "do not let it run"},
	{"answer", resolve_main, "PROMPT QUESTION=VALUE...", "answer the questions of a turn"},
	{"send", send_main,
	 "[--session ID | --owner NAME] [--provider P] [--model M] [--on-busy HOW] [--follow] "
	 "TEXT|-",
	 "send a message; without a session, begin one"},
	{"abort", abort_main, "SESSION [TURN]", "end the turn, or take a queued one out"},
	{"stats", stats_main, "", "what the log holds and what the workers do"},
	{"verify", verify_main, "[DB]",
	 "rebuild every answer from its events and compare; check the log's own rules"},
	{"backup", backup_main, "FILE", "copy the log while it is used; FILE must not exist"},
	{"prune", prune_main,
	 "[--keep-deltas TIME] [--keep-sessions TIME] [--max-size BYTES] [--vacuum]",
	 "take out what has had its time, now; --vacuum also writes the file anew (stop chatd "
	 "first)"},
	{"token", token_main, "[--file FILE] add OWNER | list | revoke OWNER|ID",
	 "who may use streamerd"},
};

static void usage(FILE *to)
{
	(void)fprintf(to,
		      "usage: chatctl [-c FILE] [--db FILE] [--bus DIR] [--json] COMMAND ...\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		(void)fprintf(to, "  %s %s\n      %s\n", commands[i].name, commands[i].arguments,
			      commands[i].what);
	(void)fprintf(
		to,
		"  --version\n  --help\n"
		"Exit status: 0 done, 1 refused or found wrong, 2 could not be asked, 3 no such "
		"thing.\n");
}

static int run(struct ctl *c, int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (argc > 0 && strcmp(argv[0], commands[i].name) == 0) {
			c->in_command = true;
			optind = 0; /* the command's options are read anew */
			return commands[i].run(c, argc, argv);
		}
	}
	usage(stderr);
	return CTL_FAILED;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"version", no_argument, NULL, 'V'}, {"help", no_argument, NULL, 'h'}, CTL_OPTIONS};
	struct ctl c = {0};
	int o = ctl_getopt(&c, argc, argv, options);
	int status = CTL_OK;

	if (o == 'V')
		(void)printf("chatctl %s\n", CHATD_VERSION);
	else if (o == 'h')
		usage(stdout);
	else if (o != -1)
		status = CTL_FAILED; /* getopt has said why */
	else
		status = run(&c, argc - optind, argv + optind);
	ctl_fini(&c);
	return status;
}
