/*
 * bench_options.h - the command line of a bench program, said once.
 */
#pragma once

#include <stddef.h>

/* `-x VALUE`. One of number and text is where it goes; as it is if the option isn't given. */
struct bench_option {
	char letter;
	const char *value; /* its name in the usage line */
	int *number;
	const char **text;
};

/*
 * Reads argv. What is not an option of the list, lacks its value, or is not a number of 0 or more
 * where one is due ends the process with 2 and a usage line.
 */
void bench_options(int argc, char **argv, const struct bench_option *options, size_t n);
