/*
 * test_box.c - what a process in the box can't do, and what it can.
 */
#include "chatd/tool/box.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/limits.h"
#include "tests/unit/common/run_case.h"

static char folder[PATH_MAX];

static const char *in_folder(const char *name)
{
	static char path[4][PATH_MAX + 32];
	static unsigned next;
	char *p = path[next++ % 4];

	(void)snprintf(p, sizeof(path[0]), "%s/%s", folder, name);
	return p;
}

static void put(const char *name)
{
	FILE *f = fopen(in_folder(name), "w");

	ck_assert_ptr_nonnull(f);
	(void)fputs(name, f);
	ck_assert_int_eq(fclose(f), 0);
}

static void set_up(void)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/test-box-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(mkdir(in_folder("lib"), 0700), 0);
	ck_assert_int_eq(mkdir(in_folder("lib/state"), 0700), 0);
	ck_assert_int_eq(mkdir(in_folder("lib/other"), 0700), 0);
	put("lib/state/events.db");
	put("lib/state/events.db-wal");
	put("lib/state/notes");
	put("lib/other/events.db");
	put("key");
}

static void tear_down(void)
{
	char command[PATH_MAX + 16];

	(void)snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

/* Runs f in the box; what it returns is an exit status. */
static int in_box(const char *const *hidden, int (*f)(void))
{
	struct box b = BOX_INIT;
	int status = -1;
	pid_t pid;

	ck_assert_int_eq(box_prepare(&b, hidden), 0);
	pid = fork();
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || box_enter(&b, b.ruleset) < 0)
			_exit(99);
		_exit(f());
	}
	box_fini(&b);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WTERMSIG(status), 0);
	return WEXITSTATUS(status);
}

/* 0, or errno. */
static int try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	(void)close(fd);
	return 0;
}

#define EXPECT(what, is)                                                        \
	do {                                                                    \
		int got_ = (what);                                              \
		if (got_ != (is)) {                                             \
			(void)fprintf(stderr, "line %d: %d\n", __LINE__, got_); \
			return 1;                                               \
		}                                                               \
	} while (0)

static int files_in_box(void)
{
	EXPECT(try_open(in_folder("lib/state/events.db"), O_RDONLY), EACCES);
	EXPECT(try_open(in_folder("lib/state/events.db"), O_WRONLY), EACCES);
	EXPECT(try_open(in_folder("lib/state/events.db-wal"), O_RDONLY), EACCES);
	EXPECT(try_open(in_folder("lib/state/events.db-journal"), O_WRONLY | O_CREAT), EACCES);
	EXPECT(try_open(in_folder("key"), O_RDONLY), EACCES);
	EXPECT(unlink(in_folder("key")) < 0 ? errno : 0, EACCES);
	EXPECT(rename(in_folder("key"), in_folder("lib/other/key")) < 0, 1);
	EXPECT(link(in_folder("key"), in_folder("lib/other/key")) < 0, 1);
	EXPECT(symlink(in_folder("key"), in_folder("lib/other/link")), 0);
	EXPECT(try_open(in_folder("lib/other/link"), O_RDONLY), EACCES);
	/* the rest is as it was */
	EXPECT(try_open(in_folder("lib/state/notes"), O_RDWR), 0);
	EXPECT(try_open(in_folder("lib/other/events.db"), O_RDWR), 0);
	EXPECT(try_open(in_folder("lib/other/new"), O_RDWR | O_CREAT), 0);
	EXPECT(try_open("/etc/passwd", O_RDONLY), 0);
	EXPECT(try_open("/", O_RDONLY | O_DIRECTORY), 0);
	EXPECT(try_open("/dev/null", O_RDWR), 0);
	EXPECT(access("/bin/sh", X_OK), 0);
	/* but in the folders above what is hidden nothing comes into being */
	EXPECT(try_open(in_folder("new"), O_WRONLY | O_CREAT), EACCES);
	return 0;
}

static void need_landlock(void)
{
	if (box_landlock() == 0) {
		(void)printf("# this kernel has no Landlock: not shown here\n");
		exit(0);
	}
}

/* SEC-6, PRC-2: what a tool server runs can't read what is ours */
START_TEST(hidden_files_and_their_companions_are_out_of_reach_and_the_rest_is_not)
{
	const char *hidden[] = {strdup(in_folder("lib/state/events.db")), strdup(in_folder("key")),
				strdup(in_folder("nowhere/at/all")), NULL};

	need_landlock();
	ck_assert_int_eq(in_box(hidden, files_in_box), 0);
	for (const char **h = hidden; *h; h++)
		free((void *)(uintptr_t)*h);
}
END_TEST

/* A hidden name that is a link hides what it leads to. */
START_TEST(what_is_hidden_by_a_link_is_hidden_by_its_own_name)
{
	const char *hidden[] = {NULL, strdup(in_folder("key")), NULL};

	need_landlock();
	ck_assert_int_eq(symlink("lib", in_folder("var")), 0);
	hidden[0] = strdup(in_folder("var/state/events.db"));
	ck_assert_int_eq(in_box(hidden, files_in_box), 0);
	free((void *)(uintptr_t)hidden[0]);
	free((void *)(uintptr_t)hidden[1]);
}
END_TEST

static int sockets_in_box(void)
{
	int pair[2];

	EXPECT(socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0, EAFNOSUPPORT);
	EXPECT(socket(AF_UNIX, SOCK_DGRAM, 0) < 0 ? errno : 0, EAFNOSUPPORT);
	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	EXPECT(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0, 1);
	EXPECT(syscall(SYS_io_uring_setup, 1, NULL) < 0 ? errno : 0, ENOSYS);
#ifdef __x86_64__
	EXPECT(syscall(0x40000000L | SYS_getpid) < 0 ? errno : 0, ENOSYS);
#endif
	return 0;
}

/* PRC-3, SEC-6: the bus lets our user in, so a tool server may not get as far as to its socket */
START_TEST(no_unix_socket_can_be_had_but_pairs_and_the_network_can)
{
	const char *hidden[] = {in_folder("key"), NULL};

	ck_assert_int_eq(in_box(hidden, sockets_in_box), 0);
}
END_TEST

static pid_t outside;

/* As somebody without capabilities, and so that nothing but the box is in the way. */
static int become_nobody(void)
{
	if (getuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		return -1;
	return prctl(PR_SET_DUMPABLE, 1);
}

static int processes_in_box(void)
{
	char path[64];
	pid_t child;
	int status = 0;

	EXPECT(become_nobody(), 0);
	(void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)outside);
	EXPECT(try_open(path, O_RDONLY), EACCES);
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)outside);
	EXPECT(try_open(path, O_RDONLY), EACCES);
	(void)snprintf(path, sizeof(path), "/proc/%d/root/etc/passwd", (int)outside);
	EXPECT(try_open(path, O_RDONLY), EACCES);
	if (box_landlock() >= 6)
		EXPECT(kill(outside, 0) < 0 ? errno : 0, EPERM);
	/* its own children are its own business */
	child = fork();
	if (child == 0) {
		(void)alarm(20);
		(void)pause();
		_exit(0);
	}
	EXPECT(child > 0 ? 0 : errno, 0);
	EXPECT(kill(child, SIGKILL), 0);
	EXPECT(waitpid(child, &status, 0) == child && WIFSIGNALED(status), 1);
	return 0;
}

/* PRV-6: a key in the environment of a worker is not a tool's to read */
START_TEST(processes_outside_can_not_be_looked_into_nor_signalled)
{
	const char *hidden[] = {in_folder("key"), NULL};
	char byte;
	int ready[2];

	need_landlock();
	ck_assert_int_eq(pipe(ready), 0);
	outside = fork();
	if (outside == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (become_nobody() == 0)
			(void)!write(ready[1], "x", 1);
		(void)pause();
		_exit(0);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(in_box(hidden, processes_in_box), 0);
	ck_assert_int_eq(kill(outside, SIGKILL), 0);
	ck_assert_int_eq(waitpid(outside, NULL, 0), outside);
}
END_TEST

static int program_in_box(void)
{
	(void)execl("/bin/sh", "sh", "-c", "grep -q '^CapEff:[[:space:]]*0*$' /proc/self/status",
		    NULL);
	return 98;
}

START_TEST(a_program_has_no_capabilities_whoever_started_it)
{
	const char *hidden[] = {in_folder("key"), NULL};

	ck_assert_int_eq(in_box(hidden, program_in_box), 0);
}
END_TEST

static int everything(void)
{
	EXPECT(try_open(in_folder("key"), O_RDONLY), 0);
	EXPECT(try_open(in_folder("new"), O_WRONLY | O_CREAT), 0);
	EXPECT(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0, 1);
	return 0;
}

static unsigned left_out(void)
{
	const char *const hidden[] = {in_folder("lib/state/events.db"), NULL};
	struct box b = BOX_INIT;
	unsigned n;

	ck_assert_int_eq(box_prepare(&b, hidden), 0);
	n = b.left_out;
	box_fini(&b);
	return n;
}

/* PRC-5, FAF-6: a folder with too many names is told, one with as many as may be is not */
START_TEST(what_is_left_out_is_counted)
{
	unsigned before;
	char name[64];

	need_landlock();
	before = left_out(); /* of the folders above, which are not ours */
	for (int i = 0; i < LIMIT_BOX_ENTRIES - 5; i++) { /* two dots and three files are there */
		(void)snprintf(name, sizeof(name), "lib/state/%d", i);
		put(name);
	}
	ck_assert_uint_eq(left_out(), before);
	put("lib/state/more");
	ck_assert_uint_eq(left_out(), before + 1);
}
END_TEST

START_TEST(a_box_that_was_not_prepared_does_nothing)
{
	struct box b = BOX_INIT;

	ck_assert_int_eq(box_enter(&b, -1), 0);
	ck_assert_int_eq(everything(), 0);
	box_fini(&b);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("box");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, hidden_files_and_their_companions_are_out_of_reach_and_the_rest_is_not);
	tcase_add_test(t, what_is_hidden_by_a_link_is_hidden_by_its_own_name);
	tcase_add_test(t, no_unix_socket_can_be_had_but_pairs_and_the_network_can);
	tcase_add_test(t, processes_outside_can_not_be_looked_into_nor_signalled);
	tcase_add_test(t, a_program_has_no_capabilities_whoever_started_it);
	tcase_add_test(t, what_is_left_out_is_counted);
	tcase_add_test(t, a_box_that_was_not_prepared_does_nothing);
	return run_case("box", t);
}
