/*
 * cpu_time.h - what a process has had of the CPUs.
 */
#pragma once

#include <sys/types.h>

/* Seconds, user and system, of all its threads that still run; 0 if it is gone. */
double cpu_time_of(pid_t pid);
