/*
 * test_sock.c - Unix and TCP sockets.
 */
#include "common/sock.h"

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/unit/common/run_case.h"

static char dir[] = "/tmp/test_sock.XXXXXX";
static char path[64];

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/s", dir);
}

static void teardown(void)
{
	(void)unlink(path);
	(void)rmdir(dir);
}

START_TEST(a_unix_socket_listens_with_its_mode_whatever_the_umask)
{
	auto_close int fd = -1;
	auto_close int peer = -1;
	auto_close int accepted = -1;
	struct stat st;
	uid_t uid = 12345;

	(void)umask(0);
	fd = sock_listen_unix(path, 0660, 5);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0660);
	ck_assert_uint_eq(umask(022), 0); /* as it was */
	peer = sock_connect_unix(path);
	ck_assert_int_ge(peer, 0);
	accepted = accept(fd, NULL, NULL);
	ck_assert_int_ge(accepted, 0);
	ck_assert_int_eq(sock_peer_uid(accepted, &uid), 0);
	ck_assert_uint_eq(uid, getuid());
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ck_assert(fcntl(peer, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(peer, F_GETFD) & FD_CLOEXEC);
}
END_TEST

/* PRC-3: by the group that it has, or is only a member of; what it takes off later does not matter
 */
START_TEST(a_peer_is_known_by_its_groups)
{
	static const gid_t member[] = {6001, 6002};
	auto_close int fd = sock_listen_unix(path, 0666, 5);
	auto_close int accepted = -1;
	int status;
	pid_t pid;

	if (getuid() != 0)
		return; /* only root takes groups on */
	ck_assert_int_ge(fd, 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		bool ok = setgroups(2, member) == 0 && setgid(6000) == 0 &&
			  sock_connect_unix(path) >= 0 && setgroups(0, NULL) == 0;

		_exit(ok ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	accepted = accept(fd, NULL, NULL);
	ck_assert_int_ge(accepted, 0);
	ck_assert(sock_peer_in_group(accepted, 6000));
	ck_assert(sock_peer_in_group(accepted, 6001));
	ck_assert(sock_peer_in_group(accepted, 6002));
	ck_assert(!sock_peer_in_group(accepted, 6003));
	ck_assert(!sock_peer_in_group(accepted, 0));
}
END_TEST

START_TEST(a_stale_socket_is_replaced_but_no_other_kind_of_file)
{
	int fd = sock_listen_unix(path, 0600, 5);
	struct stat st;

	(void)close(fd);
	ck_assert_int_eq(sock_connect_unix(path), -ECONNREFUSED);
	fd = sock_listen_unix(path, 0600, 5);
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	(void)unlink(path);
	(void)close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	ck_assert_int_eq(sock_listen_unix(path, 0600, 5), -EEXIST);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert(S_ISREG(st.st_mode));
}
END_TEST

START_TEST(names_that_do_not_fit_or_do_not_exist_are_results)
{
	char longest[109];

	memset(longest, 'a', 108);
	longest[0] = '/';
	longest[108] = '\0'; /* sun_path has 108 bytes with the NUL */
	ck_assert_int_eq(sock_listen_unix(longest, 0600, 5), -ENAMETOOLONG);
	ck_assert_int_eq(sock_connect_unix(longest), -ENAMETOOLONG);
	ck_assert_int_eq(sock_connect_unix("/nowhere/s"), -ENOENT);
	ck_assert_int_eq(sock_listen_unix("/nowhere/s", 0600, 5), -ENOENT);
}
END_TEST

START_TEST(a_tcp_socket_listens_on_numeric_addresses)
{
	static const char *const good[] = {"127.0.0.1:0", "[::1]:0", "0.0.0.0:0"};
	static const char *const bad[] = {"",
					  "8080",
					  "127.0.0.1",
					  "127.0.0.1:",
					  ":80",
					  "localhost:80",
					  "127.0.0.1:-1",
					  "127.0.0.1:65536",
					  "1.2.3:80",
					  "127.0.0.1:8x",
					  "[::1:80",
					  "127.0.0.1:+80",
					  "127.0.0.1: 80"};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		int fd = sock_listen_tcp(good[i], 5, 0);

		if (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT)
			continue; /* a machine without IPv6 */
		ck_assert_msg(fd >= 0, "%s: %s", good[i], strerror(-fd));
		(void)close(fd);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(sock_listen_tcp(bad[i], 5, 0) == -EINVAL, "%s", bad[i]);
}
END_TEST

START_TEST(only_loopback_addresses_are_loopback)
{
	static const struct {
		const char *s;
		int want;
	} t[] = {{"127.0.0.1:80", 1}, {"127.255.0.9:80", 1}, {"[::1]:80", 1},	 {"0.0.0.0:80", 0},
		 {"[::]:80", 0},      {"128.0.0.1:80", 0},   {"10.0.0.1:80", 0}, {"nonsense", 0},
		 {"127.0.0.1", 0},    {"[::2]:80", 0},	     {"126.0.0.1:80", 0}};

	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++)
		ck_assert_msg(sock_is_loopback(t[i].s) == t[i].want, "%s", t[i].s);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("sock");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_unix_socket_listens_with_its_mode_whatever_the_umask);
	tcase_add_test(t, a_peer_is_known_by_its_groups);
	tcase_add_test(t, a_stale_socket_is_replaced_but_no_other_kind_of_file);
	tcase_add_test(t, names_that_do_not_fit_or_do_not_exist_are_results);
	tcase_add_test(t, a_tcp_socket_listens_on_numeric_addresses);
	tcase_add_test(t, only_loopback_addresses_are_loopback);
	return run_case("sock", t);
}
