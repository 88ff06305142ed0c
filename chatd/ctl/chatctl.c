/*
 * chatctl.c - the operator's program: a command's name in, its exit status out.
 *
 *	chatctl COMMAND [OPTIONS] ...
 *
 * A table of commands; each has a file of its own that reads its own arguments. Commands that only
 * read the log open its file and need no daemon. Here is nothing but the table and the help.
 */
#include <stdio.h>
#include <string.h>

#include "chatd/ctl/verify.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the command's name */
	const char *arguments, *what;
} commands[] = {
	{"verify", verify_main, "[--json] DB",
	 "rebuild every answer from its events and compare; check the log's own rules"},
};

static void usage(FILE *to)
{
	(void)fprintf(to, "usage: chatctl COMMAND ...\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		(void)fprintf(to, "  %s %s\n      %s\n", commands[i].name, commands[i].arguments,
			      commands[i].what);
	(void)fprintf(to, "  --version\n  --help\n");
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (strcmp(name, "--version") == 0) {
		(void)printf("chatctl %s\n", CHATD_VERSION);
		return 0;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		usage(stdout);
		return 0;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	usage(stderr);
	return 2;
}
