/*
 * test_supervisor.c - a whole supervisor with fake workers: its sockets, lock, signals and what it
 * tells systemd.
 */
#include "chatd/supervisor/supervisor.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/sock.h"

#define DEADLINE_MS 10000

static char tmp[] = "/tmp/test_supervisor.XXXXXX";
static char bus[64];
static int notify_fd = -1;
static pid_t sup;

static int recheck(void *arg, struct conf_error *e)
{
	(void)snprintf(e->text, sizeof(e->text), "refused by the test");
	return arg ? -1 : 0;
}

static void setup(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	ck_assert_ptr_nonnull(mkdtemp(tmp));
	(void)snprintf(bus, sizeof(bus), "%s/bus", tmp);
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/notify", tmp);
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(notify_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	(void)setenv("NOTIFY_SOCKET", sa.sun_path, 1);
}

static void teardown(void)
{
	char cmd[128];

	if (sup > 0 && kill(sup, SIGKILL) == 0)
		(void)waitpid(sup, NULL, 0);
	(void)close(notify_fd);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", tmp);
	ck_assert_int_eq(system(cmd), 0);
}

static pid_t start(const char *how, unsigned workers, void *refuse_reload)
{
	pid_t pid = fork();

	if (pid == 0) {
		static char index[SPAWN_INDEX_SIZE];
		char *argv[] = {"fake_worker", (char *)how, index, NULL};
		struct supervisor_setup s = {
			.bus_dir = bus,
			.workers = workers,
			.drain_ms = 100,
			.spawn = {getenv("FAKE_WORKER"), argv, index},
			.recheck = recheck,
			.recheck_arg = refuse_reload,
		};

		exit(supervisor_run(&s));
	}
	return pid;
}

/* Waits for a datagram that has the text in it. */
static void expect_notify(const char *text)
{
	int64_t end = clock_mono_ms() + DEADLINE_MS;

	for (;;) {
		struct pollfd p = {.fd = notify_fd, .events = POLLIN};
		char msg[512];
		ssize_t n;

		ck_assert_msg(clock_mono_ms() < end, "never told: %s", text);
		if (poll(&p, 1, 100) != 1)
			continue;
		n = recv(notify_fd, msg, sizeof(msg) - 1, 0);
		msg[n > 0 ? n : 0] = '\0';
		if (strstr(msg, text))
			return;
	}
}

static int exit_status(pid_t pid)
{
	int64_t end = clock_mono_ms() + DEADLINE_MS;
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		ck_assert_msg(clock_mono_ms() < end, "the supervisor does not end");
		(void)poll(NULL, 0, 5);
	}
	ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static const char *sock_path(int i)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/worker-%d.sock", bus, i);
	return path;
}

static unsigned mode_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_mode & 07777;
}

/* PRC-1, RUN-1: SIGTERM ends it with 0 */
START_TEST(it_is_ready_once_all_workers_are_and_ends_in_order)
{
	int fd;

	sup = start("good", 2, NULL);
	expect_notify("READY=1");
	ck_assert_uint_eq(mode_of(bus), 0750);
	ck_assert_uint_eq(mode_of(sock_path(0)), 0660);
	fd = sock_connect_unix(sock_path(1));
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	(void)kill(sup, _i ? SIGINT : SIGTERM);
	expect_notify("STOPPING=1");
	ck_assert_int_eq(exit_status(sup), 0);
	ck_assert_int_eq(access(sock_path(0), F_OK), -1);
	ck_assert_int_eq(access(sock_path(1), F_OK), -1);
	sup = 0;
}
END_TEST

/* PRC-1: the socket outlives the worker */
START_TEST(a_connection_made_while_a_worker_is_down_is_accepted_into_the_backlog)
{
	int fd;

	sup = start("die", 1, NULL); /* dies again and again */
	expect_notify("only 0 of 1");
	for (int i = 0; i < 20; i++) {
		fd = sock_connect_unix(sock_path(0));
		ck_assert_int_ge(fd, 0);
		(void)close(fd);
		(void)poll(NULL, 0, 5);
	}
}
END_TEST

START_TEST(a_second_supervisor_is_refused_and_the_first_keeps_its_sockets)
{
	pid_t second;
	int fd;

	sup = start("good", 1, NULL);
	expect_notify("READY=1");
	second = start("good", 1, NULL);
	ck_assert_int_eq(exit_status(second), EX_TEMPFAIL);
	fd = sock_connect_unix(sock_path(0));
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
}
END_TEST

START_TEST(what_a_killed_supervisor_left_behind_is_replaced_and_its_workers_end)
{
	sup = start("good", 1, NULL);
	expect_notify("READY=1");
	(void)kill(sup, SIGKILL);
	(void)waitpid(sup, NULL, 0);
	ck_assert_int_eq(access(sock_path(0), F_OK), 0);
	sup = start("good", 1, NULL);
	expect_notify("READY=1");
}
END_TEST

START_TEST(a_bus_dir_that_cannot_be_made_is_said_and_ends_it)
{
	(void)snprintf(bus, sizeof(bus), "%s/no/such", tmp);
	sup = start("good", 1, NULL);
	ck_assert_int_eq(exit_status(sup), EX_CANTCREAT);
	sup = 0;
}
END_TEST

/* OPS-6: a worker that refuses the database ends the whole with the same status */
START_TEST(a_worker_that_ends_with_78_ends_the_supervisor_with_78)
{
	sup = start("config", 2, NULL);
	ck_assert_int_eq(exit_status(sup), EX_CONFIG);
	sup = 0;
}
END_TEST

/* RUN-1: SIGHUP. A fake worker ends with 42 when it gets one. */
START_TEST(sighup_with_a_good_config_reaches_the_workers)
{
	sup = start("good", 1, NULL);
	expect_notify("READY=1");
	(void)kill(sup, SIGHUP);
	expect_notify("RELOADING=1");
	expect_notify("READY=1");
	expect_notify("only 0 of 1");
	expect_notify("turns running, 1 workers");
}
END_TEST

START_TEST(sighup_with_a_bad_config_changes_nothing)
{
	struct pollfd p;

	sup = start("good", 1, bus);
	expect_notify("STATUS=12 turns running"); /* as fake_worker beats; it stays so */
	(void)kill(sup, SIGHUP);
	expect_notify("READY=1");
	p = (struct pollfd){.fd = notify_fd, .events = POLLIN};
	ck_assert_int_eq(poll(&p, 1, 300), 0); /* no worker was lost */
}
END_TEST

START_TEST(the_watchdog_is_fed_by_the_loop)
{
	(void)setenv("WATCHDOG_USEC", "100000", 1);
	sup = start("good", 1, NULL);
	expect_notify("WATCHDOG=1");
	expect_notify("WATCHDOG=1");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("supervisor");
	TCase *t = tcase_create("supervisor");
	SRunner *r = srunner_create(s);
	int failed;

	log_max = LOG_LEVEL_ERR - 1;
	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, it_is_ready_once_all_workers_are_and_ends_in_order, 0, 2);
	tcase_add_test(t, a_connection_made_while_a_worker_is_down_is_accepted_into_the_backlog);
	tcase_add_test(t, a_second_supervisor_is_refused_and_the_first_keeps_its_sockets);
	tcase_add_test(t, what_a_killed_supervisor_left_behind_is_replaced_and_its_workers_end);
	tcase_add_test(t, a_bus_dir_that_cannot_be_made_is_said_and_ends_it);
	tcase_add_test(t, a_worker_that_ends_with_78_ends_the_supervisor_with_78);
	tcase_add_test(t, sighup_with_a_good_config_reaches_the_workers);
	tcase_add_test(t, sighup_with_a_bad_config_changes_nothing);
	tcase_add_test(t, the_watchdog_is_fed_by_the_loop);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
