/*
 * box.h - what a tool server can't do although it runs as our user.
 *
 * Inside the box the files that are hidden can be neither opened nor changed nor moved, other
 * processes' memory and environment can't be read and (kernels from 6.12) no process outside gets
 * a signal, and no Unix socket can be connected to: neither the bus, which lets our user in, nor a
 * system service. What is exec'ed in it has no capabilities. Programs that it starts are in the
 * same box; none of them gets out.
 */
#pragma once

#include <stdbool.h>

/* What is prepared before fork. Fill it with BOX_INIT; box_fini() is always fine. */
struct box {
	bool confines;	   /* false: the box does nothing */
	int ruleset;	   /* owned; -1 on a kernel that can't: then files stay in reach */
	unsigned left_out; /* what should be in reach and isn't: rules that the kernel did not take,
			    * and folders with more than LIMIT_BOX_ENTRIES names, each as one */
};

#define BOX_INIT             \
	{                    \
		false, -1, 0 \
	}

/*
 * hidden: absolute paths, NULL at the end; a path also stands for the names beside it that go on
 * with "-" or "." (a database's companions). The rest of the file system stays as it is, but in the
 * folders above a hidden path nothing can be created, since a rule holds for a whole tree.
 * 0, or -errno if the kernel knows such rules and would not take ours: then don't start anything.
 */
int box_prepare(struct box *b, const char *const *hidden);
void box_fini(struct box *b);

/*
 * In the child, after PR_SET_NO_NEW_PRIVS: from here on. Only system calls. fd is b->ruleset,
 * wherever it is by now. 0 or -1 with errno set.
 */
int box_enter(const struct box *b, int fd);

/* The kernel's version of Landlock; 0: it has none, and hidden files can't be kept from tools. */
int box_landlock(void);
/* Is there a socket filter for this processor? Without it tools can connect to Unix sockets. */
bool box_filters(void);
