/*
 * bench_options.c - the command line of a bench program. See bench_options.h.
 */
#include "tests/bench/bench_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/require.h"

#define MAX_OPTIONS 16

static void usage(const char *program, const struct bench_option *options, size_t n)
	__attribute__((noreturn));

static void usage(const char *program, const struct bench_option *options, size_t n)
{
	(void)fprintf(stderr, "%s", program);
	for (size_t i = 0; i < n; i++)
		(void)fprintf(stderr, " [-%c %s]", options[i].letter, options[i].value);
	(void)fprintf(stderr, "\n");
	exit(2);
}

static int take(const struct bench_option *o, const char *value)
{
	char *end;
	long v;

	if (o->text) {
		*o->text = value;
		return 0;
	}
	v = strtol(value, &end, 10);
	if (end == value || *end || v < 0 || v > 1000000000)
		return -1;
	*o->number = (int)v;
	return 0;
}

void bench_options(int argc, char **argv, const struct bench_option *options, size_t n)
{
	char letters[2 * MAX_OPTIONS + 1] = "";
	int c;

	REQUIRE(n <= MAX_OPTIONS);
	for (size_t i = 0; i < n; i++) {
		letters[2 * i] = options[i].letter;
		letters[2 * i + 1] = ':';
	}
	while ((c = getopt(argc, argv, letters)) != -1) {
		const struct bench_option *o = NULL;

		for (size_t i = 0; i < n; i++) {
			if (options[i].letter == c)
				o = &options[i];
		}
		if (!o || take(o, optarg) < 0)
			usage(argv[0], options, n);
	}
	if (optind < argc)
		usage(argv[0], options, n);
}
