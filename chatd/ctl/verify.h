/*
 * verify.h - `chatctl verify [--json] DB`: is the log what it says it is?
 *
 * Opens the database read-only and looks at one moment of it (one read transaction), also while
 * chatd writes. Exit status: 0 nothing found; 1 findings, one line each on stdout; 2 it can't be
 * read or the usage is wrong (stderr says why).
 */
#pragma once

int verify_main(int argc, char **argv);
