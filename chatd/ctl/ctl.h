/*
 * ctl.h - what the commands of chatctl share: exit statuses, common options, where things are.
 *
 * A command is a function in a file of its own: arguments in, exit status out. Commands that only
 * read open the log's file and need no daemon; those that act ask the session's worker over the
 * bus, as its owner: who may read the log and connect to the bus is an operator.
 */
#pragma once

#include <getopt.h>
#include <stdbool.h>

enum ctl_exit {
	CTL_OK = 0,
	CTL_NO = 1,	   /* it was asked and refused, or a check found something */
	CTL_FAILED = 2,	   /* it could not be asked: wrong usage, log or bus out of reach */
	CTL_NOT_FOUND = 3, /* there is no such session, turn or prompt */
};

struct ctl {
	char *conf;		  /* owned; NULL: the default place */
	char *log_path, *bus_dir; /* owned; NULL until ctl_locate() */
	bool json;		  /* for scripts */
	bool in_command; /* options may stand behind arguments; before it comes the command */
};

/* The options that every command takes, for its own table. */
#define CTL_OPTIONS                                                                      \
	{"config", required_argument, NULL, 'c'}, {"db", required_argument, NULL, 'd'},  \
		{"bus", required_argument, NULL, 'b'}, {"json", no_argument, NULL, 'j'}, \
	{                                                                                \
		NULL, 0, NULL, 0                                                         \
	}

/* getopt_long() that takes the common options itself; -1 at the end, '?' for a wrong one. */
int ctl_getopt(struct ctl *c, int argc, char **argv, const struct option *options);
/* Fills in what no option named, from the config. 0; or CTL_FAILED, and it has been said. */
int ctl_locate(struct ctl *c);
/* "chatctl: ..." on stderr. Returns CTL_FAILED. */
int ctl_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void ctl_fini(struct ctl *c);

/* The commands. argv[0] is the command's name. */
int sessions_main(struct ctl *c, int argc, char **argv);
int show_main(struct ctl *c, int argc, char **argv);
int follow_main(struct ctl *c, int argc, char **argv);
int prompts_main(struct ctl *c, int argc, char **argv);
int resolve_main(struct ctl *c, int argc, char **argv); /* allow, deny, answer */
int send_main(struct ctl *c, int argc, char **argv);
int abort_main(struct ctl *c, int argc, char **argv);
int verify_main(struct ctl *c, int argc, char **argv);
int stats_main(struct ctl *c, int argc, char **argv);
int backup_main(struct ctl *c, int argc, char **argv);
int prune_main(struct ctl *c, int argc, char **argv);
int token_main(struct ctl *c, int argc, char **argv);
